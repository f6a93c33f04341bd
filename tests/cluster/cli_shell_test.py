#!/usr/bin/env python3
"""cairn shell: over a pipe, and as a person sees it, on a pseudo terminal."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import stat
import struct
import subprocess
import termios
import time
import unittest

from cairn_process import BIN, NodeTestCase, cairn, wait_until
from ports import free_ports

DONE, NOT_FOUND, USAGE, REFUSED, UNREACHABLE = range(5)


class PipeTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        # A port that nobody else is given while a node is away.
        self.server = self.node().start(free_ports(1)[0])

    def shell(self, script, *arguments, expect=DONE):
        result = cairn("shell", *arguments, endpoints=self.server.endpoint, stdin=script.encode())
        self.assertEqual(expect, result.returncode, result)
        return result.stdout.decode(), result.stderr.decode()

    def test_lines_are_commands(self):
        said, complaints = self.shell('put k v # a comment\n\n# another\nget k\ncairn get k\n'
                                      'put "a key" \'it is "so"\'\nget "a key"\nget nothing\nrange\n')
        self.assertEqual('v\nv\nit is "so"\na key\tit is "so"\nk\tv\n', said)
        self.assertEqual("cairn: not found: nothing\n", complaints)

    def test_every_command_is_there(self):
        script = self.scratch / "script"
        script.write_text("add n 5\n")
        dump = self.scratch / "dump"
        said, _ = self.shell(f"txn {script}\ndump --out {dump}\ndelete n\nload {dump}\nget n\nstatus\n"
                             "cluster status\nbench --records 5 --seconds 0.1 --warmup 0\nman get\n"
                             "completion bash\nhelp cluster status\nhelp dram\nget --help\n--version\n")
        for words in ("after 1 attempt", "\n5\n", "committed_version: ", "leader", "closed loop of 64",
                      ".SH NAME", "complete -F _cairn cairn", "usage: cairn cluster status",
                      "usage: cairn get"):
            self.assertIn(words, said)

    def test_a_transaction_reads_its_own_writes(self):
        said, complaints = self.shell(
            "put a 1\nbegin\nget a\nput a 2\nput b 3\nget a\nrange\nrange --limit 1\ndelete a\n"
            "get a\nrange\ncommit\nget b\n")
        version = int(re.search(r"reading at version (\d+)", said).group(1))
        self.assertEqual(f"reading at version {version}\n1\n2\na\t2\nb\t3\na\t2\nb\t3\n"
                         f"committed at version {version + 1}\n3\n", said)
        self.assertEqual("cairn: not found: a\n", complaints)

    def test_a_transaction_over_families_with_stamps(self):
        said, _ = self.shell("family create orders\nput k v\nbegin\nin orders\nput o 1\n"
                             "set-versionstamped-key log/ x\nget k --column-family default\nrange '' log\n"
                             "in default\nput k w\nconflict-key k\nconflict-range a b\ncommit\nget k\n"
                             "in orders\nget o\nrange --prefix log/ --count-only\n")
        self.assertRegex(said, r"^reading at version \d+\nv\nstamped log/.*\tx\n"
                               r"committed at version \d+\nw\n1\n1\n$")
        _, complaints = self.shell("conflict-key k\n", expect=USAGE)
        self.assertIn("there is no transaction", complaints)
        _, complaints = self.shell("begin\nset-versionstamped-value k x\nget k\n", expect=REFUSED)
        self.assertIn("FAILED_PRECONDITION", complaints)

    def test_a_transaction_deletes_a_range(self):
        said, _ = self.shell("put a1 v\nput a2 v\nput b v\nbegin\nput a3 v\ndelete --prefix a\n"
                             "range --count-only\ncommit\nrange\n")
        self.assertRegex(said, r"^reading at version \d+\n1\ncommitted at version \d+\nb\tv\n$")

    def test_help_is_of_the_shell(self):
        said, _ = self.shell("help\nhelp begin\nhelp get\n")
        self.assertTrue(said.startswith("Commands:\n  begin "), said)
        self.assertNotIn("Exit codes", said)
        self.assertIn("usage: cairn begin", said)
        _, complaints = self.shell("nonsense\n", expect=USAGE)
        self.assertIn("unknown command 'nonsense'; 'help' lists the commands", complaints)

    def test_a_conflict_is_said_and_ends_the_transaction(self):
        for read in ("get a", "range --prefix a"):
            _, complaints = self.shell(f"put a 1\nbegin\n{read}\nput a 2\n", expect=REFUSED)
            self.assertIn("ended without commit; the transaction was given up", complaints)
            with self.server.client() as client:
                self.assertEqual(b"1", client.value(b"a"))
            process = subprocess.Popen([BIN / "cairn", "shell", "--endpoints", self.server.endpoint],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            process.stdin.write(f"begin\n{read}\nput a 2\nget a\n".encode())
            process.stdin.flush()
            answers = [process.stdout.readline() for _ in range(3)]
            self.assertEqual(b"2\n", answers[-1], answers)
            with self.server.client() as client:
                client.set(b"a", b"9")
            _, complaints = process.communicate(b"commit\nput never 1\n", timeout=30)
            self.assertEqual(REFUSED, process.returncode)
            self.assertIn(b"CONFLICT", complaints)
            self.assertIn(b"stopped at line 5\n", complaints)
            with self.server.client() as client:
                self.assertEqual((b"9", None), (client.value(b"a"), client.value(b"never")))

    def test_json_and_forms(self):
        said, _ = self.shell("put 6b 00ff\nget 6b\nget --base64 aw==\nbegin\nput 6b 01\nrange\ncommit\n"
                             "begin\nabort\n", "--json", "--hex")
        documents = [json.loads(line) for line in said.splitlines()]
        self.assertEqual("AP8=", documents[1]["value_base64"])
        self.assertEqual("k", documents[2]["key"])
        self.assertTrue(documents[3]["begun"])
        self.assertEqual({"ok": True, "pending_writes": 1}, documents[4])
        self.assertEqual("\x01", documents[5]["key_values"][0]["value"])
        self.assertEqual((True, documents[3]["read_version"] + 1),
                         (documents[6]["committed"], documents[6]["version"]))
        self.assertEqual({"aborted": True}, documents[8])

    def test_what_is_wrong_is_said(self):
        for script, words in (
                ("gte k", "did you mean 'get'?"), ("get", "usage: cairn get"),
                ("put 'k", "a quote is not closed"), ("commit", "there is no transaction"),
                ("abort", "there is no transaction"), ("begin\nbegin", "begun already"),
                ("begin\nload x", "transactions of its own"), ("put k -", "standard input"),
                ("load", "standard input"), ("txn", "standard input"),
                ("begin\nput k -", "standard input"), ("help nonsense", "no command 'nonsense'"),
                ("shell", "unknown command 'shell'"), ("get \\xzz", "KEY"),
                ("begin\nget --at-version 1 k", "--at-version"), ("begin\nget k\nget \\x", "line 3")):
            _, complaints = self.shell(script + "\nput late 1\n", expect=USAGE)
            self.assertIn(words, complaints)
        with self.server.client() as client:
            self.assertIsNone(client.value(b"late"))
        result = cairn("shell", endpoints="127.0.0.1:1", stdin=b"get k\n")
        self.assertEqual(UNREACHABLE, result.returncode)

    def test_a_node_that_comes_back(self):
        process = subprocess.Popen([BIN / "cairn", "shell", "--endpoints", self.server.endpoint],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(b"put k v\nget k\n")
        process.stdin.flush()
        self.assertEqual(b"v\n", process.stdout.readline())
        port = self.server.port
        self.server.kill()
        self.server.start(port)
        self.assertEqual((b"", None), process.communicate(b"", timeout=30))
        said, _ = self.shell("get k\n")
        self.assertEqual("v\n", said)


class Screen:
    """A shell, or another command, on a terminal of 24 lines and 100 columns."""

    def __init__(self, *arguments, home, endpoint, command=("shell",)):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {"HOME": str(home), "TERM": "xterm", "PATH": os.environ["PATH"],
                           "CAIRN_ENDPOINTS": endpoint, "LC_ALL": "C.UTF-8"}
            os.execve(BIN / "cairn", ["cairn", *command, *arguments], environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        # Without what moves the cursor and colours the text.
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", data.decode(errors="replace"))
        return bool(data)

    def expect(self, pattern, seconds=30):
        """Waits until the screen shows it; forgets all up to there."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            if time.monotonic() > deadline or not self.read(0.2):
                raise AssertionError(f"no {pattern!r} on the screen, but: {self.text!r}")
        self.text = self.text[found.end():]
        return found

    def prompt(self, prompt="cairn> "):
        """Waits until a line can be typed: the prompt comes a moment before the terminal hands over
        single keys."""
        self.expect(re.escape(prompt))
        wait_until(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, "keys are read")

    def end(self):
        deadline = time.monotonic() + 30
        while self.read(0.1) and time.monotonic() < deadline:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class TerminalTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.node().start()
        self.home = self.scratch / "home"
        self.home.mkdir()

    def screen(self, *arguments):
        return Screen(*arguments, home=self.home, endpoint=self.server.endpoint)

    def test_a_session(self):
        screen = self.screen()
        screen.expect("'help' lists the commands")
        screen.prompt()
        screen.type("put fruit/apple red\r")
        screen.prompt()
        screen.type("get fruit/apple\r")
        screen.expect("\nred\n")
        screen.type("begin\r")
        screen.expect(r"reading at version \d+")
        screen.prompt("cairn*> ")
        screen.type("put fruit/apple green\r")
        screen.prompt("cairn*> ")
        screen.type("nonsense\r")
        screen.expect("unknown command 'nonsense'")
        screen.prompt("cairn*> ")
        screen.type("commit\r")
        screen.expect(r"committed at version \d+")
        screen.prompt()
        screen.type("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\r")  # five lines back: get fruit/apple
        screen.expect("\ngreen\n")
        screen.prompt()
        screen.type("\x04")
        self.assertEqual(DONE, screen.end())

    def test_completion(self):
        with self.server.client() as client:
            client.set(b"fruit/apple", b"red")
            client.set(b"fruit/apricot", b"orange")
            client.set(b"fruit/a b", b"not offered")
        screen = self.screen("--no-history")
        screen.prompt()
        screen.type("ran\t")
        screen.expect("range ")
        screen.type("--pre\tfr\t")
        screen.expect("--prefix fruit/ap")
        screen.type("p\t\r")
        screen.expect("fruit/apple\tred|fruit/apple +red")
        screen.prompt()
        screen.type("get fruit/ap\t")
        screen.expect(r"\nfruit/apple\nfruit/apricot\n")
        screen.type("r\t\r")
        screen.expect("\norange\n")
        screen.prompt()
        screen.type("help cl\t")
        screen.expect("help cluster ")
        screen.type("ver\t\r")
        screen.expect("usage: cairn cluster verify")
        screen.prompt()
        screen.type("get k --read-level \t")
        screen.expect("leader\nlocal\nread_index\n")
        screen.type("\x03")
        screen.expect(r"\^C")
        screen.prompt()
        script = self.scratch / "one-script"
        script.write_text("get fruit/apple\n")
        screen.type(f"txn {self.scratch}/one-\t\r")
        screen.expect("fruit/apple\\s+red")
        screen.prompt()
        screen.type("quit\r")
        self.assertEqual(DONE, screen.end())
        self.assertFalse((self.home / ".cairn_history").exists())

    def test_a_range_is_deleted_after_a_question(self):
        with self.server.client() as client:
            client.set(b"k1", b"v")
            client.set(b"k2", b"v")
        for answer, left, code in (("no", b"v", USAGE), ("yes", None, DONE)):
            screen = Screen(home=self.home, endpoint=self.server.endpoint,
                            command=("delete", "--prefix", "k"))
            screen.expect(r"delete 2 keys for good\? Type yes: ")
            screen.type(answer + "\r")
            screen.expect("deleted 2 keys" if left is None else "nothing was deleted")
            self.assertEqual(code, screen.end())
            with self.server.client() as client:
                self.assertEqual(left, client.value(b"k1"))

    def test_what_waits_for_lines_at_a_terminal_says_so(self):
        for command, wanted, typed, done in (
                (("load",), r"keys and values \(cairn load FILE reads a file\)", "k\tv\n",
                 "loaded 1 keys"),
                (("txn",), "the steps of a transaction", "set l w\n", "committed at version"),
                (("put", "m", "-"), "the value", "x\n", "")):
            screen = Screen(home=self.home, endpoint=self.server.endpoint, command=command)
            screen.expect(f"cairn: reading {wanted}.* from the terminal; Ctrl-D")
            screen.type(typed + "\x04")
            screen.expect(done)
            self.assertEqual(DONE, screen.end())
        with self.server.client() as client:
            self.assertEqual(b"v", client.value(b"k"))
            self.assertEqual(b"x\n", client.value(b"m"))

    def test_history_is_kept(self):
        screen = self.screen()
        screen.prompt()
        screen.type("put k kept\r")
        screen.prompt()
        screen.type("exit\r")
        self.assertEqual(DONE, screen.end())
        path = self.home / ".cairn_history"
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        screen = self.screen()
        screen.prompt()
        screen.type("get k\r")
        screen.expect("\nkept\n")
        screen.prompt()
        screen.type("\x1b[A\x1b[A\x1b[A")  # get k, exit, put k kept
        screen.expect("put k kept")
        screen.type("\x7f\x7f\x7f\x7fnew\r")
        screen.prompt()
        with self.server.client() as client:
            self.assertEqual(b"new", client.value(b"k"))
        screen.type("\x04")
        self.assertEqual(DONE, screen.end())
        other = pathlib.Path(self.scratch, "other")
        screen = self.screen("--history", str(other))
        screen.prompt()
        screen.type("get k\r")
        screen.expect("\nnew\n")
        screen.prompt()
        screen.type("\x04")
        screen.end()
        self.assertIn("get", other.read_text())

    def test_interrupts_and_forgotten_transactions(self):
        screen = self.screen()
        screen.prompt()
        screen.type("put k never\x03")
        screen.expect(r"\^C")
        screen.prompt()
        screen.type("begin\r")
        screen.prompt("cairn*> ")
        screen.type("put k never\r")
        screen.prompt("cairn*> ")
        screen.type("\x04")
        screen.expect("the transaction was given up")
        self.assertEqual(DONE, screen.end())
        with self.server.client() as client:
            self.assertIsNone(client.value(b"k"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
