"""RemoteDram as a store of zarr 2: chunks of one read or write travel together."""
from zarr.storage import Store
from zarr.util import normalize_storage_path


class DramStore(Store):
    """What `RemoteDram.zarr()` gives. Values read are memoryviews of pinned memory."""

    def __init__(self, dram):
        self.dram = dram

    def __getitem__(self, key):
        return self.dram.buffer(key)

    def __setitem__(self, key, value):
        self.dram[key] = value

    def __delitem__(self, key):
        del self.dram[key]

    def __contains__(self, key):
        return key in self.dram

    def __iter__(self):
        return iter(self.dram)

    def __len__(self):
        return len(self.dram)

    def __eq__(self, other):
        return isinstance(other, DramStore) and self.dram is other.dram

    def getitems(self, keys, on_error="omit"):
        """Chunks that are there, by key."""
        return self.dram.get_many(keys)

    def setitems(self, values):
        """Writes chunks."""
        self.dram.set_many(values)

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
