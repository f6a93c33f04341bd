"""Starts and ends the servers of a benchmark: cairnd, etcd, Redis, and the bare Thrift echo server.

Each listens on a free loopback port, keeps its data under the folder it is given, and is ended by
its process id when its `with` block ends. Standard output and error go to a file in that folder.
"""
import json
import os
import pathlib
import re
import random
import signal
import socket
import subprocess
import time

READY_TIMEOUT_S = 30
STOP_TIMEOUT_S = 60


def free_port():
    """Below the ports that the system gives to outgoing connections: those may take it meanwhile."""
    while True:
        port = random.randrange(22_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A running server process. `system` is what cairn-load calls it."""

    def __init__(self, name, system, command, port, folder):
        self.name = name
        self.system = system
        self.port = port
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = (self.folder / "output.txt").open("ab")
        self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=subprocess.STDOUT)

    def __enter__(self):
        self.wait_ready()
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_ready(self):
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once; see {self._log.name}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not listen within {READY_TIMEOUT_S} s")

    def stop(self):
        """Asks the server to end, and waits for it. A tracer ends with its only child."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise RuntimeError(f"{self.name} did not end on SIGTERM") from None
        self._log.close()

    @property
    def pid(self):
        """Of the server itself, not of a tracer that runs it."""
        own = self._process.pid
        children = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split()
        name = pathlib.Path(f"/proc/{own}/comm").read_text().strip()
        return int(children[0]) if name == "strace" and children else own

    def _status_mib(self, field):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().split("\n"):
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {field} in /proc/{self.pid}/status")

    def rss_mib(self):
        return self._status_mib("VmRSS")

    def pss_mib(self):
        """Its memory, with a page that n processes share counted as 1/n of a page in each."""
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)[1]) / 1024

    def peak_rss_mib(self):
        """Since the start, or since reset_peak."""
        return self._status_mib("VmHWM")

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_s(self):
        """User and system time so far, of all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class At:
    """A server as cairn-load finds it: by a name and a port, or several."""

    def __init__(self, system, port):
        self.system = system
        self.port = port


class CairnServer(Server):
    """A standalone node."""

    def __init__(self, name, system, command, port, folder, grpc_port):
        self.grpc_port = grpc_port
        super().__init__(name, system, command, port, folder)

    def over_grpc(self):
        """The same node as it is driven over gRPC."""
        return At("cairn-grpc", self.grpc_port)

    def by_pipeline(self):
        """And by the pipelines of the C++ client."""
        return At("cairn-pipeline", self.grpc_port)


def cairnd(binaries, folder, config="", tracer=()):
    """A standalone node. `config` is TOML on top of the defaults."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "cairn.toml"
    file.write_text(config)
    port, grpc_port = free_port(), free_port()
    command = [*tracer, binaries / "cairnd", "--config", file, "--data-dir", folder / "data",
               "--port", port, "--grpc-port", grpc_port, "--http-port", 0, "--log-dir",
               folder / "log"]
    return CairnServer("cairnd", "cairn", command, port, folder, grpc_port)


def etcd(folder):
    """One etcd node with its defaults: every write is synced before it is answered."""
    port, peer_port = free_port(), free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    command = ["etcd", "--data-dir", pathlib.Path(folder) / "data", "--logger", "zap",
               "--log-level", "warn", "--listen-client-urls", client, "--advertise-client-urls",
               client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
               "--initial-cluster", f"default={peer}"]
    return Server("etcd", "etcd", command, port, folder)


def redis(folder, fsync):
    """Redis with an append-only file, and no other persistence. `fsync`: "always", before a write is
    answered, or "no", when the system likes."""
    port = free_port()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "",
               "--appendonly", "yes", "--appendfsync", fsync]
    return Server("redis", "redis", command, port, folder)


def echo(binaries, folder, value_bytes, stock):
    """A Thrift server with nothing behind it: Thrift's own (`stock`), or that of a Cairn node."""
    port = free_port()
    command = [binaries / "thrift_echo_server", "--port", port, "--value-bytes", value_bytes]
    return Server("thrift_echo_server", "cairn", command + ["--stock"] * stock, port, folder)


class Cluster:
    """Servers that form one system. `port` is the leader's, `ports` are everybody's."""

    def __init__(self, name, system, nodes, find_leader):
        self.name = name
        self.system = system
        self.nodes = nodes
        self._find_leader = find_leader
        self.leader = None

    def __enter__(self):
        try:
            for node in self.nodes:
                node.wait_ready()
            self.refresh()
        except Exception:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def refresh(self):
        """Learns who leads; waits while nobody does."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.leader = self._find_leader(self.nodes)
            if self.leader is not None:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} has no leader after {READY_TIMEOUT_S} s")

    def stop(self):
        for node in self.nodes:
            node.stop()

    @property
    def port(self):
        return self.leader.port

    @property
    def ports(self):
        return ",".join(str(node.port) for node in self.nodes)

    def rss_mib(self):
        return sum(node.rss_mib() for node in self.nodes)

    def pss_mib(self):
        """What all nodes together hold: pages that they share count once."""
        return sum(node.pss_mib() for node in self.nodes)


def free_ports(count):
    """Ports that are free, and whose peers' ports, 2000 below, are free too."""
    found = []
    while len(found) < count:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port - 2000))
            except OSError:
                continue
        if port not in found and port - 2000 not in found and port + 2000 not in found:
            found.append(port)
    return found


class CairnNode(Server):
    """A member of a cluster, which can be killed and started again."""

    def __init__(self, binaries, folder, number, ports, config):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.binaries = binaries
        file = folder / "cairn.toml"
        endpoints = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        file.write_text(f'[deployment]\nmode = "replicated"\ninstance_id = {number}\n'
                        f"replica_endpoints = [{endpoints}]\n{config}")
        self._command = [binaries / "cairnd", "--config", file, "--data-dir", folder / "data",
                         "--grpc-port", 0, "--http-port", 0, "--log-dir", folder / "log"]
        super().__init__(f"cairnd {number}", "cairn", self._command, ports[number], folder)

    def kill(self):
        """kill -9: the node has no time to say goodbye."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def restart(self):
        super().__init__(self.name, self.system, self._command, self.port, self.folder)

    def status(self):
        """What the node says of itself and of the cluster; None if it does not answer."""
        done = subprocess.run(
            [self.binaries / "cairn", "--endpoints", f"127.0.0.1:{self.port}", "--json", "status"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None


def _cairn_leader(nodes):
    for node in nodes:
        status = node.status()
        leader = status["cluster"].get("leader") if status else None
        if leader and leader["endpoint"].endswith(f":{node.port}"):
            return node
    return None


def cairn_cluster(binaries, folder, count=3, config=""):
    """`count` nodes with their defaults and `config` on top."""
    ports = free_ports(count)
    nodes = [CairnNode(binaries, pathlib.Path(folder) / f"node{number}", number, ports, config)
             for number in range(count)]
    return Cluster("cairn, 3 nodes", "cairn", nodes, _cairn_leader)


def _etcd_leader(nodes):
    urls = ",".join(f"http://127.0.0.1:{node.port}" for node in nodes)
    done = subprocess.run(["etcdctl", "--endpoints", urls, "endpoint", "status", "-w", "json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          env={**os.environ, "ETCDCTL_API": "3"})
    if done.returncode != 0:
        return None
    for node, answer in zip(nodes, json.loads(done.stdout)):
        status = answer["Status"]
        if status["header"]["member_id"] == status.get("leader"):
            return node
    return None


def etcd_cluster(folder, count=3):
    """`count` etcd nodes with their defaults: every write is synced before it is answered."""
    ports, peer_ports = free_ports(count), free_ports(count)
    initial = ",".join(f"node{n}=http://127.0.0.1:{peer_ports[n]}" for n in range(count))
    nodes = []
    for n in range(count):
        client, peer = (f"http://127.0.0.1:{port}" for port in (ports[n], peer_ports[n]))
        home = pathlib.Path(folder) / f"node{n}"
        nodes.append(Server(
            f"etcd {n}", "etcd",
            ["etcd", "--name", f"node{n}", "--data-dir", home / "data", "--logger", "zap",
             "--log-level", "warn", "--listen-client-urls", client, "--advertise-client-urls",
             client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--initial-cluster", initial, "--initial-cluster-state", "new"], ports[n], home))
    return Cluster("etcd, 3 nodes", "etcd", nodes, _etcd_leader)


PING = (b"\x80\x01\x00\x01" b"\x00\x00\x00\x04ping" b"\x00\x00\x00\x00"  # call, name, number
        b"\x0c\x00\x01\x00\x00")  # field 1: an empty PingRequest; end of the arguments


def idle_connections(server, count):
    """Opens connections that make one call each (unframed binary ping) and stay open."""
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=READY_TIMEOUT_S)
        connection.sendall(PING)
        if not connection.recv(4096):
            raise RuntimeError(f"{server.name} closed a connection")
        connections.append(connection)
    return connections
