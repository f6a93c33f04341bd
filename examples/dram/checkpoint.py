#!/usr/bin/env python3
"""Saves a model's tensors to the memory of other processes, and restores them.

    cairn dram serve --listen 127.0.0.1:12345 --capacity 8GiB &
    PYTHONPATH=build/python /usr/bin/python3 examples/dram/checkpoint.py save    127.0.0.1:12345 model
    PYTHONPATH=build/python /usr/bin/python3 examples/dram/checkpoint.py restore 127.0.0.1:12345 model

Several addresses, with commas between, are one pool. Each save writes its tensors, one value each, under a
name of its own, NAME/saves/SAVE/TENSOR, and then switches NAME/manifest.json to itself in one write. Until
then the save before counts, all of it, so a save that dies changes nothing. What is left of saves before
and of dead ones goes last: the pool must have room for two.
"""
import argparse
import hashlib
import json
import secrets

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
    """Writes all tensors, then switches the manifest to them. No tensor is copied on the way to the
    network. RuntimeError if somebody else saved under the name meanwhile: theirs counts."""
    manifest_key, saves = f"{name}/manifest.json", f"{name}/saves/"
    _, generation = store.read(manifest_key)
    # Listed before the switch: whoever writes one of these now has read an older manifest than ours,
    # and can't switch to what is deleted below.
    old_keys = [key for key, _ in store.list(saves)]
    prefix = f"{saves}{secrets.token_hex(8)}/"
    about = {}
    total = sum(tensor.nbytes for tensor in tensors.values())
    with tqdm(total=total, unit="B", unit_scale=True, desc=f"save {name}") as bar:
        for tensor_name, tensor in tensors.items():
            tensor = numpy.asarray(tensor, order="C")  # a scalar's shape stays ()
            store[prefix + tensor_name] = tensor
            about[tensor_name] = {"dtype": tensor.dtype.str, "shape": tensor.shape}
            bar.update(tensor.nbytes)
    manifest = json.dumps({"prefix": prefix, "tensors": about}).encode()
    if store.write(manifest_key, manifest, if_equal=generation) is None:
        store.delete_prefix(prefix)
        raise RuntimeError(f"somebody else saved {name} meanwhile")
    for key in old_keys:
        store.delete(key)


def restore(store, name):
    """The tensors, as read-only arrays over what the network wrote: no further copy."""
    manifest_key = f"{name}/manifest.json"
    while True:
        value, generation = store.read(manifest_key)
        if value is None:
            raise KeyError(name)
        manifest = json.loads(bytes(value))
        try:
            return read_tensors(store, name, manifest)
        except KeyError:
            # Fine if a save has switched the manifest and deleted what this one names.
            if store.read(manifest_key)[1] == generation:
                raise


def read_tensors(store, name, manifest):
    """The tensors that a manifest names; KeyError if one is missing."""
    tensors = {}
    with tqdm(total=len(manifest["tensors"]), unit="tensor", desc=f"restore {name}") as bar:
        for tensor_name, about in manifest["tensors"].items():
            buffer = store.buffer(manifest["prefix"] + tensor_name)
            tensors[tensor_name] = numpy.ndarray(about["shape"], about["dtype"], buffer)
            bar.update()
    return tensors


def digest(tensors):
    """One number for all that the tensors are and hold."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = numpy.asarray(tensors[name], order="C")
        state.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        state.update(tensor.reshape(-1))
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
