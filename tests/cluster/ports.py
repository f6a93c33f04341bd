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
