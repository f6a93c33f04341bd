"""The errors that operations of the memory plane raise."""


class DramError(Exception):
    """An operation failed. `code` is its reason ("UNAVAILABLE", ...); `maybe_applied` says whether a
    write may have been done all the same."""

    def __init__(self, code, message, maybe_applied=False):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.maybe_applied = maybe_applied


class UnavailableError(DramError, ConnectionError):
    """The server could not be reached, or went away."""


class TimedOutError(DramError, TimeoutError):
    """The call's timeout passed, or the spec's timeout_ms."""


class CapacityError(DramError):
    """The server is full; nothing stored is lost."""


class InvalidArgumentError(DramError, ValueError):
    """A spec that can't be, or a key or value beyond the bounds."""


class OutOfRangeError(DramError, IndexError):
    """A byte range that does not lie within the value."""


_CLASSES = {"UNAVAILABLE": UnavailableError, "TIMEOUT": TimedOutError,
            "RESOURCE_EXHAUSTED": CapacityError, "INVALID_ARGUMENT": InvalidArgumentError,
            "OUT_OF_RANGE": OutOfRangeError}


def from_code(code, message, maybe_applied):
    """The error of a status."""
    return _CLASSES.get(code, DramError)(code, message, maybe_applied)
