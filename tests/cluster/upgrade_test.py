"""Versions of Cairn side by side: what is new is switched on when every member knows it. Nodes pretend
to be of other versions, by --pretend-features."""
import unittest

from cairn_process import cairn, wait_until
from cluster import ClusterTestCase
from history import History


class UpgradeTest(ClusterTestCase):
    @staticmethod
    def pretend(cluster, number, features):
        node = cluster.nodes[number]
        node.arguments = [*node.arguments[:2], "--allow-fault-injection", "--pretend-features",
                          str(features)]

    def test_rolling_upgrade_under_load(self):
        cluster = self.cluster()
        cluster.start()
        with History(cluster) as history:
            history.wait_for_more()
            wait_until(lambda: cairn("cluster", "upgrade",
                                     endpoints=cluster.endpoints).returncode == 0,
                       "the nodes do not say what they know")
            for turn, number in enumerate((0, 1, 2)):
                self.assertEqual(0, cluster.nodes[number].stop())
                self.pretend(cluster, number, 5)
                cluster.nodes[number].start(port=None)
                cluster.wait_together()
                history.wait_for_more()
                if turn == 2:
                    break
                # Led by a new node, which sees the older ones; nothing is switched on.
                cluster.insist("transfer-leader", number)
                def seen(number=number, older=set(range(turn + 1, 3))):
                    if cluster.leader() != number:  # An older one sees nobody older.
                        cairn("cluster", "transfer-leader", number, endpoints=cluster.endpoints)
                    found = cairn("--json", "cluster", "upgrade", endpoints=cluster.endpoints)
                    return found.returncode == 3 and all(
                        str(node) in found.stdout.decode() for node in older) and found
                found = wait_until(seen, "older nodes are not seen")
                self.assertIn(b'"active":0', found.stdout)
            self.wait_until_all_are_new(cluster)
            self.assertEqual(0, cluster.run("upgrade", "--check")["active"])
            self.assertEqual(5, cluster.run("upgrade")["active"])
            self.assertEqual(5, cluster.run("upgrade", "--check")["active"])
            history.wait_for_more()
            history.stop()
            history.judge(self)
        # A node of the older version refuses, and says why; the others go on.
        number = cluster.follower()
        cluster.nodes[number].stop()
        self.pretend(cluster, number, 1)
        cluster.nodes[number].launch(port=None)
        self.assertEqual(1, cluster.nodes[number].wait())
        self.assertIn("has features 4 (as bits) switched on, which this version of Cairn does not "
                      "know", cluster.nodes[number].output)
        with cluster.nodes[cluster.leader()].client() as client:
            client.set(b"k", b"v")
        self.pretend(cluster, number, 7)
        cluster.nodes[number].start(port=None)
        cluster.wait_together()

    @staticmethod
    def wait_until_all_are_new(cluster):
        """Until every member has said that it knows what the leader does."""
        wait_until(lambda: cairn("cluster", "upgrade", "--check",
                                 endpoints=cluster.endpoints).returncode == 0,
                   "new nodes count as old")

    def test_a_running_node_of_an_older_version_stops_and_says_why(self):
        cluster = self.cluster()
        for number in range(3):
            self.pretend(cluster, number, 1)
        cluster.start()
        wait_until(lambda: cairn("cluster", "upgrade", endpoints=cluster.endpoints).returncode == 0,
                   "the nodes do not say what they know")
        self.assertEqual(1, cluster.run("upgrade", "--check")["active"])
        # A new node that is too old is not harmed by the log: it ends with the reason.
        number = cluster.new_node()
        cluster.run("add", number, cluster.peer(number))
        cluster.nodes[number].launch(port=None)
        self.assertEqual(1, cluster.nodes[number].wait())
        self.assertIn("which this version of Cairn does not know", cluster.nodes[number].output)
        cluster.end_torn("a member is too old to take part")

    def test_pretending_is_for_tests_alone(self):
        code, said = self.run_to_end("--pretend-features", "1")
        self.assertEqual(2, code)
        self.assertIn("--allow-fault-injection", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
