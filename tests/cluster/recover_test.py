"""A majority is lost for good: one node that survives becomes a new cluster, and grows."""
import shutil
import unittest

from cairn_process import cairn, ttypes, wait_until
from cluster import ClusterTestCase, Writers


class RecoverTest(ClusterTestCase):
    def recover(self, cluster, number, *options, code=0):
        done = cairn("cluster", "recover", "--config", self.scratch / f"node{number}.toml",
                     "--data-dir", self.scratch / "data", *options)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stdout.decode() + done.stderr.decode()

    def test_one_node_of_three(self):
        cluster = self.cluster()
        cluster.start()
        with Writers(cluster) as writers:
            writers.wait_for_more(50)
            writers.stop()
        cluster.wait_together()
        survivor = cluster.follower()
        lost = [number for number in range(3) if number != survivor]
        for number in lost:
            cluster.nodes[number].kill()
        # It runs, reads are served locally, and nothing can be written.
        with cluster.nodes[survivor].client() as client:
            answer = client.setKey(ttypes.SetRequest(key=b"k", value=b"v", deadline_ms=500))
            self.assertIsNotNone(answer.error)
        self.assertIn("is in use by process", self.recover(cluster, survivor, "--accept-loss", code=3))
        cluster.nodes[survivor].stop()
        # Without the word it only says what it would do.
        said = self.recover(cluster, survivor, code=3)
        self.assertIn("Nothing was changed", said)
        self.assertIn("LOST", said)
        said = self.recover(cluster, survivor, "--accept-loss")
        self.assertIn("new cluster", said)
        cluster.nodes[survivor].start(port=None)
        endpoint = cluster.nodes[survivor].endpoint
        self.assertEqual([survivor], [m["node_id"] for m in
                                      cluster.run("members", endpoints=endpoint)["members"]])
        with cluster.nodes[survivor].client() as client:
            client.set(b"k", b"v")
            found = client.all(b"log/", b"log0")
        self.assertLessEqual(set(writers.acknowledged), set(found.values()))
        # The others come back with their old folders: they are turned away, and do no harm.
        for number in lost:
            cluster.nodes[number].launch(port=None)
        wait_until(lambda: all(f"node {number} belongs to cluster" in
                               cluster.nodes[survivor].read_output() for number in lost),
                   "an old member is not turned away")
        with cluster.nodes[survivor].client() as client:
            self.assertEqual(b"v", client.value(b"k"))
        # Emptied, they join. All of the old ones end first: an empty node believes whom it meets.
        for number in lost:
            cluster.nodes[number].kill()
            shutil.rmtree(cluster.folder(number))
        for number in lost:
            cluster.run("add", number, cluster.peer(number), endpoints=endpoint)
            cluster.nodes[number].start(port=None)
            wait_until(lambda number=number: cairn(
                "cluster", "promote", number, endpoints=endpoint).returncode == 0,
                "an emptied node does not catch up", 60)
        self.check_history(cluster, writers)
        # A node says where it serves gRPC when it reports for the first time.
        wait_until(lambda: cairn("cluster", "verify", endpoints=cluster.endpoints).returncode == 0,
                   "the members' states are not the same", 60)

    def test_what_can_not_be_recovered_is_said(self):
        cluster = self.cluster()
        self.assertIn("no FORMATION", self.recover(cluster, 0, "--accept-loss", code=3))
        done = cairn("cluster", "recover")
        self.assertEqual(2, done.returncode)
        self.assertIn(b"--config", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
