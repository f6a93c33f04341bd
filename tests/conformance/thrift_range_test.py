#!/usr/bin/env python3
"""getRange and snapshotGetRange of the earlier service's contract, against a real cairnd; see
thrift_contract_test.py."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from contract_support import ContractTest, old, operation

MIB = 1 << 20


class RangeTest(ContractTest):
    """The tests of a class share a node, so each has a prefix of its own; DefaultsTest has the
    whole key space."""

    def fill(self, *suffixes):
        self.succeeds(self.commit(*(operation("set", self.key(s), b"v" + s) for s in suffixes)))

    def suffixes(self, begin=b"", end=b"\xff", **fields):
        """The keys found between this test's prefix + begin and + end, without the prefix."""
        found = self.keys(begin_key=self.key(begin), end_key=self.key(end), **fields)
        return [key.removeprefix(self.key()) for key in found]

    def test_pairs_in_byte_order(self):
        self.fill(b"b", b"a", b"a\x00", b"c", b"\x00", b"\xfe\xff")
        self.assertEqual([b"\x00", b"a", b"a\x00", b"b", b"c", b"\xfe\xff"], self.suffixes())
        answer = self.range(begin_key=self.key(b"b"), end_key=self.key(b"c"))
        self.assertEqual([(self.key(b"b"), b"vb")],
                         [(pair.key, pair.value) for pair in answer.key_values])

    def test_bounds_are_inclusive_by_their_flags(self):
        self.fill(b"a", b"b", b"c", b"d")
        for begin_in, end_in, expected in ((True, False, [b"b", b"c"]),
                                           (True, True, [b"b", b"c", b"d"]),
                                           (False, False, [b"c"]),
                                           (False, True, [b"c", b"d"])):
            self.assertEqual(expected, self.suffixes(
                b"b", b"d", begin_or_equal=begin_in, end_or_equal=end_in))
        # Bounds that are no keys themselves.
        for begin_in in (True, False):
            self.assertEqual([b"b", b"c"], self.suffixes(
                b"aa", b"cc", begin_or_equal=begin_in, end_or_equal=begin_in))

    def test_begin_offset_skips_results(self):
        self.fill(b"a", b"b", b"c", b"d")
        for offset, expected in ((0, b"abcd"), (1, b"bcd"), (3, b"d"), (4, b""), (100, b""),
                                 (2**31 - 1, b""), (-1, b"abcd"), (-2**31, b"abcd")):
            found = self.suffixes(begin_offset=offset)
            self.assertEqual(expected, b"".join(found), offset)
        self.assertEqual([b"d"], self.suffixes(b"b", b"z", begin_offset=1, begin_or_equal=False))
        self.assertEqual([b"c"], self.suffixes(b"a", b"d", begin_offset=2))
        self.assertEqual([], self.suffixes(b"a", b"c", begin_offset=2), "skipping ends at the end")

    def test_end_offset_moves_the_end_by_whole_keys(self):
        self.fill(b"a", b"b", b"c", b"d", b"e")
        for offset, expected in ((0, b"ab"), (1, b"abc"), (2, b"abcd"), (-1, b"a"), (-2, b""),
                                 (-100, b""), (-2**31, b"")):
            self.assertEqual(expected, b"".join(self.suffixes(b"a", b"c", end_offset=offset)),
                             offset)
        self.assertEqual(b"abcd", b"".join(
            self.suffixes(b"a", b"c", end_offset=1, end_or_equal=True)))

    def test_limit_and_has_more(self):
        self.fill(b"a", b"b", b"c")
        bounds = {"begin_key": self.key(), "end_key": self.key(b"\xff")}
        for limit, count, more in ((1, 1, True), (2, 2, True), (3, 3, False), (4, 3, False),
                                   (0, 3, False), (-1, 3, False), (-2**31, 3, False),
                                   (2**31 - 1, 3, False)):
            answer = self.range(limit=limit, **bounds)
            self.assertEqual((count, more), (len(answer.key_values), answer.has_more), limit)
        # A further key of the store, beyond the range, is none of the range.
        answer = self.range(begin_key=self.key(b"a"), end_key=self.key(b"c"), limit=2)
        self.assertEqual((2, False), (len(answer.key_values), answer.has_more))
        # A deleted key is none either.
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key(b"c"))))
        self.assertFalse(self.range(limit=2, **bounds).has_more)

    def test_empty_ranges(self):
        self.fill(b"a", b"b")
        for begin, end in ((b"b", b"a"), (b"a", b"a"), (b"x", b"y")):
            answer = self.range(begin_key=self.key(begin), end_key=self.key(end))
            self.assertEqual(([], False), (answer.key_values, answer.has_more))
        self.assertEqual([b"a"], self.suffixes(b"a", b"a", end_or_equal=True))

    def test_the_default_limit_is_1000(self):
        for start in range(0, 1001, 100):
            count = min(100, 1001 - start)
            self.fill(*(b"%05d" % i for i in range(start, start + count)))
        bounds = {"begin_key": self.key(), "end_key": self.key(b"\xff")}
        answer = self.range(**bounds)
        self.assertEqual((1000, True), (len(answer.key_values), answer.has_more))
        answer = self.range(limit=0, **bounds)
        self.assertEqual((1001, False), (len(answer.key_values), answer.has_more))
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key(b"00500"))))
        answer = self.range(**bounds)
        self.assertEqual((1000, False), (len(answer.key_values), answer.has_more))

    def test_unlimited_is_bounded_by_bytes(self):
        value = b"x" * MIB
        for i in range(20):
            self.put(self.key(b"%02d" % i), value)
        found = []
        begin, inclusive = self.key(), True
        rounds = 0
        while True:
            answer = self.range(begin_key=begin, begin_or_equal=inclusive,
                                end_key=self.key(b"\xff"), limit=0)
            found += [pair.key for pair in answer.key_values]
            rounds += 1
            if not answer.has_more:
                break
            self.assertGreaterEqual(sum(len(p.value) for p in answer.key_values), 7 * MIB)
            begin, inclusive = answer.key_values[-1].key, False
        self.assertEqual([self.key(b"%02d" % i) for i in range(20)], found)
        self.assertGreater(rounds, 1, "20 MiB in one answer is no bound")
        for i in range(20):
            self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key(b"%02d" % i))))

    def test_snapshots_see_their_version(self):
        self.fill(b"a", b"b", b"c")
        at = self.version()
        self.succeeds(self.commit(operation("delete", self.key(b"a")),
                                  operation("set", self.key(b"b"), b"changed"),
                                  operation("set", self.key(b"bb"), b"new")))
        bounds = {"begin_key": self.key(), "end_key": self.key(b"\xff")}

        def snapshot(version, **fields):
            return self.succeeds(self.kv.snapshotGetRange(old.SnapshotGetRangeRequest(
                read_version=version, **{**bounds, **fields})))

        then = [(pair.key.removeprefix(self.key()), pair.value)
                for pair in snapshot(at).key_values]
        self.assertEqual([(b"a", b"va"), (b"b", b"vb"), (b"c", b"vc")], then)
        now = [pair.key.removeprefix(self.key())
               for pair in snapshot(self.version()).key_values]
        self.assertEqual([b"b", b"bb", b"c"], now)
        # Offsets, flags and limits mean the same, among the keys of that version.
        for fields, expected, more in (
                ({"begin_offset": 1}, b"bc", False), ({"begin_offset": -3}, b"abc", False),
                ({"limit": 2}, b"ab", True), ({"limit": 3}, b"abc", False),
                ({"limit": 0}, b"abc", False),
                ({"end_key": self.key(b"b"), "end_offset": 1}, b"ab", False),
                ({"end_key": self.key(b"b"), "end_or_equal": True}, b"ab", False),
                ({"begin_key": self.key(b"a"), "begin_or_equal": False}, b"bc", False)):
            answer = snapshot(at, **fields)
            found = b"".join(pair.key.removeprefix(self.key()) for pair in answer.key_values)
            self.assertEqual((expected, more), (found, answer.has_more), fields)


class DefaultsTest(ContractTest):
    """The defaults of the bounds, which need the whole key space."""

    def test_from_the_empty_key_to_0xff_exclusive(self):
        everything = [b"\x00", b"\x00\x00", b"a", b"\xfe", b"\xfe\xff\xff"]
        beyond = [b"\xff", b"\xff\x00", b"\xff\xff"]
        self.succeeds(self.commit(*(operation("set", key, b"v") for key in everything + beyond)))
        self.assertEqual(everything, self.keys())
        self.assertEqual(everything[2:], self.keys(begin_key=b"a"))
        self.assertEqual(everything[:2], self.keys(end_key=b"a"))
        self.assertEqual(everything + beyond[:1], self.keys(end_or_equal=True))
        self.assertEqual(everything + beyond, self.keys(end_key=b"\xff\xff\xff"))
        self.assertEqual(beyond, self.keys(begin_key=b"\xff", end_key=b"\xff\xff\xff"))
        self.assertEqual([], self.keys(begin_key=b"\xff"))
        answer = self.range(limit=len(everything))
        self.assertIs(answer.has_more, False, "the keys from 0xFF on are beyond the range")
        snapshot = self.succeeds(self.kv.snapshotGetRange(
            old.SnapshotGetRangeRequest(read_version=self.version())))
        self.assertEqual(everything, [pair.key for pair in snapshot.key_values])


if __name__ == "__main__":
    unittest.main(verbosity=2)
