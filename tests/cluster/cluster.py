"""A cluster of cairnd processes on this machine, for tests, and a load whose history is judged."""
import collections
import json
import pathlib
import threading

from cairn_process import Node, NodeTestCase, cairn, pause, ttypes, wait_until
from ports import free_ports
from thrift import Thrift

# Fast elections, but not so fast that a busy machine makes leaders come and go.
TIMING = "[consensus]\nelection_timeout_ms = 1500\nheartbeat_interval_ms = 100\n"
# For tests in which nodes stand still for a while, and others are to lead meanwhile.
FAST = TIMING.replace("1500", "500")
# For tests of what one leader does: no stall of the machine makes another one. A first leader is there
# after 5 to 10 s.
STEADY = TIMING.replace("1500", "5000")

__all__ = ["FAST", "STEADY", "TIMING", "Cluster", "ClusterTestCase", "Writers"]


class Cluster:
    """Nodes 0 to size - 1, each with a folder of its own. Killed when the `with` block ends.
    `hosts`: an address for each node to listen on, else loopback; `bind`: what all listen on
    instead. `config`: TOML that all have, or a function that gives each number its own. `timing`: the
    section [consensus], to which something is added. Metrics are on 127.0.0.1, on http_ports."""

    def __init__(self, scratch, size=3, config="", environment=None, hosts=None, bind=None,
                 timing=TIMING):
        self.scratch = pathlib.Path(scratch)
        ports = free_ports(3 * size)
        self.ports, self.peer_ports = ports[:size], ports[size:2 * size]
        self.http_ports = ports[2 * size:]
        self.hosts = hosts or ["127.0.0.1"] * size
        self.bind = bind
        self.config, self.environment, self.timing = config, environment, timing
        self.settled = False  # nothing more is asked at the end: check_agreement, end_torn
        self.nodes = []
        for number in range(size):
            self._make_node(number)

    def _make_node(self, number):
        quoted = ["[" + ", ".join(f'"{host}:{port}"' for host, port in zip(self.hosts, some)) + "]"
                  for some in (self.ports, self.peer_ports)]
        own = self.config(number) if callable(self.config) else self.config
        file = self.scratch / f"node{number}.toml"
        file.write_text(f'[deployment]\nmode = "replicated"\ninstance_id = {number}\n'
                        f"replica_endpoints = {quoted[0]}\n{self.timing}endpoints = {quoted[1]}\n"
                        f'[server]\nbind = "{self.bind or self.hosts[number]}"\ngrpc_port = 0\n'
                        f"http_port = {self.http_ports[number]}\n{own}")
        node = Node(self.scratch / "data", ["--config", file], self.environment)
        node.host = self.hosts[number]
        self.nodes.append(node)

    def new_node(self):
        """A further node, not started, whose configuration names the others and itself: its
        number. It is no member until it is added."""
        number = len(self.nodes)
        port, peer_port, http_port = free_ports(3)
        self.ports.append(port)
        self.peer_ports.append(peer_port)
        self.http_ports.append(http_port)
        self.hosts.append("127.0.0.1")
        self._make_node(number)
        return number

    def peer(self, number):
        """Where the other nodes reach a node."""
        return f"{self.hosts[number]}:{self.peer_ports[number]}"

    def run(self, *arguments, code=0, endpoints=None, seconds=120):
        """Runs `cairn cluster ...` with --json; the document that it printed."""
        done = cairn("--json", "--timeout-ms", "10000", "cluster", *arguments,
                     endpoints=endpoints or self.endpoints, seconds=seconds)
        if done.returncode != code:
            raise AssertionError(f"cairn cluster {arguments} ended with {done.returncode}: "
                                 f"{done.stdout} {done.stderr}")
        return json.loads(done.stdout)

    def insist(self, *arguments, seconds=60):
        """Runs a command as an operator does: again, while the cluster says that it can't just now, as
        it may after a start or an election. The document that it printed."""
        said = []

        def done():
            ended = cairn("--json", "--timeout-ms", "10000", "cluster", *arguments,
                          endpoints=self.endpoints, seconds=120)
            said.append((ended.stdout + ended.stderr).decode())
            return [json.loads(ended.stdout)] if ended.returncode == 0 else None
        try:
            return wait_until(done, f"cairn cluster {arguments}", seconds)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}: {said[-1]}") from None

    def replace_leader(self):
        """Another node than the one that leads now leads when this returns: its number."""
        leader = self.leader()

        def replaced():
            if self.leader() == leader:
                cairn("cluster", "transfer-leader", endpoints=self.endpoints, seconds=120)
            now = self.leader()
            return None if now == leader else [now]
        return wait_until(replaced, f"node {leader} does not hand over", 60)[0]

    def remove(self, number):
        """Removes a member, by and by: if the answer of a removal was lost it is none any more."""
        wait_until(lambda: cairn("cluster", "remove", number, endpoints=self.endpoints,
                                 seconds=120).returncode == 0 or number not in self.members(),
                   f"node {number} is not removed", 60)

    def compared(self, seconds=60):
        """What `cairn cluster verify` says when it has compared all members: one that the leader did
        not hear of for an election timeout is left out."""
        said = []

        def found():
            done = cairn("--json", "--timeout-ms", "10000", "cluster", "verify",
                         endpoints=self.endpoints, seconds=120)
            said.append((done.stdout + done.stderr).decode())
            told = json.loads(done.stdout) if done.stdout else {}
            if not told.get("all_compared"):
                return None
            if done.returncode != (0 if told["same"] else 3):
                raise AssertionError(f"cluster verify ended with {done.returncode}: {said[-1]}")
            return told
        try:
            return wait_until(found, "all members are compared", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; cairn cluster verify: {said[-1]}") from None

    def members(self):
        """What `cairn cluster members` says: number -> member."""
        return {member["node_id"]: member for member in self.run("members")["members"]}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, failed, *_):
        self.settled = self.settled or failed is not None
        try:
            self.check_agreement()
        finally:
            self.kill()

    def kill(self):
        for node in self.nodes:
            node.kill()

    def end_torn(self, why):
        """The members will not all be there and hold the same at the end of this test, for a reason
        that lies in what it is about."""
        assert why
        self.settled = True

    def check_agreement(self):
        """How every test ends: members that do not run are started again, and then `cairn cluster
        verify` must find that all members hold the same. Once; not after `end_torn`, and not if
        nothing was started."""
        if self.settled or all(node.process is None for node in self.nodes):
            return
        self.settled = True
        for number, node in enumerate(self.nodes):
            if not node.running and node.process is not None and self._may_be_member(number):
                node.launch(port=None)
        for node in self.nodes:
            if node.running:
                node.await_serving()
        said = []

        def agree():
            done = cairn("--json", "--timeout-ms", "10000", "cluster", "verify",
                         endpoints=self.endpoints)
            said.append((done.stdout + done.stderr).decode())
            if done.stdout and json.loads(done.stdout).get("differences"):
                raise AssertionError(f"the replicas differ: {said[-1]}")
            return done.returncode == 0
        try:
            # A node says where it serves gRPC when it reports for the first time.
            wait_until(agree, "all members hold the same")
        except AssertionError as error:
            raise AssertionError(f"{error}; cairn cluster verify: {said[-1]}") from None

    def _may_be_member(self, number):
        """False if the leader says that it is none; without a leader nobody knows."""
        done = cairn("--json", "--timeout-ms", "3000", "cluster", "members",
                     endpoints=self.endpoints)
        if done.returncode != 0:
            return True
        return number in {member["node_id"] for member in json.loads(done.stdout)["members"]}

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
        return ",".join(f"{host}:{port}" for host, port in zip(self.hosts, self.ports))

    def status(self, number):
        """What `cairn status` says of a node; None if it does not answer."""
        done = cairn("--json", "status", endpoints=f"{self.hosts[number]}:{self.ports[number]}")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def terms(self):
        """The terms that the running nodes are in; None of one that does not answer."""
        sights = [self.status(number) for number in self.running()]
        return {sight and sight["cluster"]["term"] for sight in sights}

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


class Writers:
    """Threads that append records under versionstamped keys, each through any node, under a
    session; what was acknowledged is remembered."""

    def __init__(self, cluster, count=3, session=True, name="w"):
        self._name = name.encode()
        self.acknowledged = collections.Counter()
        self.maybe = 0
        self._cluster = cluster
        self._session = session
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,))
                         for number in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count=10):
        """Until so many further writes are acknowledged."""
        target = sum(self.acknowledged.values()) + count
        wait_until(lambda: sum(self.acknowledged.values()) >= target, "no writes come through", 60)

    def _run(self, number):
        client = None
        session = sequence = written = 0
        turn = number
        while not self._stop.is_set():
            try:
                turn += 1
                client = client or self._connect(turn)
                if self._session and not session:
                    session = client.openSession(ttypes.OpenSessionRequest()).session_id
                    sequence = written = 0
                    continue
                if not self._session or sequence <= written:
                    sequence += 1
                if self._append(client, number, sequence, session):
                    written = sequence
            except (OSError, EOFError, Thrift.TException):
                # The node went away. Under a session the write is sent again, elsewhere.
                if client is not None:
                    client.close()
                client = None
        if client is not None:
            client.close()

    def _connect(self, turn):
        running = self._cluster.running()
        if not running:
            pause(0.05)
            raise OSError("no node runs")
        return self._cluster.nodes[running[turn % len(running)]].client(seconds=10)

    def _append(self, client, number, sequence, session):
        """True if this write is done with."""
        request = ttypes.SetVersionstampedKeyRequest(
            key_prefix=b"log/" + bytes(10), value=b"%s%d-%d" % (self._name, number, sequence),
            deadline_ms=5000)
        if session:
            request.session_id = session
            request.session_sequence = sequence
            request.session_first_outstanding = sequence
        answer = client.setVersionstampedKey(request)
        with self._lock:
            if answer.success:
                self.acknowledged[request.value] += 1
                return True
            self.maybe += bool(answer.maybe_applied)
        return not session


class ClusterTestCase(NodeTestCase):
    """A test of a cluster, whose replicas agree at the end (Cluster.check_agreement)."""

    def setUp(self):
        super().setUp()
        self.clusters = []

    def tearDown(self):
        for made in self.clusters:
            made.check_agreement()
        super().tearDown()

    def cluster(self, *arguments, **options):
        made = Cluster(self.scratch, *arguments, **options)
        self.addCleanup(made.kill)
        self.clusters.append(made)
        return made

    def check_history(self, cluster, writers):
        """Every acknowledged write is there, nothing is there twice, and all nodes agree."""
        cluster.wait_together()
        found = None
        for number in cluster.running():
            with cluster.nodes[number].client() as client:
                here = client.all(b"log/", b"log0")
            if found is not None:
                self.assertEqual(found, here, f"node {number} differs")
            found = here
        values = collections.Counter(found.values())
        lost = set(writers.acknowledged) - set(values)
        self.assertEqual(set(), lost, "acknowledged writes are lost")
        twice = [value for value, count in values.items() if count > 1]
        self.assertEqual([], twice, "writes were applied twice")
        self.assertGreater(len(values), 0)
