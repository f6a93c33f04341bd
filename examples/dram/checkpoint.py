#!/usr/bin/env python3
"""Saves a model's tensors to the memory of other processes, and restores them.

    cairn dram serve --listen 127.0.0.1:12345 --capacity 8GiB &
    PYTHONPATH=build/python /usr/bin/python3 examples/dram/checkpoint.py save    127.0.0.1:12345 model
    PYTHONPATH=build/python /usr/bin/python3 examples/dram/checkpoint.py restore 127.0.0.1:12345 model

Several addresses, with commas between, are one pool. A checkpoint is one value a tensor under its
name, and an index that is written last: whoever sees the index sees all of the checkpoint.
"""
import argparse
import hashlib
import json

import numpy
from tqdm import tqdm

import cairn


def make_tensors():
    """Something to save: a small network's weights, the same on every run."""
    random = numpy.random.default_rng(1)
    layers = {"embedding": (4096, 256), "attention/qkv": (768, 256), "attention/out": (256, 256),
              "mlp/up": (1024, 256), "mlp/down": (256, 1024), "norm": (256,), "step": ()}
    return {name: random.standard_normal(shape, dtype="float32") if shape else numpy.array(1000)
            for name, shape in layers.items()}


def save(store, name, tensors):
    """Writes all tensors, then the index. No tensor is copied on the way to the network."""
    index = {}
    total = sum(tensor.nbytes for tensor in tensors.values())
    with tqdm(total=total, unit="B", unit_scale=True, desc=f"save {name}") as bar:
        for tensor_name, tensor in tensors.items():
            tensor = numpy.ascontiguousarray(tensor)
            store[f"{name}/{tensor_name}"] = tensor
            index[tensor_name] = {"dtype": tensor.dtype.str, "shape": tensor.shape}
            bar.update(tensor.nbytes)
    store[f"{name}/index.json"] = json.dumps(index).encode()


def restore(store, name):
    """The tensors, as read-only arrays over what the network wrote: no further copy."""
    index = json.loads(store[f"{name}/index.json"])
    tensors = {}
    with tqdm(total=len(index), unit="tensor", desc=f"restore {name}") as bar:
        for tensor_name, about in index.items():
            buffer = store.buffer(f"{name}/{tensor_name}")
            tensors[tensor_name] = numpy.frombuffer(buffer, about["dtype"]).reshape(about["shape"])
            bar.update()
    return tensors


def digest(tensors):
    """One number for all that the tensors hold."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        state.update(name.encode())
        state.update(numpy.ascontiguousarray(tensors[name]))
    return state.hexdigest()[:16]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["save", "restore"])
    parser.add_argument("servers", help="host:port,...")
    parser.add_argument("name", help="name of the checkpoint")
    arguments = parser.parse_args()
    with cairn.RemoteDram({"remote_addrs": arguments.servers.split(",")}) as store:
        if arguments.action == "save":
            tensors = make_tensors()
            save(store, arguments.name, tensors)
        else:
            tensors = restore(store, arguments.name)
        print(f"{len(tensors)} tensors, digest {digest(tensors)}")


if __name__ == "__main__":
    main()
