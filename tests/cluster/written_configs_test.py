#!/usr/bin/env python3
"""Configuration files that are there to be used, as they stand: those of configs/cluster, and the
examples that the earlier service was documented with (seed_configs). No key and no port is replaced:
`cairnd --config FILE` runs in a folder of its own, because the files name relative data folders, and
in a network namespace of the test's own, because they name ports. Skipped with a message where that
is not allowed."""
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import unittest

import small_disk
from cairn_process import ROOT, Node, cairn, ttypes, wait_until
from cluster import Cluster, ClusterTestCase
from history import GONE

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

CONFIGS = ROOT / "configs"
SEED_CONFIGS = pathlib.Path(__file__).resolve().parent / "seed_configs"
PORTS = [9090, 9091, 9092]
ENDPOINTS = "localhost:9090,localhost:9091,localhost:9092"  # as README.md writes them


class WrittenCluster(Cluster):
    """Three nodes, each from a file and flags as an operator gives them, in one folder. `folders`: where
    each keeps its data, below that."""

    def __init__(self, scratch, commands, folders):
        self.commands = commands
        self.folders = folders
        super().__init__(scratch, size=len(commands))
        self.ports = list(PORTS)

    def _make_node(self, number):
        file, *flags = self.commands[number]
        node = Node(None, ["--config", file, *flags])
        node.directory = self.scratch
        self.nodes.append(node)

    def folder(self, number):
        return self.scratch / self.folders[number]


class WrittenConfigsTest(ClusterTestCase):
    @classmethod
    def setUpClass(cls):
        # This process, and all that it starts from here on.
        if small_disk.LIBC.unshare(CLONE_NEWNET) != 0:
            raise unittest.SkipTest("network namespaces are not allowed here: "
                                    f"{os.strerror(ctypes.get_errno())}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            try:
                fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
            except OSError as error:
                raise unittest.SkipTest(f"the loopback device can't be brought up: {error}") from None

    def written(self, commands, folders):
        made = WrittenCluster(self.scratch, commands, folders)
        self.addCleanup(made.kill)
        self.clusters.append(made)
        made.start()
        return made

    def put(self, node, key, value):
        """Writes through a node. Again if there is no answer, or none yet: a busy machine may hold an
        election at any time."""
        def acknowledged():
            try:
                with node.client() as client:
                    return client.set(key, value)
            except (RuntimeError, *GONE):
                return None
        wait_until(acknowledged, f"{key} is not written", 60)

    def assert_reads(self, node, expected, level=None, stale=False):
        """The node's answers at a level, else at that of its configuration. An error may pass, but no
        other value may be seen, unless the level allows `stale` ones for a while."""
        for key, value in expected.items():
            seen = []

            def answered(key=key, value=value, seen=seen):
                try:
                    with node.client() as client:
                        answer = client.get(ttypes.GetRequest(key=key, read_level=level))
                except GONE as error:
                    seen.append(error)
                    return False
                seen.append(answer)
                return answer.error is None and (answer.value == value or not stale)
            try:
                wait_until(answered, f"{key} is not read", 60)
            except AssertionError as error:
                raise AssertionError(f"{error}: {seen[-1]}") from None
            self.assertEqual(value, seen[-1].value, key)

    def check_failover(self, cluster, linearizable):
        """Writes and reads through all; the leader is killed; again; it comes back. `linearizable`: the
        nodes whose reads are so by their configuration."""
        numbers = range(len(cluster.nodes))
        for number, node in enumerate(cluster.nodes):
            self.assertEqual(PORTS[number], node.port)
            self.assertTrue((cluster.folder(number) / "IDENTITY").exists(), cluster.folder(number))
        done = cairn("--timeout-ms", "60000", "put", "greeting", "hello", endpoints=ENDPOINTS)
        self.assertEqual(0, done.returncode, done.stderr)
        expected = {b"greeting": b"hello"}

        def check_reads(nodes):
            for number in nodes:
                node = cluster.nodes[number]
                self.assert_reads(node, expected, stale=number not in linearizable)
                self.assert_reads(node, expected, "read_index")

        follower = cluster.follower()
        self.put(cluster.nodes[follower], b"before", b"1")
        expected[b"before"] = b"1"
        check_reads(numbers)
        self.assertEqual(set(numbers), set(cluster.members()))

        killed = cluster.leader()
        cluster.nodes[killed].kill()
        rest = [number for number in numbers if number != killed]
        self.put(cluster.nodes[rest[0]], b"after", b"2")
        expected[b"after"] = b"2"
        self.assertIn(cluster.leader(), rest)
        check_reads(rest)

        cluster.nodes[killed].launch(port=None).await_serving()
        self.assertEqual(PORTS[killed], cluster.nodes[killed].port)
        check_reads(numbers)
        self.assertEqual(set(numbers), set(cluster.members()))
        cluster.check_agreement()

    def test_the_files_of_configs_cluster(self):
        files = [CONFIGS / f"cluster/node{number}.toml" for number in range(3)]
        self.assertEqual(sorted((CONFIGS / "cluster").glob("*.toml")), files)
        cluster = self.written([[file] for file in files],
                               [f"data/cluster/node_{number}" for number in range(3)])
        self.check_failover(cluster, linearizable={0, 1, 2})

    def test_the_nodes_of_the_earlier_service(self):
        # It showed files of two nodes of three. The third has its full example, under its own number.
        cluster = self.written([[SEED_CONFIGS / "replicated_node0.toml"],
                                [SEED_CONFIGS / "replicated_node1.toml"],
                                [SEED_CONFIGS / "replicated_full.toml", "--node-id", "2"]],
                               ["data/rocksdb/node_0", "data/rocksdb/node_1",
                                "data/replicated/node_2"])
        self.check_failover(cluster, linearizable={1})

    def test_the_full_example_of_the_earlier_service(self):
        file = SEED_CONFIGS / "replicated_full.toml"
        cluster = self.written([[file], [file, "--node-id", "1"], [file, "--node-id", "2"]],
                               [f"data/replicated/node_{number}" for number in range(3)])
        self.check_failover(cluster, linearizable=set())

    def check_alone(self, file, folder):
        node = Node(None, ["--config", file])
        node.directory = self.scratch
        self.nodes.append(node)
        node.launch(port=None).await_serving()
        self.assertEqual(PORTS[0], node.port)
        self.assertTrue((self.scratch / folder / "IDENTITY").exists())
        with node.client() as client:
            client.set(b"k", b"v")
        self.assertEqual(0, node.stop())
        node.launch(port=None).await_serving()
        with node.client() as client:
            self.assertEqual(b"v", client.value(b"k"))

    def test_the_single_node_of_the_earlier_service(self):
        self.check_alone(SEED_CONFIGS / "standalone.toml", "data/standalone")

    def test_the_single_node_of_configs(self):
        self.check_alone(CONFIGS / "standalone.toml", "data/standalone")


if __name__ == "__main__":
    unittest.main(verbosity=2)
