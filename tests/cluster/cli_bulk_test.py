#!/usr/bin/env python3
"""cairn dump and cairn load as processes: any bytes, both formats, one version, and interruptions."""
import json
import os
import signal
import subprocess
import unittest

from cairn_process import BIN, NodeTestCase, cairn, wait_until
from freeze import freeze
from ports import free_ports

ALL_BYTES = bytes(range(256))


class BulkTest(NodeTestCase):
    def setUp(self):
        super().setUp()
        # A port that nobody else is given while a node is away.
        self.server = self.node().start(free_ports(1)[0])

    def run_cairn(self, *arguments, stdin=b"", expect=0):
        result = cairn(*arguments, endpoints=self.server.endpoint, stdin=stdin)
        self.assertEqual(expect, result.returncode, f"{arguments}: {result}")
        return result

    def content(self):
        with self.server.client() as client:
            return client.all(b"", b"\xff" * 100)

    def fill(self, count):
        lines = b"".join(b"k%06d\tv%d\n" % (i, i) for i in range(count))
        return json.loads(self.run_cairn("load", "--json", stdin=lines).stdout)

    def clear(self):
        self.server.stop()
        self.server = self.node(folder=self.scratch / f"data{len(self.nodes)}").start()

    def test_any_bytes_there_and_back(self):
        with self.server.client() as client:
            for key, value in ((ALL_BYTES, ALL_BYTES), (b"#", b""), (b"\xff\xff", b"\t\n"), (b"a", b"\\x")):
                client.set(key, value)
        before = self.content()
        dumps = {name: self.run_cairn("dump", "--format", name).stdout for name in ("text", "jsonl")}
        for text in dumps.values():
            self.clear()
            self.assertEqual(b"loaded 4 keys\n", self.run_cairn("load", stdin=text).stdout)
            self.assertEqual(before, self.content())

    def test_batches_and_pages(self):
        answer = self.fill(12_500)
        self.assertEqual((12_500, 2), (answer["loaded"], answer["batches"]))
        self.assertEqual(12_500, len(self.content()))
        small = b"".join(b"x%d\t%s\n" % (i, b"y" * 1000) for i in range(10))
        answer = json.loads(self.run_cairn("load", "--json", "--batch-bytes", "3KiB", stdin=small).stdout)
        self.assertEqual((10, 4), (answer["loaded"], answer["batches"]))
        path = self.scratch / "dump"
        answer = json.loads(self.run_cairn("dump", "--out", path, "--json", "--prefix", "k").stdout)
        self.assertEqual(12_500, answer["dumped"])
        self.assertEqual(path.stat().st_size, answer["bytes"])

    def families(self):
        """All pairs by column family, as `range` shows them."""
        names = self.run_cairn("family", "list").stdout.decode().split()
        return {name: self.run_cairn("range", "--column-family", name).stdout for name in names}

    def fill_families(self):
        for name in ("orders", "empty", "\u00e4"):
            self.run_cairn("family", "create", name)
        for name in ("default", "orders", "\u00e4"):
            lines = b"".join(b"%s%04d\tv%d\n" % (name.encode(), i, i) for i in range(1500))
            self.run_cairn("load", "--column-family", name, stdin=lines)
        return self.families()

    def test_all_families_there_and_back(self):
        before = self.fill_families()
        self.assertEqual(4, len(before))
        for form in ("text", "jsonl"):
            dump = self.run_cairn("dump", "--all-families", "--format", form)
            self.assertEqual(b"", dump.stderr)
            folder, server = self.scratch / f"other-{form}", self.server
            self.server = self.node(folder=folder).start()
            said = self.run_cairn("load", stdin=dump.stdout).stdout
            self.assertEqual(b"loaded 4500 keys in 4 column families\n", said)
            self.assertEqual(before, self.families())
            self.server.stop()
            self.server = server
        self.run_cairn("load", "--column-family", "orders", stdin=dump.stdout, expect=2)
        self.run_cairn("dump", "--all-families", "--column-family", "orders", expect=2)
        wrong = b"# cairn dump 2 version 7\nk\tv\n"
        self.assertIn(b"before the first column family",
                      self.run_cairn("load", stdin=wrong, expect=2).stderr)

    def test_an_interrupted_dump_of_all_families_goes_on(self):
        self.fill_families()
        whole, path = self.scratch / "whole", self.scratch / "dump"
        part = self.scratch / "dump.part"
        version = json.loads(self.run_cairn("dump", "--all-families", "--out", whole,
                                            "--json").stdout)["version"]
        text = whole.read_bytes()
        self.run_cairn("put", "default0001", "changed since")
        cuts = [0, 3, 60, text.index(b"# family orders") + 5, text.index(b"orders0000\t"),
                text.index(b"orders0700\t"), text.rindex(b"# family"), len(text) - 1, len(text)]
        for cut in cuts:
            part.write_bytes(text[:cut])
            self.run_cairn("dump", "--all-families", "--out", path, "--resume",
                           "--at-version", version)
            self.assertEqual(text, path.read_bytes(), cut)
            path.unlink()
        part.write_bytes(text[:2000])
        self.assertIn(b"--all-families", self.run_cairn("dump", "--out", path, "--resume",
                                                        expect=2).stderr)
        # A family that it has a part of is gone: what would follow were no whole dump.
        part.write_bytes(text[:text.index(b"orders0700\t")])
        self.run_cairn("family", "drop", "orders")
        self.assertIn(b"'orders'", self.run_cairn("dump", "--all-families", "--out", path,
                                                  "--resume", expect=3).stderr)
        self.assertTrue(part.exists())

    def test_a_corrected_load_goes_on_behind_a_comment(self):
        state = self.scratch / "state"
        load = ("load", "--resume-file", state)
        self.run_cairn(*load, stdin=b"a\t1\n# a note\nbroken\n", expect=2)
        self.run_cairn(*load, stdin=b"a\t1\n# a note\nb\t2\n")
        self.assertEqual(b"2\n", self.run_cairn("get", "b").stdout)

    def test_an_interrupted_load_of_all_families_goes_on(self):
        before = self.fill_families()
        lines = self.run_cairn("dump", "--all-families").stdout.splitlines(keepends=True)
        state = self.scratch / "state"
        load = ("load", "--resume-file", state, "--batch-bytes", "2000")
        self.clear()
        for cut in (700, 1503, 1504, 2000, 4000):
            self.run_cairn(*load, stdin=b"".join(lines[:cut]) + b"broken\n", expect=2)
        self.run_cairn(*load, stdin=b"".join(lines))
        self.assertEqual(before, self.families())

    def test_old_versions(self):
        version = self.fill(3)["version"]
        self.run_cairn("put", "later", "v")
        old = self.run_cairn("dump", "--at-version", version).stdout
        self.assertNotIn(b"later", old)
        self.assertIn(b"version %d\n" % version, old)

    def test_an_interrupted_dump_goes_on(self):
        self.fill(5000)
        whole = self.scratch / "whole"
        version = json.loads(self.run_cairn("dump", "--out", whole, "--json").stdout)["version"]
        self.run_cairn("put", "k000001", "changed since")
        path = self.scratch / "dump"
        part = self.scratch / "dump.part"
        for cut in (0, 10, 30, 80, 1234, whole.stat().st_size - 3, whole.stat().st_size):
            part.write_bytes(whole.read_bytes()[:cut])
            answer = json.loads(self.run_cairn("dump", "--out", path, "--resume", "--json",
                                               "--at-version", version).stdout)
            self.assertEqual(5000, answer["dumped"])
            self.assertEqual(cut >= 80, answer["resumed_after"] > 0)
            self.assertEqual(whole.read_bytes(), path.read_bytes())
            self.assertFalse(part.exists())
            path.unlink()
        part.write_bytes(whole.read_bytes()[:200].replace(b"k", b"\\q"))
        self.assertIn(b"remove it", self.run_cairn("dump", "--out", path, "--resume", expect=3).stderr)

    def test_only_the_same_request_goes_on_with_a_dump(self):
        self.fill_families()
        path, part, whole = (self.scratch / name for name in ("dump", "dump.part", "whole"))
        requests = [(), ("--prefix", "default00"), ("--prefix", "default01"),
                    ("--column-family", "orders"),
                    ("--column-family", "orders", "--prefix", "orders00"),
                    ("--all-families",), ("--all-families", "--prefix", "orders00")]
        for form in ("text", "jsonl"):
            for begun in requests:
                self.run_cairn("dump", "--format", form, "--out", whole, *begun)
                text = whole.read_bytes()
                cut = text[:text.rindex(b"\n", 0, len(text) * 2 // 3) + 1]
                for asked in requests:
                    part.write_bytes(cut)
                    dump = ("dump", "--format", form, "--out", path, "--resume", *asked)
                    if asked == begun:
                        self.run_cairn(*dump)
                        self.assertEqual(text, path.read_bytes())
                        path.unlink()
                    else:
                        self.assertIn(b"what is there is of", self.run_cairn(*dump, expect=2).stderr)
                        self.assertEqual(cut, part.read_bytes())
                        self.assertFalse(path.exists())
        # The default family by its name is the same request.
        part.write_bytes(self.run_cairn("dump").stdout[:2000])
        self.run_cairn("dump", "--out", path, "--resume", "--column-family", "default")
        # One of a program that did not note it.
        part.write_bytes(b"# cairn dump 1 version 7\na\tb\n")
        self.assertIn(b"remove it", self.run_cairn("dump", "--out", path, "--resume", expect=3).stderr)

    def test_a_dump_goes_where_a_link_leads_and_into_what_is_no_file(self):
        self.fill(3)
        whole = self.run_cairn("dump").stdout
        folder = self.scratch / "elsewhere"
        folder.mkdir()
        link, chain, target = self.scratch / "link", self.scratch / "chain", folder / "target"
        link.symlink_to("elsewhere/target")
        chain.symlink_to(link)
        for _ in range(2):  # the target is missing, then there
            self.run_cairn("dump", "--out", chain)
            self.assertTrue(link.is_symlink() and chain.is_symlink())
            self.assertEqual(whole, target.read_bytes())
            self.assertEqual(["target"], [one.name for one in folder.iterdir()])
        target.unlink()
        (folder / "target.part").write_bytes(whole[:60])
        self.run_cairn("dump", "--out", link, "--resume")
        self.assertEqual(whole, target.read_bytes())
        pipe = self.scratch / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self.run_cairn("dump", "--out", pipe)
            self.assertEqual(whole, os.read(reader, 1 << 16))
        finally:
            os.close(reader)
        self.assertTrue(pipe.is_fifo())
        self.assertEqual(whole, self.run_cairn("dump", "--out", "/dev/stdout").stdout)
        self.assertIn(b"a folder", self.run_cairn("dump", "--out", folder, expect=3).stderr)

    def test_a_dump_of_nothing_leaves_nothing(self):
        path = self.scratch / "dump"
        self.run_cairn("dump", "--column-family", "nope", "--out", path, expect=3)
        self.assertEqual([], list(self.scratch.glob("dump*")))

    def test_a_killed_dump_leaves_a_part(self):
        self.fill(30_000)
        path = self.scratch / "dump"
        for node in self.nodes[-1:]:
            freeze(node.process)
        child = subprocess.Popen([BIN / "cairn", "dump", "--out", path, "--endpoints",
                                  self.server.endpoint], stderr=subprocess.DEVNULL)
        try:
            wait_until(self.scratch.joinpath("dump.part").exists, "the dump has begun")
        finally:
            child.kill()
            child.wait()
            self.server.process.send_signal(signal.SIGCONT)
        self.assertFalse(path.exists())
        self.run_cairn("dump", "--out", path, "--resume")
        self.assertEqual(30_003, len(path.read_bytes().splitlines()))

    def test_an_interrupted_load_goes_on(self):
        lines = b"".join(b"k%04d\tv%d\n" % (i, i) for i in range(100))
        state = self.scratch / "state"
        load = ("load", "--resume-file", state, "--batch-bytes", "64", "--json")
        result = self.run_cairn(*load, stdin=lines + b"broken\n", expect=2)
        self.assertIn("line 101", json.loads(result.stdout)["error"]["message"])
        self.assertEqual(100, len(self.content()))
        answer = json.loads(self.run_cairn(*load, stdin=lines + b"more\tv\n").stdout)
        self.assertEqual((1, 100), (answer["loaded"], answer["skipped"]))
        self.assertFalse(state.exists())
        self.run_cairn(*load, stdin=lines + b"broken\n", expect=2)
        self.run_cairn(*load, stdin=b"x" + lines, expect=2)
        self.run_cairn(*load, stdin=lines[:100], expect=2)
        state.write_text("something else")
        self.assertIn(b"remove it", self.run_cairn(*load, stdin=lines, expect=2).stdout)

    def test_a_load_outlives_a_restart_of_the_node(self):
        reader, writer = os.pipe()
        child = subprocess.Popen([BIN / "cairn", "load", "--batch-bytes", "100", "--endpoints",
                                  self.server.endpoint], stdin=reader, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        os.close(reader)
        # More than the reader takes at once, so that the first batches go out.
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(b"".join(b"a%06d\tv\n" % i for i in range(10_000)))
            pipe.flush()
            wait_until(self.content, "the first batches are there")
            port = self.server.port
            self.server.kill()
            self.server = self.node(folder=self.server.folder).start(port=port)
            pipe.write(b"".join(b"b%06d\tv\n" % i for i in range(10_000)))
        out, said = child.communicate(timeout=60)
        self.assertEqual((0, b"loaded 20000 keys\n"), (child.returncode, out), said)
        self.assertEqual(20_000, len(self.content()))

    def test_what_is_wrong_is_said(self):
        self.fill(3)
        text = self.run_cairn("dump").stdout
        cut = self.run_cairn("load", stdin=text.rpartition(b"#")[0], expect=3)
        self.assertIn(b"was cut", cut.stderr)
        self.run_cairn("load", self.scratch / "missing", expect=2)
        self.run_cairn("dump", "--resume", expect=2)
        self.run_cairn("dump", "--json", expect=2)
        self.run_cairn("dump", "--out", self.scratch / "no" / "such", expect=3)
        self.run_cairn("load", stdin=b"\tempty key\n", expect=3)
        done = self.run_cairn("dump", "--progress", "always")
        self.assertIn(b"dumped 3 keys", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
