#!/usr/bin/env python3
"""cairn dram as processes: servers on loopback over UCX, alone and as a pool of three, killed and
brought back."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

from cairn_process import wait_until
from dram_process import BIN, DramServer, free_addresses
from exposition import fetch, scrape
from freeze import freeze
from metrics_docs_test import documented

DONE, NOT_FOUND, USAGE, REFUSED, UNREACHABLE, TIMED_OUT = range(6)


class DramTestCase(unittest.TestCase):
    def serve(self, *arguments):
        server = DramServer(*arguments)
        self.addCleanup(lambda: server.process.poll() is None and server.end())
        return server

    def run_dram(self, command, *arguments, stdin=b"", expect=DONE):
        result = subprocess.run([str(BIN / "cairn"), "dram", command, *arguments], input=stdin,
                                capture_output=True, timeout=120, check=False)
        self.assertEqual(expect, result.returncode, f"{command} {arguments}: {result}")
        return result


class OneServerTest(DramTestCase):
    def setUp(self):
        self.server = self.serve("--listen", "127.0.0.1:0", "--capacity", "64MiB")
        self.remote = ("--remote", self.server.address)

    def test_put_get_delete_list(self):
        self.run_dram("put", *self.remote, "a/k", "a value")
        self.assertEqual(b"a value\n", self.run_dram("get", *self.remote, "a/k").stdout)
        large = os.urandom(5_000_000)
        self.run_dram("put", *self.remote, "a/large", "-", stdin=large)
        self.assertEqual(large, self.run_dram("get", *self.remote, "--raw", "a/large").stdout)
        part = self.run_dram("get", *self.remote, "--raw", "--offset", "4000000", "--length", "10",
                             "a/large")
        self.assertEqual(large[4_000_000:4_000_010], part.stdout)
        last = self.run_dram("get", *self.remote, "--raw", "--last", "5", "a/large")
        self.assertEqual(large[-5:], last.stdout)
        self.run_dram("get", *self.remote, "--last", "8", "a/k", expect=REFUSED)
        self.run_dram("get", *self.remote, "--last", "5", "--offset", "1", "a/k", expect=USAGE)
        self.run_dram("get", *self.remote, "--last", "0", "a/k", expect=USAGE)
        self.assertEqual(b"a/k\t7\na/large\t5000000\n", self.run_dram("list", *self.remote).stdout)
        self.run_dram("put", *self.remote, "--if-absent", "a/k", "other", expect=REFUSED)
        self.run_dram("delete", *self.remote, "a/k")
        missing = self.run_dram("get", *self.remote, "a/k", expect=NOT_FOUND)
        self.assertEqual(b"cairn: not found: a/k\n", missing.stderr)
        self.assertEqual(b"deleted 1\n",
                         self.run_dram("delete", *self.remote, "--prefix", "a/").stdout)

    def test_json(self):
        self.run_dram("put", *self.remote, "k", "v")
        shown = json.loads(self.run_dram("get", *self.remote, "--json", "k").stdout)
        self.assertEqual(("v", 1), (shown["value"], shown["value_bytes"]))
        stat = json.loads(self.run_dram("stat", *self.remote, "--json").stdout)["servers"][0]
        self.assertEqual((1, 64 << 20), (stat["keys"], stat["capacity_bytes"]))
        route = json.loads(self.run_dram("route", *self.remote, "--json", "k").stdout)
        self.assertEqual(self.server.address, route["server"])

    def test_conditions(self):
        def generation(*arguments):
            shown = self.run_dram(*arguments, "--json", *self.remote)
            return json.loads(shown.stdout)["generation"]["text"]
        first = generation("put", "k", "1")
        self.assertEqual(first, generation("get", "k"))
        second = generation("put", "--if-generation", first, "k", "2")
        self.assertNotEqual(first, second)
        for command in (("put", "k", "3"), ("delete", "k"), ("put", "none", "3")):
            refused = self.run_dram(*command, *self.remote, "--if-generation", first,
                                    expect=REFUSED)
            self.assertIn(b"CONDITION_FAILED", refused.stderr)
        self.assertEqual(b"2\n", self.run_dram("get", *self.remote, "k").stdout)
        for wrong in ("1", "1:", "1:2x", "-1:2", "0:0", "none"):
            usage = self.run_dram("put", *self.remote, f"--if-generation={wrong}", "k", "v",
                                  expect=USAGE)
            self.assertIn(b"BOOT_ID:COUNTER", usage.stderr)
        self.run_dram("put", *self.remote, "--if-absent", "--if-generation", second, "k", "v",
                      expect=USAGE)
        self.run_dram("delete", *self.remote, "--prefix", "k", "--if-generation", second,
                      expect=USAGE)
        self.run_dram("delete", *self.remote, "--if-generation", second, "k")
        self.run_dram("get", *self.remote, "k", expect=NOT_FOUND)

    def test_bench_leaves_nothing_behind(self):
        result = self.run_dram("bench", *self.remote, "--seconds", "0.2", "--value-size", "64KiB",
                               "--keys", "100")
        self.assertRegex(result.stdout.decode(), r"(?s)write +\d+/s.*read +\d+/s")
        self.assertEqual(b"", self.run_dram("list", *self.remote).stdout)

    def test_metrics_health_and_diagnosis_over_http(self):
        self.assertIsNone(self.server.http)
        server = self.serve("--listen", "127.0.0.1:0", "--capacity", "64MiB", "--http",
                            "127.0.0.1:0")
        self.run_dram("put", "--remote", server.address, "k", "12345")
        metrics = scrape(server.http)
        self.assertEqual((1, 5, 64 << 20, 1),
                         tuple(metrics.value(f"cairn_dram_{name}") for name in (
                             "keys", "value_bytes", "capacity_bytes", "writes_total")))
        # The same families as a cairnd has, which docs/metrics.md describes.
        self.assertEqual(set(), set(metrics.families) - set(documented()))
        self.assertEqual(200, fetch(server.http, "/healthz").status)
        self.assertEqual("server: ok\n", fetch(server.http, "/readyz").text)
        status = json.loads(fetch(server.http, "/debug/status").text)
        self.assertEqual((server.address, 1), (status["listen_address"], status["figures"]["keys"]))
        self.assertEqual(405, fetch(server.http, "/metrics", method="POST").status)
        taken = self.run_dram("serve", "--listen", "127.0.0.1:0", "--http", server.http,
                              expect=REFUSED)
        self.assertIn(b"cannot listen on 127.0.0.1 port " + server.http.rpartition(":")[2].encode(),
                      taken.stderr)
        self.run_dram("serve", "--listen", "127.0.0.1:0", "--http", "nonsense", expect=USAGE)
        self.assertEqual(0, server.end(signal.SIGTERM))

    def test_refusals(self):
        self.run_dram("get", "k", expect=USAGE)
        self.run_dram("delete", *self.remote, expect=USAGE)
        self.run_dram("get", "--spec", '{"remote_addr": "a:1", "replication_factor": 2}', "k",
                      expect=USAGE)
        self.run_dram("serve", "--listen", "nonsense", expect=USAGE)
        self.run_dram("serve", "--listen", self.server.address, expect=REFUSED)
        full = self.run_dram("put", *self.remote, "k", "-", stdin=bytes(65 << 20), expect=REFUSED)
        self.assertIn(b"RESOURCE_EXHAUSTED", full.stderr)

    def test_it_ends_when_told(self):
        self.assertEqual(0, self.server.end(signal.SIGINT))
        gone = self.run_dram("get", *self.remote, "k", expect=UNREACHABLE)
        self.assertIn(self.server.address.encode(), gone.stderr)


class PoolTest(DramTestCase):
    def setUp(self):
        self.addresses = free_addresses(3)
        self.pool = ("--remote", ",".join(self.addresses))
        self.servers = [self.start(i) for i in range(3)]

    def start(self, i):
        others = ",".join(a for a in self.addresses if a != self.addresses[i])
        return self.serve("--listen", self.addresses[i], "--remote", others, "--capacity", "64MiB")

    def key_on(self, i):
        for n in range(1000):
            route = self.run_dram("route", *self.pool, f"k{n}").stdout.decode()
            if route.split("\n")[0] == self.addresses[i]:
                return f"k{n}"
        raise AssertionError("no key of a thousand lives there")

    def test_keys_are_spread_and_found(self):
        for n in range(12):
            self.run_dram("put", *self.pool, f"key{n}", str(n))
        listed = self.run_dram("list", *self.pool).stdout.decode().split("\n")
        self.assertEqual(sorted(f"key{n}\t{len(str(n))}" for n in range(12)), listed[:-1])
        stats = json.loads(self.run_dram("stat", *self.pool, "--json").stdout)["servers"]
        self.assertEqual(12, sum(stat["keys"] for stat in stats))

    def test_the_spec_of_a_node_serves_a_client(self):
        self.run_dram("put", *self.pool, "k", "v")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"listen_addr": self.addresses[0], "capacity_bytes": "64MiB",
                       "remote_addrs": self.addresses[1:], "key_routing": "hash"}, file)
            file.flush()
            self.assertEqual(b"v\n", self.run_dram("get", "--spec", file.name, "k").stdout)

    def test_another_table_is_refused_with_both(self):
        refused = self.run_dram("get", "--remote", ",".join(self.addresses[:2]), "k",
                                expect=REFUSED)
        self.assertIn(b"FAILED_PRECONDITION", refused.stderr)
        self.assertIn(self.addresses[2].encode(), refused.stderr)

    def test_one_server_of_the_pool_refuses_what_is_not_its_own(self):
        key = self.key_on(1)
        refused = self.run_dram("put", "--remote", self.addresses[0], key, "v", expect=REFUSED)
        self.assertIn(b"FAILED_PRECONDITION", refused.stderr)
        for address in self.addresses:
            self.assertIn(address.encode(), refused.stderr)
        self.run_dram("put", "--remote", self.addresses[1], key, "v")
        self.assertEqual(b"v\n", self.run_dram("get", *self.pool, key).stdout)

    def test_a_killed_node_comes_back(self):
        lost, kept = self.key_on(2), self.key_on(0)
        self.run_dram("put", *self.pool, lost, "v")
        self.run_dram("put", *self.pool, kept, "v")
        self.servers[2].end(signal.SIGKILL)
        self.run_dram("get", *self.pool, lost, expect=UNREACHABLE)
        self.assertEqual(b"v\n", self.run_dram("get", *self.pool, kept).stdout)
        self.run_dram("stat", *self.pool, expect=UNREACHABLE)
        self.start(2)
        self.run_dram("get", *self.pool, lost, expect=NOT_FOUND)
        self.run_dram("put", *self.pool, lost, "again")

    def test_a_stopped_node_is_unreachable_and_wakes_up_whole(self):
        lost = self.key_on(1)
        self.run_dram("put", *self.pool, lost, "before")
        freeze(self.servers[1].process)
        begin = time.monotonic()
        result = subprocess.run(
            [str(BIN / "cairn"), "dram", "put", *self.pool, "--timeout-ms", "1000", lost, "during"],
            capture_output=True, timeout=120, check=False)
        self.assertIn(result.returncode, (UNREACHABLE, TIMED_OUT), result)
        self.assertLess(time.monotonic() - begin, 30)
        self.servers[1].process.send_signal(signal.SIGCONT)
        value = wait_until(lambda: subprocess.run(
            [str(BIN / "cairn"), "dram", "get", *self.pool, lost], capture_output=True, timeout=120,
            check=False).stdout, "the node answers again")
        self.assertIn(value, (b"before\n", b"during\n"))


if __name__ == "__main__":
    unittest.main()
