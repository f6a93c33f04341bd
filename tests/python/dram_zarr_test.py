#!/usr/bin/env python3
"""Debian's zarr over a pool of three nodes: as the plain mapping, and through RemoteDram.zarr()."""
import multiprocessing
import re
import subprocess
import sys
import threading
import unittest
import unittest.mock

import numpy
import zarr

import cairn
from dram_support import ROOT, PoolTestCase, ServerTestCase

WRITER = """
import sys, zarr, cairn
addresses, part = sys.argv[1].split(","), int(sys.argv[2])
store = cairn.RemoteDram({"remote_addrs": addresses})
array = zarr.open(store.zarr(), path="shared", mode="r+")
array[part * 100:(part + 1) * 100, :] = part + 1
store.close()
"""


def fill(array, part):
    """In another process, on an array that was pickled on the way there."""
    array[part * 100:(part + 1) * 100] = part + 1
    return array.store.dram.listen_address


class ZarrOnTheMapping(PoolTestCase):
    """zarr wraps a mapping by itself and asks it for one chunk at a time."""

    def zarr_store(self, dram):
        return dram

    def setUp(self):
        super().setUp()
        self.zarr = self.zarr_store(self.store)

    def test_a_chunked_array(self):
        data = numpy.random.default_rng(1).integers(0, 1000, (500, 700), dtype="i4")
        array = zarr.open(self.zarr, mode="w", shape=data.shape, chunks=(100, 100), dtype="i4")
        array[:] = data
        again = zarr.open(self.zarr_store(self.client()), mode="r")
        self.assertEqual((500, 700), again.shape)
        numpy.testing.assert_array_equal(data, again[:])
        numpy.testing.assert_array_equal(data[37:422:3, 650], again[37:422:3, 650])
        self.assertEqual(35 + 1, len(self.store))
        for stat in self.store.stat():
            self.assertGreater(stat["keys"], 3, "chunks are spread")

    def test_compressors_filters_and_missing_chunks(self):
        for compressor in (None, "default"):
            self.store.clear()
            array = zarr.open(self.zarr, mode="w", shape=(1000,), chunks=(100,), dtype="f8",
                              fill_value=7, compressor=compressor)
            array[250:260] = numpy.arange(10)
            self.assertEqual(1 + 1, len(self.store))
            expected = numpy.full(1000, 7.0)
            expected[250:260] = numpy.arange(10)
            numpy.testing.assert_array_equal(expected, zarr.open(self.zarr, mode="r")[:])

    def test_stored_bytes_are_those_of_other_stores(self):
        data = numpy.random.default_rng(3).integers(0, 1 << 30, (10, 6))
        for order in "CF":
            for dtype in ("i4", "f8", "M8[s]"):
                for compressor in (None, "default"):
                    with self.subTest(order=order, dtype=dtype, compressor=compressor):
                        self.store.clear()
                        expected = {}
                        for store in (expected, self.zarr):
                            array = zarr.open(store, mode="w", shape=data.shape, chunks=(4, 4),
                                              dtype=dtype, order=order, compressor=compressor)
                            array[:] = data.astype(dtype)
                            array[3:9, 1:3] = data[:6, :2].astype(dtype)
                            array[0, 0] = data[5, 5].astype(dtype)
                        self.assertEqual(1 + 6, len(expected))
                        self.assertEqual({key: bytes(value) for key, value in expected.items()},
                                         dict(self.store))
                        again = zarr.open(self.zarr_store(self.client()), mode="r")
                        numpy.testing.assert_array_equal(array[:], again[:])

    def test_partial_writes_across_chunks(self):
        array = zarr.open(self.zarr, mode="w", shape=(100, 100), chunks=(32, 32), dtype="f4")
        expected = numpy.zeros((100, 100), "f4")
        random = numpy.random.default_rng(2)
        for _ in range(30):
            top, left = random.integers(0, 90, 2)
            part = random.random((10, 10), dtype="f4")
            array[top:top + 10, left:left + 10] = part
            expected[top:top + 10, left:left + 10] = part
        numpy.testing.assert_array_equal(expected, zarr.open(self.zarr, mode="r")[:])

    def test_resize_and_append(self):
        array = zarr.open(self.zarr, mode="w", shape=(100,), chunks=(10,), dtype="i8")
        array[:] = numpy.arange(100)
        array.append(numpy.arange(100, 155))
        numpy.testing.assert_array_equal(numpy.arange(155), array[:])
        array.resize(15)
        self.assertEqual(2 + 1, len(self.store))
        numpy.testing.assert_array_equal(numpy.arange(15), zarr.open(self.zarr, mode="r")[:])

    def test_concurrent_writers_in_threads(self):
        array = zarr.open(self.zarr, mode="w", shape=(400, 50), chunks=(10, 50), dtype="i4")

        def write(part):
            array[part * 100:(part + 1) * 100] = part + 1

        threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        expected = numpy.repeat([1, 2, 3, 4], 100)[:, None] * numpy.ones((1, 50), "i4")
        numpy.testing.assert_array_equal(expected, array[:])

    def test_concurrent_writers_in_processes(self):
        root = zarr.open_group(self.zarr, mode="w")
        root.create("shared", shape=(300, 50), chunks=(50, 50), dtype="i4")
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, ",".join(self.addresses),
                                     str(part)], stderr=subprocess.PIPE, text=True)
                   for part in range(3)]
        for writer in writers:
            _, errors = writer.communicate(timeout=120)
            self.assertEqual(0, writer.returncode, errors)
        expected = numpy.repeat([1, 2, 3], 100)[:, None] * numpy.ones((1, 50), "i4")
        numpy.testing.assert_array_equal(expected, root["shared"][:])

    def test_groups_and_attributes(self):
        root = zarr.open_group(self.zarr, mode="w")
        root.attrs["title"] = "a pool"
        weather = root.create_group("weather")
        weather.create_dataset("wind", data=numpy.arange(10), chunks=(5,))
        weather.create_group("deep/er")
        weather["wind"].attrs.update(unit="m/s", scale=1.5)
        again = zarr.open_group(self.zarr_store(self.client()), mode="r")
        self.assertEqual("a pool", again.attrs["title"])
        self.assertEqual(["weather"], list(again.group_keys()))
        self.assertEqual(["deep"], list(again["weather"].group_keys()))
        self.assertEqual(["wind"], list(again["weather"].array_keys()))
        self.assertEqual({"unit": "m/s", "scale": 1.5}, again["weather/wind"].attrs.asdict())
        root.move("weather/wind", "storm")
        self.assertEqual([0, 9], [again["storm"][0], again["storm"][-1]])
        del root["weather"]
        self.assertEqual(["storm"], list(zarr.open_group(self.zarr, mode="r")))

    def test_consolidated_metadata(self):
        root = zarr.open_group(self.zarr, mode="w")
        for name in "abc":
            root.create_dataset(name, data=numpy.full(10, ord(name)), chunks=(5,))
        zarr.consolidate_metadata(self.zarr)
        again = zarr.open_consolidated(self.zarr_store(self.client()), mode="r")
        self.assertEqual(["a", "b", "c"], sorted(again.array_keys()))
        self.assertEqual(ord("b"), again["b"][7])


class ZarrOnDramStore(ZarrOnTheMapping):
    """The store of RemoteDram.zarr(): chunks travel together."""

    def zarr_store(self, dram):
        return dram.zarr()

    def test_listing_and_removing(self):
        root = zarr.open_group(self.zarr, mode="w")
        root.create_dataset("x/y", data=numpy.arange(100), chunks=(10,), compressor=None)
        self.assertEqual([".zgroup", "x"], self.zarr.listdir())
        self.assertEqual([".zgroup", "y"], self.zarr.listdir("x"))
        self.assertEqual(800, self.zarr.getsize("x/y") - len(self.store["x/y/.zarray"]))
        self.zarr.rmdir("x")
        self.assertEqual([".zgroup"], list(self.store))


class TheWalkThrough(ServerTestCase):
    """docs/remote-dram.md, typed in by a newcomer."""

    def test_leaves_what_others_have_put(self):
        document = (ROOT / "docs/remote-dram.md").read_text()
        address = "127.0.0.1:12345"
        session = [line.removeprefix("    >>> ").replace(address, self.server.address)
                   for line in document.splitlines() if line.startswith("    >>> ")]
        self.assertEqual(5, len(session))
        self.store["greeting"] = b"hello"
        names = {}
        for line in session:
            exec(line, names)  # pylint: disable=exec-used
        self.addCleanup(names["store"].close)
        self.assertEqual(b"hello", self.store["greeting"])
        chunks = [key for key in self.store if re.search(r"/\d\.\d$", key)]
        self.assertEqual(9, len(chunks))
        self.assertAlmostEqual(0.5, eval(session[-1], names), 2)  # pylint: disable=eval-used

    def test_what_it_says_of_modes(self):
        shape = {"shape": 10, "chunks": 5, "dtype": "i4"}
        self.store.update({"greeting": b"hello", "noise/other": b"1"})
        for mode in ("w-", "a"):
            array = zarr.open(self.store.zarr(), path="noise", mode=mode, **shape)
            array[:] = 1
            self.assertEqual({"greeting", "noise/other", ".zgroup", "noise/.zarray", "noise/0", "noise/1"},
                             set(self.store))
        with self.assertRaises(zarr.errors.ContainsArrayError):
            zarr.open(self.store.zarr(), path="noise", mode="w-", **shape)
        zarr.open(self.store.zarr(), path="noise", mode="w", **shape)
        self.assertEqual({"greeting", ".zgroup", "noise/.zarray"}, set(self.store))
        zarr.open(self.store.zarr(), mode="w", **shape)
        self.assertEqual([".zarray"], list(self.store))


class ArraysArePickled(PoolTestCase):
    def test_to_processes_of_a_pool(self):
        array = zarr.open(self.client().zarr(), mode="w", shape=(400, 10), chunks=(50, 10), dtype="i2")
        with multiprocessing.get_context("spawn").Pool(2) as workers:
            self.assertEqual([""] * 4,
                             workers.starmap(fill, [(array, part) for part in range(4)]))
        numpy.testing.assert_array_equal(numpy.repeat([1, 2, 3, 4], 100), array[:, 3])


class ChunksAreWritten(PoolTestCase):
    """Small ones at once, large ones in turn: what is there of a write that fails half-way tells."""

    def written_before_a_failure(self, **shape):
        store = self.store.zarr()
        array = zarr.open(store, mode="w", compressor=None, dtype="u1", **shape)
        begun = []

        def break_off(key, value):
            begun.append(key)
            raise RuntimeError("enough")
        # Either way of writing ends in one of these.
        store.dram = unittest.mock.MagicMock()
        store.dram.__setitem__.side_effect = break_off
        store.dram.set_many.side_effect = lambda values: break_off(list(values), None)
        with self.assertRaisesRegex(RuntimeError, "enough"):
            array[:] = 1
        return begun

    def test_small_ones_at_once(self):
        begun = self.written_before_a_failure(shape=(4, 100), chunks=(1, 100))
        self.assertEqual([["0.0", "1.0", "2.0", "3.0"]], [sorted(keys) for keys in begun])

    def test_large_ones_in_turn(self):
        self.assertEqual(["0.0"], self.written_before_a_failure(shape=(4, 1 << 20), chunks=(1, 1 << 20)))

    def test_as_the_metadata_of_the_array_says(self):
        zarr.open(self.store.zarr(), mode="w", shape=(4, 1 << 20), chunks=(1, 1 << 20), dtype="u1",
                  path="large", compressor=None)
        zarr.open(self.store.zarr(), mode="w", shape=(4,), chunks=(1,), dtype=[("a", "f4"), ("b", "i8")],
                  path="small", fill_value=None)
        store = self.store.zarr()
        self.assertTrue(hasattr(store, "setitems"), "nothing is known of the chunks")
        zarr.open(store, mode="r", path="large")
        self.assertFalse(hasattr(store, "setitems"))
        zarr.open(store, mode="r", path="small")
        self.assertTrue(hasattr(store, "setitems"))
        array = zarr.open(store, mode="a", path="large")
        array[:] = numpy.repeat(numpy.arange(4, dtype="u1"), 1 << 20).reshape(array.shape)
        numpy.testing.assert_array_equal([0, 1, 2, 3], zarr.open(self.client().zarr(), mode="r",
                                                                 path="large")[:, 12345])


class ChunksAreFetched(PoolTestCase):
    def test_in_any_order_and_some_missing(self):
        keys = [f"c/{i}" for i in range(300)]
        self.store.set_many({key: key.encode() * 10 for key in keys[::3]})
        chunks = self.store.zarr().getitems(keys)
        self.assertEqual(100, len(chunks))
        self.assertEqual(keys[::3], list(chunks))
        for key in [*keys, *keys[::-1], keys[150], keys[0], keys[299]]:
            there = keys.index(key) % 3 == 0
            self.assertEqual(there, key in chunks, key)
            if there:
                self.assertEqual(key.encode() * 10, bytes(chunks[key]))
        self.assertNotIn("c/300", chunks)
        with self.assertRaises(KeyError):
            _ = chunks["c/1"]

    def test_what_one_holds_stays_when_the_next_come(self):
        keys = [f"c/{i}" for i in range(100)]
        values = [numpy.full(200_000, i, dtype="u1") for i in range(100)]
        self.store.set_many(dict(zip(keys, values)))
        chunks = self.store.zarr().getitems(keys)
        held = [chunks[key] for key in keys]
        for value, found in zip(values, held):
            numpy.testing.assert_array_equal(value, numpy.frombuffer(found, dtype="u1"))


if __name__ == "__main__":
    unittest.main()
