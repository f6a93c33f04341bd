"""Disks that fill up soon: tmpfs mounts, and a configuration that fits on one."""
import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2

# Segments of 5 MB, so that there is room for some.
CONFIG = """
[storage]
journal_segment_mb = 1
max_journal_mb = 16
[limits]
value_bytes = 131072
transaction_bytes = 1048576
[rocksdb]
write_buffer_size_mb = 4
block_cache_size_mb = 8
"""


def mount_or_skip(test, path, megabytes):
    """Mounts a small disk, or skips the test where that is not allowed."""
    options = f"size={megabytes}m".encode()
    if LIBC.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, options) != 0:
        test.skipTest(f"mounting a tmpfs is not allowed here: {os.strerror(ctypes.get_errno())}")


def unmount(path):
    """Takes the disk away; whoever has files open on it keeps them."""
    LIBC.umount2(os.fsencode(path), _MNT_DETACH)
