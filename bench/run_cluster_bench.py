#!/usr/bin/env python3
"""Measures a cluster of three Cairn nodes beside three etcd nodes on one machine.

    bench/run_cluster_bench.py --bin build/bin --scratch build/bench-run --docs docs/benchmarks.md

The same way as run_bench.py: one loader, rounds interleaved, medians with the lowest and the highest.
Connections go to the leader, but for reads that any node serves, which take turns over all nodes.
scripts/bench.sh --cluster builds what this needs and calls it.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers import servers  # noqa: E402
import cluster_report  # noqa: E402
import run_bench  # noqa: E402

KILLS = 30
FAILOVER_CONFIG = "[consensus]\nelection_timeout_ms = 300\nheartbeat_interval_ms = 60\n"
CATCH_UP_VALUE_BYTES = 16 * 1024
CATCH_UP_KEYS = 65_536  # with the values above: 1 GiB
# A journal far smaller than what the follower misses, so that only a snapshot can bring it back.
CATCH_UP_CONFIG = "[storage]\nmax_journal_mb = 64\njournal_segment_mb = 16\n"
CATCH_UP_TIMEOUT_S = 300
SYNC_CALLS = ("fsync", "fdatasync")


class ClusterBench(run_bench.Bench):
    def load(self, server, *flags, ports=None, **options):
        """One run of the loader, against the leader unless `ports` says otherwise."""
        return super().load(servers.At(server.system, ports or server.port), *flags, **options)

    def clusters(self, name):
        return (servers.cairn_cluster(self.bin, self.folder(f"cairn-{name}")),
                servers.etcd_cluster(self.folder(f"etcd-{name}")))

    # ---- What is measured

    def writes(self):
        """Durable Sets at the leader: 64 clients, 256 outstanding, and one client."""
        self.say("durable Sets: three nodes each")
        cairn, etcd = self.clusters("writes")
        with cairn, etcd:
            for part, clients in (("sets_64", 64), ("sets_256", 256), ("sets_1", 1)):
                self.results[part] = self.interleave({
                    "etcd": lambda n, c=clients: self.load(etcd, "--seed", n, clients=c),
                    "cairn": lambda n, c=clients: self.load(cairn, "--seed", n, clients=c)})

    def reads(self):
        """Gets at 64 clients, linearizable and local."""
        self.say("Gets: three nodes each")
        cairn, etcd = self.clusters("reads")
        with cairn, etcd:
            self.load(cairn, "--fill")
            self.load(etcd, "--fill")

            def level(name, ports):
                return lambda n: self.load(cairn, "--read-percent", 100, "--read-level", name,
                                           "--seed", n, ports=ports)

            def etcd_reads(*flags):
                return lambda n: self.load(etcd, "--read-percent", 100, *flags, "--seed", n,
                                           ports=etcd.ports)
            self.results["reads"] = self.interleave({
                "etcd, linearizable": etcd_reads(),
                "cairn, leader": level("leader", cairn.port),
                "cairn, read_index": level("read_index", cairn.ports),
                "etcd, serializable": etcd_reads("--serializable-reads"),
                "cairn, local": level("local", cairn.ports)})

    def syncs(self):
        """fdatasyncs of all three nodes for the writes of 64 clients, counted by strace."""
        self.say("counting fdatasyncs")
        found = {}
        for cluster in self.clusters("syncs"):
            with cluster:
                counts = self.scratch / f"{cluster.system}-strace.txt"
                targets = [word for node in cluster.nodes for word in ("-p", str(node.pid))]
                strace = subprocess.Popen(
                    ["strace", "-f", "-c", "-U", "name,calls", "-e",
                     f"trace={','.join(SYNC_CALLS)}", "-o", counts, *targets],
                    stderr=subprocess.PIPE, text=True)
                for _ in cluster.nodes:  # "Process N attached", once a target
                    strace.stderr.readline()
                drain = threading.Thread(target=strace.stderr.read)
                drain.start()
                loaded = self.load(cluster, "--warmup", 0)
                strace.send_signal(signal.SIGINT)
                strace.wait()
                drain.join()
                found[cluster.system] = {"sets": loaded["total_writes"],
                                         "calls": _calls(counts), "ops_per_s": loaded["ops_per_s"]}
                self.say(f"{cluster.system}: {found[cluster.system]}")
        self.results["cluster_syncs"] = found

    def failover(self):
        """The leader killed again and again under load: how long until a write succeeds."""
        self.say(f"failover: {KILLS} kills of the leader")
        cluster = servers.cairn_cluster(self.bin, self.folder("cairn-failover"),
                                        config=FAILOVER_CONFIG)
        with cluster:
            writer = subprocess.Popen(
                [self.bin / "cairn-failover", "--endpoints",
                 ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            gaps = []
            for _ in range(KILLS):
                _wait_until_together(cluster)
                writer.stdin.write("mark\n")
                writer.stdin.flush()
                leader = cluster.leader
                leader.kill()
                gaps.append(json.loads(writer.stdout.readline())["gap_ms"])
                self.say(f"kill {len(gaps)}: {gaps[-1]:.0f} ms")
                leader.restart()
                leader.wait_ready()
            writer.stdin.close()
            verdict = json.loads(writer.stdout.readlines()[-1])
            writer.wait()
        self.results["failover"] = {"gaps_ms": gaps, **verdict}

    def catch_up(self):
        """A follower that missed 1 GiB comes back by snapshot while writes go on."""
        self.say("a follower 1 GiB behind")
        cluster = servers.cairn_cluster(self.bin, self.folder("cairn-catch-up"),
                                        config=CATCH_UP_CONFIG)
        with cluster:
            absent = next(node for node in cluster.nodes if node is not cluster.leader)
            absent.kill()
            self.load(cluster, "--fill", clients=16, keys=CATCH_UP_KEYS,
                      value_bytes=CATCH_UP_VALUE_BYTES)
            alone = self.load(cluster, "--seed", 1)
            absent.restart()
            started = time.monotonic()
            during = []
            while not _has_caught_up(cluster, absent):
                if time.monotonic() - started > CATCH_UP_TIMEOUT_S:
                    raise RuntimeError("the follower did not catch up")
                during.append(self.load(cluster, "--warmup", 0, "--seed", len(during), seconds=2))
            self.results["catch_up"] = {"alone": alone, "during": during,
                                        "took_s": time.monotonic() - started}

    def memory(self):
        """Three empty nodes together."""
        found = {}
        for cluster in self.clusters("memory"):
            with cluster:
                self.load(cluster, "--warmup", 0, clients=1, seconds=0.2)
                found[cluster.system] = {"together": cluster.pss_mib(), "rss": cluster.rss_mib()}
        self.say(f"three empty nodes, MiB: {found}")
        self.results["cluster_memory"] = found


def _calls(counts):
    calls = {}
    for line in counts.read_text().split("\n"):
        words = line.split()
        if len(words) == 2 and words[0] in SYNC_CALLS:
            calls[words[0]] = int(words[1])
    return calls


def _applied(node):
    status = node.status()
    return status.get("committed_version") if status else None


def _has_caught_up(cluster, node):
    """Whether the node has applied what the leader had when asked first."""
    target = _applied(cluster.leader)
    own = _applied(node)
    return target is not None and own is not None and own >= target


def _wait_until_together(cluster):
    """Until somebody leads and every node has applied what the leader had."""
    deadline = time.monotonic() + servers.READY_TIMEOUT_S
    cluster.refresh()
    while not all(_has_caught_up(cluster, node) for node in cluster.nodes):
        if time.monotonic() > deadline:
            raise RuntimeError("the nodes do not come together")
        cluster.refresh()


PARTS = ("writes", "reads", "syncs", "failover", "catch_up", "memory")

if __name__ == "__main__":
    run_bench.main(ClusterBench, PARTS, cluster_report, __doc__.split("\n")[0])
