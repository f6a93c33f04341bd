"""What the contract test stands on: a cairnd process in a scratch folder, and clients of the old
service over each transport, from code generated out of old_kvstore.thrift."""
import importlib
import logging
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.transport import TSocket, TTransport

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CAIRND = pathlib.Path(os.environ.get("CAIRND", ROOT / "build/bin/cairnd"))
sys.path.insert(0, str(ROOT / "tests/cluster"))

from ports import free_ports  # noqa: E402  pylint: disable=wrong-import-position

START_SECONDS = 60
STOP_SECONDS = 60
MOVE_SECONDS = 0.2

# A node that is not up yet is no news: Node.start polls it.
logging.getLogger("thrift").setLevel(logging.CRITICAL)

_generated = tempfile.mkdtemp(prefix="cairn-gen-py-")
sys.path.insert(0, _generated)


def generate(idl):
    """Python modules of an IDL file: (types, service)."""
    subprocess.run(["thrift", "--gen", "py", "-out", _generated, str(idl)], check=True)
    module = idl.stem
    importlib.invalidate_caches()
    return (importlib.import_module(f"{module}.ttypes"),
            importlib.import_module(f"{module}.TransactionalKV"))


old, OldService = generate(HERE / "old_kvstore.thrift")


def remove_generated():
    shutil.rmtree(_generated, ignore_errors=True)


unittest.addModuleCleanup(remove_generated)


class Connection:
    """A client of the service: its methods, and the sends and receives behind them."""

    def __init__(self, port, service=OldService, framed=False, compact=False):
        self.socket = TSocket.TSocket("127.0.0.1", port)
        self.socket.setTimeout(60_000)
        transport = (TTransport.TFramedTransport if framed else
                     TTransport.TBufferedTransport)(self.socket)
        protocol = (TCompactProtocol.TCompactProtocol if compact else
                    TBinaryProtocol.TBinaryProtocol)(transport)
        self.client = service.Client(protocol)
        transport.open()
        self.transport = transport

    def __getattr__(self, name):
        return getattr(self.client, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.transport.close()


class Process:
    """A cairnd process that logs to a folder of its own and serves Thrift on `port`."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.port = None
        self.said_before = 0  # the length of what its earlier lives logged

    def launch(self, *flags):
        environment = {k: v for k, v in os.environ.items() if k != "THRIFT_PORT"}
        with open(os.path.join(self.folder, "stderr"), "ab") as errors:
            self.said_before = errors.tell()
            self.process = subprocess.Popen(
                [str(CAIRND), "--data-dir", os.path.join(self.folder, "data"), "--log-dir",
                 os.path.join(self.folder, "log"), "--grpc-port", "0", "--http-port", "0", *flags],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.folder,
                env=environment)

    def wait_for(self, condition):
        """Until `condition()` is true, while the process runs."""
        give_up = time.monotonic() + START_SECONDS
        while not condition():
            try:  # Waits for the process to end; a short wait that passes is good news.
                self.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up:
                    continue
                self.stop(signal.SIGKILL)
            raise AssertionError(f"cairnd did not start:\n{self.errors()}")

    def answers(self):
        try:
            with self.connect() as client:
                return client.ping(old.PingRequest()).message == b"pong"
        except TTransport.TTransportException:
            return False

    def errors(self, since=0):
        """What it logged, from the byte `since` on."""
        return pathlib.Path(self.folder, "stderr").read_bytes()[since:].decode(errors="replace")

    def connect(self, **options):
        return Connection(self.port, **options)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            return self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"cairnd did not stop:\n{self.errors()}") from None

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class SingleNode(Process):
    """A cluster of one. Its folder stays when it is stopped, so that it can be started again."""

    number, members, leads = 0, 1, True

    def led(self):
        return True

    def __init__(self, *flags):
        super().__init__(tempfile.mkdtemp(prefix="cairn-contract-"))
        self.flags = flags
        self.start()

    def start(self):
        (self.port,) = free_ports(1)
        self.launch("--port", str(self.port), *self.flags)
        self.wait_for(self.answers)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()


class Member(Process):
    """One of three nodes; the two others run beside it. Reads are at the default level, `local`: what
    was written through a node is there when it is asked, and versions hold on all of them. Tests
    that write through one node and read at another set another level."""

    members = 3
    level = "local"
    leads = None  # set by subclasses: which of the three
    # No stall of the machine makes another one lead, as tests of one that leads, or does not, need it.
    election_timeout_ms = 2500

    def __init__(self, *flags):
        scratch = tempfile.mkdtemp(prefix="cairn-contract-")
        super().__init__(scratch)
        self.flags = flags
        self.scratch = scratch
        self.all = []
        ports = free_ports(2 * self.members)
        for number in range(self.members):
            folder = os.path.join(scratch, str(number))
            os.mkdir(folder)
            node = Process(folder)
            node.port = ports[number]
            self.all.append(node)
            pathlib.Path(folder, "node.toml").write_text(
                f'[deployment]\nmode = "replicated"\ninstance_id = {number}\n'
                f"replica_endpoints = {self.quoted(ports[:self.members])}\n"
                f"[consensus]\nendpoints = {self.quoted(ports[self.members:])}\n"
                f"election_timeout_ms = {self.election_timeout_ms}\nheartbeat_interval_ms = 100\n"
                f'[reads]\nconsistency_level = "{self.level}"\n', encoding="ascii")
        try:
            for node in self.all:
                node.launch("--config", "node.toml", *flags)
            self.await_health()
        except BaseException:
            self.remove()
            raise
        self.number = (self.leader() + (0 if self.leads else 1)) % self.members
        node = self.all[self.number]
        self.folder, self.port, self.process = node.folder, node.port, node.process
        self.term = self.health(node).current_term

    @staticmethod
    def quoted(ports):
        return "[" + ", ".join(f'"127.0.0.1:{port}"' for port in ports) + "]"

    def health(self, node):
        with node.connect() as client:
            return client.getClusterHealth(old.GetClusterHealthRequest()).cluster_health

    def leader(self):
        """Who leads; waits for somebody."""
        told = []
        self.all[0].wait_for(lambda: told.append(self.health(self.all[0]).leader) or told[-1])
        return told[-1].node_id

    def led(self):
        """`leads`, if there was no election since that was so; else None: then nobody knows what this
        node was when it answered."""
        health = self.health(self.all[self.number])
        same = health.leader is not None and health.current_term == self.term and \
            (health.leader.node_id == self.number) == self.leads
        return self.leads if same else None

    def grpc_port(self, node):
        """Where one of the three serves gRPC, which it says when all of it serves."""
        def said():
            return re.search(r"gRPC on \S+:(\d+)\n", node.errors(node.said_before))
        self.wait_for(said)
        return int(said().group(1))

    def await_health(self):
        """Until `healthy`; what all of them said and logged if they are not in time."""
        try:
            self.all[0].wait_for(self.healthy)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *map(self.story, self.all)])) from None

    @staticmethod
    def story(node):
        log = pathlib.Path(node.folder, "log", "cairn.log")
        logged = log.read_text(errors="replace") if log.exists() else "(no log)"
        return (f"node at port {node.port}, exit code {node.process.poll()}\n{node.errors()}\n"
                f"{logged[-4000:]}")

    def healthy(self):
        """Whether every node sees all of them, and the same leader."""
        for node in self.all:
            if node.process.poll() is not None:
                raise AssertionError(f"the node at port {node.port} ended")
        try:
            seen = [self.health(node) for node in self.all]
        except TTransport.TTransportException:
            return False
        return all(health is not None and health.cluster_status == "healthy" and
                   health.leader is not None for health in seen) and 1 == len(
                       {health.leader.node_id for health in seen})

    def start(self):
        node = self.all[self.number]
        node.launch("--config", "node.toml", *self.flags)
        self.process = node.process
        self.await_health()
        self.leads = self.leader() == self.number  # another one was elected while it was away
        self.term = self.health(node).current_term

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def remove(self):
        for node in self.all:
            node.remove()
        shutil.rmtree(self.scratch, ignore_errors=True)


class Follower(Member):
    leads = False


class Leader(Member):
    leads = True


class Moving(Member):
    """Any of the three, while leadership is handed from one to the next all the time: at the
    beginning of each test, and every MOVE_SECONDS."""

    election_timeout_ms = 1000  # who leads changes all the same

    def __init__(self, *flags):
        super().__init__(*flags)
        self.number = random.randrange(self.members)
        node = self.all[self.number]
        self.folder, self.port, self.process = node.folder, node.port, node.process
        self.leads = None  # now and then
        self.mover = Mover(self)

    def stir(self):
        """A move begins now, if none is under way."""
        self.mover.wake.set()

    def restart(self, how=signal.SIGTERM):
        self.mover.end()
        super().restart(how)
        self.leads = None
        self.mover = Mover(self)

    def remove(self):
        self.mover.end()
        super().remove()


class Mover(threading.Thread):
    """Has the leader of a cluster hand leadership on, again and again, from its making to `end`."""

    def __init__(self, cluster):
        super().__init__()
        self.moved = 0     # how often another node took over
        self.fault = None  # what ended it before its time
        self.ended = threading.Event()
        self.wake = threading.Event()
        sys.path.insert(0, os.environ["CAIRN_GEN_PY"])
        self.grpc, self.pb, self.rpc = (importlib.import_module(name) for name in
                                        ("grpc", "cairn_pb2", "cairn_pb2_grpc"))
        self.ports = [cluster.grpc_port(node) for node in cluster.all]
        self.start()

    def run(self):
        channels = [self.grpc.insecure_channel(f"127.0.0.1:{port}") for port in self.ports]
        admins = [self.rpc.AdminStub(channel) for channel in channels]
        try:
            while not self.ended.is_set():
                self.moved += any(self.ask(admin) for admin in admins)
                self.wake.wait(MOVE_SECONDS)
                self.wake.clear()
        except Exception as error:  # pylint: disable=broad-except
            self.fault = error
        for channel in channels:
            channel.close()

    def ask(self, admin):
        """Whether this one led, and another one has taken over."""
        try:
            admin.TransferLeadership(self.pb.TransferLeadershipRequest(), timeout=30)
            return True
        except self.grpc.RpcError as error:
            # It does not lead, or it can't hand over now; nothing else is meant.
            if error.code() not in (self.grpc.StatusCode.FAILED_PRECONDITION,
                                    self.grpc.StatusCode.UNAVAILABLE,
                                    self.grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            return False

    def end(self):
        if self.ended.is_set():
            return
        # It may have been made a moment ago, for a test that was over at once.
        deadline = time.monotonic() + START_SECONDS
        while self.moved == 0 and self.is_alive() and time.monotonic() < deadline:
            self.join(0.05)  # a thread that ends before its time has a fault
        self.ended.set()
        self.wake.set()
        self.join()
        if self.fault is not None or self.moved == 0:
            raise AssertionError(f"leadership moved {self.moved} times, then: {self.fault!r}")
        print(f"leadership moved {self.moved} times", flush=True)


# The same tests judge all of them.
Node = {"follower": Follower, "leader": Leader, "moving": Moving}.get(
    os.environ.get("CAIRN_CONTRACT_NODE"), SingleNode)


class ContractTest(unittest.TestCase):
    """A test class with one node and one connection for all of its tests. Tests keep apart by keys
    that begin with their own name (`self.key`)."""

    flags = ()
    service = OldService
    kv = None

    @classmethod
    def setUpClass(cls):
        cls.node = Node(*cls.flags)
        cls.addClassCleanup(cls.node.remove)
        cls.addClassCleanup(lambda: cls.kv.transport.close())
        cls.reconnect()

    def setUp(self):
        if isinstance(self.node, Moving):
            self.node.stir()

    @classmethod
    def reconnect(cls):
        if cls.kv is not None:
            cls.kv.transport.close()
        cls.kv = cls.node.connect(service=cls.service)

    def key(self, suffix=b""):
        return self.id().rsplit(".", 1)[1].encode() + b"/" + suffix

    def succeeds(self, response):
        """A success as old clients see it: no error at all, not even an empty one."""
        self.assertIsNone(response.error)
        if hasattr(response, "success"):
            self.assertIs(response.success, True)
        if hasattr(response, "error_code"):
            self.assertIsNone(response.error_code)
        return response

    def fails(self, response, code=None, text=""):
        self.assertTrue(response.error, response)
        # Of a write that was sent again to another leader only the code is remembered.
        if Node is not Moving or "answered before" not in response.error:
            self.assertIn(text, response.error)
        if hasattr(response, "success"):
            self.assertIs(response.success, False)
        if code is not None:
            self.assertEqual(code, response.error_code, response.error)
        return response

    def get(self, key, family=None):
        response = self.succeeds(self.kv.get(old.GetRequest(key=key, column_family=family)))
        if not response.found:
            self.assertEqual(b"", response.value)
            return None
        return response.value

    def put(self, key, value, family=None):
        self.succeeds(self.kv.setKey(
            old.SetRequest(key=key, value=value, column_family=family)))

    def version(self):
        return self.succeeds(self.kv.getReadVersion(old.GetReadVersionRequest())).read_version

    def commit(self, *operations, read_version=0, conflicts=(), **fields):
        return self.kv.atomicCommit(old.AtomicCommitRequest(
            read_version=read_version, operations=list(operations),
            read_conflict_keys=list(conflicts), **fields))

    def range(self, **fields):
        return self.succeeds(self.kv.getRange(old.GetRangeRequest(**fields)))

    def keys(self, **fields):
        return [pair.key for pair in self.range(**fields).key_values]


def operation(kind, key, value=None, family=None):
    return old.Operation(type=kind, key=key, value=value, column_family=family)


def stamp(version, order):
    return struct.pack(">QH", version, order)
