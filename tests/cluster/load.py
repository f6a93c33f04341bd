"""A load with a memory: several clients write, note what was acknowledged, and can tell afterwards
whether a node that came back still has all of it.

What each client does, at random: sets, deletes and overwrites keys of its own; commits pairs of keys
of its own that must always be equal; and adds one to a counter that all share, kept in two keys, in
transactions that conflict with each other. The last request of a client may be without an answer
when the node dies: then either outcome is right.
"""
import collections
import random
import socket
import threading

from thrift.Thrift import TApplicationException
from thrift.transport.TTransport import TTransportException

from cairn_process import Client, ttypes

KEYS_PER_CLIENT = 40
PAIRS_PER_CLIENT = 4
COUNTER = (b"shared/a", b"shared/b")
BROKEN = (TTransportException, TApplicationException, OSError, EOFError, socket.timeout)


class Refused(Exception):
    """An answer with an error that says that nothing was applied; `code` is its error_code."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Undecided(Exception):
    """An answer with an error that says that the write may have been applied."""


def check(answer):
    if answer.error is None:
        return answer
    if getattr(answer, "maybe_applied", False):
        raise Undecided(answer.error)
    raise Refused(getattr(answer, "error_code", None), answer.error)


class ClientModel:
    """What one client knows of its keys, and of the versions it was told."""

    def __init__(self, name, seed):
        self.name = name
        self.random = random.Random(seed)
        self.known = {}        # key -> value, None if deleted: the last acknowledged state
        self.pending = {}      # key -> value that the unanswered request would set
        self.versions = []     # of acknowledged commits, in order
        self.added = 0         # acknowledged additions to the shared counter
        self.maybe_added = 0   # additions without an answer
        self.count = 0         # requests acknowledged

    def value(self):
        """A value that is never used twice, small or large."""
        self.count += 1
        size = self.random.choice((0, 10, 200, 3000))
        return f"{self.name}:{self.count}:".encode() + self.random.randbytes(size)

    def commit(self, changes, send):
        """Runs `send`, whose answer holds the version, and notes what it means for `changes`."""
        self.pending = changes
        version = send()
        self.known.update(changes)
        self.pending = {}
        self.versions.append(version)


class LoadClient(threading.Thread):
    """Runs a ClientModel against a node until the node is gone or `stop` is set."""

    def __init__(self, model, port, stop):
        super().__init__(daemon=True)
        self.model = model
        self.port = port
        self.stop = stop
        self.problem = None    # an answer that no fault explains
        self.refusals = collections.Counter()

    def run(self):
        try:
            with Client(self.port) as client:
                while not self.stop.is_set():
                    self.step(client)
        except BROKEN + (Undecided,):
            pass  # the node ends; pending says what is open
        except Exception as error:  # pylint: disable=broad-except
            self.problem = repr(error)

    def step(self, client):
        choice = self.model.random.random()
        try:
            if choice < 0.55:
                self.set_or_delete(client)
            elif choice < 0.8:
                self.set_pair(client)
            else:
                self.add_to_counter(client)
        except Refused as refused:
            self.model.pending = {}
            self.refusals[refused.code] += 1
            if refused.code not in ("CONFLICT", "RESOURCE_EXHAUSTED", "UNAVAILABLE"):
                raise

    def set_or_delete(self, client):
        model = self.model
        key = f"{model.name}/key{model.random.randrange(KEYS_PER_CLIENT):03}".encode()
        if model.random.random() < 0.2:
            request = ttypes.DeleteRequest(key=key)
            model.commit({key: None}, lambda: check(client.deleteKey(request)).version)
        else:
            value = model.value()
            request = ttypes.SetRequest(key=key, value=value)
            model.commit({key: value}, lambda: check(client.setKey(request)).version)

    def set_pair(self, client):
        model = self.model
        pair = f"{model.name}/pair{model.random.randrange(PAIRS_PER_CLIENT)}".encode()
        value = model.value()
        changes = {pair + b"/a": value, pair + b"/b": value}
        request = ttypes.AtomicCommitRequest(
            read_version=0, read_conflict_keys=[],
            operations=[ttypes.Operation(type="set", key=key, value=value) for key in changes])
        model.commit(changes, lambda: check(client.atomicCommit(request)).committed_version)

    def add_to_counter(self, client):
        version = check(client.getReadVersion(ttypes.GetReadVersionRequest())).read_version
        values = []
        for key in COUNTER:
            answer = check(client.snapshotRead(
                ttypes.SnapshotReadRequest(key=key, read_version=version)))
            values.append(int(answer.value) if answer.found else 0)
        if values[0] != values[1]:
            raise AssertionError(f"half a transaction at version {version}: {values}")
        value = str(values[0] + 1).encode()
        request = ttypes.AtomicCommitRequest(
            read_version=version, read_conflict_keys=list(COUNTER),
            operations=[ttypes.Operation(type="set", key=key, value=value) for key in COUNTER])
        self.model.maybe_added += 1
        try:
            answer = check(client.atomicCommit(request))
        except Refused:
            self.model.maybe_added -= 1
            raise
        self.model.maybe_added -= 1
        self.model.added += 1
        self.model.versions.append(answer.committed_version)


class Load:
    """The clients of one test, over any number of lives of the node."""

    def __init__(self, clients, seed):
        self.models = [ClientModel(f"c{i}", f"{seed}/{i}") for i in range(clients)]
        self.threads = []
        self.stop = threading.Event()
        self.highest_version = 0
        self.all_versions = set()

    def begin(self, port):
        self.stop.clear()
        self.threads = [LoadClient(model, port, self.stop) for model in self.models]
        for thread in self.threads:
            thread.start()

    def end(self):
        """Waits for the clients; what no fault explains."""
        self.stop.set()
        problems = []
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                problems.append(f"{thread.model.name} hangs")
            if thread.problem:
                problems.append(f"{thread.model.name}: {thread.problem}")
        self.threads = []
        return problems

    @property
    def acknowledged(self):
        return sum(len(model.versions) for model in self.models) + len(self.all_versions)

    def verify(self, client):
        """Compares a node with what was acknowledged: a list of what is wrong."""
        faults = self._check_versions(client)
        stored = client.all()
        for model in self.models:
            faults += self._check_client(model, stored)
        faults += self._check_counter(stored)
        owned = {key for model in self.models for key in model.known} | set(COUNTER)
        faults += [f"{key} was never written" for key in stored if key not in owned]
        return faults

    def _check_versions(self, client):
        faults = []
        for model in self.models:
            for before, after in zip(model.versions, model.versions[1:]):
                if after <= before:
                    faults.append(f"{model.name}: version {after} came after {before}")
            for version in model.versions:
                if version in self.all_versions:
                    faults.append(f"version {version} was given twice")
                self.all_versions.add(version)
            model.versions = []
        self.highest_version = max(self.all_versions, default=0)
        now = check(client.getReadVersion(ttypes.GetReadVersionRequest())).read_version
        if now < self.highest_version:
            faults.append(f"the node is at version {now}, but {self.highest_version} was "
                          "acknowledged")
        return faults

    @staticmethod
    def _check_client(model, stored):
        """Every key is as last acknowledged, or all keys of the open request are as it sets them."""
        faults = []
        applied = [stored.get(key) == value for key, value in model.pending.items()]
        if applied and all(applied):
            model.known.update(model.pending)
        model.pending = {}
        for key, value in model.known.items():
            if stored.get(key) != value:
                faults.append(f"{key}: {shown(stored.get(key))} instead of {shown(value)}")
        for key in stored:
            if key.startswith(model.name.encode() + b"/pair") and key.endswith(b"/a"):
                other = key[:-1] + b"b"
                if stored.get(other) != stored[key]:
                    faults.append(f"half a transaction: {key} and {other} differ")
        return faults

    def _check_counter(self, stored):
        values = [int(stored.get(key, b"0")) for key in COUNTER]
        low = sum(model.added for model in self.models)
        high = low + sum(model.maybe_added for model in self.models)
        if values[0] != values[1]:
            return [f"half a transaction: the counter is {values}"]
        if not low <= values[0] <= high:
            return [f"the counter is {values[0]}; {low} additions were acknowledged, {high} sent"]
        # What was open is decided now.
        self.models[0].added += values[0] - low
        for model in self.models:
            model.maybe_added = 0
        return []


def shown(value):
    return "nothing" if value is None else f"{value[:24]!r} ({len(value)} bytes)"
