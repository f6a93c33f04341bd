#!/usr/bin/env python3
"""Writes and reads a chunked array once on one store, and prints one JSON object with the times.

    zarr_bench.py --store dict|dram|redis --mib 1024 [--spec JSON] [--port N]

The array has chunks of 1 MiB and no compressor: what is measured is zarr and the store, not a codec.
The data is made before the clock starts, and what is read is compared after it has stopped.
"""
import argparse
import json
import time

import numpy
import zarr

SIDE = 512  # a chunk of 512 x 512 float32 is 1 MiB


def open_store(arguments):
    if arguments.store == "dict":
        return {}
    if arguments.store == "redis":
        store = zarr.storage.RedisStore(prefix="zarr", port=arguments.port)
        store.clear()
        return store
    import cairn  # pylint: disable=import-outside-toplevel
    store = cairn.RemoteDram(json.loads(arguments.spec))
    store.clear()
    return store.zarr()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--store", choices=("dict", "dram", "redis"), required=True)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--spec")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    wide = 32
    shape = (SIDE * (arguments.mib // wide), SIDE * wide)
    data = numpy.random.default_rng(1).random(shape, dtype="f4")
    found = numpy.empty_like(data)
    found.fill(0)  # touched, so that no page is made while the clock runs
    store = open_store(arguments)
    array = zarr.open(store, mode="w", shape=shape, chunks=(SIDE, SIDE), dtype="f4",
                      compressor=None)
    begin = time.perf_counter()
    array[:] = data
    written = time.perf_counter()
    array.get_basic_selection(Ellipsis, out=found)
    read = time.perf_counter()
    if not numpy.array_equal(found, data):
        raise SystemExit("what was read is not what was written")
    print(json.dumps({"write_mib_per_s": arguments.mib / (written - begin),
                      "read_mib_per_s": arguments.mib / (read - written)}))


if __name__ == "__main__":
    main()
