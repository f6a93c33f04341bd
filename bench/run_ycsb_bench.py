#!/usr/bin/env python3
"""Measures YCSB's workloads on Cairn, etcd and Redis, one node each.

    bench/run_ycsb_bench.py --bin build/bin --scratch build/bench-run --docs docs/benchmarks.md

The same way as run_bench.py: one loader, rounds interleaved, medians with the lowest and the highest.
Each round starts with empty servers, as YCSB wants it: D and E insert records. scripts/bench.sh --ycsb
builds what this needs and calls it.
"""
import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers import servers  # noqa: E402
import run_bench  # noqa: E402
import ycsb_report  # noqa: E402

WARMUP_S = 1
# D comes last of those that share records, as it inserts more of them.
WORKLOADS = ("a", "b", "c", "f", "d")
# Of scans, which come last, and have records of their own, so that none of E's was inserted by D.
SCANS, SCAN_PREFIX = "e", "scan/"
TRANSACTIONS = "f-txn"


class Subject:
    """A server of its own and how the loader drives it: 64 operations are outstanding, each answer
    brings the next."""

    def __init__(self, start, drive=lambda server: server, flags=(), scans=True, wire=None):
        self.start = start  # its folder -> the server
        self.drive = drive  # the server -> what cairn-load finds
        self.flags = flags
        self.scans = scans  # in the order of keys
        self.wire = wire  # as `cairn bench` calls it, which has transactions


class YcsbBench(run_bench.Bench):
    def subjects(self):
        def cairn(folder):
            return servers.cairnd(self.bin, folder)

        def redis(fsync, connections):
            return Subject(lambda folder: servers.redis(folder, fsync),
                           flags=("--channels", connections), scans=False)
        one, level = ("--channels", 1), ("--read-level", "leader")
        return {
            "cairn, Thrift": Subject(cairn, lambda node: servers.At("cairn-client", node.port),
                                     (*one, *level), wire="thrift"),
            "cairn, gRPC": Subject(cairn, servers.CairnServer.by_pipeline, (*one, *level), wire="grpc"),
            "etcd": Subject(servers.etcd, flags=one),
            "Redis, fsync always": redis("always", 0),
            "Redis, fsync always, one connection": redis("always", 1),
            "Redis, fsync off": redis("no", 0),
            "Redis, fsync off, one connection": redis("no", 1)}

    def workload(self, subject, server, name, *flags):
        return self.load(subject.drive(server), "--workload", name, "--warmup", WARMUP_S,
                         *subject.flags, *flags)

    def transactions(self, subject, node, number):
        """`cairn bench` alone has transactions; its loop and its client are the same."""
        port = node.grpc_port if subject.wire == "grpc" else node.port
        return self.run_json(
            self.bin / "cairn", "bench", "--json", "--wire", subject.wire, "--endpoints",
            f"127.0.0.1:{port}", "--workload", TRANSACTIONS, "--records", run_bench.KEYS,
            "--value-size", run_bench.VALUE_BYTES, "--in-flight", run_bench.CLIENTS, "--warmup",
            WARMUP_S, "--seconds", f"{self.seconds:g}", "--seed", number, "--no-fill", "--no-sessions")

    def ycsb(self):
        """A to F on every system; transactions on Cairn."""
        self.results["peers"] = ycsb_report.peers(self.results["machine"]["etcd"])
        for number in range(self.rounds):
            with contextlib.ExitStack() as running:
                self.one_round(number, running)

    def one_round(self, number, running):
        subjects = self.subjects()
        names = list(subjects) if number % 2 == 0 else list(subjects)[::-1]
        started = {}
        for name in names:
            folder = self.folder("ycsb-" + name.replace(", ", "-").replace(" ", "-"))
            started[name] = running.enter_context(subjects[name].start(folder))
            self.workload(subjects[name], started[name], "a", "--fill", "--seed", number)
        for workload in WORKLOADS:
            for name in names:
                self.note(number, workload, name, self.workload(
                    subjects[name], started[name], workload, "--seed", number))
        for name in (name for name in names if subjects[name].wire):
            self.note(number, TRANSACTIONS, name,
                      self.transactions(subjects[name], started[name], number))
        scans = ("--key-prefix", SCAN_PREFIX, "--seed", number)
        scanned = [name for name in names if subjects[name].scans]
        for name in scanned:
            self.workload(subjects[name], started[name], SCANS, "--fill", *scans)
        for name in scanned:
            self.note(number, SCANS, name,
                      self.workload(subjects[name], started[name], SCANS, *scans))

    def note(self, number, workload, name, found):
        missed = sum(kind["not_found"] for kind in found["kinds"].values())
        if missed > 0:
            raise RuntimeError(f"{name}, {workload}: {missed} operations found nothing")
        self.results.setdefault("ycsb", {}).setdefault(workload, {}).setdefault(name, []).append(found)
        self.say(f"round {number + 1}: {workload}, {name}: {found['operations_per_second']:.0f}/s, "
                 f"p99 {found['service_time']['p99_us']:.0f} us")


PARTS = ("ycsb",)


if __name__ == "__main__":
    run_bench.main(YcsbBench, PARTS, ycsb_report, __doc__.split("\n", maxsplit=1)[0])
