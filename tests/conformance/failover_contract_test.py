#!/usr/bin/env python3
"""The contract while the leader is killed: what clients of the earlier service, and of Cairn's
additions, are answered by the nodes that are left.

An old client may meet an error then, but it is one that the contract names, with a text, and the
rest of the answer keeps to its form; it is never told who leads. Without a session it can't know
whether a write without an answer was applied. A client that stamps its writes with a session, and
one that goes where it is told that the leader is, get the result of each, which is applied once.
"""
import itertools
import pathlib
import signal
import struct
import sys
import threading
import unittest

from thrift import Thrift

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from contract_support import (ROOT, Connection, Follower, OldService, generate, old, operation)

new, NewService = generate(ROOT / "api/kvstore.thrift")

GONE = (OSError, EOFError, Thrift.TException)
# With no leader, or none in time.
NAMED = {"TIMEOUT", "UNAVAILABLE"}
KILLS = 2
STEPS = 20  # of each client, at least, after each fault


class Worker(threading.Thread):
    """One client: `step` again and again until `stop`; at the next node when one is gone."""

    service = OldService

    def __init__(self, test, number):
        super().__init__()
        self.test, self.number = test, number
        self.name = f"{type(self).__name__}{number}"
        self.steps = 0
        self.fault = None
        self.stopping = threading.Event()
        self.turns = itertools.count(number)
        self.kv = None
        self.prepare()

    def prepare(self):
        """Fields of a subclass."""

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
                self.steps += 1
        except Exception as error:  # pylint: disable=broad-except
            self.fault = error
        self.leave()

    def leave(self):
        if self.kv is not None:
            self.kv.transport.close()
        self.kv = None

    def call(self, method, request):
        """The answer; None if none came, and then the request may have been carried out."""
        try:
            if self.kv is None:
                nodes = self.test.cluster.all
                self.kv = self.connect(nodes[next(self.turns) % len(nodes)].port)
            answer = getattr(self.kv, method)(request)
        except GONE:
            self.leave()
            return None
        self.well_formed(method, answer)
        return answer

    def connect(self, port):
        return Connection(port, service=self.service)

    def well_formed(self, method, answer):
        """Of every answer, as the contract has it."""
        failed = answer.error is not None
        words = f"{method}: {answer}"
        assert not failed or answer.error, words
        assert getattr(answer, "success", not failed) is not failed, words
        if failed:
            assert getattr(answer, "error_code", "TIMEOUT") in self.may_be_told(), words
            assert not getattr(answer, "found", False), words
            assert getattr(answer, "committed_version", None) is None, words
        else:
            assert getattr(answer, "error_code", None) is None, words

    def may_be_told(self):
        return NAMED


class OldClient(Worker):
    """Knows nothing of Cairn. Every method in turn, on keys of its own."""

    def prepare(self):
        self.states = {}     # key -> the values that it may have, None for no value
        self.highest = 0     # version that it was told of
        self.stamps = []
        self.methods = itertools.cycle((self.write, self.read, self.commit, self.snapshot, self.stamp,
                                        self.write, self.range, self.delete, self.diagnose))
        self.count = itertools.count()

    def step(self):
        next(self.methods)()

    def key(self):
        return b"%s/%d" % (self.name.encode(), next(self.count) % 5)

    def wrote(self, key, value, answer):
        """Whether it was acknowledged. An error or silence leaves both states possible."""
        if answer is not None and answer.error is None:
            self.states[key] = {value}
            return True
        self.states[key] = self.states.get(key, {None}) | {value}
        return False

    def told(self, version):
        self.highest = max(self.highest, version)

    def write(self):
        key, value = self.key(), b"%d" % next(self.count)
        self.wrote(key, value, self.call("setKey", old.SetRequest(key=key, value=value)))

    def delete(self):
        key = self.key()
        self.wrote(key, None, self.call("deleteKey", old.DeleteRequest(key=key)))

    def commit(self):
        key, value = self.key(), b"%d" % next(self.count)
        answer = self.call("atomicCommit", old.AtomicCommitRequest(
            read_version=0, read_conflict_keys=[], operations=[operation("set", key, value)],
            timeout_seconds=10))
        if self.wrote(key, value, answer):
            assert answer.committed_version > self.highest, (answer, self.highest)
            self.told(answer.committed_version)

    def read(self):
        key = self.key()
        self.sees(key, self.call("get", old.GetRequest(key=key)))

    def sees(self, key, answer):
        if answer is None or answer.error is not None:
            return
        value = answer.value if answer.found else None
        assert value in self.states.get(key, {None}), (key, value, self.states.get(key))

    def snapshot(self):
        at = self.call("getReadVersion", old.GetReadVersionRequest())
        if at is None or at.error is not None:
            return
        assert at.read_version >= max(self.highest, 1), (at, self.highest)
        self.told(at.read_version)
        key = self.key()
        self.sees(key, self.call("snapshotRead", old.SnapshotReadRequest(
            key=key, read_version=at.read_version)))

    def range(self):
        name = self.name.encode()
        answer = self.call("getRange", old.GetRangeRequest(begin_key=name + b"/",
                                                           end_key=name + b"0"))
        if answer is None or answer.error is not None:
            return
        found = {pair.key: pair.value for pair in answer.key_values}
        for key, values in self.states.items():
            assert found.get(key) in values, (key, found, values)

    def stamp(self):
        answer = self.call("setVersionstampedKey", old.SetVersionstampedKeyRequest(
            key_prefix=b"stamps/" + self.name.encode() + bytes(10), value=b"v"))
        if answer is not None and answer.error is None:
            (version, _) = struct.unpack(">QH", answer.generated_key[-10:])
            assert version > self.highest, (answer, self.highest)
            self.told(version)
            self.stamps.append(answer.generated_key)

    def diagnose(self):
        try:
            if self.kv is None:
                return
            assert self.kv.ping(old.PingRequest()).message == b"pong"
        except GONE:
            return self.leave()
        for method, request in (("getClusterHealth", old.GetClusterHealthRequest()),
                                ("getNodeInfo", old.GetNodeInfoRequest()),
                                ("getDatabaseStats", old.GetDatabaseStatsRequest())):
            answer = self.call(method, request)
            assert answer is None or answer.success, answer  # none of them needs a leader
        stub = self.call("setReadVersion", old.SetReadVersionRequest(version=1))
        assert stub is None or stub.error, stub
        return None


class SessionClient(Worker):
    """Stamps its writes, and sends each until it has the answer."""

    service = NewService

    def prepare(self):
        self.session = None
        self.sequence = 0
        self.acknowledged = {}  # generated key -> value

    def step(self):
        if self.session is None:
            answer = self.call("openSession", new.OpenSessionRequest())
            if answer is None or answer.error is not None:
                return
            self.session = answer.session_id
        self.sequence += 1
        value = b"%s %d" % (self.name.encode(), self.sequence)
        while not self.stopping.is_set():
            answer = self.call("setVersionstampedKey", new.SetVersionstampedKeyRequest(
                key_prefix=b"once/" + bytes(10), value=value, deadline_ms=5000,
                session_id=self.session, session_sequence=self.sequence,
                session_first_outstanding=self.sequence))
            if answer is not None and answer.error is None:
                self.acknowledged[answer.generated_key] = value
                return


class LeaderClient(Worker):
    """Wants no forwarding: goes where it is told, and anywhere when nobody knows."""

    service = NewService

    def prepare(self):
        self.hint = None
        self.written = 0

    def connect(self, port):
        hint, self.hint = self.hint, None
        return super().connect(hint or port)

    def may_be_told(self):
        return NAMED | {"NOT_LEADER"}

    def step(self):
        self.written += 1
        while not self.stopping.is_set():
            answer = self.call("setKey", new.SetRequest(
                key=b"direct/" + self.name.encode(), value=b"%d" % self.written,
                no_forwarding=True, deadline_ms=5000))
            if answer is None:
                continue
            if answer.error is None:
                return
            if answer.error_code == "NOT_LEADER" and answer.leader_hint:
                self.hint = int(answer.leader_hint.rsplit(":", 1)[1])
            self.leave()


class Group(Follower):
    level = "read_index"
    election_timeout_ms = 1000  # there are many


class FailoverContractTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Group()
        self.addCleanup(self.cluster.remove)

    def await_steps(self, workers):
        """Until each client has come further: nobody waits for what never comes."""
        targets = [worker.steps + STEPS for worker in workers]

        def further():
            for worker in workers:
                if worker.fault is not None:
                    raise AssertionError(worker.name) from worker.fault
            return all(worker.steps >= target for worker, target in zip(workers, targets))
        self.running().wait_for(further)

    def running(self):
        return next(node for node in self.cluster.all if node.process.poll() is None)

    def kill_leader(self):
        """The node that led and is dead now, when the others have another leader."""
        leader = self.cluster.leader()
        dead = self.cluster.all[leader]
        dead.stop(signal.SIGKILL)
        others = [node for node in self.cluster.all if node is not dead]

        def elected():
            leaders = [self.cluster.health(node).leader for node in others]
            return all(found is not None and found.node_id != leader for found in leaders)
        others[0].wait_for(elected)
        return dead

    def test_clients_while_leaders_are_killed(self):
        workers = [OldClient(self, 0), OldClient(self, 1), SessionClient(self, 0),
                   SessionClient(self, 2), LeaderClient(self, 1)]
        for worker in workers:
            worker.start()
        try:
            self.await_steps(workers)
            for _ in range(KILLS):
                dead = self.kill_leader()
                self.await_steps(workers)
                dead.launch("--config", "node.toml")
                dead.wait_for(self.cluster.healthy)
                self.await_steps(workers)
        finally:
            for worker in workers:
                worker.stopping.set()
            for worker in workers:
                worker.join()
        self.assertEqual([None] * len(workers), [worker.fault for worker in workers])
        for node in self.cluster.all:
            with self.subTest(port=node.port), node.connect() as kv:
                self.check_state(kv, workers)

    def check_state(self, kv, workers):
        once = {}
        begin, inclusive = b"once/", True
        while True:
            answer = kv.getRange(old.GetRangeRequest(begin_key=begin, begin_or_equal=inclusive,
                                                     end_key=b"once0"))
            self.assertIsNone(answer.error)
            once.update((pair.key, pair.value) for pair in answer.key_values)
            if not answer.has_more:
                break
            begin, inclusive = answer.key_values[-1].key, False
        self.assertEqual(len(once), len(set(once.values())), "a write was applied twice")
        for worker in workers:
            if isinstance(worker, SessionClient):
                for key, value in worker.acknowledged.items():
                    self.assertEqual(value, once.get(key))
            elif isinstance(worker, OldClient):
                for key, values in worker.states.items():
                    found = kv.get(old.GetRequest(key=key))
                    self.assertIsNone(found.error)
                    self.assertIn(found.value if found.found else None, values, key)
                for key in worker.stamps:
                    self.assertTrue(kv.get(old.GetRequest(key=key)).found, key)
            else:
                found = kv.get(old.GetRequest(key=b"direct/" + worker.name.encode()))
                self.assertIn(int(found.value), (worker.written - 1, worker.written))

    def test_a_node_that_is_left_alone_says_so(self):
        self.kill_leader()
        dead = self.cluster.all[self.cluster_leader()]
        dead.stop(signal.SIGKILL)
        alone = self.running()
        with alone.connect() as kv:
            def forgotten():
                health = kv.getClusterHealth(old.GetClusterHealthRequest()).cluster_health
                return health.leader is None
            alone.wait_for(forgotten)
            answer = kv.atomicCommit(old.AtomicCommitRequest(
                read_version=0, operations=[operation("set", b"k", b"v")], read_conflict_keys=[],
                timeout_seconds=1))
            self.assertIs(answer.success, False)
            self.assertTrue(answer.error)
            self.assertIn(answer.error_code, NAMED)
            self.assertIsNone(answer.committed_version)
            self.assertEqual(b"pong", kv.ping(old.PingRequest()).message)
            for answer in (kv.getNodeInfo(old.GetNodeInfoRequest()),
                           kv.getDatabaseStats(old.GetDatabaseStatsRequest()),
                           kv.getClusterHealth(old.GetClusterHealthRequest())):
                self.assertIsNone(answer.error)
        with alone.connect(service=NewService) as kv:
            for level in ("leader", "read_index"):
                answer = kv.get(new.GetRequest(key=b"k", read_level=level, deadline_ms=500))
                self.assertTrue(answer.error)
                self.assertIn(answer.error_code, NAMED)
            answer = kv.get(new.GetRequest(key=b"k", read_level="local"))
            self.assertEqual((None, False), (answer.error, answer.found))

    def cluster_leader(self):
        """Who leads; waits for somebody."""
        told = []
        asked = self.running()
        asked.wait_for(lambda: told.append(self.cluster.health(asked).leader) or told[-1])
        return told[-1].node_id


if __name__ == "__main__":
    unittest.main(verbosity=2)
