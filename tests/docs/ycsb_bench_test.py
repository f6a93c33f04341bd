#!/usr/bin/env python3
"""What the benchmark of YCSB's workloads asks of whom in which order, and the tables it makes of it;
and that docs/benchmarks.md has a place for the figures of every benchmark."""
import argparse
import contextlib
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench/dram")]
import cluster_report  # noqa: E402
import dram_report  # noqa: E402
import front_report  # noqa: E402
import report  # noqa: E402
import run_ycsb_bench  # noqa: E402
import ycsb_report  # noqa: E402

MIXES = {"a": {"read": 50, "update": 50}, "b": {"read": 95, "update": 5}, "c": {"read": 100},
         "d": {"read": 95, "insert": 5}, "e": {"insert": 5, "scan": 95}, "f": {"read": 50, "rmw": 50},
         "f-txn": {"read": 50, "txn": 50}}


def measured(workload, rate, p50, missed=0):
    times = {"p50_us": p50, "p99_us": 3 * p50}
    return {"workload": {"mix": MIXES[workload], "records": 1000, "value_bytes": 8}, "in_flight": 64,
            "operations_per_second": rate, "service_time": times,
            "kinds": {kind: {"not_found": missed} for kind in MIXES[workload]}}


class Recording(run_ycsb_bench.YcsbBench):
    """Without servers: what it would start and run."""

    def __init__(self, scratch):
        super().__init__(argparse.Namespace(bin=scratch, scratch=scratch, rounds=2, seconds=1))
        self.log = []
        self.missed = 0

    def subjects(self):
        def subject(name, **more):
            return run_ycsb_bench.Subject(lambda folder: self.started(name, folder), **more)
        return {"ours": subject("ours", wire="grpc"), "ordered": subject("ordered"),
                "plain": subject("plain", scans=False)}

    @contextlib.contextmanager
    def started(self, name, folder):
        assert not list(folder.iterdir())
        (folder / "data").touch()
        self.log.append(("start", name))
        yield name
        self.log.append(("stop", name))

    def load(self, server, *flags, **_):
        name = flags[flags.index("--workload") + 1]
        prefix = flags[flags.index("--key-prefix") + 1] if "--key-prefix" in flags else ""
        self.log.append(("fill" if "--fill" in flags else name, server, prefix))
        return measured(name, 1000, 10, self.missed)

    def transactions(self, subject, node, number):
        self.log.append(("f-txn", node, ""))
        return measured("f-txn", 500, 10)

    def say(self, text):
        pass


class Rounds(unittest.TestCase):
    def run_all(self, missed=0):
        with tempfile.TemporaryDirectory() as scratch:
            bench = Recording(scratch)
            bench.missed = missed
            bench.results["machine"] = {"etcd": "9.9"}
            bench.ycsb()
        return bench

    def test_a_round_begins_with_empty_servers_that_are_filled_and_turns_the_order_around(self):
        log = self.run_all().log
        half = len(log) // 2
        for events, names in ((log[:half], ["ours", "ordered", "plain"]),
                              (log[half:], ["plain", "ordered", "ours"])):
            expected = [event for name in names for event in (("start", name), ("fill", name, ""))]
            expected += [(workload, name, "") for workload in "abcfd" for name in names]
            expected += [("f-txn", "ours", "")]
            scanned = [name for name in names if name != "plain"]
            expected += [(what, name, "scan/") for what in ("fill", "e") for name in scanned]
            self.assertEqual(expected + [("stop", name) for name in names[::-1]], events)

    def test_operations_that_find_nothing_are_no_figures(self):
        with self.assertRaisesRegex(RuntimeError, "ours, a: 2 operations found nothing"):
            self.run_all(missed=1)

    def test_every_system_is_asked_for_the_same(self):
        with tempfile.TemporaryDirectory() as scratch:
            bench = run_ycsb_bench.YcsbBench(
                argparse.Namespace(bin=scratch, scratch=scratch, rounds=1, seconds=1))
        asked = {}
        bench.run_json = lambda *command: [str(word) for word in command]
        for name, subject in bench.subjects().items():
            server = run_ycsb_bench.servers.CairnServer.__new__(run_ycsb_bench.servers.CairnServer)
            server.system, server.port, server.grpc_port = "x", 1, 2
            command = bench.workload(subject, server, "a", "--seed", 7)
            for flag in ("--system", "--port", "--channels", "--read-level"):  # what may differ
                if flag in command:
                    at = command.index(flag)
                    del command[at:at + 2]
            asked[name] = command
        self.assertEqual(7, len(asked))
        self.assertEqual(1, len({tuple(command) for command in asked.values()}), asked)


class Report(unittest.TestCase):
    def setUp(self):
        self.results = {
            "rounds": 3, "seconds": 4, "note": "", "peers": "etcd 1 and Redis 2",
            "machine": {"date": "then", "commit": "c0ffee", "cores": 2, "cpu": "x", "memory_gib": 1,
                        "kernel": "1", "filesystem": "ext4", "etcd": "1"},
            "ycsb": {name: {"cairn, gRPC": [measured(name, rate, rate / 1000) for rate in (3e4, 1e4, 2e4)],
                            "Redis, fsync off": [measured(name, 9e4, 5)] * 3} for name in "abcdf"}}
        self.results["ycsb"]["e"] = {"cairn, gRPC": [measured("e", 500, 7)] * 3}
        self.results["ycsb"]["f-txn"] = {"cairn, gRPC": [measured("f-txn", 700, 8)] * 3}
        self.text = report.render(self.results, "the command", ycsb_report.SECTIONS)

    def rows(self, begin):
        return [line.split(" | ") for line in self.text.splitlines() if line.startswith(f"| {begin}")]

    def test_a_cell_has_medians_with_the_lowest_and_the_highest(self):
        (row,) = self.rows("cairn, gRPC")
        self.assertEqual(8, len(row))
        self.assertEqual("20,000 (10,000 to 30,000)<br>20 / 60", row[1])
        self.assertEqual("500 (500 to 500)<br>7 / 21", row[5])
        self.assertEqual("700 (700 to 700)<br>8 / 24 |", row[7])

    def test_a_system_without_scans_or_transactions_has_no_figures_of_them(self):
        (row,) = self.rows("Redis, fsync off")
        self.assertEqual("-", row[5])
        self.assertEqual("90,000 (90,000 to 90,000)<br>5 / 15", row[6])
        self.assertEqual("- |", row[7])

    def test_the_head_names_what_was_measured_and_no_targets_are_made_up(self):
        self.assertIn("Command: `the command`. then, commit c0ffee.", self.text)
        self.assertIn("etcd 1 and Redis 2 of Debian 12.", self.text)
        self.assertIn("| E: 5 % insert, 95 % scan |", self.text)
        self.assertNotIn("| target |", self.text)

    def test_the_page_has_a_place_for_every_benchmark(self):
        for module in (report, front_report, ycsb_report, cluster_report, dram_report):
            with tempfile.TemporaryDirectory() as folder:
                page = pathlib.Path(folder) / "page.md"
                before = (ROOT / "docs/benchmarks.md").read_text()
                page.write_text(before)
                report.replace_figures(page, "the new figures", module.NAME)
                self.assertIn("the new figures", page.read_text())
                self.assertNotEqual(before, page.read_text())


if __name__ == "__main__":
    unittest.main()
