#!/usr/bin/env python3
"""cairn as a process: each command, its output as text and as JSON, and its exit codes."""
import base64
import json
import os
import signal
import socket
import subprocess
import threading
import unittest

from cairn_process import BIN, NodeTestCase, cairn, ttypes, wait_until
from freeze import freeze

DONE, NOT_FOUND, USAGE, REFUSED, UNREACHABLE, TIMED_OUT = range(6)
ALL_BYTES = bytes(range(256))


class CommandTestCase(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.node().start()

    def run_cairn(self, *arguments, stdin=b"", expect=DONE):
        result = cairn(*arguments, endpoints=self.server.endpoint, stdin=stdin)
        self.assertEqual(expect, result.returncode, f"{arguments}: {result}")
        return result

    def text(self, *arguments, **options):
        return self.run_cairn(*arguments, **options).stdout.decode()

    def json(self, *arguments, **options):
        return json.loads(self.run_cairn(*arguments, "--json", **options).stdout)


class PointTest(CommandTestCase):
    def test_put_get_delete(self):
        self.assertEqual("", self.text("put", "k", "a value"))
        self.assertEqual("a value\n", self.text("get", "k"))
        self.assertEqual("", self.text("delete", "k"))
        result = self.run_cairn("get", "k", expect=NOT_FOUND)
        self.assertEqual((b"", b"cairn: not found: k\n"), (result.stdout, result.stderr))
        self.run_cairn("delete", "k")

    def test_any_bytes_in_every_form(self):
        with self.server.client() as client:
            client.set(ALL_BYTES, ALL_BYTES)
        escaped = "".join(f"\\x{byte:02x}" for byte in ALL_BYTES)
        coded = base64.b64encode(ALL_BYTES).decode()
        shown = self.text("get", escaped).removesuffix("\n")
        self.run_cairn("put", "copy", shown)
        self.assertEqual(ALL_BYTES, self.run_cairn("get", "--raw", "copy").stdout)
        self.assertEqual(ALL_BYTES.hex() + "\n", self.text("get", "--hex", ALL_BYTES.hex()))
        self.assertEqual(coded + "\n", self.text("get", "--base64", coded))
        self.run_cairn("put", "--hex", "6162", "00ff")
        self.run_cairn("put", "--base64", "YWM=", "AP8=")
        with self.server.client() as client:
            self.assertEqual(b"\x00\xff", client.value(b"ab"))
            self.assertEqual(b"\x00\xff", client.value(b"ac"))

    def test_values_from_standard_input(self):
        self.run_cairn("put", "k", "-", stdin=ALL_BYTES)
        self.assertEqual(ALL_BYTES, self.run_cairn("get", "--raw", "k").stdout)
        self.run_cairn("put", "--hex", "6b", "-", stdin=b"00ff\n")
        self.assertEqual(b"\x00\xff", self.run_cairn("get", "--raw", "k").stdout)

    def test_json(self):
        written = self.json("put", "k", "v")
        self.assertTrue(written["ok"])
        self.assertEqual({"found": True, "key": "k", "key_base64": "aw==", "value": "v",
                          "value_base64": "dg==", "version": written["version"]},
                         self.json("get", "k"))
        self.run_cairn("put", "k", "\\xff")
        self.assertNotIn("value", self.json("get", "k"))
        self.assertEqual("/w==", self.json("get", "k")["value_base64"])
        self.assertEqual({"found": False, "key": "nope", "key_base64": "bm9wZQ=="},
                         self.json("get", "nope", expect=NOT_FOUND))
        self.assertGreater(self.json("delete", "k")["version"], written["version"])

    def test_old_versions(self):
        first = self.json("put", "k", "old")["version"]
        self.run_cairn("put", "k", "new")
        self.assertEqual("old\n", self.text("get", "k", "--at-version", first))
        self.run_cairn("get", "k", "--at-version", first - 1, expect=NOT_FOUND)

    def test_column_families(self):
        result = self.run_cairn("put", "k", "v", "--column-family", "nope", expect=REFUSED)
        self.assertIn(b"nope", result.stderr)
        self.assertEqual("default\n", self.text("family", "list"))
        self.run_cairn("family", "create", "other")
        self.run_cairn("family", "create", "other")
        self.assertEqual("default\nother\n", self.text("family", "list"))
        self.run_cairn("put", "k", "there", "--column-family", "other")
        self.run_cairn("get", "k", expect=NOT_FOUND)
        self.assertEqual("there\n", self.text("--column-family", "other", "get", "k"))
        self.assertEqual("k\tthere\n", self.text("range", "--column-family", "other"))
        # A dump is of one family unless told otherwise, and says so.
        dump = self.run_cairn("dump")
        self.assertNotIn(b"there", dump.stdout)
        self.assertIn(b"not in this dump: column family other;", dump.stderr)
        dump = self.run_cairn("dump", "--column-family", "other")
        self.assertIn(b"there", dump.stdout)
        self.assertIn(b"not in this dump: column family default;", dump.stderr)
        self.assertEqual(["default", "other"], self.json("family", "list")["column_families"])
        self.assertGreater(self.json("family", "drop", "other")["version"], 0)
        self.assertEqual("default\n", self.text("family", "list"))
        self.assertEqual(b"", self.run_cairn("dump").stderr)
        self.run_cairn("get", "k", "--column-family", "other", expect=REFUSED)
        self.run_cairn("family", "create", "x" * 256, expect=REFUSED)

    def test_names_of_families_are_taken_as_they_are_shown(self):
        name = "a\\b\nc d\x7f'\""
        shown = "a\\\\b\\x0ac d\\x7f'\""
        with self.server.client() as client:
            answer = client.createColumnFamily(ttypes.CreateColumnFamilyRequest(name=name))
            self.assertIsNone(answer.error)
        self.assertEqual(f"default\n{shown}\n", self.text("family", "list"))
        self.assertEqual(["default", name], self.json("family", "list")["column_families"])
        # Also where keys and values have another form.
        self.run_cairn("put", "--hex", "6b", "76", "--column-family", shown)
        self.assertEqual("k\tv\n", self.text("range", "--column-family", shown))
        quoted = '"' + shown.replace('"', '\\"') + '"'
        self.assertEqual("k\tv\n", self.text("txn", stdin=f"in {quoted}\nget k\n".encode())
                         .split("committed")[0])
        self.assertEqual("v\n", self.text("shell", stdin=f"in {quoted}\nget k\nin default\n".encode()))
        self.assertEqual("v\n", self.text("shell", "--column-family", shown, stdin=b"get k\n"))
        self.assertIn(f"# of family {shown}\n", self.text("dump", "--column-family", shown))
        self.assertIn(f"not in this dump: column family {shown};",
                      self.run_cairn("dump").stderr.decode())
        said = self.text("bench", "--records", "1", "--seconds", "0.1", "--warmup", "0",
                         "--column-family", shown).splitlines()[-1]
        self.assertIn(f"left in column family {shown}: ", said)
        self.run_cairn("family", "create", shown)  # it is there
        self.run_cairn("family", "drop", shown)
        self.assertEqual("default\n", self.text("family", "list"))
        for command in (("family", "create", "\\q"), ("family", "drop", "\\q"),
                        ("get", "k", "--column-family", "\\q")):
            self.assertIn(b"\\q", self.run_cairn(*command, expect=USAGE).stderr)
        self.run_cairn("shell", stdin=b"in \\q\n", expect=USAGE)

    def test_read_levels(self):
        self.run_cairn("put", "k", "v")
        for level in ("local", "leader", "read_index"):
            self.assertEqual("v\n", self.text("get", "k", "--read-level", level))
        self.run_cairn("get", "k", "--read-level", "strong", expect=USAGE)


class RangeTest(CommandTestCase):
    def fill(self, count=2500):
        with self.server.client() as client:
            for i in range(count):
                client.set(b"k%04d" % i, b"v%d" % i)

    def test_pages_through_everything(self):
        self.fill()
        lines = self.text("range").splitlines()
        self.assertEqual([f"k{i:04}\tv{i}" for i in range(2500)], lines)
        answer = self.json("range", "--keys-only")
        self.assertEqual((2500, False), (answer["count"], answer["has_more"]))
        self.assertEqual({"key": "k2499", "key_base64": "azI0OTk="}, answer["key_values"][-1])

    def test_bounds(self):
        self.fill(20)
        self.assertEqual("k0003\tv3\nk0004\tv4\n", self.text("range", "k0003", "k0005"))
        self.assertEqual("k0003\tv3\nk0004\tv4\n",
                         self.text("range", "--begin", "k0003", "--end", "k0005"))
        self.assertEqual(10, len(self.text("range", "--prefix", "k001").splitlines()))
        answer = self.json("range", "--limit", "3")
        self.assertEqual((3, True), (answer["count"], answer["has_more"]))
        self.assertEqual((20, False), tuple(self.json("range", "--limit", "20")[name]
                                            for name in ("count", "has_more")))
        self.assertEqual([], self.json("range", "x", "y")["key_values"])
        self.assertEqual("", self.text("range", "x", "y"))
        self.run_cairn("range", "--prefix", "k", "--end", "l", expect=USAGE)

    def test_reverse_and_counts(self):
        self.fill(20)
        self.assertEqual("k0019\tv19\nk0018\tv18\n", self.text("range", "--reverse", "--limit", "2"))
        answer = self.json("range", "--reverse", "k0003", "k0006")
        self.assertEqual(["k0005", "k0004", "k0003"], [pair["key"] for pair in answer["key_values"]])
        self.assertEqual("20\n", self.text("range", "--count-only"))
        self.assertEqual("10\n", self.text("range", "--count-only", "--prefix", "k001"))
        self.assertEqual("5+\n", self.text("range", "--count-only", "--limit", "5"))
        answer = self.json("range", "--count-only", "--limit", "5")
        self.assertEqual({"count": 5, "has_more": True, "version": answer["version"]}, answer)
        self.assertIn(b"ends before it begins", self.run_cairn("range", "b", "a", expect=USAGE).stderr)

    def test_a_range_is_deleted_in_steps(self):
        self.fill(2100)
        self.run_cairn("put", "other", "stays")
        refused = self.run_cairn("delete", "--prefix", "k", expect=USAGE)
        self.assertIn(b"--yes", refused.stderr)
        self.assertIn(b"there are 2100", refused.stderr)
        self.assertEqual("2101\n", self.text("range", "--count-only"))
        self.assertEqual("deleted 1 key\n",
                         self.text("delete", "--begin", "k0099", "--end", "k0100", "--yes"))
        answer = self.json("delete", "--prefix", "k", "--yes")
        self.assertEqual((True, 2099, 3), tuple(answer[name] for name in ("ok", "deleted", "steps")))
        self.assertEqual("other\tstays\n", self.text("range"))
        self.assertEqual("deleted 0 keys\n", self.text("delete", "--prefix", "k", "--yes"))
        self.assertEqual("deleted 1 key\n", self.text("delete", "--begin", "l", "--yes"))
        for arguments in ([], ["k", "--prefix", "k"], ["--prefix", "k", "--end", "l"],
                          ["--begin", "b", "--end", "a"]):
            self.run_cairn("delete", *arguments, expect=USAGE)

    def test_prefixes_of_ff(self):
        with self.server.client() as client:
            for key in (b"a", b"\xfe\xff", b"\xfe\xff\xff", b"\xff", b"\xff\xff", b"\xff\xffz"):
                client.set(key, b"v")
        self.assertEqual(2, self.json("range", "--prefix", "\\xfe\\xff")["count"])
        self.assertEqual(3, self.json("range", "--prefix", "\\xff")["count"])
        self.assertEqual(2, self.json("range", "--prefix", "\\xff\\xff")["count"])
        self.assertEqual(6, self.json("range")["count"])  # all there are

    def test_all_pages_are_of_one_version(self):
        self.fill(2000)
        with self.server.client() as client:
            for name in (b"k0000", b"k1999"):
                client.set(name, b"0")
        stop = threading.Event()

        def write():
            with self.server.client() as client:
                i = 0
                while not stop.is_set():
                    for name in (b"k0000", b"k1999"):
                        client.set(name, b"%d" % i)
                    i += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                lines = self.text("range").splitlines()
                first, last = (int(lines[i].split("\t")[1]) for i in (0, -1))
                # The first key is written first: at one version it is equal or one ahead.
                self.assertIn(first - last, (0, 1))
        finally:
            stop.set()
            writer.join()


class StatusTest(CommandTestCase):
    def test_figures(self):
        self.run_cairn("put", "k", "v")
        status = self.json("status")
        self.assertEqual(self.server.endpoint, status["endpoint"])
        self.assertEqual("healthy", status["cluster"]["status"])
        self.assertEqual(1, status["cluster"]["total_nodes"])
        self.assertTrue(status["cluster"]["leader"]["is_leader"])
        # A session was opened and ended for it; for the answer to the latter the client does not wait long.
        wait_until(lambda: self.json("status")["database"]["write_operations"] == 3, "three writes")
        self.assertGreaterEqual(status["committed_version"], 2)
        node = status["cluster"]["nodes"][0]
        self.server.read_output()
        self.assertEqual((self.server.grpc_endpoint, self.server.http_endpoint),
                         (node["grpc_endpoint"], node["http_endpoint"]))
        self.assertEqual(status["committed_version"], node["applied_version"])
        text = self.text("status")
        self.assertIn("status: healthy, 1 of 1 nodes are healthy", text)
        self.assertEqual(1, text.count("leader"))
        self.assertRegex(text, r"  \d+ +leader +healthy +\S+:\d+ +\S+:\d+ +\S+:\d+ +\d+ +00:\d\d:\d\d  "
                               r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n")
        # The same of a gRPC endpoint.
        again = json.loads(cairn("status", "--json",
                                 endpoints=f"grpc://{self.server.grpc_endpoint}").stdout)
        self.assertEqual(status["cluster"]["nodes"][0]["node_id"],
                         again["cluster"]["nodes"][0]["node_id"])

    def test_entries_are_not_called_keys(self):
        for _ in range(3):
            self.run_cairn("put", "k", "v")
        shown = self.text("status")
        self.assertRegex(shown, r"\n  entries, by estimate and with old versions: \d+\n")
        self.assertNotIn("keys", shown)


class TransactionTest(CommandTestCase):
    def test_a_script_commits_as_one(self):
        self.run_cairn("put", "a", "1")
        said = self.text("txn", stdin=b"get a\nget none\nset b \"two words\"\nadd a 41\nget a\n"
                                      b"delete c\n")
        self.assertEqual(["a\t1", "none (not found)", "a\t42"], said.splitlines()[:3])
        self.assertRegex(said.splitlines()[3], r"^committed at version \d+ after 1 attempt$")
        self.assertEqual("two words\n", self.text("get", "b"))

    def conflicting(self):
        return (f"add n 1\nexec-once '{BIN}/cairn' put n 10\n").encode()

    def test_a_conflict_is_retried(self):
        environment = {"CAIRN_ENDPOINTS": self.server.endpoint}
        result = cairn("txn", stdin=self.conflicting(), environment=environment)
        self.assertEqual(DONE, result.returncode, result)
        self.assertIn(b"CONFLICT", result.stderr)
        self.assertIn(b"after 2 attempts", result.stdout)
        self.assertEqual("11\n", self.text("get", "n"))

    def test_without_retries_it_is_refused_and_changes_nothing(self):
        result = cairn("txn", "--retry", "0", "--json", stdin=self.conflicting(),
                       environment={"CAIRN_ENDPOINTS": self.server.endpoint})
        self.assertEqual(REFUSED, result.returncode)
        self.assertEqual("CONFLICT", json.loads(result.stdout)["error"]["code"])
        self.assertEqual("10\n", self.text("get", "n"))

    def test_ranges_and_families(self):
        self.run_cairn("family", "create", "orders")
        self.run_cairn("load", stdin=b"a1\tv1\na2\tv2\nb\tv3\n")
        said = self.text("txn", stdin=b"set a3 mine\ndelete a1\nrange a b\nin orders\nset o 1\nget o\n"
                                      b"in default\nrange b \"\"\n").splitlines()
        self.assertEqual(["a2\tv2", "a3\tmine", "o\t1", "b\tv3"], said[:-1])
        self.assertEqual("o\t1\n", self.text("range", "--column-family", "orders"))
        self.assertEqual("a2\na3\nb\n", self.text("range", "--keys-only"))
        # All or nothing, over both.
        self.run_cairn("txn", stdin=b"set x 1\nin nowhere\nset y 1\n", expect=REFUSED)
        self.run_cairn("get", "x", expect=NOT_FOUND)

    def test_versionstamps(self):
        answer = self.json("txn", stdin=b"set first 1\nset-versionstamped-key log/ entry\n"
                                        b"set-versionstamped-value last at:\n")
        stamps = [answer["version"].to_bytes(8, "big") + order.to_bytes(2, "big") for order in (1, 2)]
        made = [base64.b64decode(answer["stamped"][i][name])
                for i, name in ((0, "key_base64"), (1, "value_base64"))]
        self.assertEqual([b"log/" + stamps[0], b"at:" + stamps[1]], made)
        with self.server.client() as client:
            self.assertEqual(b"entry", client.value(made[0]))
            self.assertEqual(made[1], client.value(b"last"))
        self.assertRegex(self.text("txn", stdin=b"set-versionstamped-key log/ more\n"),
                         r"^stamped log/\\x00.*\tmore\ncommitted at version")

    def test_conflicts_by_hand(self):
        environment = {"CAIRN_ENDPOINTS": self.server.endpoint}
        for step in ("conflict-key guard", "conflict-range g h", "range g h"):
            script = f"{step}\nset k v\nexec-once '{BIN}/cairn' put guard 1\n".encode()
            result = cairn("txn", stdin=script, environment=environment)
            self.assertIn(b"after 2 attempts", result.stdout, step)
        script = f"set k v\nexec-once '{BIN}/cairn' put guard 1\n".encode()
        self.assertIn(b"after 1 attempt\n", cairn("txn", stdin=script, environment=environment).stdout)
        self.run_cairn("txn", stdin=b"conflict-range b a\nset k v\n", expect=REFUSED)

    def test_scripts_from_a_file_and_faults_in_them(self):
        path = self.scratch / "script"
        path.write_text("set k v\ncommit\nnever read")
        self.assertTrue(self.json("txn", path)["committed"])
        self.assertEqual("v\n", self.text("get", "k"))
        result = self.run_cairn("txn", stdin=b"get a\nput b c\n", expect=USAGE)
        self.assertIn(b"line 2", result.stderr)
        self.run_cairn("txn", self.scratch / "missing", expect=USAGE)
        self.run_cairn("put", "text", "abc")
        result = self.run_cairn("txn", stdin=b"set t 1\nadd text 1\n", expect=REFUSED)
        self.assertIn(b"not committed", result.stderr)
        self.run_cairn("get", "t", expect=NOT_FOUND)
        self.run_cairn("txn", stdin=b"set t 1\nexec false\n", expect=REFUSED)
        # With --json, what a command says is not in the document's way.
        result = self.run_cairn("txn", "--json", stdin=b"get t\nexec echo hi | cat\n")
        self.assertTrue(json.loads(result.stdout)["committed"])
        self.assertEqual(b"hi\n", result.stderr)
        self.assertIn("hi\n", self.text("txn", stdin=b"get t\nexec echo hi\n"))
        self.run_cairn("get", "t", expect=NOT_FOUND)


class ExitCodeTest(CommandTestCase):
    def test_usage(self):
        for arguments in ([], ["nonsense"], ["get"], ["put", "k"], ["get", "a\\q"],
                          ["get", "--hex", "0"], ["--endpoints", "nowhere", "get", "k"],
                          ["--timeout-ms", "0", "get", "k"], ["--hex", "--base64", "get", "k"]):
            result = cairn(*arguments, endpoints=self.server.endpoint)
            self.assertEqual(USAGE, result.returncode, f"{arguments}: {result}")
            self.assertTrue(result.stderr)
        for arguments in (["--help"], ["range", "--help"], ["--version"], ["help"], ["help", "get"],
                          ["help", "cluster", "add"], ["help", "dram"], ["version"]):
            self.assertEqual(DONE, cairn(*arguments).returncode)
        self.assertEqual(cairn("get", "--help").stdout, cairn("help", "get").stdout)
        self.assertEqual(cairn("--version").stdout, cairn("version").stdout)
        self.assertEqual(USAGE, cairn("help", "nonsense").returncode)
        self.assertIn(b"--limit needs a value: --limit N", cairn("range", "--limit").stderr)

    def test_the_node_says_no(self):
        self.assertIn(b"empty", self.run_cairn("get", "", expect=REFUSED).stderr)
        error = self.json("put", "x" * 20_000, "v", expect=REFUSED)["error"]
        self.assertIn("20000", error["message"])
        self.assertTrue(error["code"])

    def test_the_wrong_port(self):
        self.server.stop()
        node = self.node("--grpc-port", "0", "--http-port", "0").start()
        for endpoint in (node.grpc_endpoint, node.http_endpoint):
            result = cairn("get", "k", endpoints=endpoint)
            self.assertEqual(UNREACHABLE, result.returncode, result)
            self.assertIn(b"is it the node's gRPC port (grpc://HOST:PORT) or its HTTP port?", result.stderr)

    def test_no_node_can_be_reached(self):
        self.server.stop()
        result = self.run_cairn("get", "k", expect=UNREACHABLE)
        self.assertIn(self.server.endpoint.encode(), result.stderr)
        self.assertIn("error", json.loads(
            cairn("status", "--json", endpoints=self.server.endpoint).stdout))

    def test_the_next_node_is_tried(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            dead = f"127.0.0.1:{unused.getsockname()[1]}"
            result = cairn("put", "k", "v", "--endpoints", f"{dead}, {self.server.endpoint}")
            self.assertEqual(DONE, result.returncode, result)

    def test_flags_go_before_the_environment(self):
        result = cairn("put", "k", "v", "--endpoints", self.server.endpoint, endpoints="127.0.0.1:1")
        self.assertEqual(DONE, result.returncode)

    def test_no_answer_in_time(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
            result = cairn("--timeout-ms", "200", "put", "k", "v", endpoints=endpoint)
            self.assertEqual(TIMED_OUT, result.returncode, result)
            self.assertIn(b"TIMEOUT", result.stderr)

    def test_a_node_that_hangs(self):
        freeze(self.server.process)
        try:
            result = cairn("--timeout-ms", "300", "get", "k", endpoints=self.server.endpoint)
            self.assertEqual(TIMED_OUT, result.returncode, result)
            read = cairn("--timeout-ms", "300", "cluster", "members",
                         endpoints=f"grpc://{self.server.grpc_endpoint}")
            self.assertIn(read.returncode, (UNREACHABLE, TIMED_OUT), read)
            self.assertNotIn(b"applied", read.stderr)
        finally:
            self.server.process.send_signal(signal.SIGCONT)
        self.run_cairn("get", "k", expect=NOT_FOUND)

    def test_a_version_that_is_not_there_yet(self):
        result = self.run_cairn("get", "k", "--at-version", 10**9, expect=REFUSED)
        self.assertIn(b"INVALID_ARGUMENT", result.stderr)


class StreamsTest(CommandTestCase):
    """Standard streams that are full, closed, or no files: never silence and success."""

    def redirected(self, redirection, *arguments):
        return subprocess.run(["/bin/sh", "-c", f'exec "$0" "$@" {redirection}', str(BIN / "cairn"),
                               *[str(one) for one in arguments]], capture_output=True, timeout=60,
                              check=False, env=dict(os.environ, CAIRN_ENDPOINTS=self.server.endpoint))

    def test_results_that_do_not_get_out_are_no_success(self):
        self.run_cairn("put", "k", "v" * 100_000)
        script = self.scratch / "script"
        script.write_text("get k\n")
        for command in (("get", "k"), ("get", "k", "--json"), ("get", "k", "--raw"), ("get", "nokey", "--json"),
                        ("range",), ("txn", script), ("status",), ("cluster", "status"),
                        ("family", "list"), ("dump",), ("config", "show"), ("man",),
                        ("completion", "bash"), ("help",), ("get", "--help"), ("version",),
                        ("--version",)):
            for redirection, why in ((">/dev/full", b"No space left on device"), (">&-", b"closed")):
                if command == ("dump",):
                    why = b"cannot write 'standard output'"
                result = self.redirected(redirection, *command)
                self.assertEqual(REFUSED, result.returncode, f"{command} {redirection}: {result}")
                self.assertIn(why, result.stderr, command)
                self.assertEqual(1, result.stderr.count(b"standard output"), result)
        # Another failure keeps its code.
        self.assertEqual(USAGE, self.redirected(">/dev/full", "get", "--json").returncode)
        # Who says nothing needs no place for it.
        self.assertEqual(DONE, self.redirected(">&-", "put", "k", "v").returncode)

    def test_input_that_cannot_be_read_is_not_taken_for_empty(self):
        self.run_cairn("put", "k", "before")
        for redirection, why in (("<&-", b"it is closed"), (f"<{self.scratch}", b"Is a directory")):
            for command in (("put", "k", "-"), ("load",), ("txn",), ("shell",),
                            ("dram", "put", "k", "-")):
                result = self.redirected(redirection, *command)
                self.assertEqual(USAGE, result.returncode, f"{command}: {result}")
                self.assertIn(why, result.stderr, command)
                self.assertEqual(b"", result.stdout, command)
        for command in (("load", self.scratch), ("txn", self.scratch),
                        ("dram", "get", "k", "--spec", self.scratch)):
            self.assertIn(b"Is a directory", self.run_cairn(*command, expect=USAGE).stderr)
        self.assertEqual("before\n", self.text("get", "k"))


if __name__ == "__main__":
    os.environ.pop("CAIRN_ENDPOINTS", None)
    unittest.main(verbosity=2)
