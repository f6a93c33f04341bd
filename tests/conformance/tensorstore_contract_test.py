#!/usr/bin/env python3
"""TensorStore's key-value protocol over a pool of the memory plane: what TensorStore's driver
tsgrpc_kvstore does on the wire, done by a client that was written from the contract."""
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cluster"))

from dram_process import DramServer, free_addresses  # noqa: E402  pylint: disable=wrong-import-position

UNSPECIFIED, MISSING, VALUE = range(3)
NO_VALUE = b"\x05"
PART = 1 << 20


def compile_client(folder):
    """The modules of the protocol, from the proto file beside this one."""
    plugin = subprocess.run(["which", "grpc_python_plugin"], capture_output=True, text=True,
                            check=True).stdout.strip()
    subprocess.run(["protoc", f"-I{pathlib.Path(__file__).parent}", f"--python_out={folder}",
                    f"--grpc_python_out={folder}", f"--plugin=protoc-gen-grpc_python={plugin}",
                    "tensorstore_kvstore.proto"], check=True)
    sys.path.insert(0, folder)
    import tensorstore_kvstore_pb2  # pylint: disable=import-outside-toplevel
    import tensorstore_kvstore_pb2_grpc  # pylint: disable=import-outside-toplevel
    return tensorstore_kvstore_pb2, tensorstore_kvstore_pb2_grpc


class Client:
    """Calls of the protocol, with a deadline each."""
    pb = None
    pb_grpc = None

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = self.pb_grpc.KvStoreServiceStub(self.channel)

    def read(self, key, byte_range=None, **conditions):
        """(state, value, stamp)"""
        request = self.pb.ReadRequest(key=key, **conditions)
        if byte_range is not None:
            request.byte_range.inclusive_min, request.byte_range.exclusive_max = byte_range
        parts = list(self.stub.Read(request, timeout=60))
        for part in parts[1:]:
            assert part.state == 0 and not part.HasField("generation_and_timestamp"), part
        return (parts[0].state, b"".join(part.value_part for part in parts),
                parts[0].generation_and_timestamp)

    def write(self, key, value, if_equal=b"", part_bytes=PART):
        """The stamp."""
        def requests():
            yield self.pb.WriteRequest(key=key, generation_if_equal=if_equal,
                                       value_part=value[:part_bytes])
            for begin in range(part_bytes, len(value), part_bytes):
                yield self.pb.WriteRequest(value_part=value[begin:begin + part_bytes])
        return self.stub.Write(requests(), timeout=60).generation_and_timestamp

    def delete(self, key, if_equal=b""):
        request = self.pb.DeleteRequest(key=key, generation_if_equal=if_equal)
        return self.stub.Delete(request, timeout=60).generation_and_timestamp

    def delete_range(self, low, high):
        request = self.pb.DeleteRequest()
        request.range.inclusive_min, request.range.exclusive_max = low, high
        return self.stub.Delete(request, timeout=60).generation_and_timestamp

    def list(self, low=b"", high=b"", strip=0):
        request = self.pb.ListRequest(strip_prefix_length=strip)
        request.range.inclusive_min, request.range.exclusive_max = low, high
        return [(entry.key, entry.size) for response in self.stub.List(request, timeout=60)
                for entry in response.entry]


class OneServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        if Client.pb is None:
            Client.pb, Client.pb_grpc = compile_client(cls.folder.name)

    def serve(self):
        """Servers; the last serves the protocol."""
        return [DramServer("--listen", "127.0.0.1:0", "--capacity", "64MiB",
                           "--tensorstore", "127.0.0.1:0")]

    def setUp(self):
        self.servers = self.serve()
        for server in self.servers:
            self.addCleanup(server.end)
        self.client = Client(self.servers[-1].tensorstore)
        self.addCleanup(self.client.channel.close)

    def assert_fails(self, code, call, *arguments, **named):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*arguments, **named)
        self.assertEqual(code, caught.exception.code(), caught.exception)

    def test_values_of_all_sizes(self):
        for size in (0, 1, 1000, PART - 1, PART, PART + 1, 5_000_000):
            value = os.urandom(size)
            key = b"size/%d" % size
            before = time.time()
            written = self.client.write(key, value)
            self.assertEqual(17, len(written.generation))
            self.assertLess(abs(written.timestamp.seconds - before), 60)
            state, read, stamp = self.client.read(key)
            self.assertEqual((VALUE, written.generation), (state, stamp.generation))
            self.assertTrue(value == read, size)

    def test_any_bytes_are_a_key(self):
        for key in (b"\x00", b"\xff\xff", bytes(range(256)), b"k" * 4096):
            self.client.write(key, key)
            self.assertEqual(key, self.client.read(key)[1])
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        self.assert_fails(invalid, self.client.write, b"k" * 4097, b"v")
        self.assert_fails(invalid, self.client.read, b"")
        self.assert_fails(invalid, self.client.delete, b"")

    def test_a_missing_key(self):
        state, value, stamp = self.client.read(b"none")
        self.assertEqual((MISSING, b"", NO_VALUE), (state, value, stamp.generation))
        self.assertGreater(stamp.timestamp.seconds, 0)

    def test_byte_ranges(self):
        self.client.write(b"k", b"0123456789")
        for byte_range, expected in (((0, -1), b"0123456789"), ((3, -1), b"3456789"),
                                     ((3, 7), b"3456"), ((-3, -1), b"789"), ((4, 4), b""),
                                     ((10, 10), b"")):
            self.assertEqual((VALUE, expected), self.client.read(b"k", byte_range)[:2])
        for byte_range in ((0, 11), (11, -1), (-11, -1), (7, 3)):
            self.assert_fails(grpc.StatusCode.OUT_OF_RANGE, self.client.read, b"k", byte_range)

    def test_conditions_of_reads(self):
        generation = self.client.write(b"k", b"v").generation
        other = generation[:-2] + bytes([generation[-2] ^ 1]) + generation[-1:]
        for conditions, expected in (
                ({"generation_if_equal": generation}, (VALUE, b"v")),
                ({"generation_if_equal": other}, (UNSPECIFIED, b"")),
                ({"generation_if_equal": NO_VALUE}, (UNSPECIFIED, b"")),
                ({"generation_if_not_equal": generation}, (UNSPECIFIED, b"")),
                ({"generation_if_not_equal": other}, (VALUE, b"v")),
                ({"generation_if_not_equal": b"of another store\x01"}, (VALUE, b"v")),
                ({"generation_if_equal": b"of another store\x01"}, (UNSPECIFIED, b""))):
            state, value, stamp = self.client.read(b"k", **conditions)
            self.assertEqual(expected, (state, value), conditions)
            self.assertEqual(generation, stamp.generation)

    def test_conditions_of_writes_and_deletes(self):
        first = self.client.write(b"k", b"1", NO_VALUE).generation
        self.assertEqual(17, len(first))
        self.assertEqual(b"", self.client.write(b"k", b"2", NO_VALUE).generation)
        second = self.client.write(b"k", b"2", first).generation
        self.assertNotIn(second, (b"", first))
        self.assertEqual(b"", self.client.write(b"k", b"3", first).generation)
        self.assertEqual(b"2", self.client.read(b"k")[1])
        self.assertEqual(b"", self.client.delete(b"k", first).generation)
        self.assertEqual(NO_VALUE, self.client.delete(b"k", second).generation)
        self.assertEqual(NO_VALUE, self.client.delete(b"k", NO_VALUE).generation)
        self.assertEqual(b"", self.client.delete(b"k", second).generation)
        # Written again, it is not the old value.
        self.client.write(b"k", b"2")
        self.assertEqual(UNSPECIFIED, self.client.read(b"k", generation_if_equal=second)[0])

    def test_lists(self):
        for key in (b"a/1", b"a/2", b"a/10", b"b", b"c"):
            self.client.write(key, key)
        self.assertEqual([b"a/1", b"a/10", b"a/2", b"b", b"c"], [k for k, _ in self.client.list()])
        self.assertEqual([(b"1", 3), (b"10", 4), (b"2", 3)], self.client.list(b"a/", b"a0", 2))
        self.assertEqual([b"b", b"c"], [key for key, _ in self.client.list(b"b")])
        self.assertEqual(b"", self.client.delete_range(b"a/", b"a0").generation)
        self.assertEqual([b"b", b"c"], [key for key, _ in self.client.list()])
        self.client.delete_range(b"", b"")
        self.assertEqual([], self.client.list())

    def test_a_list_of_several_messages(self):
        for i in range(2500):
            self.client.write(b"%04d" % i, b"")
        self.assertEqual([(b"%04d" % i, 0) for i in range(2500)], self.client.list())

    def test_concurrent_updates_are_not_lost(self):
        def add(rounds):
            client = Client(self.servers[-1].tensorstore)
            done = 0
            while done < rounds:
                _, value, stamp = client.read(b"counter")
                written = client.write(b"counter", b"%d" % (int(value or b"0") + 1),
                                       stamp.generation)
                done += written.generation != b""
            client.channel.close()
        threads = [threading.Thread(target=add, args=(25,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(b"100", self.client.read(b"counter")[1])

    def test_a_full_store(self):
        self.assert_fails(grpc.StatusCode.RESOURCE_EXHAUSTED, self.client.write, b"k",
                          bytes(70 << 20))
        self.client.write(b"k", b"v")


class ThreeNodes(OneServer):
    """The same of one node of a pool: what it serves is the whole pool."""

    def serve(self):
        addresses = free_addresses(3)
        servers = []
        for address in addresses:
            others = ",".join(one for one in addresses if one != address)
            more = ("--tensorstore", "127.0.0.1:0") if address == addresses[2] else ()
            servers.append(DramServer("--listen", address, "--remote", others, "--capacity",
                                      "64MiB", *more))
        return servers

    def test_a_node_that_is_gone(self):
        keys = [b"%d" % i for i in range(20)]
        for key in keys:
            self.client.write(key, key)
        self.servers[0].end()
        codes = set()
        for key in keys:
            try:
                self.assertEqual(key, self.client.read(key)[1])
                codes.add(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                codes.add(error.code())
                if len(codes) == 2:
                    break
        self.assertEqual({grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}, codes)


if __name__ == "__main__":
    unittest.main()
