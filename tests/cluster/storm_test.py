#!/usr/bin/env python3
"""Storms over a cluster of three processes: nodes killed and stopped at random, power cut for all of
them at once with what was not synced gone, wall clocks stepped. Clients work all the while, and what
they saw is judged afterwards (history.py).

    CAIRN_STORM_ROUNDS   rounds of each storm (default 6; by hand: 100)
    CAIRN_STORM_SEED     seed of the faults and of the clients (default: random, printed)
"""
import mmap
import os
import pathlib
import random
import signal
import struct
import unittest

import shadow
from cairn_process import SHIM, pause, wait_until
from cluster import FAST, STEADY, ClusterTestCase
from freeze import freeze
from history import History

ROUNDS = int(os.environ.get("CAIRN_STORM_ROUNDS", "6"))
CLOCK_SHIM = pathlib.Path(os.environ.get("CAIRN_CLOCK_SHIM", SHIM.with_name("step_clock.so")))
HOUR_NS = 3_600_000_000_000
# Journal segments of 5 MB.
SMALL = """
[storage]
journal_segment_mb = 1
max_journal_mb = 6
[limits]
value_bytes = 65536
transaction_bytes = 1048576
"""


class StormTest(ClusterTestCase):
    def setUp(self):
        super().setUp()
        self.seed = os.environ.get("CAIRN_STORM_SEED", str(random.SystemRandom().randrange(10**9)))
        self.random = random.Random(self.seed)
        print(f"\n{self.id()}: seed {self.seed}", flush=True)

    def history(self, cluster, **options):
        return History(cluster, seed=self.seed, **options)

    def test_kill_9_at_random(self):
        with self.cluster() as cluster, self.history(cluster) as history:
            for _ in range(ROUNDS):
                history.wait_for_more(10)
                # One, two or all of them; mostly one, and mostly the leader.
                count = self.random.choice((1, 1, 1, 2, 3))
                gone = self.random.sample(range(3), count)
                if count == 1 and self.random.random() < 0.6:
                    gone = [cluster.leader()]
                for number in gone:
                    cluster.nodes[number].kill()
                pause(self.random.uniform(0, 1.0))
                for number in gone:
                    cluster.nodes[number].launch(port=None)
                if self.random.random() < 0.3:  # killed again while it replays
                    pause(self.random.uniform(0, 0.2))
                    cluster.nodes[gone[0]].kill()
                    cluster.nodes[gone[0]].launch(port=None)
                for number in gone:
                    cluster.nodes[number].await_serving()
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_stopped_processes_at_random(self):
        with self.cluster(timing=FAST) as cluster, self.history(cluster, call_seconds=4) as history:
            for _ in range(ROUNDS):
                history.wait_for_more(10)
                number = cluster.leader() if self.random.random() < 0.7 else cluster.follower()
                process = cluster.nodes[number].process
                freeze(process)
                pause(self.random.uniform(0.2, 2.0))
                process.send_signal(signal.SIGCONT)
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_power_cut_for_everybody_at_once(self):
        cluster = self.cluster(config=SMALL)  # The shim copies a file whole at each sync.
        shadows = [self.scratch / f"shadow{number}" for number in range(3)]
        for number, node in enumerate(cluster.nodes):
            cluster.folder(number).mkdir(parents=True)
            shadow.prepare(cluster.folder(number), shadows[number])
            node.environment = shadow.environment(cluster.folder(number), shadows[number], SHIM)
        cluster.start()
        with self.history(cluster) as history:
            for _ in range(max(2, ROUNDS // 2)):
                history.wait_for_more(15)
                for node in cluster.nodes:
                    node.process.kill()
                for number, node in enumerate(cluster.nodes):
                    node.kill()
                    shadow.restore(cluster.folder(number), shadows[number], self.random)
                    shadow.prepare(cluster.folder(number), shadows[number])
                for node in cluster.nodes:
                    node.launch(port=None)
                for node in cluster.nodes:
                    node.await_serving()
            history.wait_for_more()
            history.stop()
            history.judge(self)

    def test_stepped_wall_clocks(self):
        cluster = self.cluster(timing=STEADY)
        clocks = []
        for number, node in enumerate(cluster.nodes):
            file = self.scratch / f"clock{number}"
            file.write_bytes(bytes(8))
            with open(file, "r+b") as opened:
                clocks.append(mmap.mmap(opened.fileno(), 8))
            node.environment = {"LD_PRELOAD": str(CLOCK_SHIM), "CAIRN_CLOCK_FILE": str(file)}
        cluster.start()
        cluster.leader()  # Known to all of them, and so is its term.
        with self.history(cluster) as history:
            terms = cluster.terms()
            for _ in range(ROUNDS):
                history.wait_for_more(10)
                number = cluster.leader() if self.random.random() < 0.6 else cluster.follower()
                step = self.random.choice((-24, -1, -0.01, 0.01, 1, 24, 24 * 365))
                clocks[number][:] = struct.pack("@q", int(step * HOUR_NS))
            history.wait_for_more()
            # No election: what counts for leadership is the monotonic clock.
            self.assertEqual(terms, cluster.terms())
            for clock in clocks:
                clock[:] = bytes(8)
            # A change of leaders between clocks that disagree: versions and sessions go on.
            clocks[0][:] = struct.pack("@q", 48 * HOUR_NS)
            leader = cluster.leader()
            cluster.nodes[leader].kill()
            history.wait_for_more()
            cluster.nodes[leader].start(port=None)
            history.stop()
            history.judge(self)

    def test_the_clock_shim_steps_what_a_node_sees(self):
        """Else the test above would show nothing."""
        file = self.scratch / "clock"
        file.write_bytes(struct.pack("@q", 24 * 365 * 40 * HOUR_NS))
        node = self.node(environment={"LD_PRELOAD": str(CLOCK_SHIM), "CAIRN_CLOCK_FILE": str(file)})
        node.start()
        wait_until(lambda: "\n20" in "\n" + node.read_output(0.1), "the node logs nothing")
        self.assertRegex(node.output, r"(?m)^206\d-")


if __name__ == "__main__":
    unittest.main(verbosity=2)
