"""`cairn cluster verify` compares the states of all members at one version, and finds differences."""
import subprocess
import unittest

from cairn_process import BIN, cairn, ttypes, wait_until
from cluster import ClusterTestCase, Writers


class VerifyTest(ClusterTestCase):
    @staticmethod
    def verify(cluster):
        wait_until(lambda: all(member["grpc_endpoint"] for member in cluster.members().values()),
                   "the nodes do not say where they serve gRPC")
        return cluster.compared()

    @staticmethod
    def fill(cluster):
        with cluster.nodes[0].client() as client:
            client.createColumnFamily(ttypes.CreateColumnFamilyRequest(name="users"))
            for first in range(0, 2000, 500):
                answer = client.atomicCommit(ttypes.AtomicCommitRequest(
                    read_version=0, read_conflict_keys=[],
                    operations=[ttypes.Operation(type="set", key=b"key%05d" % i, value=b"v%d" % i)
                                for i in range(first, first + 500)]))
                assert answer.success, answer.error
            client.setKey(ttypes.SetRequest(key=b"k", value=b"v", column_family="users"))
        cluster.wait_together()

    def test_replicas_agree_while_they_are_written_to(self):
        with self.cluster() as cluster:
            self.fill(cluster)
            idle = self.verify(cluster)
            self.assertTrue(idle["same"])
            self.assertEqual(1, len({node["digest"] for node in idle["nodes"]}))
            self.assertEqual(3, len(idle["nodes"]))
            with Writers(cluster, count=4) as writers:
                writers.wait_for_more()
                busy = []
                for _ in range(3):
                    busy.append(self.verify(cluster))
                    writers.wait_for_more()
                writers.stop()
                self.check_history(cluster, writers)
            for one in busy:
                self.assertEqual(([], True), (one["differences"], one["same"]))
            # Each of a version of its own: there were writes between all of them.
            self.assertEqual(5, len({one["version"] for one in [idle, *busy, self.verify(cluster)]}))

    def test_a_difference_is_found_and_named(self):
        with self.cluster() as cluster:
            self.fill(cluster)
            victim = cluster.follower()
            for number, tampering in enumerate((["set", "key00777", "other"], ["delete", "key00778"],
                                                ["set", "key00777", "v777"])):
                self.assertEqual(0, cluster.nodes[victim].stop())
                subprocess.run([str(BIN / "tamper_state"), str(cluster.folder(victim)), *tampering],
                               check=True, timeout=60)
                cluster.nodes[victim].start(port=None)
                cluster.wait_together()
                found = self.verify(cluster)
                self.assertFalse(found["same"])
                self.assertEqual({victim}, {one["node_id"] for one in found["differences"]})
                (one,) = found["differences"][:1]
                self.assertEqual("family default", one["section"])
                key = "key00777" if number == 0 else "key00778"
                ranges = [(d["begin"], d["end"]) for d in found["differences"]]
                self.assertTrue(any(begin <= key and (not end or key < end)
                                    for begin, end in ranges), ranges)
                self.assertLess(one["pairs_against"], 1000, "the range says little")
            lines = cairn("cluster", "verify", endpoints=cluster.endpoints).stdout.decode()
            self.assertIn(f"node {victim} differs from node", lines)
            cluster.end_torn("a replica was changed behind its back")

    def test_a_member_that_is_away_is_not_called_the_same(self):
        with self.cluster() as cluster:
            self.fill(cluster)
            self.verify(cluster)
            away = cluster.follower()
            cluster.nodes[away].kill()
            cluster.leader()
            found = cluster.run("verify", code=4)
            self.assertFalse(found["all_compared"])
            self.assertIn("error", {node["node_id"]: node for node in found["nodes"]}[away])
            self.assertEqual([], found["differences"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
