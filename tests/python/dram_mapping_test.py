#!/usr/bin/env python3
"""cairn.RemoteDram as a mapping, with numpy, with threads, and when it fails."""
import ctypes
import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest

import numpy

import cairn
from cairn.remote_dram import NO_VALUE
from dram_support import PoolTestCase, ServerTestCase, free_addresses, freeze


# Opens a RemoteDram, forks a child that tries it, and uses it again. An alarm kills a child that hangs.
FORKING = """
import json, os, signal, sys, cairn
spec = json.loads(sys.argv[1])
store = cairn.RemoteDram(spec)
store["k"] = bytes(100_000)
value = store.buffer("k")
values = store.zarr().getitems(["k"])
child = os.fork()
if child == 0:
    signal.alarm(20)
    for call in (lambda: store["k"], lambda: store.update(k=b"w"), lambda: store.pop("k"),
                 lambda: "k" in store, lambda: len(store), store.clear, store.stat, store.peers,
                 lambda: store.route("k"), lambda: store.listen_address, lambda: values["k"],
                 lambda: store.read("k", timeout=0), lambda: cairn.RemoteDram(spec)):
        try:
            call()
        except RuntimeError as error:
            assert "fork" in str(error) and "spawn" in str(error), error
        else:
            raise AssertionError("the call was let through")
    assert value == bytes(100_000)
    if sys.argv[2] == "drop":
        store.close()
        del store, value, values
    sys.exit(7)
status = os.waitpid(child, 0)[1]
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7, f"the child ended with status {status}"
assert store["k"] == value
store.close()
child = os.fork()
with cairn.RemoteDram(spec) as store:  # both: there was none open at the fork
    store[f"k{child}"] = b"v"
if child == 0:
    sys.exit(8)
assert os.waitpid(child, 0)[1] == 8 << 8
"""


class MappingTest(ServerTestCase):
    def test_as_a_dict(self):
        store = self.store
        self.assertEqual(([], 0), (list(store), len(store)))
        store["b"] = b"2"
        store["a"] = b"1"
        store[b"\xff\x00"] = b"raw"
        store["\u00e4"] = b"umlaut"
        self.assertEqual(["a", "b", "\u00e4", b"\xff\x00"], list(store))
        self.assertEqual(b"1", store["a"])
        self.assertEqual(b"umlaut", store["\u00e4".encode()])
        self.assertIsInstance(store["a"], bytes)
        self.assertTrue("a" in store and b"\xff\x00" in store and "c" not in store)
        self.assertEqual(b"none", store.get("c", b"none"))
        self.assertEqual(b"2", store.pop("b"))
        with self.assertRaises(KeyError):
            del store["b"]
        with self.assertRaises(KeyError):
            store["b"]  # pylint: disable=pointless-statement
        store.update({"x": b"", "y": bytearray(b"y")})
        self.assertEqual({"a": b"1", "x": b"", "y": b"y"},
                         {key: store[key] for key in store if isinstance(key, str) and key < "z"})
        store.clear()
        self.assertEqual(0, len(store))

    def test_keys_and_values_of_other_types(self):
        with self.assertRaises(TypeError):
            self.store[1] = b"v"
        with self.assertRaises(TypeError):
            self.store["k"] = "text"
        for array in (numpy.arange(10)[::2], numpy.asfortranarray(numpy.ones((3, 4)))):
            with self.assertRaisesRegex(ValueError, "ascontiguousarray"):
                self.store["k"] = array
            self.store["k"] = numpy.ascontiguousarray(array)
        with self.assertRaises(TypeError):
            self.store["k"] = 5
        with self.assertRaises(ValueError):
            self.store[""] = b"v"

    def test_arrays_of_objects_are_refused(self):
        objects = numpy.array(["one", {"two": 2}, None], dtype=object)
        fields = numpy.zeros(2, [("Order", "i4"), ("what", "O")])
        dated = numpy.zeros(2, [("when", "M8[s]"), ("what", "O")])  # numpy tells its format to nobody
        for array in (objects, memoryview(objects), objects.reshape(3, 1), objects[:0], fields, dated,
                      (ctypes.py_object * 2)("one", "two")):
            for write in (lambda: self.store.write("k", array),
                          lambda: self.store.set_many({"before": b"1", "k": array}),
                          lambda: self.store.update(k=array)):
                with self.assertRaisesRegex(TypeError, "array of Python objects.*pickle.dumps"):
                    write()
            self.assertEqual([], list(self.store))
        with self.assertRaises(TypeError):
            self.store.zarr().setitems({"k": objects})
        for array in (numpy.array(["2026-11-28", "NaT"], "M8[s]"), numpy.array(["one", "two"]),
                      numpy.zeros(2, [("O", "i4"), ("OO", "u1")])):
            self.store["k"] = array
            self.assertEqual(array.tobytes(), self.store["k"])

    def test_arrays_in_and_out(self):
        array = numpy.random.default_rng(1).standard_normal((300, 1000))
        self.store["a"] = array
        view = self.store.buffer("a")
        again = numpy.frombuffer(view, "f8").reshape(300, 1000)
        numpy.testing.assert_array_equal(array, again)
        self.assertFalse(again.flags.owndata or again.flags.writeable)
        row = numpy.frombuffer(self.store.buffer("a", 8000, 16000), "f8")
        numpy.testing.assert_array_equal(array[1], row)
        self.assertEqual(array.tobytes()[-5:], bytes(self.store.buffer("a", -5)))
        with self.assertRaises(IndexError):
            self.store.buffer("a", 0, array.nbytes + 1)

    def test_what_was_read_stays(self):
        self.store["k"] = bytes(1 << 20)
        view = self.store.buffer("k")
        self.store["k"] = b"\x01" * (1 << 20)
        del self.store["k"]
        self.store.close()
        gc.collect()
        self.assertEqual(bytes(1 << 20), view)
        with self.assertRaisesRegex(ValueError, "closed"):
            len(self.store)

    def test_conditions(self):
        first = self.store.write("k", b"1", NO_VALUE)
        self.assertIsNotNone(first)
        self.assertIsNone(self.store.write("k", b"2", NO_VALUE))
        value, generation = self.store.read("k")
        self.assertEqual((b"1", first), (value, generation))
        self.assertIsNotNone(self.store.write("k", b"2", first))
        self.assertIsNone(self.store.write("k", b"3", first))
        self.assertEqual((None, NO_VALUE), self.store.read("none"))
        second = self.store.read("k")[1]
        self.assertEqual((None, second), self.store.read("k", if_not_equal=second))
        self.assertEqual((b"2", second), self.store.read("k", if_not_equal=first))
        self.assertEqual((None, second), self.store.read("k", if_equal=first))
        self.assertEqual((b"2", second), self.store.read("k", if_equal=second))
        self.assertEqual((None, NO_VALUE), self.store.read("none", if_not_equal=first))
        self.assertFalse(self.store.delete("k", first))
        self.assertFalse(self.store.delete("k", NO_VALUE))
        self.assertTrue(self.store.delete("k", second))
        self.assertNotIn("k", self.store)
        self.assertTrue(self.store.delete("k", NO_VALUE))
        self.assertFalse(self.store.delete("k"))

    def test_many_at_once(self):
        self.store.set_many({f"k{i}": str(i).encode() for i in range(1000)})
        found = self.store.get_many([f"k{i}" for i in range(2000)])
        self.assertEqual({f"k{i}": str(i).encode() for i in range(1000)}, found)
        self.assertEqual(111, self.store.delete_prefix("k1"))
        self.assertEqual([("k2", 1), ("k20", 2)], self.store.list("k2")[:2])
        self.assertEqual([("", 1), ("0", 2)], self.store.list("k2", strip=True)[:2])
        self.assertEqual(2, self.store.delete_range("k2", "k200"))
        self.assertEqual(111, self.store.delete_range("k9"))
        self.assertEqual(1000 - 111 - 2 - 111, self.store.delete_range())
        self.assertEqual([], self.store.list())

    def test_a_spec_as_text(self):
        with cairn.RemoteDram(f'{{"remote_addr": "{self.server.address}"}}') as store:
            store["k"] = b"v"
            self.assertEqual({"remote_addr": self.server.address}, store.spec)
        self.assertEqual(b"v", self.store["k"])
        for text in ('{"remote_addr": ', "[1]", "node1:12345"):
            with self.assertRaises(cairn.InvalidArgumentError):
                cairn.RemoteDram(text)

    def test_a_client_pickles_as_its_spec(self):
        self.store["k"] = b"v"
        again = pickle.loads(pickle.dumps(self.store))
        self.addCleanup(again.close)
        self.assertEqual(b"v", again["k"])
        zarr_store = self.store.zarr()
        other = pickle.loads(pickle.dumps(zarr_store))
        self.addCleanup(other.dram.close)
        self.assertEqual(b"v", other["k"])
        self.assertEqual(zarr_store, other)
        with cairn.RemoteDram({"listen_addr": "127.0.0.1:0", "capacity_bytes": "64MiB"}) as node:
            for what in (node, node.zarr()):
                with self.assertRaisesRegex(TypeError, "without listen_addr"):
                    pickle.dumps(what)


class FailureTest(ServerTestCase):
    def test_a_forked_child(self):
        client = {"remote_addr": self.server.address}
        for spec in ({**client, "shared_memory": False}, client, {"listen_addr": "127.0.0.1:0"}):
            for end in ("drop", "keep"):
                with self.subTest(spec=spec, end=end):
                    done = subprocess.run([sys.executable, "-c", FORKING, json.dumps(spec), end],
                                          capture_output=True, text=True, timeout=60, check=False)
                    self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_a_spec_that_cannot_be(self):
        for spec, advice in [({}, "listen_addr"),
                             ({"remote_addr": "a:1", "replication_factor": 2}, "set it to 1"),
                             ({"remote_adr": "a:1"}, "remote_adr")]:
            with self.assertRaisesRegex(cairn.InvalidArgumentError, advice):
                cairn.RemoteDram(spec)

    def test_a_server_that_is_gone(self):
        self.store["k"] = b"v"
        self.server.end()
        with self.assertRaises(ConnectionError) as caught:
            for _ in range(3):  # the first may still be in flight when the connection breaks
                self.store["k"]  # pylint: disable=pointless-statement
        self.assertEqual("UNAVAILABLE", caught.exception.code)

    def test_a_full_server(self):
        with self.assertRaises(cairn.CapacityError):
            self.store["k"] = bytes(257 << 20)
        self.store["k"] = b"v"

    def test_a_timeout_of_ones_own(self):
        self.store["k"] = b"v"
        freeze(self.server.process)
        self.addCleanup(self.server.process.send_signal, signal.SIGCONT)
        store = self.store
        begin = time.monotonic()
        for call in (lambda: store.read("k", timeout=0.05), lambda: store.buffer("k", timeout=0.05),
                     lambda: store.write("k", b"w", timeout=0.05),
                     lambda: store.delete("k", timeout=0.05),
                     lambda: store.delete("k", NO_VALUE, timeout=0.05),
                     lambda: store.delete_range("k", timeout=0.05),
                     lambda: store.delete_prefix("k", timeout=0.05),
                     lambda: store.list(timeout=0.05), lambda: store.get_many(["k"], timeout=0.05),
                     lambda: store.set_many({"k": b"x"}, timeout=0.05)):
            with self.assertRaises((cairn.TimedOutError, cairn.UnavailableError)):
                call()
        self.assertIn("error", store.stat(timeout=0.05)[0])
        self.assertLess(time.monotonic() - begin, 20)  # the spec's would be 30 s each
        for wrong in (-1, float("nan")):
            with self.assertRaisesRegex(ValueError, "timeout"):
                store.read("k", timeout=wrong)

    def test_others_run_while_one_waits(self):
        nowhere = cairn.RemoteDram({"remote_addr": free_addresses(1)[0]})
        waiting = threading.Thread(target=lambda: self.assertRaises(
            cairn.UnavailableError, lambda: nowhere["k"]))
        waiting.start()
        rounds = 0
        while waiting.is_alive() and rounds < 100:
            self.store["k"] = b"v"
            rounds += 1
        # One or two may get in before a wait that lets nobody else run.
        self.assertGreaterEqual(rounds, 10, "writes are done before it gives up")
        waiting.join(60)
        self.assertFalse(waiting.is_alive())
        nowhere.close()

    def test_an_interrupt_ends_a_wait(self):
        freeze(self.server.process)
        self.addCleanup(self.server.process.send_signal, signal.SIGCONT)
        before = signal.signal(signal.SIGUSR1, self.interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        begin = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            self.store["k"] = bytes(1 << 20)
        self.assertLess(time.monotonic() - begin, 10)

    @staticmethod
    def interrupt(*_):
        raise KeyboardInterrupt


class PoolTest(PoolTestCase):
    def test_all_nodes_hold_some_and_find_all(self):
        for i in range(60):
            self.store[f"k{i}"] = str(i).encode()
        client = self.client()
        self.assertEqual({f"k{i}": str(i).encode() for i in range(60)}, dict(client))
        for stat in self.store.stat():
            self.assertGreater(stat["keys"], 0, stat)
        self.assertEqual(1, sum(local for _, local, _, _ in self.store.peers()))
        server, local, why = self.store.route("k1")
        self.assertIn(server, self.addresses)
        self.assertEqual(server == self.addresses[0], local)
        self.assertIn("hash", why)

    def test_threads(self):
        failures = []

        def work(number):
            try:
                for i in range(100):
                    self.store[f"{number}/{i}"] = bytes([number]) * (i * 100)
                    if self.store[f"{number}/{i}"] != bytes([number]) * (i * 100):
                        failures.append((number, i))
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual([], failures)
        self.assertEqual(400, len(self.store))


if __name__ == "__main__":
    unittest.main()
