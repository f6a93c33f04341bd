"""Cairn from Python.

    import cairn
    store = cairn.RemoteDram({"remote_addr": "node1:12345"})
    store["key"] = b"value"
"""
from .errors import (CapacityError, DramError, InvalidArgumentError, OutOfRangeError, TimedOutError,
                     UnavailableError)
from .remote_dram import NO_VALUE, Generation, RemoteDram

__all__ = ["RemoteDram", "Generation", "NO_VALUE", "DramError", "UnavailableError", "TimedOutError",
           "CapacityError", "InvalidArgumentError", "OutOfRangeError"]
