"""A node that is stopped in order hands leadership over: nobody waits for an election, and no write
fails that need not."""
import re
import threading
import time
import unittest

from cairn_process import ttypes, wait_until
from cluster import ClusterTestCase
from history import GONE, History

# An election by time-out takes this long at least: whoever leads sooner was asked to.
ELECTION_SECONDS = 5
SLOW = f"[consensus]\nelection_timeout_ms = {ELECTION_SECONDS * 1000}\nheartbeat_interval_ms = 250\n"


class Probe(threading.Thread):
    """Writes through one node, one after another: which errors it got, and the longest pause between
    two acknowledged writes."""

    def __init__(self, node):
        super().__init__()
        self.node = node
        self.stopping = threading.Event()
        self.errors = []
        self.longest = 0.0
        self.acknowledged = 0

    def run(self):
        last = time.monotonic()
        try:
            with self.node.client() as client:
                while not self.stopping.is_set():
                    answer = client.setKey(ttypes.SetRequest(key=b"probe", value=b"v"))
                    if answer.error is not None:
                        self.errors.append(f"{answer.error_code}: {answer.error}")
                    else:
                        self.acknowledged += 1
                    self.longest = max(self.longest, time.monotonic() - last)
                    last = time.monotonic()
        except GONE as error:
            self.errors.append(f"connection: {error!r}")

    def __enter__(self):
        self.start()
        wait_until(lambda: self.acknowledged or self.errors, "the probe writes nothing")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


class RollingRestartTest(ClusterTestCase):
    def slow_cluster(self):
        """Elections take their time."""
        return self.cluster(timing=SLOW)

    def term(self, cluster, number):
        return cluster.status(number)["cluster"]["term"]

    def stop_leader(self, cluster):
        """Stops the leader; (its number, its successor as it says itself)."""
        leader = cluster.leader()
        term = self.term(cluster, leader)
        self.assertEqual(0, cluster.nodes[leader].stop())
        output = cluster.nodes[leader].output
        handed = re.findall(r"handed leadership over to node (\d+) in (\d+) ms, epoch (\d+)", output)
        self.assertEqual(1, len(handed), output)
        self.assertEqual(term + 1, int(handed[0][2]), "more than one election was held")
        return leader, int(handed[0][0])

    def test_a_leader_that_is_stopped_hands_over_and_writes_go_on(self):
        with self.slow_cluster() as cluster:
            others = [number for number in range(3) if number != cluster.leader()]
            with Probe(cluster.nodes[others[0]]) as one, Probe(cluster.nodes[others[1]]) as other:
                leader, successor = self.stop_leader(cluster)
                self.assertIn(successor, others)
                for probe in (one, other):
                    before = probe.acknowledged
                    wait_until(lambda at=probe, n=before: at.acknowledged > n + 5 or at.errors,
                               "writes do not go on")
            for probe in (one, other):
                self.assertEqual([], probe.errors, "a write through another node failed")
                self.assertLess(probe.longest, ELECTION_SECONDS, "an election was waited for")
            cluster.nodes[leader].start(port=None)
            cluster.wait_together()

    def test_a_rolling_restart_under_load_holds_as_many_elections_as_leaders_stop(self):
        with self.slow_cluster() as cluster, History(cluster) as history:
            history.wait_for_more()
            first = self.term(cluster, cluster.leader())
            handed_over = 0
            for number, node in enumerate(cluster.nodes):
                led = cluster.leader() == number
                self.assertEqual(0, node.stop())
                said = "handed leadership over" in node.output
                self.assertEqual(led, said, node.output)
                self.assertNotIn("requests are still waiting", node.output)
                handed_over += led
                history.wait_for_more()
                node.start(port=None)
                cluster.wait_together()
            history.wait_for_more()
            self.assertEqual(first + handed_over, self.term(cluster, cluster.leader()))
            self.assertGreater(handed_over, 0)
            history.stop()
            history.judge(self)

    def test_a_leader_whose_followers_are_gone_stops_all_the_same(self):
        with self.slow_cluster() as cluster:  # else it has lost the lead before it is told to stop
            leader = cluster.leader()
            for number, node in enumerate(cluster.nodes):
                if number != leader:
                    node.kill()
            self.assertEqual(0, cluster.nodes[leader].stop())
            self.assertIn("leadership was not handed over", cluster.nodes[leader].output)


if __name__ == "__main__":
    unittest.main()
