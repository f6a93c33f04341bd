"""Ports for processes that tests start."""
import random
import socket


def free_ports(count):
    """Ports on loopback that nobody has. Below those that the system gives to outgoing connections and
    to whoever asks for any: one of these could be taken before the process binds it, or while a node
    that was killed is away."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10_240, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def free_run(count, distance):
    """The first of so many ports in a row that nobody has, and that have none `distance` below them
    either: where the peers of a cluster's node are."""
    while True:
        first = random.randrange(10_240 + distance, 32_000 - count)
        try:
            for port in range(first, first + count):
                for one in (port, port - distance):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", one))
        except OSError:
            continue
        return first
