#!/usr/bin/env python3
"""The contract of the earlier service's Thrift clients, line by line, against a real cairnd.

    CAIRND=build/bin/cairnd tests/conformance/thrift_contract_test.py

Debian's python3-thrift, unframed strict binary, and an IDL without any of Cairn's additions
(old_kvstore.thrift). Each class names the part of the contract that it covers.
"""
import itertools
import pathlib
import signal
import socket
import struct
import sys
import time
import unittest

from thrift import Thrift
from thrift.transport import TTransport

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
from contract_support import ContractTest, Node, old, operation, stamp

MIB = 1 << 20


class TransportTest(ContractTest):
    """Wire formats, order of answers, idle connections, hostile bytes."""

    def test_every_format_on_one_port(self):
        self.put(self.key(), b"value")
        for framed, compact in itertools.product((False, True), repeat=2):
            with self.subTest(framed=framed, compact=compact):
                with self.node.connect(framed=framed, compact=compact) as client:
                    for _ in range(3):
                        answer = client.get(old.GetRequest(key=self.key()))
                        self.assertEqual((True, b"value"), (answer.found, answer.value))
                    self.assertTrue(client.getNodeInfo(old.GetNodeInfoRequest()).success)

    def test_pipelined_calls_are_answered_in_order(self):
        for i in range(100):
            self.kv.send_setKey(old.SetRequest(key=self.key(b"%d" % i), value=b"v%d" % i))
            self.kv.send_get(old.GetRequest(key=self.key(b"%d" % i)))
        for i in range(100):
            self.succeeds(self.kv.recv_setKey())
            self.assertEqual(b"v%d" % i, self.kv.recv_get().value)

    def test_idle_connections_block_nobody(self):
        idle = [socket.create_connection(("127.0.0.1", self.node.port)) for _ in range(300)]
        try:
            with self.node.connect() as client:
                self.succeeds(client.setKey(old.SetRequest(key=self.key(), value=b"v")))
        finally:
            for connection in idle:
                connection.close()

    def test_a_message_without_a_required_field_is_rejected(self):
        method = b"get"
        head = struct.pack(">II", 0x80010001, len(method)) + method + struct.pack(">I", 1)
        without_key = head + b"\x0c\x00\x01" + b"\x00" + b"\x00"
        with socket.create_connection(("127.0.0.1", self.node.port), timeout=20) as raw:
            raw.sendall(without_key)
            answer = b""
            while chunk := raw.recv(4096):
                answer += chunk
        self.assertEqual(struct.pack(">I", 0x80010003), answer[:4], "an exception, if anything")

    def test_hostile_bytes_harm_nobody_else(self):
        method = b"atomicCommit"
        head = struct.pack(">II", 0x80010001, len(method)) + method + struct.pack(">I", 1)
        elements = b"\x0c\x00\x01\x0f\x00\x02\x0c" + struct.pack(">I", 2**31 - 1)
        for hostile in (head + elements, struct.pack(">I", 2**31 - 1) + head, b"\xff" * 1000,
                        b"GET / HTTP/1.1\r\n\r\n", head + b"\x0c\x00\x63" * 100_000):
            with socket.create_connection(("127.0.0.1", self.node.port), timeout=20) as raw:
                try:
                    raw.sendall(hostile)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(4096):
                        pass
                except ConnectionError:
                    pass  # Reset: refused before all of it was read.
        self.assertEqual(b"pong", self.kv.ping(old.PingRequest()).message)

    def test_unknown_method_is_an_exception_and_the_connection_lives(self):
        with self.node.connect() as client:
            client._oprot.writeMessageBegin("nothing", Thrift.TMessageType.CALL, 0)
            old.PingRequest().write(client._oprot)
            client._oprot.writeMessageEnd()
            client._oprot.trans.flush()
            name, kind, _ = client._iprot.readMessageBegin()
            self.assertEqual(("nothing", Thrift.TMessageType.EXCEPTION), (name, kind))
            problem = Thrift.TApplicationException()
            problem.read(client._iprot)
            client._iprot.readMessageEnd()
            self.assertEqual(Thrift.TApplicationException.UNKNOWN_METHOD, problem.type)
            self.assertEqual(b"pong", client.ping(old.PingRequest()).message)


class PointTest(ContractTest):
    """get, setKey, deleteKey, snapshotGet, snapshotRead."""

    def test_what_was_set_is_found(self):
        self.put(self.key(), b"value")
        self.assertEqual(b"value", self.get(self.key()))
        self.put(self.key(), b"")
        self.assertEqual(b"", self.get(self.key()), "an empty value is a value")

    def test_not_found_is_no_error(self):
        self.assertIsNone(self.get(self.key()))
        for read in (self.kv.snapshotGet(old.SnapshotGetRequest(
                        key=self.key(), read_version=self.version())),
                     self.kv.snapshotRead(old.SnapshotReadRequest(
                         key=self.key(), read_version=self.version()))):
            self.assertEqual((b"", False, None), (read.value, read.found, read.error))

    def test_deleting(self):
        self.put(self.key(), b"value")
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key())))
        self.assertIsNone(self.get(self.key()))
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key())))

    def test_keys_and_values_are_any_bytes(self):
        everything = bytes(range(256))
        for key in (b"\x00", b"\x00\x00", b"\xff", b"\xff\xff\x00", everything, b"a\x00b",
                    "ключ".encode(), b"\xc3\x28"):
            value = everything + key
            self.put(key, value)
            self.assertEqual(value, self.get(key))
            self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=key)))
            self.assertIsNone(self.get(key))

    def test_empty_key_is_refused(self):
        at = self.version()
        for response in (
                self.kv.get(old.GetRequest(key=b"")),
                self.kv.snapshotGet(old.SnapshotGetRequest(key=b"", read_version=at)),
                self.kv.snapshotRead(old.SnapshotReadRequest(key=b"", read_version=at)),
                self.kv.setKey(old.SetRequest(key=b"", value=b"v")),
                self.kv.deleteKey(old.DeleteRequest(key=b"")),
                self.kv.setVersionstampedKey(
                    old.SetVersionstampedKeyRequest(key_prefix=b"", value=b"v")),
                self.kv.setVersionstampedValue(
                    old.SetVersionstampedValueRequest(key=b"", value_prefix=b"v")),
                self.commit(operation("set", b"", b"v")),
                self.commit(operation("delete", b""))):
            self.fails(response, text="key cannot be empty")
            self.assertFalse(getattr(response, "found", False))
        self.assertEqual(at, self.version())

    def test_unknown_column_family_is_named(self):
        at = self.version()
        name = "no_such_family"
        key = self.key()
        for response in (
                self.kv.get(old.GetRequest(key=key, column_family=name)),
                self.kv.setKey(old.SetRequest(key=key, value=b"v", column_family=name)),
                self.kv.deleteKey(old.DeleteRequest(key=key, column_family=name)),
                self.kv.getRange(old.GetRangeRequest(column_family=name)),
                self.kv.snapshotGet(old.SnapshotGetRequest(
                    key=key, read_version=at, column_family=name)),
                self.kv.snapshotRead(old.SnapshotReadRequest(
                    key=key, read_version=at, column_family=name)),
                self.kv.snapshotGetRange(old.SnapshotGetRangeRequest(
                    read_version=at, column_family=name)),
                self.kv.setVersionstampedKey(old.SetVersionstampedKeyRequest(
                    key_prefix=key, value=b"v", column_family=name)),
                self.kv.setVersionstampedValue(old.SetVersionstampedValueRequest(
                    key=key, value_prefix=b"v", column_family=name)),
                self.commit(operation("set", key, b"v", name))):
            self.fails(response, text=name)
        self.assertIsNone(self.get(key))

    def test_default_family_by_name(self):
        self.put(self.key(), b"value", family="default")
        self.assertEqual(b"value", self.get(self.key()))
        self.assertEqual(b"value", self.get(self.key(), family=""))

    def test_limits_are_named(self):
        self.fails(self.kv.setKey(old.SetRequest(key=b"k" * (10 * 1024 + 1), value=b"")),
                   "INVALID_ARGUMENT", "key_bytes")
        self.fails(self.kv.setKey(old.SetRequest(key=self.key(), value=b"v" * (8 * MIB + 1))),
                   "INVALID_ARGUMENT", "value_bytes")
        self.put(self.key(), b"v" * (8 * MIB))
        self.assertEqual(8 * MIB, len(self.get(self.key())))
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key())))

    def test_a_snapshot_sees_its_version(self):
        versions = []
        for i in range(5):
            self.put(self.key(), b"%d" % i)
            versions.append(self.version())
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key())))
        for i, at in enumerate(versions):
            for read in (self.kv.snapshotGet(old.SnapshotGetRequest(
                            key=self.key(), read_version=at)),
                         self.kv.snapshotRead(old.SnapshotReadRequest(
                             key=self.key(), read_version=at))):
                self.assertEqual((b"%d" % i, True, None), (read.value, read.found, read.error))
        gone = self.kv.snapshotGet(old.SnapshotGetRequest(
            key=self.key(), read_version=self.version()))
        self.assertEqual((b"", False, None), (gone.value, gone.found, gone.error))

    def test_snapshots_at_versions_that_are_none(self):
        for at in (-1, -2**63, self.version() + 1_000_000):
            for read in (self.kv.snapshotGet(old.SnapshotGetRequest(
                            key=self.key(), read_version=at)),
                         self.kv.snapshotRead(old.SnapshotReadRequest(
                             key=self.key(), read_version=at)),
                         self.kv.snapshotGetRange(old.SnapshotGetRangeRequest(read_version=at))):
                self.fails(read)


class VersionTest(ContractTest):
    """getReadVersion, getCommittedVersion, versionstamps, and what survives restarts."""

    def test_it_grows_with_every_write(self):
        seen = [self.version()]
        self.assertGreaterEqual(seen[0], 1)
        writes = (
            lambda: self.kv.setKey(old.SetRequest(key=self.key(), value=b"v")),
            lambda: self.kv.setKey(old.SetRequest(key=self.key(), value=b"v")),
            lambda: self.kv.deleteKey(old.DeleteRequest(key=self.key())),
            lambda: self.kv.deleteKey(old.DeleteRequest(key=self.key())),
            lambda: self.commit(operation("set", self.key(), b"v")),
            lambda: self.kv.setVersionstampedKey(old.SetVersionstampedKeyRequest(
                key_prefix=self.key(bytes(10)), value=b"v")),
            lambda: self.kv.setVersionstampedValue(old.SetVersionstampedValueRequest(
                key=self.key(), value_prefix=bytes(10))))
        for write in writes:
            self.succeeds(write())
            seen.append(self.version())
        self.assertEqual(sorted(set(seen)), seen)
        self.assertEqual(seen[-1], self.version(), "reading writes nothing")

    def test_committed_version_is_true(self):
        committed = self.succeeds(self.commit(operation("set", self.key(), b"v")))
        self.assertLessEqual(committed.committed_version, self.version())
        answer = self.succeeds(self.kv.getCommittedVersion(old.GetCommittedVersionRequest()))
        self.assertEqual(committed.committed_version, answer.version)
        self.put(self.key(), b"v2")
        later = self.succeeds(self.kv.getCommittedVersion(old.GetCommittedVersionRequest()))
        self.assertGreater(later.version, answer.version)

    def test_data_and_versions_survive_restarts(self):
        node = Node()
        self.addCleanup(node.remove)
        highest = 0
        kept = {}
        for life, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGKILL,
                                    signal.SIGTERM, signal.SIGTERM)):
            with node.connect() as kv:
                begun = kv.getReadVersion(old.GetReadVersionRequest()).read_version
                self.assertGreaterEqual(begun, max(highest, 1))
                for key, value in kept.items():
                    found = kv.get(old.GetRequest(key=key))
                    self.assertEqual((True, value), (found.found, found.value), (life, key))
                for i in range(20):
                    key = b"life%d/%d\x00\xff" % (life, i)
                    response = self.succeeds(kv.atomicCommit(old.AtomicCommitRequest(
                        read_version=0, read_conflict_keys=[],
                        operations=[operation("set", key, b"%d" % i)])))
                    self.assertGreater(response.committed_version, highest, "never repeats")
                    highest = response.committed_version
                    kept[key] = b"%d" % i
                stamped = self.succeeds(kv.setVersionstampedKey(old.SetVersionstampedKeyRequest(
                    key_prefix=b"stamp/" + bytes(10), value=b"v")))
                (version, _) = struct.unpack(">QH", stamped.generated_key[-10:])
                self.assertGreater(version, highest)
                highest = version
            node.restart(how)

    # Versionstamps by the two methods: only a tail of ten zero bytes is replaced.

    def test_stamped_key(self):
        before = self.version()
        made = [self.succeeds(self.kv.setVersionstampedKey(old.SetVersionstampedKeyRequest(
            key_prefix=self.key(bytes(10)), value=b"%d" % i))).generated_key for i in range(3)]
        self.assertEqual(sorted(set(made)), made, "unique, and larger for later commits")
        for i, key in enumerate(made):
            self.assertEqual(self.key(), key[:-10])
            self.assertEqual(len(self.key(bytes(10))), len(key))
            self.assertEqual(b"%d" % i, self.get(key))
            (version, _) = struct.unpack(">QH", key[-10:])
            self.assertGreater(version, before)
            self.assertLessEqual(version, self.version())
        self.assertIsNone(self.get(self.key(bytes(10))))

    def test_stamped_value(self):
        made = []
        for _ in range(3):
            answer = self.succeeds(self.kv.setVersionstampedValue(
                old.SetVersionstampedValueRequest(key=self.key(), value_prefix=b"v" + bytes(10))))
            self.assertEqual(b"v", answer.generated_value[:-10])
            self.assertEqual(answer.generated_value, self.get(self.key()))
            self.assertEqual(stamp(self.version(), 0)[:8], answer.generated_value[-10:-2])
            made.append(answer.generated_value)
        self.assertEqual(sorted(set(made)), made)

    def test_other_tails_are_stored_as_given(self):
        for tail in (b"123456789a", bytes(9), bytes(9) + b"\x01", b"\x01" + bytes(9), b"x"):
            key = self.key(tail) if len(tail) >= 10 else tail
            answer = self.succeeds(self.kv.setVersionstampedKey(
                old.SetVersionstampedKeyRequest(key_prefix=key, value=b"v")))
            self.assertEqual(key, answer.generated_key)
            self.assertEqual(b"v", self.get(key))
        for value in (b"", b"x", bytes(9), b"123456789a", bytes(9) + b"\x01"):
            answer = self.succeeds(self.kv.setVersionstampedValue(
                old.SetVersionstampedValueRequest(key=self.key(), value_prefix=value)))
            self.assertEqual(value, answer.generated_value)
            self.assertEqual(value, self.get(self.key()))

    def test_a_template_may_be_the_stamp_alone(self):
        answer = self.succeeds(self.kv.setVersionstampedKey(
            old.SetVersionstampedKeyRequest(key_prefix=bytes(10), value=b"v")))
        self.assertEqual(10, len(answer.generated_key))
        self.assertEqual(b"v", self.get(answer.generated_key))


class CommitTest(ContractTest):
    """atomicCommit."""

    def test_all_operations_in_order_at_one_version(self):
        self.put(self.key(b"old"), b"old")
        before = self.version()
        committed = self.succeeds(self.commit(
            operation("set", self.key(b"a"), b"1"), operation("set", self.key(b"a"), b"2"),
            operation("set", self.key(b"b"), b"x"), operation("delete", self.key(b"b")),
            operation("delete", self.key(b"c")), operation("set", self.key(b"c"), b""),
            operation("delete", self.key(b"old")))).committed_version
        self.assertGreater(committed, before)
        self.assertEqual([b"2", None, b"", None],
                         [self.get(self.key(name)) for name in (b"a", b"b", b"c", b"old")])
        for at, found in ((before, False), (committed, True)):
            for name in (b"a", b"c"):
                read = self.kv.snapshotGet(old.SnapshotGetRequest(
                    key=self.key(name), read_version=at))
                self.assertEqual((found, None), (read.found, read.error))

    def test_an_empty_list_succeeds(self):
        self.succeeds(self.commit())
        self.succeeds(self.commit(read_version=self.version(), conflicts=[self.key()]))

    def test_conflicts(self):
        self.put(self.key(b"read"), b"1")
        at = self.version()
        self.put(self.key(b"other"), b"1")
        write = operation("set", self.key(b"out"), b"v")
        read = [self.key(b"read")]
        self.succeeds(self.commit(write, read_version=at, conflicts=read))
        self.put(self.key(b"read"), b"2")
        refused = self.fails(self.commit(operation("set", self.key(b"not"), b"v"),
                                         read_version=at, conflicts=read), "CONFLICT")
        self.assertIsNone(refused.committed_version)
        self.assertIsNone(self.get(self.key(b"not")))
        self.succeeds(self.commit(write, read_version=self.version(), conflicts=read))
        self.succeeds(self.commit(write, read_version=at), )

    def test_a_delete_and_a_key_that_never_was_conflict_too(self):
        self.put(self.key(b"gone"), b"1")
        at = self.version()
        self.succeeds(self.kv.deleteKey(old.DeleteRequest(key=self.key(b"gone"))))
        self.fails(self.commit(read_version=at, conflicts=[self.key(b"gone")]), "CONFLICT")
        self.succeeds(self.commit(read_version=at, conflicts=[self.key(b"never")]))
        self.put(self.key(b"never"), b"now")
        self.fails(self.commit(read_version=at, conflicts=[self.key(b"never")]), "CONFLICT")

    def test_read_version_0_without_conflict_keys_is_a_blind_write(self):
        self.put(self.key(), b"1")
        self.succeeds(self.commit(operation("set", self.key(), b"2"), read_version=0))
        self.assertEqual(b"2", self.get(self.key()))

    def test_counter_without_lost_updates(self):
        self.put(self.key(), b"0")
        clients = [self.node.connect() for _ in range(4)]
        done = 0
        snapshots = [None] * len(clients)
        for step in range(200):  # Interleaved by turns: every client's read is stale sometimes.
            me = step % len(clients)
            kv = clients[me]
            if snapshots[me] is None:
                at = kv.getReadVersion(old.GetReadVersionRequest()).read_version
                value = kv.snapshotGet(old.SnapshotGetRequest(key=self.key(), read_version=at))
                snapshots[me] = (at, int(value.value))
                continue
            at, value = snapshots[me]
            snapshots[me] = None
            answer = kv.atomicCommit(old.AtomicCommitRequest(
                read_version=at, read_conflict_keys=[self.key()],
                operations=[operation("set", self.key(), b"%d" % (value + 1))]))
            if answer.success:
                done += 1
            else:
                self.assertEqual("CONFLICT", answer.error_code)
        for kv in clients:
            kv.transport.close()
        self.assertEqual(done, int(self.get(self.key())))
        self.assertGreater(done, 0)
        self.assertLess(done, 100, "without a conflict this test has shown nothing")

    def test_invalid_operations(self):
        good = operation("set", self.key(b"good"), b"v")
        for bad in (operation("SET", self.key(), b"v"), operation("", self.key(), b"v"),
                    operation("get", self.key()), operation("Delete", self.key()),
                    operation("clear", self.key()), operation("set", self.key()),
                    operation("SET_VERSIONSTAMPED_KEY", b"short", b"v"),
                    operation("SET_VERSIONSTAMPED_KEY", bytes(9), b"v"),
                    operation("SET_VERSIONSTAMPED_KEY", b"", b"v"),
                    operation("SET_VERSIONSTAMPED_VALUE", self.key(), b"short"),
                    operation("SET_VERSIONSTAMPED_VALUE", self.key(), b""),
                    operation("SET_VERSIONSTAMPED_VALUE", self.key())):
            with self.subTest(operation=bad):
                before = self.version()
                refused = self.fails(self.commit(good, bad, good), "INVALID_OPERATION")
                self.assertIsNone(refused.committed_version)
                self.assertIsNone(self.get(self.key(b"good")))
                self.assertEqual(before, self.version(), "nothing was applied")

    def test_stamps_are_always_replaced(self):
        committed = self.succeeds(self.commit(
            operation("SET_VERSIONSTAMPED_KEY", self.key(bytes(10)), b"k0"),
            operation("SET_VERSIONSTAMPED_KEY", self.key(b"not zeroes"), b"k1"),
            operation("SET_VERSIONSTAMPED_VALUE", self.key(b"zero"), b"v" + bytes(10)),
            operation("SET_VERSIONSTAMPED_VALUE", self.key(b"text"), b"v0123456789"),
        )).committed_version
        pairs = {pair.key: pair.value for pair in self.range(
            begin_key=self.key(), end_key=self.key(b"\xff")).key_values}
        stamps = []
        for key, value in pairs.items():
            if value in (b"k0", b"k1"):
                self.assertEqual(len(self.key(bytes(10))), len(key))
                stamps.append(key[-10:])
            else:
                self.assertEqual((b"v", 11), (value[:1], len(value)))
                stamps.append(value[-10:])
        self.assertEqual(4, len(stamps))
        self.assertEqual(4, len(set(stamps)), "each of the commit has its own")
        self.assertEqual({stamp(committed, 0)[:8]}, {s[:8] for s in stamps})
        ordered = sorted((s, v) for s, v in zip(stamps, pairs.values()) if v in (b"k0", b"k1"))
        self.assertEqual([b"k0", b"k1"], [v for _, v in ordered], "in the order of the operations")

    def test_too_many_operations(self):
        # 65,535 is as many as two bytes of order can tell apart.
        many = [operation("set", self.key(b"%d" % (i % 10)), b"") for i in range(65_535)]
        self.succeeds(self.commit(*many))
        self.fails(self.commit(*many, many[0]), "INVALID_ARGUMENT", "transaction_operations")

    def test_timeout(self):
        refused = self.fails(
            self.commit(operation("set", self.key(), b"v"), timeout_seconds=0), "TIMEOUT")
        self.assertIsNone(refused.committed_version)
        self.assertIsNone(self.get(self.key()))
        self.succeeds(self.commit(operation("set", self.key(), b"v"), timeout_seconds=50))
        self.succeeds(self.commit(operation("set", self.key(), b"v"), timeout_seconds=2**62))

    def test_read_version_from_the_future_or_below_zero(self):
        for at in (self.version() + 1000, -1):
            self.fails(self.commit(operation("set", self.key(), b"v"), read_version=at,
                                   conflicts=[self.key()]), "INVALID_ARGUMENT")
        self.assertIsNone(self.get(self.key()))


class OtherTest(ContractTest):
    """Stubs, ping, diagnostics, and fault injection when it is not allowed."""

    def test_stubs_always_fail_with_a_text(self):
        for response in (
                self.kv.addReadConflict(old.AddReadConflictRequest(key=b"k")),
                self.kv.addReadConflictRange(
                    old.AddReadConflictRangeRequest(start_key=b"a", end_key=b"b")),
                self.kv.setReadVersion(old.SetReadVersionRequest(version=self.version()))):
            self.fails(response)

    def test_ping(self):
        answer = self.kv.ping(old.PingRequest())
        self.assertEqual((b"pong", 0), (answer.message, answer.timestamp))
        self.assertLess(abs(answer.server_timestamp - time.time() * 1e6), 60e6, "microseconds")
        answer = self.kv.ping(old.PingRequest(message=b"\x00\xff", timestamp=-7))
        self.assertEqual((b"\x00\xff", -7), (answer.message, answer.timestamp))
        self.assertEqual(b"", self.kv.ping(old.PingRequest(message=b"")).message)

    def health(self):
        """Of a moment in which somebody leads."""
        while True:
            health = self.succeeds(self.kv.getClusterHealth(
                old.GetClusterHealthRequest(auth_token="any"))).cluster_health
            if health.leader is not None:
                return health

    def test_cluster_health(self):
        health = self.health()
        size = self.node.members
        self.assertEqual((size, size, "healthy"), (
            health.healthy_nodes_count, health.total_nodes_count, health.cluster_status))
        self.assertEqual(list(range(size)), sorted(node.node_id for node in health.nodes))
        self.assertEqual([health.leader.node_id],
                         [node.node_id for node in health.nodes if node.is_leader])
        for node in health.nodes:
            self.assertEqual("healthy", node.status)
            self.assertLess(abs(node.last_seen_timestamp - time.time()), 60, "seconds")
            self.assertLessEqual(node.term, health.current_term, "when it was last heard")
        (node,) = (node for node in health.nodes if node.node_id == self.node.number)
        self.assertIn(self.node.led(), (None, node.is_leader))
        self.assertEqual(health.current_term, node.term)
        self.assertEqual(f"127.0.0.1:{self.node.port}", node.endpoint)
        self.assertGreaterEqual(node.uptime_seconds, 0)

    def test_node_info(self):
        own = self.node.number
        for node_id in (None, own):
            answer = self.succeeds(self.kv.getNodeInfo(old.GetNodeInfoRequest(node_id=node_id)))
            self.assertEqual(own, answer.node_info.node_id)
            self.assertIn(self.node.led(), (None, answer.node_info.is_leader))
        for node_id in range(self.node.members):
            answer = self.succeeds(self.kv.getNodeInfo(old.GetNodeInfoRequest(node_id=node_id)))
            self.assertEqual(node_id, answer.node_info.node_id)
        for node_id in (self.node.members, -1, 2**31 - 1):
            answer = self.fails(self.kv.getNodeInfo(old.GetNodeInfoRequest(node_id=node_id)),
                                text=str(node_id))
            self.assertIsNone(answer.node_info)

    def stats(self, **fields):
        return self.succeeds(self.kv.getDatabaseStats(
            old.GetDatabaseStatsRequest(**fields))).database_stats

    def test_database_stats_are_measured(self):
        before = self.stats()
        for i in range(5):
            self.put(self.key(b"%d" % i), b"value")
            self.get(self.key(b"%d" % i))
        at = self.version()
        self.succeeds(self.commit(operation("set", self.key(b"0"), b"x")))
        self.fails(self.commit(read_version=at, conflicts=[self.key(b"0")]), "CONFLICT")
        after = self.stats()
        self.assertEqual(7, after.write_operations_count - before.write_operations_count)
        self.assertEqual(6, after.read_operations_count - before.read_operations_count)
        self.assertEqual(1, after.committed_transactions - before.committed_transactions)
        self.assertEqual(1, after.aborted_transactions - before.aborted_transactions)
        self.assertEqual(0, after.active_transactions)
        self.assertGreater(after.average_response_time_ms, 0)
        self.assertLess(after.average_response_time_ms, 10_000)
        self.assertGreater(after.total_keys, 0)
        self.assertGreater(after.total_size_bytes, 0)

    def test_detailed_stats_come_on_demand(self):
        self.get(self.key())
        for plain in (self.stats(), self.stats(include_detailed_stats=False)):
            self.assertIsNone(plain.cache_hit_rate_percent)
            self.assertIsNone(plain.compaction_pending_bytes)
        detailed = self.stats(include_detailed_stats=True)
        self.assertGreaterEqual(detailed.compaction_pending_bytes, 0)
        self.assertIn(detailed.cache_hit_rate_percent, range(0, 101))

    def test_fault_injection_is_off(self):
        self.fails(self.kv.setFaultInjection(old.FaultInjectionRequest(
            fault_type="BROKEN", probability=1.0)), text="--allow-fault-injection")
        self.put(self.key(), b"v")


class FaultTest(ContractTest):
    """setFaultInjection, allowed."""

    flags = ("--allow-fault-injection",)

    def fault(self, name, probability=None, **fields):
        self.succeeds(self.kv.setFaultInjection(old.FaultInjectionRequest(
            fault_type=name, probability=probability, **fields)))

    def test_the_fault_is_the_error_code(self):
        name = "Any name, ключ"
        self.fault(name, 1.0)
        self.addCleanup(self.fault, name, 0.0)
        self.fails(self.kv.setKey(old.SetRequest(key=self.key(), value=b"v")), name)
        self.fails(self.kv.deleteKey(old.DeleteRequest(key=self.key())), name)
        self.fails(self.commit(operation("set", self.key(), b"v")), name)
        self.fails(self.kv.get(old.GetRequest(key=self.key())))
        self.fault(name)  # The probability's default is 0: cleared.
        self.assertIsNone(self.get(self.key()), "what failed was not done")
        self.put(self.key(), b"v")

    def test_a_target_keeps_the_others_whole(self):
        self.fault("TIMEOUT", 1.0, target_operation="atomicCommit")
        self.addCleanup(self.fault, "TIMEOUT", 0.0, target_operation="atomicCommit")
        self.fails(self.commit(operation("set", self.key(), b"v")), "TIMEOUT")
        self.put(self.key(), b"v")
        self.assertEqual(b"v", self.get(self.key()))

    def test_the_failure_comes_after_its_duration(self):
        self.fault("LATE", 1.0, duration_ms=200, target_operation="setKey")
        self.addCleanup(self.fault, "LATE", 0.0, target_operation="setKey")
        begun = time.monotonic()
        self.fails(self.kv.setKey(old.SetRequest(key=self.key(), value=b"v")), "LATE")
        self.assertGreaterEqual(time.monotonic() - begun, 0.2)

    def test_a_timeout_bounds_the_wait(self):
        self.fault("STUCK", 1.0, duration_ms=60_000, target_operation="atomicCommit")
        self.addCleanup(self.fault, "STUCK", 0.0)
        begun = time.monotonic()
        refused = self.fails(
            self.commit(operation("set", self.key(), b"v"), timeout_seconds=1), "TIMEOUT")
        self.assertIn(int(time.monotonic() - begun), range(1, 30))
        self.assertIsNone(refused.committed_version)
        self.assertIsNone(self.get(self.key()))

    def test_clearing_a_fault_clears_it_for_every_target(self):
        self.fault("BROKEN", 1.0, target_operation="setKey")
        self.fault("BROKEN", 0.0)
        self.put(self.key(), b"v")

    def test_a_probability_between(self):
        self.fault("SOMETIMES", 0.5, target_operation="get")
        self.addCleanup(self.fault, "SOMETIMES", 0.0, target_operation="get")
        failed = sum(self.kv.get(old.GetRequest(key=self.key())).error is not None
                     for _ in range(400))
        self.assertIn(failed, range(100, 301))


if __name__ == "__main__":
    unittest.main(verbosity=2)
