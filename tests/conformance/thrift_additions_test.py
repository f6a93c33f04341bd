#!/usr/bin/env python3
"""Cairn's own additions to the Thrift interface, against a real cairnd: optional fields from id 100
up and the methods beside the old ones. See thrift_contract_test.py for what old clients rely on."""
import itertools
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from contract_support import ROOT, ContractTest, generate

new, NewService = generate(ROOT / "api/kvstore.thrift")


class AdditionsTest(ContractTest):
    service = NewService

    def set(self, key, value, **fields):
        return self.kv.setKey(new.SetRequest(key=key, value=value, **fields))

    def get(self, key, **fields):
        return self.kv.get(new.GetRequest(key=key, **fields))

    def commit(self, key, read_version, **fields):
        return self.kv.atomicCommit(new.AtomicCommitRequest(
            read_version=read_version, read_conflict_keys=[],
            operations=[new.Operation(type="set", key=key, value=b"v")], **fields))

    def test_versions_are_told(self):
        first = self.succeeds(self.set(self.key(), b"1"))
        second = self.succeeds(self.set(self.key(), b"2"))
        self.assertGreater(second.version, first.version)
        self.assertEqual(second.version, self.get(self.key()).version)
        answer = self.kv.getRange(new.GetRangeRequest())
        self.assertGreaterEqual(answer.version, second.version)

    def test_every_read_level_reads_own_writes(self):
        for i, level in enumerate(("local", "leader", "read_index")):
            written = self.succeeds(self.set(self.key(), b"%d" % i))
            read = self.get(self.key(), read_level=level, min_version=written.version)
            self.assertEqual((None, b"%d" % i), (read.error, read.value))
            at = self.succeeds(self.kv.getReadVersion(
                new.GetReadVersionRequest(read_level=level)))
            self.assertGreaterEqual(at.read_version, written.version)
        self.assertEqual("INVALID_ARGUMENT", self.get(self.key(), read_level="any").error_code)

    def test_a_deadline_that_has_passed(self):
        for answer in (self.set(self.key(), b"v", deadline_ms=0),
                       self.commit(self.key(), 0, deadline_ms=0),
                       self.get(self.key(), deadline_ms=0)):
            self.assertEqual("TIMEOUT", answer.error_code)
        self.assertFalse(self.get(self.key()).found)

    def test_no_forwarding(self):
        answer = self.set(self.key(), b"v", no_forwarding=True)
        self.assertIn(self.node.led(), (None, answer.success), answer)
        if answer.success:
            self.succeeds(answer)
        else:
            self.assertEqual("NOT_LEADER", answer.error_code)
        self.assertIs(answer.success, self.get(self.key()).found)

    def test_sessions_apply_once(self):
        session = self.succeeds(self.kv.openSession(new.OpenSessionRequest())).session_id
        fields = {"session_id": session, "session_first_outstanding": 1}
        first = self.succeeds(self.set(self.key(), b"1", session_sequence=1, **fields))
        self.succeeds(self.set(self.key(), b"2"))
        again = self.succeeds(self.set(self.key(), b"1", session_sequence=1, **fields))
        self.assertEqual(first.version, again.version)
        self.assertEqual(b"2", self.get(self.key()).value)
        committed = self.succeeds(self.commit(self.key(b"c"), 0, session_sequence=2, **fields))
        repeated = self.succeeds(self.commit(self.key(b"c"), 0, session_sequence=2, **fields))
        self.assertEqual(committed.committed_version, repeated.committed_version)
        self.succeeds(self.kv.closeSession(new.CloseSessionRequest(session_id=session)))
        self.assertEqual("SESSION_EXPIRED",
                         self.set(self.key(), b"3", session_sequence=3, **fields).error_code)

    def test_sessions_outlive_a_restart(self):
        session = self.succeeds(self.kv.openSession(new.OpenSessionRequest())).session_id
        fields = {"session_id": session, "session_sequence": 1, "session_first_outstanding": 1}
        first = self.succeeds(self.set(self.key(), b"1", **fields))
        self.node.restart()
        self.reconnect()
        again = self.succeeds(self.set(self.key(), b"1", **fields))
        self.assertEqual(first.version, again.version)

    def test_column_families(self):
        name = "tags"
        create = new.CreateColumnFamilyRequest(name=name)
        self.succeeds(self.kv.createColumnFamily(create))
        self.succeeds(self.set(self.key(), b"tagged", column_family=name))
        self.assertEqual(b"tagged", self.get(self.key(), column_family=name).value)
        # Of what the node has applied: since that read, all of the above.
        listed = self.succeeds(self.kv.listColumnFamilies(new.ListColumnFamiliesRequest()))
        self.assertEqual(["default", name], listed.names)
        self.assertFalse(self.get(self.key()).found)
        self.node.restart()
        self.reconnect()
        self.assertEqual(b"tagged", self.get(self.key(), column_family=name).value)
        self.succeeds(self.kv.dropColumnFamily(new.DropColumnFamilyRequest(name=name)))
        gone = self.get(self.key(), column_family=name)
        self.assertEqual("NOT_FOUND", gone.error_code)
        self.assertIn(name, gone.error)

    def test_conflict_ranges(self):
        at = self.kv.getReadVersion(new.GetReadVersionRequest()).read_version
        self.succeeds(self.set(self.key(b"m"), b"v"))
        for begin, end, conflicts in ((b"a", b"z", True), (b"m", b"n", True), (b"m", b"m", False),
                                      (b"a", b"m", False), (b"m\x00", b"z", False)):
            answer = self.commit(self.key(b"~"), at, read_conflict_ranges=[
                new.ConflictRange(begin_key=self.key(begin), end_key=self.key(end))])
            self.assertEqual("CONFLICT" if conflicts else None, answer.error_code, (begin, end))

    def test_scoped_conflict_keys(self):
        at = self.kv.getReadVersion(new.GetReadVersionRequest()).read_version
        self.succeeds(self.set(self.key(b"k"), b"v"))
        key = new.ConflictKey(key=self.key(b"k"))
        self.assertEqual("CONFLICT", self.commit(
            self.key(b"out"), at, scoped_read_conflict_keys=[key]).error_code)

    def test_framed_and_compact_clients_have_them_too(self):
        for framed, compact in itertools.product((False, True), repeat=2):
            with self.node.connect(service=NewService, framed=framed, compact=compact) as kv:
                written = self.succeeds(kv.setKey(new.SetRequest(
                    key=self.key(), value=b"v", deadline_ms=60_000)))
                read = kv.get(new.GetRequest(
                    key=self.key(), read_level="read_index", min_version=written.version))
                self.assertEqual((None, True), (read.error, read.found))


if __name__ == "__main__":
    unittest.main(verbosity=2)
