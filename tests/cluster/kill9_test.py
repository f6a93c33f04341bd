#!/usr/bin/env python3
"""kill -9 at random moments under load: every acknowledged write is there afterwards, no half
transaction is, and versions never go back.

    CAIRN_KILL_CYCLES   cycles of each test (default 25; by hand: 200)
    CAIRN_KILL_SEED     seed of the loads and of the moments (default: random, printed)

The same with what was not synced dropped (tests/shim), and with the shim made to lie, which the
test must notice.
"""
import os
import random
import unittest

import shadow
from cairn_process import SHIM, NodeTestCase, pause, ttypes, wait_until
from load import BROKEN, COUNTER, Load

CYCLES = int(os.environ.get("CAIRN_KILL_CYCLES", "25"))
CLIENTS = 6
# Small, so that new segments, flushes and compactions happen in every run. Segments are of 5 MB: they
# hold the largest entry at least.
CONFIG = """
[storage]
journal_segment_mb = 1
max_journal_mb = 6
[limits]
value_bytes = 65536
transaction_bytes = 1048576
[rocksdb]
write_buffer_size_mb = 1
block_cache_size_mb = 8
"""


class KillTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.seed = os.environ.get("CAIRN_KILL_SEED", str(random.SystemRandom().randrange(10**9)))
        self.random = random.Random(self.seed)
        self.shadow = self.scratch / "shadow"
        print(f"\n{self.id()}: seed {self.seed}", flush=True)

    def make_node(self, shim=False, **faults):
        folder = self.scratch / "data"
        folder.mkdir()
        environment = shadow.environment(folder, self.shadow, SHIM, **faults) if shim else None
        return self.node(folder=folder, config=CONFIG, environment=environment)

    def one_life(self, node, load, after_kill):
        """Starts, verifies, loads, kills. What is wrong."""
        if self.random.random() < 0.2:
            # Some lives end before they begin: a kill during start and replay.
            node.launch()
            pause(self.random.uniform(0, 0.15))
            node.kill()
            after_kill()
        try:
            node.start()
        except AssertionError as refused:
            return [f"does not start: {refused}"]
        try:
            with node.client() as client:
                faults = load.verify(client)
        except BROKEN as error:
            faults = [f"died while it was read: {error!r}\n{node.read_output()}"]
        if not faults:
            load.begin(node.port)
            pause(self.random.uniform(0.02, 0.4))
            faults = [] if node.process.poll() is None else [f"died by itself: {node.read_output()}"]
        node.kill()
        return faults + load.end()

    def run_lives(self, node, cycles, after_kill=lambda: None):
        """The faults of the first life that has any, and how many lives there were."""
        load = Load(CLIENTS, self.seed)
        for cycle in range(cycles):
            faults = self.one_life(node, load, after_kill)
            if faults:
                return faults, cycle, load
            after_kill()
        node.start()
        with node.client() as client:
            faults = load.verify(client)
        if not faults:
            self.assertEqual(0, node.stop())
        return faults, cycles, load

    def assert_survives(self, node, cycles, after_kill=lambda: None):
        faults, lives, load = self.run_lives(node, cycles, after_kill)
        self.assertFalse(faults, f"seed {self.seed}, life {lives}:\n" + "\n".join(faults[:20]))
        # A load that does nothing proves nothing.
        self.assertGreater(len(load.all_versions), cycles * 5)
        print(f"{self.id()}: {lives} kills, {len(load.all_versions)} acknowledged writes", flush=True)

    def test_kill(self):
        self.assert_survives(self.make_node(), CYCLES)

    def make_shimmed(self, **faults):
        node = self.make_node(shim=True, **faults)
        shadow.prepare(node.folder, self.shadow)
        return node

    def drop_unsynced(self, node, mix=None):
        shadow.restore(node.folder, self.shadow, mix)
        shadow.prepare(node.folder, self.shadow)

    def test_kill_and_drop_what_was_not_synced(self):
        node = self.make_shimmed()
        self.assert_survives(node, CYCLES, lambda: self.drop_unsynced(node))

    def test_kill_and_keep_any_part_of_what_was_not_synced(self):
        node = self.make_shimmed()
        self.assert_survives(node, CYCLES, lambda: self.drop_unsynced(node, self.random))

    def test_a_failed_sync_ends_the_node(self):
        """At once, with a reason, and with everything that was acknowledged."""
        node = self.make_shimmed(fail="files@60")
        load = Load(CLIENTS, self.seed)
        node.start()
        load.begin(node.port)
        self.assertEqual(1, node.wait(20))
        self.assertEqual([], load.end())
        self.assertRegex(node.output, "IO_ERROR: .*fdatasync.*Input/output error")
        self.drop_unsynced(node)
        del node.environment["CAIRN_SHIM_FAIL"]
        node.start()
        with node.client() as client:
            self.assertEqual([], load.verify(client))
        self.assertGreater(len(load.all_versions), 5)

    def test_the_check_has_teeth(self):
        """Each kind of loss, made on purpose, is reported."""
        node = self.make_node().start()
        load = Load(CLIENTS, self.seed)
        load.begin(node.port)
        wait_until(lambda: all(any(b"pair" in key for key in model.known) and model.added > 0
                               for model in load.models), "every client did every kind of request")
        self.assertEqual([], load.end())
        with node.client() as client:
            self.assertEqual([], load.verify(client))
            model = load.models[0]
            key = next(k for k, value in model.known.items() if value is not None)
            client.deleteKey(ttypes.DeleteRequest(key=key))
            self.assertIn("nothing instead of", "\n".join(load.verify(client)))
            client.set(key, model.known[key])
            self.assertEqual([], load.verify(client))
            pair = next(k for k in model.known if b"pair" in k and k.endswith(b"/a"))
            client.set(pair, b"half")
            self.assertIn("half a transaction", "\n".join(load.verify(client)))
            client.set(pair, model.known[pair])
            before = client.value(COUNTER[0])
            for name in COUNTER:
                client.set(name, str(int(before) - 1).encode())
            self.assertIn("additions were acknowledged", "\n".join(load.verify(client)))
            for name in COUNTER:
                client.set(name, before)
            client.set(b"stranger", b"x")
            self.assertIn("was never written", "\n".join(load.verify(client)))
            load.models[0].versions = [10**12]
            self.assertIn("was acknowledged", "\n".join(load.verify(client)))
            load.models[0].versions = [7, 6]
            self.assertIn("version 6 came after 7", "\n".join(load.verify(client)))

    def test_the_shim_has_teeth(self):
        """Syncs that do nothing are noticed: of files or folders, from the first on or later."""
        for lie in ("files@1", "files@40", "folders@1", "folders@8"):
            with self.subTest(lie=lie):
                node = self.make_shimmed(lie=lie)
                faults, lives, _ = self.run_lives(node, 20, lambda n=node: self.drop_unsynced(n))
                node.kill()
                self.assertTrue(faults, f"{lives} lives with the lie {lie}, and all seems well")
                print(f"{lie}: noticed in life {lives}: {faults[0].strip().splitlines()[-1]}")
                os.rename(node.folder, node.folder.with_name(f"lied-{lie}"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
