#!/usr/bin/env python3
"""Read leases ([cluster] leases): a leader answers linearizable reads by itself for a while, and not
for longer, whatever stops, dies or hands over; what clients saw is judged (history.py)."""
import signal
import unittest

from cairn_process import cairn, ttypes, wait_until
from cluster import ClusterTestCase
from freeze import freeze
from history import LINEARIZABLE, History

LEASES = "[cluster]\nleases = true\n"


class LeasesTest(ClusterTestCase):
    @staticmethod
    def read(client, deadline_ms=150):
        """A linearizable read of k at the node of this client."""
        return client.get(ttypes.GetRequest(key=b"k", read_level="leader", deadline_ms=deadline_ms))

    def served_alone(self, cluster, tries):
        """Whether the leader serves a linearizable read while all others stand still, in one of
        so many tries. If it does, it must cease to before long, still alone."""
        leader = cluster.leader()
        others = [node.process for number, node in enumerate(cluster.nodes) if number != leader]
        with cluster.nodes[leader].client() as client:
            client.set(b"k", b"v")
            for _ in range(tries):
                try:
                    for process in others:
                        freeze(process)
                    answer = self.read(client)
                    if answer.error is None:
                        self.assertEqual(b"v", answer.value)
                        wait_until(lambda: self.read(client).error is not None,
                                   "a lease without an end", 10)
                        return True
                finally:
                    for process in others:
                        process.send_signal(signal.SIGCONT)
                # If that took so long that it lost the lead, somebody has it again.
                client.set(b"k", b"v")
                if cluster.leader() != leader:
                    return self.served_alone(cluster, tries - 1)
        return False

    def test_a_leader_serves_alone_for_the_time_of_its_lease(self):
        with self.cluster(config=LEASES) as cluster:
            self.assertTrue(self.served_alone(cluster, tries=20))
            with cluster.nodes[cluster.leader()].client() as client:
                client.set(b"k", b"w")
                self.assertEqual(b"w", self.read(client, 5000).value)

    def test_without_leases_it_asks_the_others(self):
        with self.cluster() as cluster:
            self.assertFalse(self.served_alone(cluster, tries=3))

    def test_a_lease_rests_on_nobody_who_is_configured_otherwise(self):
        """Two of three have leases off: the leader that has them on asks them, and says who they are."""
        with self.cluster(config=lambda number: LEASES if number == 0 else "") as cluster:
            wait_until(lambda: all(member["grpc_endpoint"] for member in
                                   cluster.members().values()), "gRPC endpoints are not known")

            def leads():
                if cluster.leader() != 0:
                    # Refused for as long as node 0 does not answer.
                    cairn("cluster", "transfer-leader", "0", endpoints=cluster.endpoints)
                return cluster.leader() == 0
            wait_until(leads, "node 0 does not lead")

            def named():
                members = cluster.members()
                return [members[number].get("honours_lease") for number in (1, 2)] == [False, False]
            wait_until(named, "members does not tell who honours no lease")
            for number in (1, 2):
                warning = f"leases: node {number} has [cluster] leases off"
                wait_until(lambda warning=warning: warning in cluster.nodes[0].read_output(),
                           f"no warning of node {number}")
            table = cairn("cluster", "members", endpoints=cluster.endpoints).stdout.decode()
            self.assertEqual(2, table.count("does not honour leases"), table)
            self.assertFalse(self.served_alone(cluster, tries=3))

    def test_no_read_is_stale_while_leaders_come_and_go(self):
        with self.cluster(config=LEASES) as cluster, \
                History(cluster, levels=LINEARIZABLE, call_seconds=4) as history:
            for _ in range(2):
                # Stopped in the middle of its lease; it wakes up when another one leads.
                history.wait_for_more(10)
                leader = cluster.leader()
                others = [number for number in range(3) if number != leader]
                process = cluster.nodes[leader].process
                freeze(process)
                wait_until(lambda others=others: cluster.leader_of(others[0]) in others,
                           "no new leader")
                process.send_signal(signal.SIGCONT)
                # Killed, and back at once: it may have promised not to vote.
                history.wait_for_more(10)
                killed = cluster.nodes[cluster.leader()]
                killed.kill()
                killed.launch(port=None)
                killed.await_serving()
                # A transfer ends the lease at once.
                history.wait_for_more(10)
                cluster.replace_leader()
            history.wait_for_more()
            history.stop()
            history.judge(self)


if __name__ == "__main__":
    unittest.main(verbosity=2)
