"""Clients of a cluster whose every operation is recorded, and the judgement of what they saw: is it
linearizable, serializable, exactly once, no staler than promised? The checkers are those of the
simulator (`cairn-sim --check-history`, docs/formats/history.md)."""
import json
import logging
import random
import subprocess
import threading
import time
import typing

from cairn_process import BIN, pause, ttypes
from thrift import Thrift

REGISTERS = [f"reg/{number}" for number in range(6)]
LISTS = 3
LIST_SECONDS = 4  # then there are new ones: lists that grow for ever take ever longer to read
LINEARIZABLE = ("leader", "read_index")
# One operation is tried again for at most so long; a cluster that heals is back well before.
PATIENCE_SECONDS = 40
# What a call raises when its node goes away.
GONE = (OSError, EOFError, Thrift.TException)

# That a node is not there is no news.
logging.getLogger("thrift").setLevel(logging.CRITICAL)

__all__ = ["GONE", "History", "LINEARIZABLE"]


class _Client(threading.Thread):
    """One client: one operation after another, each at a random node of those it knows (`home`;
    none given: all), writes under a session."""

    def __init__(self, history, number, home=None):
        super().__init__()
        self.history = history
        self.number = number
        self.home = home
        self.random = random.Random(f"{history.seed}/{number}")
        self.connections = {}
        self.session = None
        self.sequence = 0
        self.newest = 0   # the highest version it was told of
        self.unique = 0

    def run(self):
        try:
            while not self.history.stopping.is_set():
                self.random.choice((self.set, self.set, self.get, self.get, self.get, self.several,
                                    self.snapshot, self.scan, self.stamp, self.transaction,
                                    self.transaction))()
        except Exception as error:  # pylint: disable=broad-except
            self.history.broken(f"client {self.number}: {error!r}")
        for number in list(self.connections):
            self.drop(number)

    # ---- Sending

    def at(self, number):
        if number not in self.connections:
            self.connections[number] = self.history.cluster.nodes[number].client(
                seconds=self.history.call_seconds)
        return self.connections[number]

    def drop(self, number):
        gone = self.connections.pop(number, None)
        if gone is not None:
            gone.close()

    def tries(self):
        """Numbers of nodes to try, until it takes too long."""
        give_up = time.monotonic() + self.history.patience_seconds
        while time.monotonic() < give_up:
            nodes = self.history.cluster.nodes
            running = [n for n in self.history.cluster.running() if nodes[n].port is not None and
                       (self.home is None or n in self.home)]
            if running:
                yield self.random.choice(running)
            pause(0.01 + 0.04 * self.random.random())

    def open_session(self):
        for number in self.tries():
            try:
                answer = self.at(number).openSession(ttypes.OpenSessionRequest(
                    deadline_ms=self.history.write_ms))
                if answer.error is None:
                    self.session, self.sequence = answer.session_id, 0
                    return True
            except GONE:
                self.drop(number)
        return False

    def write(self, method, request):
        """Sends a write until its fate is known: (outcome, answer)."""
        if self.session is None and not self.open_session():
            return "failed", None
        self.sequence += 1
        request.session_id = self.session
        request.session_sequence = request.session_first_outstanding = self.sequence
        request.deadline_ms = self.history.write_ms
        may_be_applied = False
        for number in self.tries():
            begun = self.history.tick()
            try:
                answer = getattr(self.at(number), method)(request)
            except GONE:
                self.drop(number)
                may_be_applied = True
                continue
            self.history.answered(Answered("write", number, answer.error_code, begun))
            if answer.success:
                return "ok", answer
            may_be_applied = may_be_applied or bool(answer.maybe_applied)
            if answer.error_code == "CONFLICT":
                return "failed", answer
            if answer.error_code == "SESSION_EXPIRED":
                self.session = None
                return "unknown" if may_be_applied else "failed", answer
            if not may_be_applied and answer.error_code not in (
                    "TIMEOUT", "UNAVAILABLE", "RESOURCE_EXHAUSTED"):
                return "failed", answer
        self.session = None  # Nobody may send this sequence again.
        return "unknown" if may_be_applied else "failed", None

    def read(self, method, request, record, level=None):
        """Sends a read until a node serves it; None if none did. `record` gets interval and
        promise."""
        level = level or self.random.choice(self.history.levels)
        request.read_level = level
        request.deadline_ms = self.history.read_ms
        if self.random.random() < 0.3:
            request.min_version = self.history.newest if self.history.talk else self.newest
        for number in self.tries():
            self.begin(record)
            try:
                answer = getattr(self.at(number), method)(request)
            except GONE:
                self.drop(number)
                continue
            if answer.error is None:
                self.end(record)
                record["linearizable"] = level in LINEARIZABLE
                if request.min_version:
                    record["min_version"] = request.min_version
                if level == "local" and self.history.max_staleness_ms is not None:
                    record["max_staleness_us"] = self.history.max_staleness_ms * 1000
            needs = max(request.min_version or 0, getattr(request, "read_version", 0))
            self.history.answered(Answered(level, number, answer.error_code, record["begin"], needs))
            if answer.error is None:
                return answer
            if answer.error_code in ("INVALID_ARGUMENT", "TRANSACTION_TOO_OLD"):
                return None
            if self.history.stopping.is_set():
                return None
        return None

    # ---- Recording

    def begin(self, record):
        record.update(client=self.number, begin=self.history.tick(), began_us=now_us())

    def end(self, record):
        record.update(end=self.history.tick(), ended_us=now_us())

    def finish(self, record, outcome, version=None):
        """The end of a write."""
        record["outcome"] = outcome
        if outcome != "unknown":
            self.end(record)
        if outcome == "ok":
            record["version"] = version
            self.newest = max(self.newest, version)
            self.history.acknowledged(version)

    def value(self):
        self.unique += 1
        return f"{self.number}-{self.unique}"

    # ---- Operations

    def set(self):
        key = self.random.choice(REGISTERS)
        record = {"kind": "write", "key": key, "commit": self.history.tick(),
                  "value": None if self.random.random() < 0.2 else self.value()}
        self.begin(record)
        if record["value"] is None:
            outcome, answer = self.write("deleteKey", ttypes.DeleteRequest(key=key.encode()))
        else:
            outcome, answer = self.write("setKey", ttypes.SetRequest(
                key=key.encode(), value=record["value"].encode()))
        self.finish(record, outcome, answer and answer.version)
        self.history.add(record)

    def several(self):
        shared = {"commit": self.history.tick()}
        self.begin(shared)
        values = {key: self.value() for key in self.random.sample(REGISTERS, 2)}
        outcome, answer = self.write("atomicCommit", ttypes.AtomicCommitRequest(
            read_version=0, read_conflict_keys=[], operations=[
                ttypes.Operation(type="set", key=key.encode(), value=value.encode())
                for key, value in values.items()]))
        self.finish(shared, outcome, answer and answer.committed_version)
        for key, value in values.items():
            self.history.add({"kind": "write", "key": key, "value": value, **shared})

    def get(self):
        key = self.random.choice(REGISTERS)
        record = {"kind": "read", "key": key}
        answer = self.read("get", ttypes.GetRequest(key=key.encode()), record)
        if answer is None:
            return
        record["value"] = answer.value.decode() if answer.found else None
        if answer.found:
            record["version"] = answer.version
        self.history.add(record)

    def read_version(self, level=None):
        record = {"kind": "version"}
        answer = self.read("getReadVersion", ttypes.GetReadVersionRequest(), record, level)
        if answer is None:
            return None, record
        record["version"] = answer.read_version
        self.history.add(record)
        return answer.read_version, record

    def snapshot(self):
        version, _ = self.read_version()
        if version is None:
            return
        key = self.random.choice(REGISTERS)
        record = {"kind": "read", "key": key, "at": version}
        answer = self.read("snapshotRead", ttypes.SnapshotReadRequest(
            key=key.encode(), read_version=version), record)
        if answer is None:
            return
        record["value"] = answer.value.decode() if answer.found else None
        if answer.found:
            record["version"] = answer.version
        record["linearizable"] = False  # It is of the past.
        record.pop("max_staleness_us", None)
        self.history.add(record)

    def scan(self):
        record = {"kind": "scan", "from": "reg/", "to": "reg0"}
        answer = self.read("getRange", ttypes.GetRangeRequest(begin_key=b"reg/", end_key=b"reg0"),
                           record)
        if answer is None:
            return
        record["pairs"] = [[pair.key.decode(), pair.value.decode()] for pair in answer.key_values]
        record["at"] = answer.version
        self.history.add(record)

    def stamp(self):
        record = {"kind": "stamp", "token": self.value()}
        self.begin(record)
        outcome, answer = self.write("setVersionstampedKey", ttypes.SetVersionstampedKeyRequest(
            key_prefix=b"log/" + record["token"].encode() + b"/" + bytes(10), value=b"x"))
        self.finish(record, outcome, answer and answer.version)
        if outcome == "ok":
            record["generated"] = answer.generated_key.hex()
        self.history.add(record)

    def transaction(self):
        """Reads two lists at one version, and mostly adds a number to one of them."""
        version, given = self.read_version()
        if version is None:
            return
        reads = []
        era = int(time.monotonic()) // LIST_SECONDS
        for key in self.random.sample([f"list/{era}/{number}" for number in range(LISTS)], 2):
            answer = self.read("snapshotRead", ttypes.SnapshotReadRequest(
                key=key.encode(), read_version=version), {})
            if answer is None:
                return
            reads.append([key, [int(n) for n in answer.value.split()] if answer.found else []])
        record = {"kind": "transaction", "outcome": "ok", "strict": given["linearizable"],
                  "client": self.number, "begin": given["begin"], "began_us": given["began_us"],
                  "reads": reads}
        self.end(record)
        self.history.add(record)
        if self.random.random() < 0.2:
            return
        key, numbers = reads[0]
        self.unique += 1
        added = self.unique * 1000 + self.number
        commit = {"kind": "transaction", "reads": reads, "appends": [[key, added]]}
        commit.update(client=self.number, begin=given["begin"], began_us=given["began_us"])
        outcome, answer = self.write("atomicCommit", ttypes.AtomicCommitRequest(
            read_version=version, read_conflict_keys=[name.encode() for name, _ in reads],
            operations=[ttypes.Operation(
                type="set", key=key.encode(),
                value=b" ".join(b"%d" % n for n in numbers + [added]))]))
        self.finish(commit, outcome, answer and answer.committed_version)
        self.history.add(commit)


def now_us():
    return time.monotonic_ns() // 1000


class Answered(typing.NamedTuple):
    """One answer of one node, for tests that ask which node said what, and when."""
    what: str             # "write", or the level of a read
    node: int
    code: typing.Optional[str]  # of the error; None: served
    begin: int            # the tick at which it was asked
    needs: int = 0        # the version that a read must see, 0: any
    end: int = 0          # the tick at which the answer was there


class History:
    """Records what `clients` clients of a cluster see while the `with` block runs. `levels`: the read
    levels they use. `max_staleness_ms`: what the nodes are configured to promise of local reads.
    `homes`: instead of `clients`, for each client the numbers of the nodes that it asks, None for
    all. `talk`: clients tell each other, beside the cluster, which version was acknowledged, and ask
    for that as the lowest (`min_version`). `write_ms` and `read_ms` bound one call, and
    `patience_seconds` one operation over all of its calls."""

    def __init__(self, cluster, clients=4, levels=LINEARIZABLE, max_staleness_ms=None, seed=None,
                 call_seconds=8, homes=None, talk=False, write_ms=3000, read_ms=2000,
                 patience_seconds=PATIENCE_SECONDS):
        self.cluster = cluster
        self.levels = levels
        self.max_staleness_ms = max_staleness_ms
        self.seed = seed if seed is not None else random.SystemRandom().randrange(10**9)
        self.call_seconds = call_seconds
        self.talk = talk
        self.write_ms, self.read_ms = write_ms, read_ms
        self.patience_seconds = patience_seconds
        self.newest = 0           # the highest version that any client was told of
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._next = 0
        self._records = []
        self._answers = []
        self._faults = []
        self._acknowledged = 0
        self._clients = [_Client(self, number, home)
                         for number, home in enumerate(homes or [None] * clients)]

    def __enter__(self):
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for client in self._clients:
            client.join()

    def tick(self):
        with self._lock:
            self._next += 1
            return self._next

    def add(self, record):
        with self._lock:
            self._records.append(record)

    def broken(self, why):
        with self._lock:
            self._faults.append(why)

    def answered(self, answer):
        with self._lock:
            self._next += 1
            self._answers.append(answer._replace(end=self._next))

    def answers(self, nodes, since, until=None):
        """What the nodes answered to what they were asked after the tick `since`, up to `until`."""
        with self._lock:
            return [answer for answer in self._answers if answer.node in nodes and
                    answer.begin > since and (until is None or answer.end < until)]

    def acknowledged(self, version):
        with self._lock:
            self._acknowledged += 1
            self.newest = max(self.newest, version)

    def wait_for_more(self, count=20, seconds=60):
        """Until so many further writes are acknowledged."""
        target = self._acknowledged + count
        give_up = time.monotonic() + seconds
        while self._acknowledged < target:
            if self._faults:
                raise AssertionError(self._faults[0])
            if time.monotonic() > give_up:
                raise AssertionError(f"no writes come through for {seconds} s")
            pause(0.02)

    def judge(self, test):
        """After stop: every node holds the same, and what was seen is right. `test` fails if not."""
        test.assertEqual([], self._faults)
        self.cluster.wait_together()
        stamps = None
        for number in self.cluster.running():
            with self.cluster.nodes[number].client() as client:
                here = client.all(b"log/", b"log0")
            test.assertEqual(here, stamps or here, f"node {number} differs")
            stamps = here
        self.add({"kind": "final_stamps", "keys": [key.hex() for key in sorted(stamps)]})
        file = test.scratch / "history.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in self._records))
        done = subprocess.run([BIN / "cairn-sim", "--check-history", file], capture_output=True,
                              text=True, timeout=120, check=False)
        if done.returncode != 0:
            kept = f"/tmp/{test.id()}.history.jsonl"
            with open(kept, "w", encoding="utf-8") as copy:
                copy.write(file.read_text())
            test.fail(f"seed {self.seed}, kept in {kept}: {done.stdout}{done.stderr}")
        print(f"{test.id()}: seed {self.seed}, {done.stdout.strip()}", flush=True)
