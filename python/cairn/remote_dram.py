"""RemoteDram as a mapping."""
import json
from collections.abc import MutableMapping
from typing import NamedTuple

from . import _remote_dram


class Generation(NamedTuple):
    """Which write made a value; never the same twice for a key."""
    boot_id: int
    counter: int


#: As a condition of `write` and `delete`: only if the key has no value.
NO_VALUE = Generation(0, 1)


def _to_bytes(key):
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, (bytes, bytearray, memoryview)):
        return bytes(key)
    raise TypeError(f"a key is str or bytes, not {type(key).__name__}")


def _to_key(raw):
    """As str if it is UTF-8, as bytes otherwise."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


class RemoteDram(MutableMapping):
    """A key-value store in the memory of other processes, as a mapping of str or bytes keys to bytes.

        store = cairn.RemoteDram({"remote_addr": "node1:12345"})
        store["weights"] = array                         # any contiguous buffer, not copied
        store["weights"]                                 # bytes
        numpy.frombuffer(store.buffer("weights"))        # without a copy, read only

    The spec, a dict or JSON text, is documented in docs/remote-dram.md. A str key means its UTF-8 bytes; iteration gives keys
    in order, as str where they are UTF-8. Iterating, len() and `in` of whole pools ask all servers.

    Methods with a `timeout` take seconds, in which they end or raise TimedOutError or UnavailableError;
    None, and the mapping's own: the spec's timeout_ms.

    Thread safe. Other threads run while an operation waits. A client pickles as its spec: whoever
    unpickles it opens one of its own.

    A child that is forked while one is open can neither use it nor open another: both raise RuntimeError.
    What was read before the fork stays readable there. Start processes with multiprocessing's method
    "spawn", or close it before the fork.
    """

    def __init__(self, spec):
        text = spec if isinstance(spec, str) else json.dumps(spec)
        self._store = _remote_dram.Store(text)
        self.spec = json.loads(text)

    def __reduce__(self):
        if "listen_addr" in self.spec:
            raise TypeError(
                f"a RemoteDram that listens ({self.spec['listen_addr']}) can't be pickled, as its values "
                "are in this process: pickle a client of its pool, RemoteDram with remote_addrs of all its "
                "servers (remote_addr if there is one) and without listen_addr")
        return type(self), (self.spec,)

    # The mapping.

    def __getitem__(self, key):
        state, value, _ = self._store.read(_to_bytes(key))
        if state != 2:
            raise KeyError(key)
        return bytes(value)

    def __setitem__(self, key, value):
        self._store.write(_to_bytes(key), value)

    def __delitem__(self, key):
        if not self._store.delete(_to_bytes(key)):
            raise KeyError(key)

    def __contains__(self, key):
        return self._store.read(_to_bytes(key), 0, 0)[0] == 2

    def __iter__(self):
        return iter([_to_key(key) for key, _ in self._store.list(b"")])

    def __len__(self):
        return len(self._store.list(b""))

    def clear(self):
        """Deletes all keys."""
        self._store.delete_range(b"", b"")

    # What a mapping can't say.

    def buffer(self, key, start=0, stop=-1, timeout=None):
        """The value, or its bytes from `start` to `stop` (-1: the end; a negative start counts from
        there), as a read-only memoryview of pinned memory. KeyError if there is none."""
        state, value, _ = self._store.read(_to_bytes(key), start, stop, timeout=timeout)
        if state != 2:
            raise KeyError(key)
        return memoryview(value)

    def read(self, key, if_equal=None, if_not_equal=None, timeout=None):
        """(memoryview, Generation), or (None, NO_VALUE) if the key has no value. With a condition, only
        if the value's Generation is `if_equal`, or is not `if_not_equal`; else (None, its
        Generation)."""
        state, value, generation = self._store.read(
            _to_bytes(key), if_equal=if_equal, if_not_equal=if_not_equal, timeout=timeout)
        return (memoryview(value) if state == 2 else None), Generation(*generation)

    def write(self, key, value, if_equal=None, timeout=None):
        """Writes, only if the key's generation is `if_equal` where that is given (NO_VALUE: if it has
        no value). The new Generation; None if the condition did not hold."""
        generation = self._store.write(_to_bytes(key), value, if_equal, timeout)
        return None if generation is None else Generation(*generation)

    def delete(self, key, if_equal=None, timeout=None):
        """Deletes a key. True if it had a value; with `if_equal`, if its Generation was that one, and
        else nothing was deleted."""
        if if_equal is None:
            return self._store.delete(_to_bytes(key), timeout)
        return self._store.delete_if(_to_bytes(key), if_equal, timeout)

    def get_many(self, keys, timeout=None):
        """{key: memoryview} of those keys that have a value; all are asked for at once."""
        raw = {_to_bytes(key): key for key in keys}
        return {raw[key]: memoryview(value)
                for key, value in self._store.read_many(list(raw), timeout).items()}

    def set_many(self, items, timeout=None):
        """Writes all items of a mapping at once. Not atomic."""
        self._store.write_many([(_to_bytes(key), value) for key, value in items.items()], timeout)

    def delete_range(self, start="", stop="", timeout=None):
        """Deletes the keys from `start` up to, but without, `stop` (empty: to the last); how many. Not
        atomic."""
        return self._store.delete_range(_to_bytes(start), _to_bytes(stop), timeout)

    def delete_prefix(self, prefix, timeout=None):
        """Deletes all keys that begin with `prefix`; how many. Not atomic."""
        low = _to_bytes(prefix)
        high = low.rstrip(b"\xff")
        high = high[:-1] + bytes([high[-1] + 1]) if high else b""
        return self._store.delete_range(low, high, timeout)

    def list(self, prefix="", strip=False, timeout=None):
        """[(key, size of its value)] of the keys that begin with `prefix`, in order; with `strip`,
        without it."""
        return [(_to_key(key), size)
                for key, size in self._store.list(_to_bytes(prefix), strip, timeout)]

    def stat(self, timeout=None):
        """The figures of each server, as a list of dicts."""
        return self._store.stat(timeout)

    def route(self, key):
        """(server, whether that is this process, why)."""
        return self._store.route(_to_bytes(key))

    def peers(self):
        """[(address, whether that is this process, connected, last error)]"""
        return self._store.peers()

    @property
    def listen_address(self):
        """Where this process serves; empty if it does not."""
        return self._store.listen_address

    def zarr(self):
        """This store for zarr, with whole groups of chunks read and written at once. (zarr takes the
        mapping itself too, and then asks for one chunk at a time.) zarr.open with mode="w" deletes all
        keys below its `path`, which without one are all keys of the pool."""
        from .zarr_store import DramStore  # zarr is needed here alone
        return DramStore(self)

    def close(self):
        """Stops serving and disconnects. What was read stays readable."""
        self._store.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        return f"RemoteDram({self.spec!r})"
