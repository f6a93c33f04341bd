"""What the tests of cairn.RemoteDram share: a pool of three nodes, one of which is the test."""
import pathlib
import sys
import unittest

import cairn

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cluster"))

# pylint: disable=wrong-import-position
from dram_process import DramServer, free_addresses  # noqa: E402
from freeze import freeze  # noqa: E402

__all__ = ["ROOT", "DramServer", "PoolTestCase", "ServerTestCase", "free_addresses",
           "freeze"]


class ServerTestCase(unittest.TestCase):
    """A server as a process, and a client of it."""

    def setUp(self):
        self.server = DramServer("--listen", "127.0.0.1:0", "--capacity", "256MiB")
        self.addCleanup(self.server.end)
        self.store = cairn.RemoteDram({"remote_addr": self.server.address})
        self.addCleanup(self.store.close)


class PoolTestCase(unittest.TestCase):
    """Three nodes in dual mode: two processes, and the test itself as `store`."""

    def setUp(self):
        self.addresses = free_addresses(3)
        self.others = []
        for address in self.addresses[1:]:
            peers = ",".join(one for one in self.addresses if one != address)
            node = DramServer("--listen", address, "--remote", peers, "--capacity", "256MiB")
            self.addCleanup(node.end)
            self.others.append(node)
        self.store = cairn.RemoteDram({
            "listen_addr": self.addresses[0], "remote_addrs": self.addresses[1:],
            "key_routing": "hash", "capacity_bytes": "256MiB"})
        self.addCleanup(self.store.close)

    def client(self):
        """Another client of the pool."""
        store = cairn.RemoteDram({"remote_addrs": self.addresses})
        self.addCleanup(store.close)
        return store
