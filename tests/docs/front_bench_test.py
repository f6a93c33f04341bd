#!/usr/bin/env python3
"""What the benchmark of the front door asks of whom, and what its report says of the targets."""
import argparse
import contextlib
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import front_report  # noqa: E402
import run_front_bench  # noqa: E402

UNARY = "single calls, one channel, beside etcd's single calls"


class Server:
    """A server that is not there."""

    def __init__(self, system):
        self.system, self.port, self.grpc_port = system, 1, 2

    over_grpc = run_front_bench.servers.CairnServer.over_grpc
    by_pipeline = run_front_bench.servers.CairnServer.by_pipeline


class FrontBench(unittest.TestCase):
    def setUp(self):
        self.rates = {"etcd": 100, "cairn-grpc": 150, "cairn-pipeline": 300}

    def measure(self, part):
        """The results of a part, and the flags that the loader was given, in the order of runs."""
        asked = []

        def run_json(*command):
            asked.append([str(word) for word in command])
            rate = self.rates.get(asked[-1][asked[-1].index("--system") + 1], 50)
            times = {"count": 1, "p50_us": 1, "p99_us": 2}
            return {"ops_per_s": rate, "reads": times, "writes": times}

        @contextlib.contextmanager
        def server(system):
            yield Server(system)
        servers = run_front_bench.servers
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
            bench = run_front_bench.FrontBench(
                argparse.Namespace(bin=scratch, scratch=scratch, rounds=1, seconds=1))
            bench.run_json, bench.say = run_json, lambda text: None
            for name, system in (("cairnd", "cairn"), ("etcd", "etcd"), ("redis", "redis")):
                stack.enter_context(
                    mock.patch.object(servers, name, lambda *_, _system=system, **__: server(_system)))
            getattr(bench, part)()
        return bench.results, asked

    def targets(self, part):
        targets = []
        front_report.SECTIONS[part](self.measure(part)[0], targets)
        return {what: (target, verdict) for what, target, _, verdict in targets}

    def test_the_client_is_measured_with_its_defaults_as_well(self):
        for part in ("sets", "gets"):
            results, asked = self.measure(part)
            name = "cairn, gRPC pipeline"
            self.assertIn(f"{name}, with sessions", results[part])
            runs = [command for command in asked if "cairn-pipeline" in command]
            with_them, without = sorted(runs, key=lambda command: "--sessions" not in command)
            with_them.remove("--sessions")
            self.assertEqual(without, with_them)
            self.assertTrue(any("by a pipeline, with sessions" in what for what in self.targets(part)))

    def test_single_calls_are_held_to_the_target_as_a_pipeline_is(self):
        targets = self.targets("sets")
        self.assertEqual(("at least 2 x", "**missed**"), targets[f"gRPC Sets at 64 outstanding, {UNARY}"])
        self.assertEqual(("at least 2 x", "met"),
                         targets["gRPC Sets at 64 outstanding, by a pipeline, beside etcd's single calls"])
        self.rates["cairn-grpc"] = 149
        targets = self.targets("gets")
        self.assertEqual(("at least 1.5 x", "**missed**"),
                         targets[f"gRPC linearizable Gets at 64 outstanding, {UNARY}"])


if __name__ == "__main__":
    unittest.main()
