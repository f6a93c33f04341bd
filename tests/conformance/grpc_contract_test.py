#!/usr/bin/env python3
"""Both gRPC interfaces against a real cairnd, with Debian's Python client: kvstore.KVStore as the
earlier service's clients know it, and cairn.v1. The modules come from build/gen-py."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, os.environ["CAIRN_GEN_PY"])

# pylint: disable=wrong-import-position
import grpc

import cairn_pb2 as pb
import cairn_pb2_grpc as rpc
import kvstore_pb2 as old_pb
import kvstore_pb2_grpc as old_rpc
from contract_support import Moving, Node

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def at_least(key):
    return pb.KeySelector(key=key, or_equal=False, offset=1)


def reason(error):
    """The reason in the details of an RpcError."""
    for name, value in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            detail = pb.ErrorDetail()
            assert pb.RpcStatus.FromString(value).details[0].Unpack(detail)
            return pb.Reason.Name(detail.reason)
    return None


class GrpcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        cls.channel = grpc.insecure_channel(f"127.0.0.1:{cls.grpc_port()}", OPTIONS)
        cls.addClassCleanup(cls.channel.close)
        cls.kv = rpc.KVStub(cls.channel)
        cls.admin = rpc.AdminStub(cls.channel)
        cls.old = old_rpc.KVStoreStub(cls.channel)

    @classmethod
    def grpc_port(cls):
        """What the node says when all of it serves."""
        while True:
            found = re.search(r"gRPC on \S+:(\d+)\n", cls.node.errors())
            if found:
                return int(found.group(1))
            try:  # Waits for the process to end; a short wait that passes is good news.
                cls.node.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(cls.node.errors())

    def setUp(self):
        if isinstance(self.node, Moving):
            self.node.stir()

    def key(self, suffix=b""):
        return self.id().rsplit(".", 1)[1].encode() + b"/" + suffix

    def fails(self, code, why, call, *arguments, **options):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*arguments, **options)
        self.assertEqual(code, caught.exception.code(), caught.exception.details())
        self.assertEqual(why, reason(caught.exception))
        return caught.exception


class OldServiceTest(GrpcTest):
    def test_put_get_delete(self):
        answer = self.old.Put(old_pb.PutRequest(key="a", value="1"))
        self.assertEqual((True, ""), (answer.success, answer.error))
        answer = self.old.Get(old_pb.GetRequest(key="a"))
        self.assertEqual((True, "1"), (answer.found, answer.value))
        for _ in range(2):  # deleting a missing key succeeds
            self.assertTrue(self.old.Delete(old_pb.DeleteRequest(key="a")).success)
        answer = self.old.Get(old_pb.GetRequest(key="a"))
        self.assertEqual((False, ""), (answer.found, answer.value))

    def test_an_empty_key(self):
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "REASON_INVALID_ARGUMENT", self.old.Get,
                   old_pb.GetRequest())
        for answer in (self.old.Put(old_pb.PutRequest(value="v")),
                       self.old.Delete(old_pb.DeleteRequest())):
            self.assertFalse(answer.success)
            self.assertIn("INVALID_ARGUMENT", answer.error)

    def test_list_keys_stops_at_the_prefix(self):
        for key in ("list/a", "list/b", "list/c", "list0", "lis"):
            self.old.Put(old_pb.PutRequest(key=key, value="v"))
        keys = lambda **fields: list(self.old.ListKeys(old_pb.ListKeysRequest(**fields)).keys)
        self.assertEqual(["list/a", "list/b", "list/c"], keys(prefix="list/"))
        self.assertEqual(["list/a", "list/b"], keys(prefix="list/", limit=2))
        self.assertEqual([], keys(prefix="list/d"))

    def test_what_is_no_text(self):
        self.kv.Set(pb.SetRequest(key=b"bin/\xff", value=b"v"))
        self.kv.Set(pb.SetRequest(key=b"bin/x", value=b"\xff\xfe"))
        self.old.Put(old_pb.PutRequest(key="bin/y", value="v"))
        answer = self.old.ListKeys(old_pb.ListKeysRequest(prefix="bin/", limit=2))
        self.assertEqual(["bin/x", "bin/y"], list(answer.keys))
        self.fails(grpc.StatusCode.FAILED_PRECONDITION, "REASON_FAILED_PRECONDITION", self.old.Get,
                   old_pb.GetRequest(key="bin/x"))

    def test_ping(self):
        answer = self.old.Ping(old_pb.PingRequest(timestamp=7))
        self.assertEqual(("pong", 7), (answer.message, answer.timestamp))
        self.assertGreater(answer.server_timestamp, 1_600_000_000_000_000)
        self.assertEqual("hi", self.old.Ping(old_pb.PingRequest(message="hi")).message)


class NewServiceTest(GrpcTest):
    def set(self, key, value=b"v", **fields):
        return self.kv.Set(pb.SetRequest(key=key, value=value, **fields)).version

    def test_one_set_of_data_behind_all_wires(self):
        version = self.set(b"shared", b"1")
        self.assertEqual("1", self.old.Get(old_pb.GetRequest(key="shared")).value)
        answer = self.kv.Get(pb.GetRequest(key=b"shared"))
        self.assertEqual((True, b"1", version), (answer.found, answer.value, answer.version))

    def test_read_levels_and_versions(self):
        key = self.key()
        first = self.set(key, b"1")
        second = self.set(key, b"2")
        for level in (pb.READ_LEVEL_LOCAL, pb.READ_LEVEL_LEADER, pb.READ_LEVEL_READ_INDEX):
            read = pb.ReadOptions(level=level, min_version=second)
            self.assertEqual(b"2", self.kv.Get(pb.GetRequest(key=key, read=read)).value)
        past = pb.ReadOptions(at_version=first)
        self.assertEqual(b"1", self.kv.Get(pb.GetRequest(key=key, read=past)).value)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "REASON_INVALID_ARGUMENT", self.kv.Get,
                   pb.GetRequest(key=key, read=pb.ReadOptions(level=9)))

    def test_selectors(self):
        keys = [self.key(b"%d" % i) for i in range(5)]
        family = "selectors"
        self.admin.CreateColumnFamily(pb.CreateColumnFamilyRequest(name=family))
        for key in keys:
            self.set(key, column_family=family)

        def resolve(key, or_equal, offset):
            answer = self.kv.GetKey(pb.GetKeyRequest(column_family=family, selector=pb.KeySelector(
                key=key, or_equal=or_equal, offset=offset)))
            return answer.key or pb.GetKeyResponse.Position.Name(answer.position)
        # FoundationDB's definition: the last key < k (<= k with or_equal), then `offset` on.
        for at, key in enumerate(keys):
            for or_equal in (False, True):
                for offset in range(-7, 8):
                    place = (at if or_equal else at - 1) + offset
                    expected = ("POSITION_BEFORE_FIRST" if place < 0 else
                                "POSITION_AFTER_LAST" if place >= len(keys) else keys[place])
                    self.assertEqual(expected, resolve(key, or_equal, offset))

    def test_ranges(self):
        keys = [self.key(b"%d" % i) for i in range(5)]
        for key in keys:
            self.set(key)
        within = {"begin": at_least(keys[0]), "end": at_least(keys[4])}
        answer = self.kv.GetRange(pb.GetRangeRequest(range=pb.Range(**within)))
        self.assertEqual(keys[:4], [pair.key for pair in answer.pairs])
        self.assertFalse(answer.has_more)
        answer = self.kv.GetRange(pb.GetRangeRequest(
            range=pb.Range(reverse=True, keys_only=True, **within), limit=2))
        self.assertEqual([(keys[3], b""), (keys[2], b"")],
                         [(pair.key, pair.value) for pair in answer.pairs])
        self.assertTrue(answer.has_more)

    def test_transactions(self):
        key = self.key()
        begin = self.kv.GetReadVersion(pb.GetReadVersionRequest()).version
        self.set(key)
        commit = pb.CommitRequest(read_version=begin, read_conflict_keys=[pb.ConflictKey(key=key)],
                                  mutations=[pb.Mutation(type=pb.Mutation.TYPE_DELETE, key=key)])
        self.fails(grpc.StatusCode.ABORTED, "REASON_CONFLICT", self.kv.Commit, commit)
        ranged = pb.CommitRequest(read_version=begin, read_conflict_ranges=[
            pb.ConflictRange(begin=key, end=key + b"\0")])
        self.fails(grpc.StatusCode.ABORTED, "REASON_CONFLICT", self.kv.Commit, ranged)
        commit.read_version = self.kv.GetReadVersion(pb.GetReadVersionRequest()).version
        self.assertGreater(self.kv.Commit(commit).version, begin)
        self.assertFalse(self.kv.Get(pb.GetRequest(key=key)).found)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "REASON_INVALID_OPERATION", self.kv.Commit,
                   pb.CommitRequest(mutations=[pb.Mutation(key=key)]))

    def test_versionstamps(self):
        made = self.kv.SetVersionstampedKey(pb.SetVersionstampedKeyRequest(
            key_template=self.key() + bytes(10), value=b"v"))
        self.assertEqual(self.key() + made.version.to_bytes(8, "big") + bytes(2), made.generated)
        self.assertTrue(self.kv.Get(pb.GetRequest(key=made.generated)).found)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "REASON_INVALID_ARGUMENT",
                   self.kv.SetVersionstampedKey,
                   pb.SetVersionstampedKeyRequest(key_template=self.key(), value=b"v"))

    def test_sessions_apply_once(self):
        session = self.kv.OpenSession(pb.OpenSessionRequest()).session_id
        stamp = pb.WriteOptions(session=pb.SessionStamp(id=session, sequence=1))
        first = self.set(self.key(), b"1", write=stamp)
        self.assertEqual(first, self.set(self.key(), b"2", write=stamp))
        self.assertEqual(b"1", self.kv.Get(pb.GetRequest(key=self.key())).value)
        self.kv.CloseSession(pb.CloseSessionRequest(session_id=session))
        stamp.session.sequence = 2
        self.fails(grpc.StatusCode.FAILED_PRECONDITION, "REASON_SESSION_EXPIRED", self.kv.Set,
                   pb.SetRequest(key=self.key(), write=stamp))

    def test_column_families_and_status(self):
        self.admin.CreateColumnFamily(pb.CreateColumnFamilyRequest(name="f"))
        self.set(b"k", column_family="f")
        self.assertFalse(self.kv.Get(pb.GetRequest(key=b"k")).found)
        self.assertIn("f", self.admin.ListColumnFamilies(pb.ListColumnFamiliesRequest()).names)
        self.admin.DropColumnFamily(pb.DropColumnFamilyRequest(name="f"))
        self.fails(grpc.StatusCode.NOT_FOUND, "REASON_NOT_FOUND", self.kv.Get,
                   pb.GetRequest(key=b"k", column_family="f"))
        cluster = self.admin.GetClusterStatus(pb.GetClusterStatusRequest())
        while not cluster.HasField("leader_id"):  # of a moment in which somebody leads
            cluster = self.admin.GetClusterStatus(pb.GetClusterStatusRequest())
        self.assertEqual(("healthy", self.node.members), (cluster.status, len(cluster.nodes)))
        status = self.admin.GetNodeStatus(pb.GetNodeStatusRequest())
        roles = {True: {"leader"}, False: {"follower"}}.get(
            self.node.led(), {"leader", "follower", "candidate"})
        self.assertIn(status.replica.role, roles)
        self.assertTrue(status.replica.recovered)
        self.assertRegex(status.node.grpc_endpoint, r"127\.0\.0\.1:\d+")
        self.assertGreater(self.admin.GetStatistics(pb.GetStatisticsRequest()).writes, 0)

    def test_faults_are_refused_unless_allowed(self):
        self.fails(grpc.StatusCode.PERMISSION_DENIED, "REASON_PERMISSION_DENIED",
                   self.admin.SetFault, pb.SetFaultRequest(fault_name="X", probability=1))

    def test_limits(self):
        error = self.fails(grpc.StatusCode.INVALID_ARGUMENT, "REASON_INVALID_ARGUMENT", self.kv.Set,
                           pb.SetRequest(key=b"k" * 20_000))
        self.assertIn("key_bytes", error.details())
        with self.assertRaises(grpc.RpcError) as caught:  # gRPC's own refusal
            self.kv.Set(pb.SetRequest(key=b"k", value=bytes(65 << 20)))
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, caught.exception.code())
        self.set(self.key())

    def test_malformed_messages(self):
        raw = self.channel.unary_unary("/cairn.v1.KV/Get")
        for request in (b"\xff", b"\x0a\xff\xff\xff\xff\x7f", b"\x0a\x05ab", b"\x07" + os.urandom(64)):
            with self.subTest(request=request), self.assertRaises(grpc.RpcError) as caught:
                raw(request)
            # gRPC answers by itself: INTERNAL is what its specification says, UNIMPLEMENTED without a
            # word what the callback handlers of 1.51 give.
            code = caught.exception.code()
            self.assertIn(code, (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL))
            if code == grpc.StatusCode.UNIMPLEMENTED:
                self.assertEqual("", caught.exception.details())
        self.set(self.key())

    def test_a_deadline_that_passes(self):
        read = pb.ReadOptions(min_version=2 ** 62)
        with self.assertRaises(grpc.RpcError) as caught:
            self.kv.Get(pb.GetRequest(key=b"k", read=read), timeout=0.2)
        self.assertIn(caught.exception.code(),
                      (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE))

    def test_cancelled_while_waiting(self):
        call = self.kv.Get.future(pb.GetRequest(key=b"k", read=pb.ReadOptions(min_version=2 ** 62)))
        call.cancel()
        self.assertTrue(call.cancelled())
        self.set(self.key())


class ScanTest(GrpcTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = [b"s/%05d" % i for i in range(2000)]
        for start in range(0, len(cls.keys), 500):
            cls.kv.Commit(pb.CommitRequest(mutations=[
                pb.Mutation(type=pb.Mutation.TYPE_SET, key=key, value=key * 100)
                for key in cls.keys[start:start + 500]]))
        cls.range = {"begin": at_least(b"s/"), "end": at_least(b"s0")}

    def scan(self, limit=0, batch=0, resume=b"", at=0, **fields):
        return self.kv.Scan(pb.ScanRequest(
            range=pb.Range(**{**self.range, **fields}), limit=limit, batch_bytes=batch,
            resume_after=resume, read=pb.ReadOptions(at_version=at)))

    def gather(self, stream):
        batches = list(stream)
        self.assertEqual([False] * (len(batches) - 1) + [True], [b.last for b in batches])
        self.assertEqual(1, len({b.read_version for b in batches}))
        return [pair.key for batch in batches for pair in batch.pairs], batches

    def test_all_in_order_either_way(self):
        keys, batches = self.gather(self.scan(batch=10_000))
        self.assertEqual(self.keys, keys)
        self.assertGreater(len(batches), 50)
        keys, _ = self.gather(self.scan(batch=10_000, reverse=True, keys_only=True))
        self.assertEqual(self.keys[::-1], keys)

    def test_limits(self):
        keys, batches = self.gather(self.scan(limit=1500, batch=10_000))
        self.assertEqual((self.keys[:1500], True), (keys, batches[-1].has_more))
        keys, batches = self.gather(self.scan(limit=2000))
        self.assertEqual((2000, False), (len(keys), batches[-1].has_more))
        self.assertEqual([], self.gather(self.scan(begin=at_least(b"s/9"))) [0])

    def test_selectors_that_count(self):
        third = pb.KeySelector(key=b"s/", or_equal=False, offset=4)
        early = pb.KeySelector(key=b"s0", or_equal=False, offset=-9)
        keys, _ = self.gather(self.scan(begin=third, end=early, batch=10_000))
        self.assertEqual(self.keys[3:1990], keys)

    def test_one_version_and_resume(self):
        for reverse in (False, True):
            stream = self.scan(batch=10_000, reverse=reverse)
            first = next(stream)
            stream.cancel()
            self.kv.Set(pb.SetRequest(key=b"s/00999+", value=b"later"))
            rest, _ = self.gather(self.scan(resume=first.pairs[-1].key, at=first.read_version,
                                            reverse=reverse))
            self.assertEqual(self.keys[::-1] if reverse else self.keys,
                             [pair.key for pair in first.pairs] + rest)
            self.kv.Delete(pb.DeleteRequest(key=b"s/00999+"))

    def test_an_unknown_family(self):
        self.fails(grpc.StatusCode.NOT_FOUND, "REASON_NOT_FOUND",
                   lambda: list(self.scan(column_family="none")))


if __name__ == "__main__":
    unittest.main()
