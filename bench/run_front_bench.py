#!/usr/bin/env python3
"""Measures what applications and operators touch of one node: gRPC, the C++ client, the metrics.

    bench/run_front_bench.py --bin build/bin --scratch build/bench-run --docs docs/benchmarks.md

The same way as run_bench.py: one loader, rounds interleaved, medians with the lowest and the highest.
scripts/bench.sh --front builds what this needs and calls it.
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers import servers  # noqa: E402
import front_report  # noqa: E402
import run_bench  # noqa: E402

# What the C++ client adds is a difference of two means: many short turns of each, in one run.
CLIENT_TURNS, CLIENT_CALLS = 100, 200
ONE = ("--channels", 1)
# Over gRPC all systems are driven alike by callbacks: 64 operations outstanding, not 64 threads, whose
# wake-ups take more of this machine than the systems do.
ASYNC = ("--async",)
SESSIONS = ("--sessions",)


class FrontBench(run_bench.Bench):
    def cairnd(self, name, config=""):
        return servers.cairnd(self.bin, self.folder(f"cairn-{name}"), config=config)

    # ---- What is measured

    def sets(self):
        """Durable Sets at 64 clients over both wires, beside etcd and Redis."""
        self.say("Sets: cairnd over gRPC and Thrift, etcd, Redis")
        with self.cairnd("sets") as cairn, servers.etcd(self.folder("etcd-sets")) as etcd, \
                servers.redis(self.folder("redis-always"), "always") as always, \
                servers.redis(self.folder("redis-no"), "no") as unsynced:
            grpc, pipeline = cairn.over_grpc(), cairn.by_pipeline()
            self.results["sets"] = self.interleave({
                "etcd, one channel": self.run_of(etcd, *ASYNC, *ONE),
                "cairn, gRPC pipeline": self.run_of(pipeline, *ASYNC, *ONE),
                "cairn, gRPC pipeline, with sessions": self.run_of(pipeline, *SESSIONS, *ASYNC, *ONE),
                "cairn, gRPC, one channel": self.run_of(grpc, *ASYNC, *ONE),
                "echo (Ping), gRPC, one channel": self.run_of(grpc, "--ping", *ASYNC, *ONE),
                "etcd, 64 channels": self.run_of(etcd, *ASYNC),
                "cairn, gRPC, 64 channels": self.run_of(grpc, *ASYNC),
                "cairn, Thrift": self.run_of(cairn),
                "Redis, AOF with fsync always": self.run_of(always),
                "Redis, AOF with fsync off": self.run_of(unsynced)})

    def gets(self):
        """Gets at 64 clients, linearizable where there is a choice."""
        self.say("Gets: cairnd over gRPC and Thrift, etcd, Redis")
        with self.cairnd("gets") as cairn, servers.etcd(self.folder("etcd-gets")) as etcd, \
                servers.redis(self.folder("redis-gets"), "no") as redis:
            for server in (cairn, etcd, redis):
                self.load(server, "--fill")
            read, leader = ("--read-percent", 100), ("--read-level", "leader")
            grpc, pipeline = cairn.over_grpc(), cairn.by_pipeline()
            self.results["gets"] = self.interleave({
                "etcd, one channel": self.run_of(etcd, *read, *ASYNC, *ONE),
                "cairn, gRPC pipeline": self.run_of(pipeline, *read, *leader, *ASYNC, *ONE),
                "cairn, gRPC pipeline, with sessions": self.run_of(
                    pipeline, *SESSIONS, *read, *leader, *ASYNC, *ONE),
                "cairn, gRPC, one channel": self.run_of(grpc, *read, *leader, *ASYNC, *ONE),
                "etcd, 64 channels": self.run_of(etcd, *read, *ASYNC),
                "cairn, gRPC, 64 channels": self.run_of(grpc, *read, *leader, *ASYNC),
                "cairn, Thrift": self.run_of(cairn, *read, *leader),
                "Redis": self.run_of(redis, *read)})

    def run_of(self, server, *flags):
        """A function of the round that loads the server."""
        return lambda number: self.load(server, *flags, "--warmup", 1, "--seed", number)

    def scan(self):
        """1 GiB as one stream of gRPC: how fast, and what it takes in the server."""
        self.say("a scan of 1 GiB over gRPC")
        folder = self.folder("cairn-scan")
        small = run_bench.SMALL_CACHE
        with servers.cairnd(self.bin, folder, config=small) as cairn:
            self.load(cairn, "--fill", clients=16, keys=run_bench.SCAN_KEYS,
                      value_bytes=run_bench.SCAN_VALUE_BYTES)
        scans = []
        for number in range(self.rounds):
            # A node of its own for each, so that what one left behind is not the base of the next.
            with servers.cairnd(self.bin, folder, config=small) as cairn:
                before, used = cairn.rss_mib(), cairn.cpu_s()
                cairn.reset_peak()
                scan = self.run_json(self.bin / "cairn-load", "--system", "cairn-grpc", "--scan",
                                     "--port", cairn.grpc_port)
                scan.update(before_mib=before, peak_mib=cairn.peak_rss_mib(),
                            server_cpu_s=cairn.cpu_s() - used)
            scans.append(scan)
            self.say(f"round {number + 1}: {scan['bytes'] / scan['seconds'] / 1e6:.0f} MB/s, "
                     f"{before:.1f} -> {scan['peak_mib']:.1f} MiB")
        self.results["scan"] = {"scans": scans, "cache_mib": run_bench.SMALL_CACHE_MIB}
        shutil.rmtree(folder, ignore_errors=True)

    def client(self):
        """What NodeClient adds to a call of Thrift's generated client."""
        self.say("the C++ client beside a raw Thrift call")
        # On one core: a call costs its processor time, and no core is woken from its sleep, which
        # takes this machine longer than the call.
        with servers.cairnd(self.bin, self.folder("cairn-client"), tracer=("taskset", "-c", "0")) \
                as cairn:
            self.results["client"] = [
                self.run_json("taskset", "-c", "0", self.bin / "client_overhead", "--endpoint",
                              f"127.0.0.1:{cairn.port}", "--rounds", CLIENT_TURNS, "--calls",
                              CLIENT_CALLS) for _ in range(self.rounds)]
        self.say(", ".join(f"{one['added_us']:.2f} us" for one in self.results["client"]))

    def scrape(self):
        """Scrapes of the metrics with 100,000 requests behind them."""
        self.say("scrapes")
        program = pathlib.Path(__file__).parent / "run_scrape_bench.py"
        self.results["scrape"] = self.run_json(
            "/usr/bin/python3", program, "--bin", self.bin, "--gen-py", self.bin.parent / "gen-py",
            "--scratch", self.scratch)
        self.say(str({name: found["p99_ms"] for name, found in self.results["scrape"].items()
                      if isinstance(found, dict)}))


PARTS = ("sets", "gets", "scan", "client", "scrape")


if __name__ == "__main__":
    run_bench.main(FrontBench, PARTS, front_report, __doc__.split("\n", maxsplit=1)[0])
