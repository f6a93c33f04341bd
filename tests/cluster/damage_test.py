#!/usr/bin/env python3
"""Damaged files: a node whose acknowledged data does not check out refuses to start and says which
file is damaged, and where."""
import os
import re
import shutil
import signal
import unittest

from cairn_process import NodeTestCase, cairn, ttypes

# Segments of 5 MB: they hold the largest entry at least.
CONFIG = """
[storage]
journal_segment_mb = 1
max_journal_mb = 64
[limits]
value_bytes = 131072
transaction_bytes = 1048576
"""


def flip(path, offset):
    """Inverts one byte."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


class DamageTestCase(NodeTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.node(config=CONFIG)

    @staticmethod
    def value(i):
        return b"value%d" % i * 20

    def write(self, count, together=1):
        """Sets `count` keys, `together` of them in a commit."""
        with self.server.client() as client:
            for first in range(0, count, together):
                answer = client.atomicCommit(ttypes.AtomicCommitRequest(
                    read_version=0, read_conflict_keys=[],
                    operations=[ttypes.Operation(type="set", key=b"key%05d" % i,
                                                 value=self.value(i))
                                for i in range(first, first + together)]))
                self.assertTrue(answer.success, answer.error)

    def assert_refuses(self, *patterns):
        """The node does not start, and says why in one line that matches every pattern."""
        self.server.launch()
        self.assertEqual(1, self.server.wait(), self.server.output)
        line = self.server.output.strip().splitlines()[-1]
        for pattern in patterns:
            self.assertRegex(line, pattern)

    def data(self, name):
        return self.server.folder / name


class JournalTest(DamageTestCase):
    def filled(self, count=300):
        """A journal that holds `count` writes which the database does not: the node was killed."""
        self.server.start()
        self.write(count)
        self.server.kill()
        return min(self.data("journal").glob("*.seg"))

    def test_a_byte_in_an_acknowledged_record(self):
        segment = self.filled()
        content = segment.read_bytes()
        for i in (0, 17, 100, 250):
            # In a value. The records behind it vouch that it was durable.
            offset = content.index(self.value(i)) + 5
            flip(segment, offset)
            self.assert_refuses("CORRUPTION", re.escape(str(segment)), r"offset \d+")
            named = int(re.search(r"damaged at offset (\d+)", self.server.output).group(1))
            self.assertLess(offset - 500, named)
            self.assertLessEqual(named, offset)
            flip(segment, offset)
        self.server.start()
        with self.server.client() as client:
            self.assertEqual(300, len(client.all()))

    def test_a_torn_tail_is_no_damage(self):
        segment = self.filled()
        end = len(segment.read_bytes().rstrip(b"\0"))
        with open(segment, "r+b") as file:
            file.seek(end + 64)  # the last record may end with zeros
            file.write(os.urandom(1000))
        self.server.start()
        with self.server.client() as client:
            self.assertEqual(300, len(client.all()))

    def test_a_segment_that_is_gone(self):
        self.server.start()
        with self.server.client() as client:
            for i in range(250):
                client.set(b"key%05d" % i, os.urandom(100_000))
        self.server.kill()
        segments = sorted(self.data("journal").glob("*.seg"))
        self.assertGreater(len(segments), 3)
        segments[1].unlink()
        self.assert_refuses("CORRUPTION", re.escape(str(self.data("journal"))))

    def test_a_journal_that_is_gone(self):
        self.filled()
        self.server.start()
        self.server.stop()
        shutil.rmtree(self.data("journal"))
        self.assert_refuses("CORRUPTION", "no journal")


class DatabaseTest(DamageTestCase):
    def flushed(self):
        """A database with table files; the largest of them."""
        self.server.start()
        self.write(3000, together=100)
        self.assertEqual(0, self.server.stop())
        return max(self.data("db").glob("*.sst"), key=lambda path: path.stat().st_size)

    def test_a_table_file_whose_metadata_is_damaged(self):
        table = self.flushed()
        flip(table, table.stat().st_size - 10)  # in the footer
        self.assert_refuses("CORRUPTION", re.escape(table.name))

    def test_a_table_file_that_is_gone(self):
        table = self.flushed()
        table.unlink()
        self.assert_refuses("CORRUPTION", table.stem)

    def test_a_damaged_manifest(self):
        self.flushed()
        manifest = max(self.data("db").glob("MANIFEST-*"))
        flip(manifest, manifest.stat().st_size // 2)
        self.assert_refuses("CORRUPTION", re.escape(str(self.data("db"))))

    def test_a_damaged_block_is_an_error_and_no_wrong_value(self):
        """Blocks are checked when they are read: the read fails and names the file."""
        table = self.flushed()
        flip(table, 100)
        self.server.start()
        results = [cairn("get", "key00000", endpoints=self.server.endpoint),
                   cairn("range", endpoints=self.server.endpoint)]
        for result in results:
            self.assertEqual(3, result.returncode, result)
            self.assertIn(table.name.encode(), result.stderr)
        self.server.stop(signal.SIGTERM)


class IdentityTest(DamageTestCase):
    def test_a_damaged_identity(self):
        self.server.start()
        self.server.stop()
        flip(self.data("IDENTITY"), 30)
        self.assert_refuses("CORRUPTION", re.escape(str(self.data("IDENTITY"))))

    def test_an_identity_that_is_gone(self):
        self.server.start()
        self.server.stop()
        self.data("IDENTITY").unlink()
        self.assert_refuses("CORRUPTION", "no IDENTITY file")


if __name__ == "__main__":
    unittest.main(verbosity=2)
