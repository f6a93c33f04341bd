#!/usr/bin/env python3
"""A cluster on bad ground: full disks, and a network that is cut.

Disks are small tmpfs mounts, the network is one of namespaces and nftables: skipped with a message
where these are not allowed. Nothing outside a namespace of this test's own is touched.
"""
import os
import unittest

import small_disk
from cairn_process import ttypes, wait_until
from cluster import STEADY, ClusterTestCase
from cut_network import NetworkTestCase
from history import LINEARIZABLE, History

DISK_MEGABYTES = 192


class FullDiskTest(ClusterTestCase):
    """Each node has a disk of its own."""

    def on_disks(self):
        made = self.cluster(config=small_disk.CONFIG)
        for number in range(3):
            folder = made.folder(number)
            folder.mkdir(parents=True)
            small_disk.mount_or_skip(self, folder, DISK_MEGABYTES)
            self.addCleanup(small_disk.unmount, folder)
        self.addCleanup(made.kill)  # before the disks go
        made.start()
        return made

    def fill(self, cluster, number):
        """Takes all room of a node's disk; the file that holds it."""
        path = cluster.folder(number).resolve() / "ballast"
        with open(path, "wb", buffering=0) as ballast:
            room = os.statvfs(path.parent)
            if room.f_bavail:
                os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize)
        return path

    def put(self, cluster, at, key):
        with cluster.nodes[at].client() as client:
            return client.setKey(ttypes.SetRequest(key=key, value=key * 400, deadline_ms=5000))

    def test_a_follower_without_room_is_left_behind_and_comes_back(self):
        cluster = self.on_disks()
        with History(cluster) as history:
            history.wait_for_more()
            full = cluster.follower()
            ballast = self.fill(cluster, full)
            acknowledged = []

            def behind():
                for _ in range(50):
                    key = b"full/%06d" % len(acknowledged)
                    # Again if the leader changed under it: it is the same write.
                    wait_until(lambda key=key: self.put(cluster, cluster.leader(), key).error is None,
                               "a write does not get through")
                    acknowledged.append(key)
                sights = [cluster.status(number) for number in (full, cluster.leader())]
                return None not in sights and sights[1]["committed_version"] - sights[0]["committed_version"] > 200
            wait_until(behind, "a follower without room keeps up", 60)
            history.wait_for_more()
            self.assertTrue(cluster.nodes[full].running)
            ballast.unlink()
            history.stop()
            history.judge(self)
            with cluster.nodes[full].client() as client:
                stored = client.all(b"full/", b"full0")
            self.assertEqual(set(acknowledged), set(stored))

    def test_a_leader_without_room_refuses_or_hands_over_and_comes_back(self):
        cluster = self.on_disks()
        with History(cluster) as history:
            history.wait_for_more()
            full = cluster.leader()
            ballast = self.fill(cluster, full)
            codes = set()

            def refused_or_replaced():
                for _ in range(20):
                    answer = self.put(cluster, full, b"full/%06d" % len(codes))
                    codes.add(answer.error_code)
                return "RESOURCE_EXHAUSTED" in codes or cluster.leader_of(full) != full
            wait_until(refused_or_replaced, "a leader without room goes on", 60)
            self.assertTrue(cluster.nodes[full].running)
            self.assertLessEqual(codes, {None, "RESOURCE_EXHAUSTED", "TIMEOUT", "UNAVAILABLE"})
            ballast.unlink()
            history.wait_for_more()
            history.stop()
            history.judge(self)


class CutNetworkTest(NetworkTestCase):
    """One node of three is cut off from the others; clients still reach all of them."""

    @staticmethod
    def impatient(cluster, more_levels=(), max_staleness_ms=None):
        """Clients that do not wait for long at the node that is cut off, and leave open what became
        of a write there."""
        return History(cluster, clients=3, levels=(*LINEARIZABLE, *more_levels), write_ms=400,
                       read_ms=200, patience_seconds=2, max_staleness_ms=max_staleness_ms)

    def test_a_leader_that_is_cut_off_is_replaced_and_answers_nothing_stale(self):
        cluster = self.in_namespaces("[reads]\nallow_stale_reads = false\nmax_staleness_ms = 500\n")
        with self.impatient(cluster, ("local",), max_staleness_ms=500) as history:
            history.wait_for_more()
            leader = cluster.leader()
            with cluster.nodes[leader].client() as alone:
                alone.set(b"k", b"old")
                self.cut([leader])
                others = [number for number in range(3) if number != leader]
                wait_until(lambda: cluster.leader_of(others[0]) in others, "no new leader")
                with cluster.nodes[others[0]].client() as client:
                    client.set(b"k", b"new")
                for level in ("leader", "read_index"):
                    answer = alone.get(ttypes.GetRequest(key=b"k", read_level=level,
                                                         deadline_ms=1000))
                    self.assertIsNotNone(answer.error, answer)
                # It may serve `local` for as long as its data is fresh enough, and not longer.
                wait_until(lambda: alone.get(ttypes.GetRequest(
                    key=b"k", read_level="local")).error_code == "STALE", "stale data is served")
                answer = alone.setKey(ttypes.SetRequest(key=b"k", value=b"lost", deadline_ms=1000))
                self.assertIsNotNone(answer.error)
                self.heal([leader])
            history.wait_for_more()
            history.stop()
            history.judge(self)
            with cluster.nodes[leader].client() as client:
                found = client.get(ttypes.GetRequest(key=b"k", read_level="read_index"))
            # The write without an answer may come later, but never in the place of an earlier one.
            self.assertIn(found.value, (b"new", b"lost"))

    def test_a_follower_that_is_cut_off_does_not_disturb_and_comes_back(self):
        cluster = self.in_namespaces(timing=STEADY)
        leader, follower = cluster.leader(), cluster.follower()
        term = cluster.status(leader)["cluster"]["term"]
        with self.impatient(cluster) as history:
            history.wait_for_more()
            self.cut([follower])
            wait_until(lambda: cluster.leader_of(follower) is None, "it still believes in a leader")
            history.wait_for_more(50)
            self.heal([follower])
            wait_until(lambda: cluster.leader_of(follower) == leader, "it finds no leader")
            history.wait_for_more()
            history.stop()
            history.judge(self)
        self.assertEqual(term, cluster.status(leader)["cluster"]["term"], "an election was held")


if __name__ == "__main__":
    unittest.main(verbosity=2)
