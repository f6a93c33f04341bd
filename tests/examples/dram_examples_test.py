#!/usr/bin/env python3
"""The examples of the memory plane, as processes on loopback."""
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAIRN_BIN", ROOT / "build/bin"))
sys.path.insert(0, str(ROOT / "tests/cluster"))

from dram_process import free_addresses  # noqa: E402  pylint: disable=wrong-import-position


class ExamplesTest(unittest.TestCase):
    def test_three_nodes(self):
        addresses = free_addresses(3)
        shown = subprocess.run([str(BIN / "example_three_nodes"), *addresses], timeout=120,
                               stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        self.assertEqual(["node 3 reads from node 1: local data",
                          "node 3 reads from node 2: remote data",
                          "node 2 holds:             remote data",
                          "node 3 holds:             (missing)"], shown[:4])
        self.assertEqual(f"node 1 and {addresses[1]}: connected", shown[4])

    def test_memory_from_c(self):
        shown = subprocess.run([str(BIN / "example_memory_c")], timeout=120, text=True, check=True,
                               stdout=subprocess.PIPE).stdout
        self.assertEqual("fruit/apple: red apple\n"
                         "its last five bytes: apple\n"
                         "the third write came too late\n"
                         "apple: 5 bytes\npear: 0 bytes\ndeleted 2\n", shown)

    def test_pipeline(self):
        addresses = free_addresses(3)
        nodes = {}
        for role in "312":  # in an order that makes the others wait
            nodes[role] = subprocess.Popen(
                [str(BIN / "example_pipeline"), role, *addresses], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: [node.kill() for node in nodes.values() if node.poll() is None])
        shown = {role: node.communicate(timeout=120) for role, node in nodes.items()}
        for role, node in nodes.items():
            self.assertEqual(0, node.returncode, shown[role])
        # 2 * (49999.5 + 9.5), the mean of twenty batches that begin at 0 to 19.
        self.assertEqual("node 3: 2000000.000000 readings, mean 100018.000000\n", shown["3"][0])
        self.assertEqual("node 2: transformed 20 batches\n", shown["2"][0])


if __name__ == "__main__":
    unittest.main()
