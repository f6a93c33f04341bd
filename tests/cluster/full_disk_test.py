#!/usr/bin/env python3
"""A full disk: writes are refused with RESOURCE_EXHAUSTED, reads go on, writes resume by themselves
when there is room, and nothing that was acknowledged is missing after a restart.

Needs a small file system of its own, so the right to mount a tmpfs: skipped with a message without.
"""
import os
import re
import unittest

import grpc

import small_disk
from cairn_process import NodeTestCase, cairn, ttypes, wait_until  # and the modules' path below
import cairn_pb2 as pb
import cairn_pb2_grpc as rpc
from cluster import STEADY, ClusterTestCase
from exposition import fetch, scrape

MEGABYTE = 1 << 20
DISK_MEGABYTES = 256
# For writes that nothing is in the way of: a machine that stands still makes them late.
PATIENT_MS = 20_000


def fill_up(disk, leave=0):
    """Takes all room but `leave` bytes."""
    path = disk / "ballast"
    with open(path, "wb", buffering=0) as ballast:
        room = os.statvfs(disk)
        size = room.f_bavail * room.f_frsize - leave
        if size > 0:
            os.posix_fallocate(ballast.fileno(), 0, size)
    return path


class FullDiskTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.disk = self.scratch / "disk"
        self.disk.mkdir()
        small_disk.mount_or_skip(self, self.disk, DISK_MEGABYTES)
        # Runs before the nodes are killed and the folder is removed (last in, first out), so it
        # kills them itself.
        self.addCleanup(self.unmount)
        self.written = {}  # key -> the last value that was acknowledged
        self.open = {}     # key -> a later value whose fate is not known

    def unmount(self):
        for node in self.nodes:
            node.kill()
        small_disk.unmount(self.disk)

    def fill_up(self, leave=0):
        return fill_up(self.disk, leave)

    def put(self, client, key, size=8000, deadline_ms=2000):
        """Sets a key; the answer's error_code, None if it was acknowledged.

        A write that was in the journal already when the database ran out of room waits for room, and
        answers TIMEOUT: it will be there.
        """
        value = key + b":" + os.urandom(size)
        answer = client.setKey(ttypes.SetRequest(key=key, value=value, deadline_ms=deadline_ms))
        if answer.error is None:
            self.written[key] = value
            self.open.pop(key, None)
            return None
        self.assertFalse(answer.success)
        if answer.error_code == "TIMEOUT":
            self.assertTrue(answer.maybe_applied)
            self.open[key] = value
        return answer.error_code

    def put_until_refused(self, client, prefix, most=60_000):
        for i in range(most):
            code = self.put(client, b"%s%06d" % (prefix, i))
            if code not in (None, "TIMEOUT"):
                return code, i
        self.fail(f"{most} writes went to a full disk")
        return None

    def check_reads(self, client):
        stored = client.all()
        for key, value in self.written.items():
            if stored.get(key) != value:  # a later write of the key may have been applied
                self.assertIn(key, self.open)
                self.assertEqual(self.open[key], stored.get(key))

    def resume(self, client, key):
        """Waits until writes are taken again, without anyone's doing."""
        wait_until(lambda: self.put(client, key) is None, "writes are taken again")

    def test_disk_filled_by_another(self):
        node = self.node(folder=self.disk / "data", config=small_disk.CONFIG).start()
        with node.client() as client:
            for i in range(500):
                self.assertIsNone(self.put(client, b"before%03d" % i, deadline_ms=PATIENT_MS))
            ballast = self.fill_up()
            code, _ = self.put_until_refused(client, b"full")
            self.assertEqual("RESOURCE_EXHAUSTED", code)
            self.assertEqual("RESOURCE_EXHAUSTED", self.put(client, b"again"))
            self.check_reads(client)
            self.assertIsNone(node.process.poll(), node.output)
            ballast.unlink()
            self.resume(client, b"after")
            self.check_reads(client)
            # And once more: a recovery must not be the last one.
            ballast = self.fill_up()
            self.assertEqual("RESOURCE_EXHAUSTED", self.put_until_refused(client, b"twice")[0])
            ballast.unlink()
            self.resume(client, b"after twice")
            self.check_reads(client)
        self.assertEqual(0, node.stop())
        node.start()
        with node.client() as client:
            self.check_reads(client)

    def test_disk_filled_by_the_node_itself(self):
        node = self.node(folder=self.disk / "data", config=small_disk.CONFIG).start()
        ballast = self.fill_up(leave=60 * MEGABYTE)
        with node.client() as client:
            code, _ = self.put_until_refused(client, b"own")
            self.assertEqual("RESOURCE_EXHAUSTED", code)
            self.check_reads(client)
            ballast.unlink()
            self.resume(client, b"after")
        self.assertEqual(0, node.stop())
        node.start()
        with node.client() as client:
            self.check_reads(client)

    def test_killed_while_the_disk_is_full(self):
        node = self.node(folder=self.disk / "data", config=small_disk.CONFIG).start()
        ballast = self.fill_up(leave=30 * MEGABYTE)
        with node.client() as client:
            self.put_until_refused(client, b"k")
        node.kill()
        ballast.unlink()
        node.start()
        with node.client() as client:
            self.check_reads(client)
            self.assertIsNone(self.put(client, b"after", deadline_ms=PATIENT_MS))

    def test_stopped_while_the_disk_is_full(self):
        node = self.node(folder=self.disk / "data", config=small_disk.CONFIG).start()
        ballast = self.fill_up(leave=30 * MEGABYTE)
        with node.client() as client:
            self.put_until_refused(client, b"k")
        self.assertEqual(0, node.stop())
        ballast.unlink()
        node.start()
        with node.client() as client:
            self.check_reads(client)
            self.assertIsNone(self.put(client, b"after", deadline_ms=PATIENT_MS))

    def test_no_room_to_start(self):
        self.fill_up()
        node = self.node(folder=self.disk / "data", config=small_disk.CONFIG).launch()
        self.assertEqual(1, node.wait())
        self.assertIn(str(self.disk / "data"), node.output)
        self.assertRegex(node.output, "(?i)no space|room|full")


class FullDiskInAClusterTest(ClusterTestCase):
    def test_a_follower_without_room_says_so_and_counts_as_there(self):
        cluster = self.cluster(config=small_disk.CONFIG, timing=STEADY)
        disk = cluster.folder(2)
        disk.mkdir(parents=True)
        small_disk.mount_or_skip(self, disk, DISK_MEGABYTES)
        self.addCleanup(lambda: (cluster.kill(), small_disk.unmount(disk)))
        cluster.start()
        wait_until(lambda: cluster.status(0)["cluster"]["status"] == "healthy",
                   "the cluster is not healthy")
        cluster.insist("transfer-leader", 0)
        self.assertEqual(0, cluster.leader())
        ballast = fill_up(disk)

        def told():
            with cluster.nodes[0].client() as client:
                client.set(b"k", b"v" * 100_000)
            return cluster.members()[2].get("problem")
        # To the leader by its reports, and by itself.
        self.assertRegex(wait_until(told, "nobody is told that a disk is full", 60),
                         "^RESOURCE_EXHAUSTED: ")
        address = re.search(r"gRPC on (\S+)", cluster.nodes[2].output).group(1)
        with grpc.insecure_channel(address) as channel:
            members = rpc.AdminStub(channel).ListMembers(pb.ListMembersRequest()).members
        self.assertRegex({member.node_id: member.problem for member in members}[2],
                         "^RESOURCE_EXHAUSTED: ")
        # With another one gone two voters of three are there.
        cluster.nodes[1].kill()
        wait_until(lambda: [node["status"] for node in cluster.status(0)["cluster"]["nodes"]] ==
                   ["healthy", "unreachable", "degraded"], "the states of the nodes are not told")
        self.assertEqual(("degraded", 1), tuple(
            cluster.status(0)["cluster"][name] for name in ("status", "healthy_nodes")))
        ballast.unlink()
        wait_until(lambda: not cluster.members()[2].get("problem"), "the room is not found", 60)
        with cluster.nodes[0].client() as client:
            client.set(b"k", b"v")

    def test_a_leader_whose_followers_take_nothing_says_so(self):
        cluster = self.cluster(config=small_disk.CONFIG, timing=STEADY)
        disks = [cluster.folder(1), cluster.folder(2)]
        for disk in disks:
            disk.mkdir(parents=True)
            small_disk.mount_or_skip(self, disk, DISK_MEGABYTES)
            self.addCleanup(lambda disk=disk: (cluster.kill(), small_disk.unmount(disk)))
        cluster.start()
        wait_until(lambda: cluster.status(0)["cluster"]["status"] == "healthy",
                   "the cluster is not healthy")
        cluster.insist("transfer-leader", 0)
        self.assertEqual(0, cluster.leader())
        ballast = [fill_up(disk) for disk in disks]
        leader = cluster.nodes[0]
        # Until their segments are full, too; then one is left that waits for minutes.
        with leader.client() as client:
            def waits():
                answer = client.setKey(ttypes.SetRequest(key=b"k", value=b"v" * 100_000,
                                                         deadline_ms=1000))
                return answer.error_code == "TIMEOUT"
            wait_until(waits, "the followers go on", 120)

        def told():
            node = cluster.status(0)["cluster"]["nodes"][0]
            return node["status"] == "degraded" and node.get("problem")
        self.assertRegex(wait_until(told, "nobody is told that nothing gets through"),
                         "^UNAVAILABLE: writes wait, and none got through for .* s: too few of the "
                         "other voters acknowledge")
        shown = cairn("status", endpoints=leader.endpoint).stdout.decode()
        self.assertRegex(shown, r"\n  node 0: UNAVAILABLE: writes wait")
        self.assertRegex(fetch(leader.http_endpoint, "/readyz").text,
                         "writes: .*none got through")
        self.assertLessEqual(5, scrape(leader.http_endpoint).value("cairn_replica_stalled_seconds"))
        for path in ballast:
            path.unlink()
        wait_until(lambda: cluster.status(0)["cluster"]["status"] == "healthy",
                   "what waited does not get through", 60)


if __name__ == "__main__":
    unittest.main(verbosity=2)
