#!/usr/bin/env python3
"""The examples of the client, against a node on loopback."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAIRN_BIN", ROOT / "build/bin"))
sys.path.insert(0, str(ROOT / "tests/cluster"))

from cairn_process import NodeTestCase, wait_until  # noqa: E402  pylint: disable=wrong-import-position


class ExamplesTest(NodeTestCase):
    def test_accounts_from_c(self):
        node = self.node().start()
        grpc = wait_until(lambda: re.search(r"gRPC on (\S+:\d+)", node.read_output(0.1)), "gRPC")
        for endpoint in (node.endpoint, f"grpc://{grpc.group(1)}"):
            shown = subprocess.run([str(BIN / "example_accounts_c"), endpoint], timeout=60,
                                   text=True, check=True, stdout=subprocess.PIPE).stdout
            self.assertEqual("1000 more: not enough money\n"
                             "account/ann: 70\naccount/bob: 50\n", shown)
        with node.client() as client:
            self.assertEqual(b"70", client.value(b"account/ann"))

    def check_queue(self, wire):
        node = self.node().start()
        grpc = wait_until(lambda: re.search(r"gRPC on (\S+:\d+)", node.read_output(0.1)), "gRPC")
        endpoint = node.endpoint if wire == "thrift" else f"grpc://{grpc.group(1)}"
        shown = subprocess.run([str(BIN / "example_queue"), endpoint], timeout=60, text=True,
                               check=True, stdout=subprocess.PIPE).stdout
        self.assertEqual("20 of 20 jobs were done once\n", shown)

    def test_queue_over_thrift(self):
        self.check_queue("thrift")

    def test_queue_over_grpc(self):
        self.check_queue("grpc")


if __name__ == "__main__":
    unittest.main()
