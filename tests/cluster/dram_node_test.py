#!/usr/bin/env python3
"""The memory plane of cairnd: a section of its configuration, beside its transactional data."""
import re
import subprocess
import unittest

from cairn_process import NodeTestCase, cairn, wait_until
from dram_process import BIN, free_addresses

CONFIG = """
[dram]
listen_addr = "{address}"
remote_addrs = [{others}]
capacity_mb = 64
"""


class DramNodeTest(NodeTestCase):
    def run_dram(self, command, *arguments):
        return subprocess.run([str(BIN / "cairn"), "dram", command, *arguments], timeout=120,
                              capture_output=True, check=True).stdout

    def start(self, address, others=(), name="node"):
        config = CONFIG.format(address=address, others=", ".join(f'"{one}"' for one in others))
        return self.node(folder=self.scratch / name, config=config).start()

    def test_a_node_with_memory(self):
        node = self.start("127.0.0.1:0")
        said = wait_until(lambda: re.search(r"memory plane on (\S+)\n", node.read_output()),
                          "the node says where it serves memory")
        address = said.group(1)
        self.run_dram("put", "--remote", address, "k", "in memory")
        self.assertEqual(b"in memory\n", self.run_dram("get", "--remote", address, "k"))
        # The two planes know nothing of each other's keys.
        self.assertEqual(0, cairn("put", "k", "on disk", endpoints=node.endpoint).returncode)
        self.assertEqual(b"on disk\n", cairn("get", "k", endpoints=node.endpoint).stdout)
        self.assertEqual(b"in memory\n", self.run_dram("get", "--remote", address, "k"))
        self.assertEqual(0, node.stop())

    def test_two_nodes_are_a_pool(self):
        addresses = free_addresses(2)
        for i in range(2):
            self.start(addresses[i], [addresses[1 - i]], f"node{i}")
        pool = ("--remote", ",".join(addresses))
        for i in range(10):
            self.run_dram("put", *pool, f"k{i}", str(i))
        self.assertEqual(10, len(self.run_dram("list", *pool).splitlines()))

    def test_a_section_that_cannot_be(self):
        file = self.scratch / "bad.toml"
        file.write_text('[dram]\nlisten_addr = "127.0.0.1:0"\n'
                        "spec = '{\"replication_factor\": 2}'\n")
        result = subprocess.run([str(BIN / "cairnd"), "--check-config", "--config", str(file)],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(2, result.returncode)
        self.assertIn("set it to 1", result.stderr)


if __name__ == "__main__":
    unittest.main()
