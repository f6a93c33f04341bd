"""Ports for processes that tests start."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

# Files whose locks say that a test has the port, from here to the test's end: a process binds it
# some seconds later, or again after it was killed, and tests run side by side.
_RESERVED = pathlib.Path(tempfile.gettempdir(), f"cairn-test-ports-{os.getuid()}")
_held = []


def _reserve(port):
    """Whether the port is this process's own from now on, among the tests of this user."""
    _RESERVED.mkdir(exist_ok=True)
    lock = os.open(_RESERVED / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _held.append(lock)
    return True


def free_ports(count):
    """Ports on loopback that nobody has, kept from other tests until this process ends. Below those that
    the system gives to outgoing connections and to whoever asks for any: one of these could be taken
    before the process binds it, or while a node that was killed is away."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10_240, 32_000)
        if _reserve(port):
            ports.append(port)
    return ports


def free_run(count, distance):
    """The first of so many ports in a row that nobody has, and that have none `distance` below them
    either: where the peers of a cluster's node are. Kept like those of `free_ports`."""
    while True:
        first = random.randrange(10_240 + distance, 32_000 - count)
        if all(_reserve(one) for port in range(first, first + count)
               for one in (port, port - distance)):
            return first
