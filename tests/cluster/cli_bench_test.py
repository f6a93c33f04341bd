#!/usr/bin/env python3
"""cairn bench against nodes: its document, that its counts are those of the node, and that a node which
stalls is seen."""
import contextlib
import json
import pathlib
import signal
import socket
import threading
import time
import unittest
import xml.etree.ElementTree

from cairn_process import NodeTestCase, cairn, ttypes, wait_until
from cluster import ClusterTestCase
from exposition import scrape
from freeze import freeze

COUNT = "cairn_request_duration_seconds_count"

NUMBER = (int, float)
LATENCY = {"count": int, "mean_us": NUMBER, "p50_us": NUMBER, "p90_us": NUMBER, "p95_us": NUMBER,
           "p99_us": NUMBER, "p999_us": NUMBER, "p9999_us": NUMBER, "max_us": NUMBER}
KIND = {"failed": int, "not_found": int, "expected_interval_us": NUMBER, "latency": LATENCY,
        "service_time": LATENCY}
SCHEMA = {
    "workload": {"name": str, "mix": {"read": int, "update": int}, "distribution": str,
                 "zipf_exponent": NUMBER, "records": int, "value_bytes": int, "max_scan_length": int,
                 "key_prefix": str, "seed": int},
    "loop": {"kind": str, "in_flight": int, "rate": NUMBER, "arrivals": str,
             "warmup_seconds": NUMBER, "seconds": NUMBER},
    "system": {"endpoints": list, "clients": int, "read_level": str, "sessions": bool,
               "column_family": str},
    "fill": {"records": int, "seconds": NUMBER, "operations_per_second": NUMBER, "commits": int},
    "seconds": NUMBER, "operations": int, "operations_per_second": NUMBER, "commits": int,
    "conflicts": int, "pairs": int, "failed": int, "records_left": int, "first_error": str,
    "latency": LATENCY, "service_time": LATENCY, "kinds": {"read": KIND, "update": KIND},
    "timeline": {"slot_seconds": NUMBER, "operations": list, "max_latency_us": list},
}


class BenchTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.node("--grpc-port", "0").start()

    def bench(self, *arguments, endpoints=None, expect=0):
        result = cairn("bench", "--records", "200", "--value-size", "32", "--in-flight", "8",
                       "--warmup", "0.1", "--json", *arguments,
                       endpoints=endpoints or self.server.endpoint)
        self.assertEqual(expect, result.returncode, result)
        return json.loads(result.stdout)

    def bench_that_measures(self, *arguments):
        """The document of a run in which something was measured: a machine that stands still for its
        few tenths of a second leaves nothing."""
        return wait_until(lambda: (document := self.bench(*arguments))["operations"] > 20 and document,
                          "something is measured")

    def served_reads(self):
        return scrape(self.server.http_endpoint).total(COUNT, operation="get")

    def wait_for_reads(self, before):
        """Until the node has served some reads more than `before`."""
        wait_until(lambda: self.served_reads() > before + 20, "the run has begun")

    def check_schema(self, document, schema, where=""):
        self.assertEqual(list(schema), list(document), where)
        for name, kind in schema.items():
            if isinstance(kind, dict):
                self.check_schema(document[name], kind, f"{where}.{name}")
            else:
                self.assertIsInstance(document[name], kind, f"{where}.{name}")

    def version(self):
        with self.server.client() as client:
            return client.getCommittedVersion(ttypes.GetCommittedVersionRequest()).version

    def test_what_is_left_is_said(self):
        arguments = ("bench", "--records", "200", "--value-size", "32", "--warmup", "0", "--seconds", "0.1",
                     "--workload", "read", "--key-prefix", "x/")
        said = cairn(*arguments, endpoints=self.server.endpoint).stdout.decode().splitlines()[-1]
        self.assertIn("left in column family default: up to 200 records that begin with 'x/'", said)
        # What it says to do does it.
        self.assertIn("cairn delete --prefix 'x/' removes", said)
        answer = cairn("delete", "--prefix", "x/", "--yes", endpoints=self.server.endpoint)
        self.assertEqual(b"deleted 200 keys\n", answer.stdout)
        said = cairn(*arguments, "--clean", endpoints=self.server.endpoint).stdout.decode()
        self.assertNotIn("left in", said)

    def test_document(self):
        document = self.bench("--seconds", "0.5")
        self.check_schema(document, SCHEMA)
        self.assertEqual({"read": 50, "update": 50}, document["workload"]["mix"])
        self.assertEqual(("closed", 8), (document["loop"]["kind"], document["loop"]["in_flight"]))
        self.assertEqual(200, document["fill"]["commits"])
        kinds = document["kinds"].values()
        self.assertEqual(document["operations"], sum(k["service_time"]["count"] for k in kinds))
        self.assertEqual(document["operations"], document["service_time"]["count"])
        self.assertAlmostEqual(document["operations"] / document["seconds"],
                               document["operations_per_second"], places=1)
        self.assertEqual(5, len(document["timeline"]["operations"]))
        self.assertEqual(0, document["failed"] + sum(kind["not_found"] for kind in kinds))
        for latency in (document["latency"], *(kind["service_time"] for kind in kinds)):
            ordered = [latency[name] for name in LATENCY if name not in ("count", "mean_us")]
            self.assertEqual(sorted(ordered), ordered)

    def test_counts_are_those_of_the_node(self):
        for wire, endpoint in (("thrift", self.server.endpoint), ("grpc", self.server.grpc_endpoint)):
            for workload in ("a", "update", "insert", "f", "f-txn"):
                def counted(workload=workload, wire=wire, endpoint=endpoint):
                    before = self.version()
                    document = self.bench("--seconds", "0.3", "--workload", workload, "--no-sessions",
                                          "--wire", wire, endpoints=endpoint)
                    self.assertFalse(document["system"]["sessions"])
                    self.assertEqual(self.version() - before,
                                     document["commits"] + document["fill"]["commits"],
                                     (wire, workload))
                    # Of these, transactions alone conflict.
                    if workload != "f-txn":
                        self.assertEqual(0, document["conflicts"], workload)
                        return document["operations"] > 0
                    return document["conflicts"] > 0
                # A machine that stands still for the time of a run leaves nothing to count.
                wait_until(counted, f"{workload} over {wire} is counted")
            # A session is opened through the log as well.
            before = self.version()
            document = self.bench("--seconds", "0.3", "--no-fill", "--wire", wire, endpoints=endpoint)
            self.assertGreaterEqual(self.version() - before, document["commits"])
            self.assertIsNone(document["fill"])

    def test_workloads_and_what_they_leave(self):
        for workload in "bcde":
            document = self.bench_that_measures("--seconds", "0.2", "--workload", workload)
            self.assertEqual(0, document["failed"], document["first_error"])
            not_found = sum(kind["not_found"] for kind in document["kinds"].values())
            self.assertEqual(0, not_found, workload)
        self.assertGreater(document["pairs"], document["kinds"]["scan"]["service_time"]["count"])
        self.bench("--seconds", "0.2", "--workload", "d", "--clean", "--key-prefix", "other/")
        with self.server.client() as client:
            left = client.all()
        self.assertGreater(len(left), 200)
        self.assertTrue(all(key.startswith(b"bench/") and len(value) == 32
                            for key, value in left.items()))

    def test_text_and_drawing(self):
        path = pathlib.Path(self.scratch, "run.svg")
        result = cairn("bench", "--records", "10", "--seconds", "0.2", "--warmup", "0", "--svg", path,
                       "--rate", "500", "--arrivals", "poisson", endpoints=self.server.endpoint)
        self.assertEqual(0, result.returncode, result)
        self.assertIn("open loop of 500 per second", result.stdout.decode())
        self.assertIn("from when due", result.stdout.decode())
        drawing = xml.etree.ElementTree.parse(path)
        self.assertEqual(4, len(drawing.findall("{http://www.w3.org/2000/svg}polyline")))

    def test_a_node_that_hangs_takes_no_more_than_the_time(self):
        # Connections are taken, by the kernel, and nobody answers.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
            for endpoints in (endpoint, f"grpc://{endpoint}"):
                with self.subTest(endpoints=endpoints):
                    for milliseconds, least, most in ((500, 0.4, 1.5), (2700, 2.5, 3.7)):
                        taken = []
                        # A machine that stands still makes one of them late.
                        while len(taken) < 3 and min(taken, default=most) >= most:
                            begun = time.monotonic()
                            document = self.bench("--timeout-ms", str(milliseconds), "--clients", "2",
                                                  endpoints=endpoints, expect=4)
                            taken.append(time.monotonic() - begun)
                            self.assertEqual("UNAVAILABLE", document["error"]["code"])
                            self.assertGreater(taken[-1], least)
                        self.assertLess(min(taken), most, taken)

    @contextlib.contextmanager
    def stall(self, seconds):
        """Stops the node, once, for a while, when it serves the run."""
        before = self.served_reads()

        def run():
            self.wait_for_reads(before)
            freeze(self.server.process)
            threading.Event().wait(seconds)
            self.server.process.send_signal(signal.SIGCONT)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def test_a_stall_is_seen(self):
        """The node stands still for 1.2 s of 3 s. Four operations at most were under way then, so hardly
        any was served slowly; but more than a third of those that were due had to wait."""
        self.bench("--seconds", "0.1")
        arguments = ("--workload", "read", "--no-fill", "--in-flight", "4", "--warmup", "0",
                     "--seconds", "3")
        with self.stall(1.2):
            run = self.bench(*arguments, "--rate", "200")
        self.assertEqual(600, run["operations"])
        self.assertLess(run["service_time"]["p95_us"], 400e3)
        self.assertGreater(run["latency"]["p90_us"], 400e3)
        self.assertGreater(max(run["timeline"]["max_latency_us"]), 900e3)
        with self.stall(1.2):
            run = self.bench(*arguments)
        self.assertLess(run["service_time"]["p95_us"], 400e3)
        self.assertGreater(run["latency"]["p95_us"], 400e3)

    def test_what_is_wrong_is_said(self):
        for arguments, words in (
                (("--mix", "raed=1"), b"raed=1"), (("--workload", "g"), b"not one of"),
                (("--seconds", "0"), b"--seconds"), (("--zipf-exponent", "0"), b"--zipf-exponent"),
                (("--mix", "read=1", "--workload", "a"), b"exclude each other")):
            result = cairn("bench", *arguments, endpoints=self.server.endpoint)
            self.assertEqual(2, result.returncode, arguments)
            self.assertIn(words, result.stderr)
        result = cairn("bench", "--timeout-ms", "200", endpoints="127.0.0.1:1")
        self.assertEqual((4, True), (result.returncode, b"UNAVAILABLE" in result.stderr), result)

    def test_a_node_that_dies(self):
        """What had not been written is said; a run that has begun ends with its report."""
        self.bench("--seconds", "0.1")
        before = self.served_reads()

        def kill():
            self.wait_for_reads(before)
            self.server.kill()
        killer = threading.Thread(target=kill)
        killer.start()
        run = self.bench("--no-fill", "--warmup", "0", "--seconds", "3", "--timeout-ms", "1500", expect=3)
        killer.join()
        self.assertGreater(run["operations"], 0)
        self.assertGreater(run["failed"], 0)
        self.assertNotEqual("", run["first_error"])


class SeveralNodesTest(ClusterTestCase):
    def test_every_endpoint_is_asked(self):
        with self.cluster() as cluster:
            def served(number):
                return scrape(f"127.0.0.1:{cluster.http_ports[number]}").total(
                    COUNT, operation="get", outcome="OK")

            def bench(level, *arguments):
                """The run, and how many reads each node answered of it."""
                before = [served(number) for number in range(3)]
                done = cairn("bench", "--workload", "read", "--read-level", level, "--records", "100",
                             "--in-flight", "8", "--warmup", "0", "--seconds", "0.5", "--json",
                             *arguments, endpoints=cluster.endpoints)
                self.assertEqual(0, done.returncode, done)
                run = json.loads(done.stdout)
                self.assertEqual((0, cluster.endpoints.split(",")),
                                 (run["failed"], run["system"]["endpoints"]), run["first_error"])
                shares = [served(number) - before[number] for number in range(3)]
                self.assertGreaterEqual(sum(shares), run["operations"])
                return run, shares

            def measured(level, *arguments):
                """The same, and the leader, of a run that measured something and had one leader."""
                leader = cluster.leader()
                run, shares = bench(level, *arguments)
                return (run, shares, leader) if run["operations"] > 20 and \
                    leader == cluster.leader() else None
            run, shares, _ = wait_until(lambda: measured("local"), "something is measured")
            # In turns: no node is left out, and none answers all.
            self.assertGreater(min(shares), run["operations"] / 10, shares)
            run, shares, leader = wait_until(lambda: measured("leader", "--no-fill"),
                                             "something is measured")
            self.assertGreaterEqual(shares[leader], run["operations"] * 0.9, shares)


if __name__ == "__main__":
    unittest.main(verbosity=2)
