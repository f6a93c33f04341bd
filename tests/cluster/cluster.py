"""A cluster of cairnd processes on this machine, for tests."""
import json
import pathlib
import socket

from cairn_process import Node, cairn, wait_until

# Fast elections, but not so fast that a busy machine makes leaders come and go.
TIMING = "[consensus]\nelection_timeout_ms = 500\nheartbeat_interval_ms = 100\n"

__all__ = ["Cluster", "free_ports"]


def free_ports(count):
    """Ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Cluster:
    """Nodes 0 to size - 1, each with a folder of its own. Killed when the `with` block ends."""

    def __init__(self, scratch, size=3, config="", environment=None):
        self.scratch = pathlib.Path(scratch)
        ports = free_ports(2 * size)
        self.ports, self.peer_ports = ports[:size], ports[size:]
        quoted = ["[" + ", ".join(f'"127.0.0.1:{port}"' for port in some) + "]"
                  for some in (self.ports, self.peer_ports)]
        self.nodes = []
        for number in range(size):
            file = self.scratch / f"node{number}.toml"
            file.write_text(f'[deployment]\nmode = "replicated"\ninstance_id = {number}\n'
                            f"replica_endpoints = {quoted[0]}\n{TIMING}endpoints = {quoted[1]}\n"
                            f"{config}")
            self.nodes.append(Node(self.scratch / "data", ["--config", file], environment))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        for node in self.nodes:
            node.kill()

    def start(self):
        """Starts all; serving when this returns."""
        for node in self.nodes:
            node.launch(port=None)
        for node in self.nodes:
            node.await_serving()

    def folder(self, number):
        return self.scratch / f"data/node_{number}"

    @property
    def endpoints(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def status(self, number):
        """What `cairn status` says of a node; None if it does not answer."""
        done = cairn("--json", "status", endpoints=f"127.0.0.1:{self.ports[number]}")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def leader_of(self, number):
        status = self.status(number)
        leader = status["cluster"].get("leader") if status else None
        return leader["node_id"] if leader else None

    def running(self):
        return [number for number, node in enumerate(self.nodes) if node.running]

    def leader(self):
        """The number of the node that all running ones take for the leader; waits for that."""
        def agreed():
            named = {self.leader_of(number) for number in self.running()}
            (only,) = named if len(named) == 1 else (None,)
            return [only] if only in self.running() else None
        return wait_until(agreed, "the nodes do not agree on a leader")[0]

    def follower(self):
        leader = self.leader()
        return next(number for number in self.running() if number != leader)

    def wait_together(self):
        """Until every running node has applied what the leader has."""
        def together():
            target = self.status(self.leader())
            sights = [self.status(number) for number in self.running()]
            return target and all(
                sight and sight["committed_version"] >= target["committed_version"]
                for sight in sights)
        wait_until(together, "the nodes do not come together")
