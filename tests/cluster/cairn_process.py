"""Nodes and the command line as processes, for tests: started, stopped, killed, and waited for by
events or by polling with a deadline.

The environment tells where things are (set by CMake, see CMakeLists.txt):
    CAIRN_BIN      folder of cairnd and cairn       default: build/bin
    CAIRN_GEN_PY   folder of the module `kvstore`   default: build/gen-py
    CAIRN_SHIM     tests/shim/drop_unsynced.c, built; default: build/lib/drop_unsynced.so
"""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAIRN_BIN", ROOT / "build/bin"))
SHIM = pathlib.Path(os.environ.get("CAIRN_SHIM", ROOT / "build/lib/drop_unsynced.so"))
sys.path.insert(0, os.environ.get("CAIRN_GEN_PY", str(ROOT / "build/gen-py")))

from kvstore import TransactionalKV, ttypes  # noqa: E402  pylint: disable=wrong-import-position
from thrift.protocol import TBinaryProtocol  # noqa: E402  pylint: disable=wrong-import-position
from thrift.transport import TSocket, TTransport  # noqa: E402  pylint: disable=wrong-import-position

START_SECONDS = 60
STOP_SECONDS = 60
SET_SECONDS = 20  # an election or two

__all__ = ["ROOT", "BIN", "SHIM", "ttypes", "Node", "Client", "NodeTestCase", "cairn", "wait_until",
           "pause"]


def pause(seconds):
    """Lets time pass where passing time is the point: a load that runs for a while."""
    threading.Event().wait(seconds)


def wait_until(condition, what, seconds=30):
    """Polls until `condition()` is true; its value. Fails after a while."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        pause(0.02)


class Node:
    """A cairnd. Serving when `start` returns; `port` is then its Thrift port. `folder`: of its data;
    None leaves it to its configuration."""

    def __init__(self, folder, arguments=(), environment=None):
        self.folder = None if folder is None else pathlib.Path(folder)
        self.arguments = [str(argument) for argument in arguments]
        self.environment = dict(environment or {})
        self.host = "127.0.0.1"  # where it listens
        self.prefix = []         # of its command: where it is to run
        self.directory = None    # that it runs in; None: the test's own
        self.process = None
        self.port = None
        self.output = ""

    def launch(self, port=0):
        """Starts the process without waiting for it to serve."""
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("THRIFT_PORT", "CAIRN_ENDPOINTS", "NOTIFY_SOCKET")}
        environment.update(self.environment)
        folder = [] if self.folder is None else ["--data-dir", str(self.folder)]
        command = [*self.prefix, str(BIN / "cairnd"), *folder, *self.arguments]
        if port is not None:
            command += ["--port", str(port)]
            # Tests run side by side: none may depend on a port of the defaults being free.
            for flag in ("--grpc-port", "--http-port"):
                if flag not in self.arguments:
                    command += [flag, "0"]
        self.output = ""
        self.port = None
        # Ended by its owner, never left behind: each test kills what it started.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment,
                                        cwd=self.directory)
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def start(self, port=0, seconds=START_SECONDS):
        self.launch(port)
        return self.await_serving(seconds)

    def await_serving(self, seconds=START_SECONDS):
        """Until a launched node serves."""
        deadline = time.monotonic() + seconds
        while self.port is None:
            self.read_output(max(0.0, deadline - time.monotonic()))
            found = re.search(r"serving Thrift on \S+:(\d+), data in", self.output)
            if found:
                self.port = int(found.group(1))
            elif self.process.poll() is not None:
                raise AssertionError(f"cairnd ended with {self.process.returncode}:\n{self.output}")
            elif time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"cairnd does not serve after {seconds} s:\n{self.output}")
        return self

    def read_output(self, seconds=0.0):
        """Gathers what the process has said, waiting for up to `seconds` for more."""
        pipe = self.process.stdout
        if select.select([pipe], [], [], seconds)[0]:
            data = pipe.read()
            if data:
                self.output += data.decode(errors="replace")
        return self.output

    def wait(self, seconds=STOP_SECONDS):
        """The exit code of a process that ends by itself."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read_output(0.05)  # keeps the pipe from filling up
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"cairnd does not end within {seconds} s:\n{self.output}")
        self.read_output()
        self.process.stdout.close()
        return self.process.returncode

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.wait()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and not self.process.stdout.closed:
            self.read_output()
            self.process.stdout.close()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def endpoint(self):
        return f"{self.host}:{self.port}"

    @property
    def grpc_endpoint(self):
        """Where it serves gRPC; None if it does not."""
        found = re.search(r"gRPC on (\S+)", self.output)
        return found.group(1) if found else None

    @property
    def http_endpoint(self):
        """Where it serves metrics and health; None if it does not."""
        found = re.search(r"^  HTTP on (\S+)$", self.output, re.MULTILINE)
        return found.group(1) if found else None

    def client(self, seconds=30):
        return Client(self.port, seconds, self.host)


class Client:
    """A Thrift connection, as clients of the old wire make it; methods are those of the service."""

    def __init__(self, port, seconds=30, host="127.0.0.1"):
        socket = TSocket.TSocket(host, port)
        socket.setTimeout(seconds * 1000)
        self._transport = TTransport.TBufferedTransport(socket)
        self._service = TransactionalKV.Client(
            TBinaryProtocol.TBinaryProtocolAccelerated(self._transport))
        self._transport.open()

    def __getattr__(self, name):
        return getattr(self._service, name)

    def close(self):
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def set(self, key, value):
        """Sets a key; the version of the commit. Again if the leader changed under it, which does no
        harm: it is the same value. Raises on another error."""
        deadline = time.monotonic() + 30
        while True:
            answer = self._service.setKey(ttypes.SetRequest(key=key, value=value,
                                                            deadline_ms=SET_SECONDS * 1000))
            if answer.error is None:
                return answer.version
            if answer.error_code != "UNAVAILABLE" or time.monotonic() > deadline:
                raise RuntimeError(f"{answer.error_code}: {answer.error}")
            pause(0.02)

    def value(self, key):
        """The value of a key; None if there is none. Raises on an error."""
        answer = self._service.get(ttypes.GetRequest(key=key))
        if answer.error is not None:
            raise RuntimeError(answer.error)
        return answer.value if answer.found else None

    def all(self, begin=b"", end=b"\xff"):
        """Every key and value of a range."""
        found = {}
        included = True
        while True:
            answer = self._service.getRange(ttypes.GetRangeRequest(
                begin_key=begin, begin_or_equal=included, end_key=end, limit=0))
            if answer.error is not None:
                raise RuntimeError(answer.error)
            found.update((pair.key, pair.value) for pair in answer.key_values)
            if not answer.has_more:
                return found
            begin, included = answer.key_values[-1].key, False


def cairn(*arguments, endpoints=None, stdin=b"", environment=None, seconds=60):
    """Runs the command line; the completed process, with bytes in stdout and stderr."""
    variables = {name: value for name, value in os.environ.items() if name != "CAIRN_ENDPOINTS"}
    if endpoints is not None:
        variables["CAIRN_ENDPOINTS"] = endpoints
    variables.update(environment or {})
    return subprocess.run([str(BIN / "cairn"), *[str(a) for a in arguments]], input=stdin,
                          capture_output=True, timeout=seconds, env=variables, check=False)


class NodeTestCase(unittest.TestCase):
    """A test with a scratch folder and nodes that never outlive it."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="cairn-test-"))
        self.nodes = []
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def node(self, *arguments, folder=None, environment=None, config=None):
        """A node on a folder of this test, not started yet. `config` is TOML text."""
        arguments = list(arguments)
        if config is not None:
            path = self.scratch / f"config{len(self.nodes)}.toml"
            path.write_text(config)
            arguments += ["--config", path]
        made = Node(folder or self.scratch / "data", arguments, environment)
        self.nodes.append(made)
        return made

    def run_to_end(self, *arguments, environment=None, seconds=60):
        """Runs a cairnd that is to end by itself: exit code and all it said."""
        made = self.node(*arguments, environment=environment)
        made.launch(port=None)
        code = made.wait(seconds)
        return code, made.output
