#!/usr/bin/env python3
"""examples/dram/checkpoint.py: what it restores, also after and beside saves that do not end."""
import contextlib
import importlib.util
import io
import re
import signal
import subprocess
import sys
import unittest

import numpy

from dram_support import ROOT, PoolTestCase

EXAMPLE = ROOT / "examples/dram/checkpoint.py"

# Saves tensors of ones, and is killed after three of them.
KILLED = f"""
import os, signal, sys
sys.path.insert(0, {str(EXAMPLE.parent)!r})
import cairn, checkpoint, numpy

class Tensors(dict):
    def items(self):
        for count, item in enumerate(super().items()):
            if count == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield item

ones = {{name: numpy.ones_like(tensor) for name, tensor in checkpoint.make_tensors().items()}}
checkpoint.save(cairn.RemoteDram({{"remote_addrs": sys.argv[1].split(",")}}), "model", Tensors(ones))
"""


def load_example():
    spec = importlib.util.spec_from_file_location("checkpoint", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class InTheMiddle(dict):
    """Tensors that call `act` before the last of them is saved."""

    def __init__(self, tensors, act):
        super().__init__(tensors)
        self.act = act

    def items(self):
        for count, item in enumerate(super().items()):
            if count == len(self) - 1:
                self.act()
            yield item


class CheckpointTest(PoolTestCase):
    def setUp(self):
        super().setUp()
        self.example = load_example()
        bars = contextlib.redirect_stderr(io.StringIO())
        bars.__enter__()
        self.addCleanup(bars.__exit__, None, None, None)

    def save(self, tensors):
        self.example.save(self.store, "model", tensors)

    def assert_restored(self, tensors):
        found = self.example.restore(self.client(), "model")
        self.assertEqual(list(tensors), list(found))
        for name, tensor in tensors.items():
            self.assertEqual((tensor.shape, tensor.dtype), (found[name].shape, found[name].dtype), name)
            numpy.testing.assert_array_equal(tensor, found[name])
            self.assertFalse(found[name].flags.writeable)
        self.assertEqual(self.example.digest(tensors), self.example.digest(found))

    @staticmethod
    def tensors(value):
        return {"a": numpy.full((3, 4), value, "f4"), "b/c": numpy.full(1000, value),
                "step": numpy.array(value)}

    def test_as_a_program(self):
        def run(action):
            return subprocess.run([sys.executable, str(EXAMPLE), action, ",".join(self.addresses), "model"],
                                  capture_output=True, text=True, timeout=120, check=True)
        saved, restored = run("save"), run("restore")
        self.assertRegex(saved.stdout, r"^7 tensors, digest [0-9a-f]{16}\n$")
        self.assertEqual(saved.stdout, restored.stdout)
        self.assertTrue(re.search(r"save model: 100%", saved.stderr), saved.stderr)

    def test_shapes_and_orders(self):
        grid = numpy.arange(12.0).reshape(3, 4)
        tensors = {"scalar": numpy.array(7), "one": numpy.array([7]), "none": numpy.zeros((0, 5)),
                   "fortran": numpy.asfortranarray(grid), "gaps": grid[:, ::2], "yes": numpy.array(True)}
        self.save(tensors)
        self.assert_restored(tensors)
        digests = {self.example.digest({"t": tensor}) for tensor in tensors.values()}
        self.assertEqual(len(tensors), len(digests), "shapes count")

    def test_a_save_that_is_killed(self):
        tensors = self.example.make_tensors()
        self.save(tensors)
        killed = subprocess.run([sys.executable, "-c", KILLED, ",".join(self.addresses)],
                                capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(-signal.SIGKILL, killed.returncode, killed.stderr)
        self.assertEqual(1 + len(tensors) + 3, len(self.store), "it had begun")
        self.assert_restored(tensors)
        new = self.tensors(2)
        self.save(new)
        self.assert_restored(new)
        self.assertEqual(1 + len(new), len(self.store), "nothing is left of saves before")

    def test_the_first_save_is_killed(self):
        def die():
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            self.save(InTheMiddle(self.tensors(1), die))
        with self.assertRaisesRegex(KeyError, "model"):
            self.example.restore(self.store, "model")

    def test_two_saves_at_once(self):
        second = self.tensors(2)
        with self.assertRaisesRegex(RuntimeError, "somebody else saved model"):
            self.save(InTheMiddle(self.tensors(1), lambda: self.save(second)))
        self.assert_restored(second)
        self.assertEqual(1 + len(second), len(self.store))

    def test_a_restore_beside_a_save(self):
        self.save(self.tensors(1))
        second, store, pending = self.tensors(2), self.client(), [True]
        read = store.buffer

        def buffer(key):
            value = read(key)
            if pending:
                pending.clear()
                self.save(second)
            return value

        store.buffer = buffer
        found = self.example.restore(store, "model")
        self.assertEqual(self.example.digest(second), self.example.digest(found))

    def test_a_tensor_that_is_lost(self):
        self.save(self.tensors(1))
        del self.store[self.store.list("model/saves/")[1][0]]
        with self.assertRaisesRegex(KeyError, "model/saves/"):
            self.example.restore(self.store, "model")

    def test_names_within_names(self):
        self.save(self.tensors(1))
        self.example.save(self.store, "model/a", self.tensors(2))
        self.save(self.tensors(3))
        self.assert_restored(self.tensors(3))
        inner = self.example.restore(self.store, "model/a")
        self.assertEqual(self.example.digest(self.tensors(2)), self.example.digest(inner))


if __name__ == "__main__":
    unittest.main()
