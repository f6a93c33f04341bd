"""RemoteDram as a store of zarr 2: chunks of one read or write travel together."""
import math
from collections.abc import Mapping

from numcodecs.compat import ensure_contiguous_ndarray
from zarr.errors import MetadataError
from zarr.meta import decode_array_metadata
from zarr.storage import Store, array_meta_key
from zarr.util import normalize_storage_path


class FetchedChunks(Mapping):
    """Values of keys that are asked for in about their order, as zarr does. So many at once are on their
    way as make FETCH_BYTES; those before are let go, so that the next ones come into their memory: fresh
    memory costs more than the network."""

    FETCH_BYTES = 32 << 20
    FETCH_MIN, FETCH_MAX = 32, 4096

    def __init__(self, dram, keys):
        self._dram = dram
        self._keys = list(keys)
        self._places = {key: place for place, key in enumerate(self._keys)}
        self._many = self.FETCH_MIN
        self._asked = range(0)
        self._found = {}

    def _fetch(self, key):
        """Has the key's value, if there is one."""
        place = self._places[key]
        if place in self._asked:
            return
        if self._found:
            mean = sum(map(len, self._found.values())) // len(self._found) + 1
            self._many = min(max(self.FETCH_BYTES // mean, self.FETCH_MIN), self.FETCH_MAX)
        self._found = {}
        self._asked = range(place, min(place + self._many, len(self._keys)))
        self._found = self._dram.get_many(self._keys[place:self._asked.stop])

    def __getitem__(self, key):
        self._fetch(key)
        return self._found[key]

    def __contains__(self, key):
        if key not in self._places:
            return False
        self._fetch(key)
        return key in self._found

    def __iter__(self):
        return (key for key in self._keys if key in self)

    def __len__(self):
        return sum(1 for _ in self)


class DramStore(Store):
    """What `RemoteDram.zarr()` gives. Values read are memoryviews of pinned memory. Values written are
    stored as they lie in memory, as zarr's own stores do: chunks come in Fortran order too, and zarr
    keeps their order in the array's metadata. It pickles as its RemoteDram does."""

    # Chunks of so many bytes are written one by one. For a store that takes many at once zarr copies
    # all chunks of a write first, and fresh memory costs more than the wait for each.
    ONE_BY_ONE_BYTES = 256 << 10

    def __init__(self, dram):
        self.dram = dram
        self._chunk_bytes = 0  # of the array whose metadata was seen last

    def __getitem__(self, key):
        value = self.dram.buffer(key)
        self._look_at_metadata(key, value)
        return value

    def __setitem__(self, key, value):
        self.dram[key] = ensure_contiguous_ndarray(value)
        self._look_at_metadata(key, value)

    def _look_at_metadata(self, key, value):
        if key.rpartition("/")[2] != array_meta_key:
            return
        try:
            array = decode_array_metadata(bytes(value))
            self._chunk_bytes = math.prod(array["chunks"]) * array["dtype"].itemsize
        except (MetadataError, ValueError, KeyError):
            pass  # whoever reads it says what is wrong

    def __delitem__(self, key):
        del self.dram[key]

    def __contains__(self, key):
        return key in self.dram

    def __iter__(self):
        return iter(self.dram)

    def __len__(self):
        return len(self.dram)

    def __eq__(self, other):
        if not isinstance(other, DramStore):
            return False
        same_client = self.dram.spec == other.dram.spec and "listen_addr" not in self.dram.spec
        return self.dram is other.dram or same_client

    def getitems(self, keys, on_error="omit"):
        """Chunks that are there, by key: fetched as they are asked for, many at once."""
        return FetchedChunks(self.dram, keys)

    @property
    def setitems(self):
        """Writes small chunks, many at once. For large ones it is not there, and zarr does without."""
        if self._chunk_bytes >= self.ONE_BY_ONE_BYTES:
            raise AttributeError(f"chunks of {self._chunk_bytes} bytes are written one by one")
        return self._set_many

    def _set_many(self, values):
        self.dram.set_many({key: ensure_contiguous_ndarray(value) for key, value in values.items()})

    def delitems(self, keys):
        """Deletes chunks, those that are there."""
        for key in keys:
            self.dram.pop(key, None)

    def listdir(self, path=""):
        """Names below a path."""
        path = normalize_storage_path(path)
        prefix = path + "/" if path else ""
        return sorted({key[len(prefix):].split("/")[0] for key, _ in self.dram.list(prefix)})

    def rmdir(self, path=""):
        """Deletes everything below a path."""
        path = normalize_storage_path(path)
        self.dram.delete_prefix(path + "/" if path else "")

    def getsize(self, path=None):
        """Bytes stored below a path, or under it as a key."""
        path = normalize_storage_path(path)
        if not path:
            return sum(size for _, size in self.dram.list())
        return sum(size for key, size in self.dram.list(path)
                   if key == path or key.startswith(path + "/"))

    def clear(self):
        """Deletes everything."""
        self.dram.clear()

    def close(self):
        """Leaves the RemoteDram open: it may be used by others."""
