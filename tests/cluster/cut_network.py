"""Nodes in network namespaces of their own, between which nftables cuts the network.

Root is needed. Nothing outside a namespace of the test's own is touched; where that is not allowed
the tests are skipped with a message."""
import ctypes
import os
import shutil
import subprocess
import unittest

import small_disk
from cluster import ClusterTestCase

CLONE_NEWNET = 0x40000000

__all__ = ["NetworkTestCase"]


class NetworkTestCase(ClusterTestCase):
    """`size` nodes, each in a network namespace; a bridge connects them and this process."""

    size = 3

    @classmethod
    def setUpClass(cls):
        if shutil.which("ip") is None or shutil.which("nft") is None:
            raise unittest.SkipTest("ip and nft are needed (iproute2, nftables)")
        if small_disk.LIBC.unshare(CLONE_NEWNET) != 0:
            raise unittest.SkipTest("network namespaces are not allowed here: "
                                    f"{os.strerror(ctypes.get_errno())}")
        cls.hosts = [f"10.77.0.{number + 1}" for number in range(cls.size)]
        cls.namespaces = [f"cairn-{os.getpid()}-{number}" for number in range(cls.size)]
        cls.run_tool("ip link set lo up")
        cls.run_tool("ip link add br0 type bridge")
        cls.run_tool("ip addr add 10.77.0.254/24 dev br0")
        cls.run_tool("ip link set br0 up")
        for number, (host, name) in enumerate(zip(cls.hosts, cls.namespaces)):
            cls.run_tool(f"ip netns add {name}")
            cls.addClassCleanup(cls.run_tool, f"ip netns del {name}")
            cls.run_tool(f"ip link add v{number} type veth peer name eth0 netns {name}")
            cls.run_tool(f"ip link set v{number} master br0 up")
            cls.run_tool(f"ip -n {name} addr add {host}/24 dev eth0")
            cls.run_tool(f"ip -n {name} link set eth0 up")
            cls.run_tool(f"ip -n {name} link set lo up")
        # Whether nftables may be used is known from here on: a cut that fails later is a failure.
        cls.run_tool(f"ip netns exec {cls.namespaces[0]} nft -f -", cls.rules(cls.hosts[1]))
        cls.run_tool(f"ip netns exec {cls.namespaces[0]} nft delete table inet cut")

    @staticmethod
    def run_tool(command, stdin="", refused=unittest.SkipTest):
        done = subprocess.run(command.split(), input=stdin, text=True, capture_output=True,
                              check=False, timeout=30)
        if done.returncode != 0:
            raise refused(f"'{command}' is not allowed here: {done.stderr.strip()}")

    @staticmethod
    def rules(others):
        """What cuts a node off from these hosts."""
        return f"""
            table inet cut {{
              chain in {{
                type filter hook input priority 0;
                ip saddr {{ {others} }} drop
              }}
              chain out {{
                type filter hook output priority 0;
                ip daddr {{ {others} }} drop
              }}
            }}"""

    def in_namespaces(self, config="", **options):
        made = self.cluster(size=self.size, config=config, hosts=list(self.hosts), **options)
        for node, name in zip(made.nodes, self.namespaces):
            node.prefix = ["ip", "netns", "exec", name]
        made.start()
        return made

    def cut(self, numbers):
        """No packet passes between these nodes and the others; they reach each other, and clients
        still reach all of them."""
        others = ", ".join(host for number, host in enumerate(self.hosts) if number not in numbers)
        for number in numbers:
            self.run_tool(f"ip netns exec {self.namespaces[number]} nft -f -", self.rules(others),
                          refused=AssertionError)

    def heal(self, numbers):
        for number in numbers:
            self.run_tool(f"ip netns exec {self.namespaces[number]} nft delete table inet cut",
                          refused=AssertionError)
