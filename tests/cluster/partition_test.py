#!/usr/bin/env python3
"""Two of five nodes are cut off, with the leader among them or not. Clients on both sides, and some
that reach both, write and read at every level meanwhile; what each saw is judged afterwards
(history.py). Needs namespaces and nftables: cut_network.py.
"""
import unittest

from cairn_process import wait_until
from cut_network import NetworkTestCase
from history import LINEARIZABLE, History

# What a node that can't do what it is asked for may say: nobody leads, or nobody that it hears of
# confirmed it in time.
MAY_SAY = {"TIMEOUT", "UNAVAILABLE", "NOT_LEADER"}


class PartitionTest(NetworkTestCase):
    size = 5

    def split(self, cluster, leader_is_cut_off):
        """The numbers of the two sides, (few, many)."""
        leader = cluster.leader()
        followers = [number for number in range(self.size) if number != leader]
        few = [leader, followers[0]] if leader_is_cut_off else followers[:2]
        return few, [number for number in range(self.size) if number not in few]

    def cut_and_judge(self, leader_is_cut_off):
        cluster = self.in_namespaces()
        few, many = self.split(cluster, leader_is_cut_off)
        with History(cluster, levels=(*LINEARIZABLE, "local"), talk=True,
                     homes=[few, few, few, few, many, None], write_ms=400, read_ms=200,
                     patience_seconds=0.5) as history:
            history.wait_for_more()
            self.cut(few)
            wait_until(lambda: {cluster.leader_of(number) for number in many} < set(many),
                       "the majority has no leader of its own")
            cut = history.tick()
            history.wait_for_more(50)
            wait_until(lambda: self.has_shown(history.answers(few, cut), few),
                       "the few did not both serve local reads and refuse all else", 60)
            before = history.tick()
            self.heal(few)
            wait_until(lambda: history.answers(few, before) and all(
                any(answer.node == number and answer.what == what and answer.code is None
                    for answer in history.answers(few, before))
                for number in few for what in (*LINEARIZABLE, "local", "write")),
                       "the few do not come back", 60)
            history.wait_for_more()
            history.stop()
        answers = history.answers(few, cut, before)
        for answer in answers:
            if answer.what == "local":
                # Served, unless it is to be of a version that this side never saw.
                self.assertIn(answer.code, {None, "STALE", "TIMEOUT"}, answer)
                self.assertTrue(answer.code in (None, "TIMEOUT") or answer.needs > 0, answer)
            else:
                self.assertIn(answer.code, MAY_SAY, answer)
        # Or a machine that stands still takes the time of a call, now and then.
        free = [answer for answer in answers if answer.what == "local" and not answer.needs]
        late = [answer for answer in free if answer.code == "TIMEOUT"]
        self.assertLessEqual(len(late), len(free) // 20, late)
        history.judge(self)

    @staticmethod
    def has_shown(answers, few):
        """Whether each of the nodes served local reads, refused one for a version that it does not
        have, and refused reads at every other level, and a write."""
        seen = {(answer.node, answer.what, answer.code is None) for answer in answers}
        return all((number, what, what == "local") in seen and (number, "local", False) in seen
                   for number in few for what in (*LINEARIZABLE, "local", "write"))

    def test_the_leader_is_among_those_cut_off(self):
        self.cut_and_judge(leader_is_cut_off=True)

    def test_only_followers_are_cut_off(self):
        self.cut_and_judge(leader_is_cut_off=False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
