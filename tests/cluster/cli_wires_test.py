#!/usr/bin/env python3
"""cairn over both wires: the commands on data by grpc:// endpoints, several endpoints, and writes
whose answers are lost."""
import contextlib
import json
import signal
import socket
import subprocess
import time
import unittest

from cairn_process import BIN, NodeTestCase, cairn
from cut_proxy import CutProxy
from freeze import freeze
from ports import free_ports

DONE, NOT_FOUND, USAGE, REFUSED, UNREACHABLE, TIMED_OUT = range(6)
WIRES = ("thrift", "grpc")


class WireTestCase(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.node().start()

    def endpoint(self, wire):
        self.server.read_output()
        return (f"grpc://{self.server.grpc_endpoint}" if wire == "grpc" else self.server.endpoint)

    def run_cairn(self, wire, *arguments, stdin=b"", expect=DONE):
        result = cairn(*arguments, endpoints=self.endpoint(wire), stdin=stdin)
        self.assertEqual(expect, result.returncode, f"{wire} {arguments}: {result}")
        return result

    def json(self, *arguments, **options):
        return json.loads(self.run_cairn(*arguments, "--json", **options).stdout)


class CommandsTest(WireTestCase):
    def test_all_commands_on_data(self):
        for wire in WIRES:
            self.run_cairn(wire, "put", "k", "v")
            self.assertEqual(b"v\n", self.run_cairn(wire, "get", "k").stdout)
            self.run_cairn(wire, "get", "none", expect=NOT_FOUND)
            said = self.run_cairn(wire, "txn", stdin=b"get k\nset l w\nadd n 2\n").stdout
            self.assertRegex(said, rb"^k\tv\ncommitted at version \d+ after 1 attempt\n$")
            self.assertEqual(b"k\tv\nl\tw\nn\t2\n", self.run_cairn(wire, "range").stdout)
            self.assertEqual(b"n\t2\nl\tw\n",
                             self.run_cairn(wire, "range", "--reverse", "--limit", "2").stdout)
            dump = self.run_cairn(wire, "dump").stdout
            for key in ("k", "l", "n"):
                self.run_cairn(wire, "delete", key)
            self.assertEqual(b"", self.run_cairn(wire, "range").stdout)
            self.assertEqual(b"loaded 3 keys\n", self.run_cairn(wire, "load", stdin=dump).stdout)
            said = self.run_cairn(wire, "shell", stdin=b"begin\nget k\ndelete k\nrange\ncommit\n"
                                                       b"get l\ndelete l\ndelete n\n").stdout
            self.assertRegex(said, rb"^reading at version \d+\nv\nl\tw\nn\t2\n"
                                   rb"committed at version \d+\nw\n$")
            self.run_cairn(wire, "family", "create", "other")
            self.run_cairn(wire, "put", "--column-family", "other", "k", "there")
            self.assertEqual(b"default\nother\n", self.run_cairn(wire, "family", "list").stdout)
            self.run_cairn(wire, "family", "drop", "other")
            self.run_cairn(wire, "get", "--column-family", "other", "k", expect=REFUSED)
            self.run_cairn(wire, "put", "x" * 20_000, "v", expect=REFUSED)
            self.run_cairn(wire, "get", "k", "--at-version", 10**9, expect=REFUSED)

    def test_a_long_range_is_of_one_version(self):
        lines = b"".join(b"k%05d\t%s\n" % (i, b"v" * 500) for i in range(5000))
        for wire in WIRES:
            self.run_cairn(wire, "load", stdin=lines)
            self.assertEqual(lines, self.run_cairn(wire, "range").stdout)
            answer = self.json(wire, "range", "--keys-only", "--limit", "4999")
            self.assertEqual((4999, True), (answer["count"], answer["has_more"]))
            answer = self.json(wire, "range", "--keys-only", "--limit", "5000")
            self.assertEqual((5000, False), (answer["count"], answer["has_more"]))
            backwards = b"".join(reversed(lines.splitlines(keepends=True)))
            self.assertEqual(backwards, self.run_cairn(wire, "range", "--reverse").stdout)
            answer = self.json(wire, "delete", "--prefix", "k", "--yes")
            self.assertEqual((5000, 5), (answer["deleted"], answer["steps"]))
            self.assertEqual(b"0\n", self.run_cairn(wire, "range", "--count-only").stdout)


class EndpointsTest(WireTestCase):
    def test_the_next_endpoint_is_tried(self):
        port = free_ports(1)[0]
        for wire, scheme in (("thrift", ""), ("grpc", "grpc://")):
            both = f"{scheme}127.0.0.1:{port},{self.endpoint(wire)}"
            for arguments in (("put", "k", wire), ("get", "k"), ("range",)):
                result = cairn(*arguments, endpoints=both)
                self.assertEqual(DONE, result.returncode, result)
            self.assertIn(wire.encode(), result.stdout)

    def within(self, seconds, expect, *arguments, endpoints):
        """The result of a command that ends in less than so many seconds, once in three times: a
        machine that stands still makes one late, waiting for more than the time makes all of them."""
        taken = []
        for _ in range(3):
            begun = time.monotonic()
            result = cairn(*arguments, endpoints=endpoints)
            taken.append(round(time.monotonic() - begun, 2))
            if taken[-1] < seconds:
                self.assertEqual(expect, result.returncode, result)
                return result
        self.fail(f"{arguments}: {taken} s, never less than {seconds} s: {result}")

    def test_nodes_that_hang_take_no_more_than_the_time(self):
        with contextlib.ExitStack() as stack:
            silent = []
            for _ in range(2):
                # Connections are taken, by the kernel, and nobody answers.
                listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                silent.append(f"127.0.0.1:{listener.getsockname()[1]}")
            for wire in WIRES:
                hung = [("grpc://" if wire == "grpc" else "") + endpoint for endpoint in silent]
                for command in (["put", "k", "v"], ["get", "k"], ["cluster", "members"],
                                ["status"], ["cluster", "status"]):
                    with self.subTest(wire=wire, command=command):
                        # A node of its own has no members.
                        refused = command == ["cluster", "members"]
                        self.within(3, REFUSED if refused else DONE, *command, "--timeout-ms", "3000",
                                    endpoints=",".join(hung + [self.endpoint(wire)]))
                        for endpoints in (hung[0], ",".join(hung)):
                            failed = self.within(1.1, TIMED_OUT, *command, "--json", "--timeout-ms",
                                                 "600", endpoints=endpoints)
                            error = json.loads(failed.stdout)["error"]
                            self.assertEqual("TIMEOUT", error["code"])
                            self.assertNotIn("maybe_applied", error)  # nothing was sent

    def test_what_is_wrong_is_said(self):
        mixed = f"{self.endpoint('thrift')},{self.endpoint('grpc')}"
        for endpoints, expect, words in (
                (mixed, USAGE, b"all endpoints with grpc://"),
                ("http://127.0.0.1:1", USAGE, b"no wire 'http'"),
                ("grpc://127.0.0.1:1", UNREACHABLE, b"127.0.0.1:1"),
                ("127.0.0.1:1,127.0.0.1:2", UNREACHABLE, b"127.0.0.1:2")):
            result = cairn("get", "k", endpoints=endpoints)
            self.assertEqual(expect, result.returncode, result)
            self.assertIn(words, result.stderr)
        for command in (("status",), ("cluster", "members"), ("bench", "--seconds", "1"), ("load",),
                        ("backup", self.scratch / "backup")):
            result = cairn(*command, endpoints=mixed)
            self.assertEqual(USAGE, result.returncode, result)
            self.assertIn(b"all endpoints with grpc://", result.stderr)

    def test_the_port_of_another_wire_is_told_from_a_node_that_is_away(self):
        thrift, grpc = self.endpoint("thrift"), self.endpoint("grpc").removeprefix("grpc://")
        http = self.server.http_endpoint
        for endpoint, words in ((f"grpc://{thrift}", b"Thrift port (HOST:PORT without grpc://)"),
                                (f"grpc://{http}", b"or its HTTP port"),
                                (grpc, b"gRPC port (grpc://HOST:PORT)")):
            for command in (("get", "k"), ("put", "k", "v"), ("range",), ("status",),
                            ("cluster", "members"), ("family", "list"), ("dump", "--retry", "0"),
                            ("bench", "--seconds", "1")):
                # An error, well within the time of the command.
                result = cairn(*command, endpoints=endpoint, seconds=20)
                self.assertEqual(UNREACHABLE, result.returncode, f"{command}: {result}")
                self.assertIn(words, result.stderr, command)


class LostAnswerTest(WireTestCase):
    """A write whose answer never comes."""

    def proxied(self, wire, proxy):
        return ("grpc://" if wire == "grpc" else "") + proxy.endpoint

    def unanswered(self, proxy, *arguments, endpoint, stdin=b""):
        """The result of a write that was sent, and got no answer. Once more if it was not sent: the
        machine stood still for all of its time."""
        for _ in range(3):
            before = proxy.cuts
            result = cairn(*arguments, "--timeout-ms", 1500, endpoints=endpoint, stdin=stdin)
            self.assertIn(result.returncode, (UNREACHABLE, TIMED_OUT), result)
            if proxy.cuts > before:
                break
        return result

    def test_a_write_that_is_sent_again_is_applied_once(self):
        for wire in WIRES:
            # The mark is in the commit alone.
            script = b"add n%s 1\nset m%s the-mark-of-the-test\n" % (wire.encode(), wire.encode())
            with CutProxy(self.endpoint(wire).removeprefix("grpc://"), b"the-mark-of-the-test",
                          cuts=1) as proxy:
                result = cairn("txn", stdin=script, endpoints=self.proxied(wire, proxy))
                self.assertEqual(DONE, result.returncode, result)
                # Sent again under its number, not run again.
                self.assertIn(b"after 1 attempt\n", result.stdout)
                self.assertEqual(1, proxy.cuts)
            self.assertEqual(b"1\n", self.run_cairn(wire, "get", "n" + wire).stdout)

    def test_one_that_may_have_been_applied_says_so(self):
        for wire in WIRES:
            target = self.endpoint(wire).removeprefix("grpc://")
            with CutProxy(target, b"the-mark-of-the-test", cuts=10**6) as proxy:
                endpoint = self.proxied(wire, proxy)
                put = ("put", "p" + wire, "the-mark-of-the-test")
                # Each try takes the proxy's quiet moment.
                result = self.unanswered(proxy, *put, endpoint=endpoint)
                self.assertIn(b"; the write may have been applied", result.stderr)
                for arguments, stdin in ((put, b""), (("delete", "the-mark-of-the-test" + wire), b""),
                                         (("txn",), b"set the-mark-of-the-test v\n")):
                    result = self.unanswered(proxy, *arguments, "--json", endpoint=endpoint,
                                             stdin=stdin)
                    self.assertIs(True, json.loads(result.stdout)["error"]["maybe_applied"], result)
                self.assertGreaterEqual(proxy.cuts, 4)
            # And so it was.
            self.assertEqual(b"the-mark-of-the-test\n",
                             self.run_cairn(wire, "get", "p" + wire).stdout)

    def test_a_node_that_stops_answering(self):
        for wire in WIRES:
            shell = subprocess.Popen(
                [BIN / "cairn", "shell", "--json", "--timeout-ms", "4000", "--endpoints",
                 self.endpoint(wire)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            shell.stdin.write(b"put k v\nbegin\nget k\nput k w\n")
            shell.stdin.flush()
            answers = [json.loads(shell.stdout.readline()) for _ in range(4)]
            self.assertEqual({"ok": True, "pending_writes": 1}, answers[-1])
            freeze(self.server.process)
            try:
                out = shell.communicate(b"commit\n", timeout=30)[0]
            finally:
                self.server.process.send_signal(signal.SIGCONT)
            self.assertEqual(TIMED_OUT, shell.returncode, out)
            error = json.loads(out)["error"]
            self.assertEqual(("TIMEOUT", True), (error["code"], error["maybe_applied"]))

    def test_what_was_never_sent_was_not_applied(self):
        result = cairn("put", "k", "v", "--json", endpoints="127.0.0.1:1")
        self.assertEqual(UNREACHABLE, result.returncode)
        self.assertNotIn("maybe_applied", json.loads(result.stdout)["error"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
