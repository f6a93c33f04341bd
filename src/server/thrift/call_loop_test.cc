#include "src/server/thrift/call_loop.h"

#include <gtest/gtest.h>
#include <thrift/TApplicationException.h>

#include <atomic>
#include <string>
#include <vector>

#include "src/server/thrift/allocation_probe.h"
#include "src/server/thrift/memory_stream.h"
#include "src/server/thrift/wire_testing.h"

namespace cairn::server {
namespace {

using apache::thrift::TApplicationException;
using testing::GetBytes;
using testing::MakeEchoProcessor;
using testing::WireClient;

constexpr WireFormat kFormats[] = {WireFormat::kUnframedBinary, WireFormat::kUnframedCompact,
                                   WireFormat::kFramedBinary, WireFormat::kFramedCompact};

struct Served {
  std::string output;
  CallLoopEnd end = CallLoopEnd::kClosed;
  std::string complaint;
  std::uint64_t calls = 0;
  std::uint64_t protocol_errors = 0;
  int reads = 0;
  int writes = 0;
  std::size_t consumed = 0;
  std::size_t largest_allocation = 0;
};

Served Serve(const std::string& input, const MessageLimits& limits = {},
             std::size_t piece = SIZE_MAX) {
  MemoryStream stream(input, piece);
  std::atomic<bool> stopping{false};
  CallLoopCounters counters;
  const auto processor = MakeEchoProcessor();
  testing::ResetLargestAllocation();
  CallLoop loop(&stream, limits, &stopping, &counters);
  Served served;
  served.end = loop.Run(processor);
  served.largest_allocation = testing::LargestAllocation();
  served.output = stream.output();
  served.complaint = loop.complaint();
  served.calls = counters.calls;
  served.protocol_errors = counters.protocol_errors;
  served.reads = stream.reads();
  served.writes = stream.writes();
  served.consumed = stream.consumed();
  return served;
}

std::string ReadGet(WireFormat format, const std::string& answer) {
  WireClient client(format);
  client.Answer(answer);
  thrift_api::GetResponse response;
  client.client().recv_get(response);
  return response.value;
}

// The text of the exception that answers a get.
std::string ReadGetException(WireFormat format, const std::string& answer) {
  try {
    ReadGet(format, answer);
  } catch (const TApplicationException& e) {
    return e.what();
  }
  return "no exception";
}

std::string BigEndian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

// A strict binary call of `method` with sequence 7, up to the arguments.
std::string BinaryHead(const std::string& method) {
  return BigEndian(0x80010001) + BigEndian(static_cast<std::uint32_t>(method.size())) + method +
         BigEndian(7);
}
std::string BinaryField(int type, int id) {
  return {static_cast<char>(type), static_cast<char>(id >> 8), static_cast<char>(id)};
}

// ---- Formats

TEST(CallLoopTest, EveryFormatIsDetectedAndAnsweredInKind) {
  for (const WireFormat format : kFormats) {
    const std::string key("k\0\xFFy", 4);
    const Served served = Serve(GetBytes(format, key));
    EXPECT_EQ(1u, served.calls);
    EXPECT_EQ(key, ReadGet(format, served.output));
  }
}

TEST(CallLoopTest, BytesMayArriveOneByOne) {
  for (const WireFormat format : kFormats) {
    const std::string key(300, 'k');
    const Served served = Serve(GetBytes(format, key), {}, /*piece=*/1);
    EXPECT_EQ(key, ReadGet(format, served.output));
  }
}

TEST(CallLoopTest, PipelinedCallsAreAnsweredInOrder) {
  for (const WireFormat format : kFormats) {
    std::string input;
    for (int i = 0; i < 500; ++i) input += GetBytes(format, "key" + std::to_string(i));
    const Served served = Serve(input, {}, /*piece=*/1000);
    ASSERT_EQ(500u, served.calls);
    WireClient client(format);
    client.Answer(served.output);
    for (int i = 0; i < 500; ++i) {
      thrift_api::GetResponse response;
      client.client().recv_get(response);
      ASSERT_EQ("key" + std::to_string(i), response.value);
    }
  }
}

TEST(CallLoopTest, LargeStringsGoThroughWhole) {
  for (const WireFormat format : kFormats) {
    std::string key;
    for (int i = 0; key.size() < (5 << 20); ++i) key += std::to_string(i);
    for (const std::size_t piece : {std::size_t{100'000}, SIZE_MAX}) {
      const Served served = Serve(GetBytes(format, key) + GetBytes(format, "next"), {}, piece);
      ASSERT_EQ(2u, served.calls);
      WireClient client(format);
      client.Answer(served.output);
      thrift_api::GetResponse response;
      client.client().recv_get(response);
      EXPECT_TRUE(key == response.value);
      client.client().recv_get(response);
      EXPECT_EQ("next", response.value);
    }
  }
}

TEST(CallLoopTest, ASmallCallIsOneReadAndOneWrite) {
  for (const WireFormat format : kFormats) {
    const Served served = Serve(GetBytes(format, std::string(256, 'k')));
    EXPECT_EQ(2, served.reads) << "one for the call, one to find the end";
    EXPECT_EQ(1, served.writes);
  }
}

// ---- What is no message

TEST(CallLoopTest, OtherLanguagesAreTurnedAway) {
  std::string old_binary = BigEndian(3) + "get" + '\1' + BigEndian(7) + '\0';
  for (const std::string& input :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01\x02\x00\x01\x00", 7),
        std::string(64, '\xFF'), std::string(64, '\0'), std::string("\x80\x02zzzzzz"),
        std::string("\x82\x22zzzzzz"), old_binary}) {
    const Served served = Serve(input);
    EXPECT_EQ("", served.output) << input;
    EXPECT_EQ(1u, served.protocol_errors) << input;
    EXPECT_EQ(CallLoopEnd::kClosed, served.end);
    EXPECT_NE(std::string::npos, served.complaint.find("strict binary")) << served.complaint;
  }
}

TEST(CallLoopTest, ConnectionsThatEndEarlyAreNoError) {
  const std::string whole = GetBytes(WireFormat::kFramedBinary, "key");
  for (std::size_t size = 0; size < 6; ++size) {
    const Served served = Serve(whole.substr(0, size));
    EXPECT_EQ(0u, served.protocol_errors) << size;
    EXPECT_EQ("", served.output);
  }
}

TEST(CallLoopTest, TruncatedMessagesAreNotServed) {
  for (const WireFormat format : kFormats) {
    const std::string whole = GetBytes(format, "some key");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Served served = Serve(whole.substr(0, size));
      EXPECT_EQ(0u, served.calls) << size;
      EXPECT_EQ("", served.output) << size;
    }
  }
}

TEST(CallLoopTest, ASecondMessageInAnotherFormatEndsTheConnection) {
  const Served served = Serve(GetBytes(WireFormat::kUnframedBinary, "a") +
                              GetBytes(WireFormat::kUnframedCompact, "b"));
  EXPECT_EQ(1u, served.calls);
  EXPECT_EQ(1u, served.protocol_errors);
  EXPECT_EQ("a", ReadGet(WireFormat::kUnframedBinary, served.output));
}

TEST(CallLoopTest, UnknownMethodIsAnsweredAndTheConnectionGoesOn) {
  const std::string unknown = BinaryHead("noSuchMethod") + '\0';
  const Served served = Serve(unknown + GetBytes(WireFormat::kUnframedBinary, "k"));
  EXPECT_EQ(2u, served.calls);
  EXPECT_NE(std::string::npos, served.output.find("noSuchMethod"));
}

TEST(CallLoopTest, RepliesAndUnknownMessageTypesAreRefused) {
  for (const int type : {0, 2, 3, 5, 0xFF}) {
    std::string call = GetBytes(WireFormat::kUnframedBinary, "k");
    call[3] = static_cast<char>(type);
    const Served served = Serve(call);
    EXPECT_EQ(0u, served.calls);
    EXPECT_EQ(1u, served.protocol_errors);
    EXPECT_NE(std::string::npos, served.complaint.find("is no call")) << served.complaint;
  }
}

TEST(CallLoopTest, MissingRequiredFieldIsRejected) {
  // get(request = {}): no key.
  const std::string call = BinaryHead("get") + BinaryField(12, 1) + '\0' + '\0';
  const Served served = Serve(call);
  EXPECT_EQ(1u, served.protocol_errors);
  EXPECT_EQ(CallLoopEnd::kRefused, served.end);
  EXPECT_NE("no exception", ReadGetException(WireFormat::kUnframedBinary, served.output));
}

TEST(CallLoopTest, UnknownFieldsAreSkipped) {
  std::string call = BinaryHead("get") + BinaryField(12, 1);
  call += BinaryField(11, 1) + BigEndian(1) + "k";                // key
  call += BinaryField(13, 900) + '\x0B' + '\x08' + BigEndian(1);  // map<string,i32>
  call += BigEndian(1) + "a" + BigEndian(5);
  call += BinaryField(15, 901) + '\x0C' + BigEndian(2) + '\0' + '\0';               // list<struct>
  call += BinaryField(14, 902) + '\x02' + BigEndian(3) + std::string("\1\0\1", 3);  // set<bool>
  call += BinaryField(4, 903) + std::string(8, '\0');                               // double
  call += std::string(2, '\0');
  const Served served = Serve(call);
  EXPECT_EQ(1u, served.calls) << served.complaint;
  EXPECT_EQ("k", ReadGet(WireFormat::kUnframedBinary, served.output));
}

// ---- Limits

struct Hostile {
  const char* name;
  WireFormat format;
  std::string bytes;
};

std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string CompactHead(const std::string& method) {
  return std::string("\x82\x21") + Varint(7) + Varint(method.size()) + method;
}

std::vector<Hostile> HostileMessages() {
  const auto binary = WireFormat::kUnframedBinary;
  const auto compact = WireFormat::kUnframedCompact;
  const std::string get = BinaryHead("get") + BinaryField(12, 1);
  const std::string commit = BinaryHead("atomicCommit") + BinaryField(12, 1);
  const std::string compact_get = CompactHead("get") + "\x1C";  // field 1, struct
  const std::string compact_commit = CompactHead("atomicCommit") + "\x1C";
  std::vector<Hostile> all;
  for (const std::uint32_t size :
       {0x7FFFFFFFu, 0x03FFFFFFu, 0x02000000u, 0xFFFFFFFFu, 0x80000000u}) {
    const std::string length = BigEndian(size);
    all.push_back({"string", binary, get + BinaryField(11, 1) + length + "abc"});
    all.push_back({"name", binary, BigEndian(0x80010001) + length + "get"});
    all.push_back({"list of structs", binary, commit + BinaryField(15, 2) + '\x0C' + length});
    all.push_back({"list of strings", binary, commit + BinaryField(15, 3) + '\x0B' + length});
    all.push_back({"skipped list", binary, get + BinaryField(15, 99) + '\x0C' + length});
    all.push_back({"skipped set", binary, get + BinaryField(14, 99) + '\x02' + length});
    all.push_back({"skipped map", binary, get + BinaryField(13, 99) + "\x0B\x0B" + length});
    all.push_back({"skipped string", binary, get + BinaryField(11, 99) + length + "x"});
    all.push_back({"string", compact, compact_get + "\x18" + Varint(size) + "abc"});
    all.push_back({"name", compact, "\x82\x21\x07" + Varint(size) + "get"});
    all.push_back({"list of structs", compact, compact_commit + "\x29\xFC" + Varint(size)});
    all.push_back({"list of strings", compact, compact_commit + "\x39\xF8" + Varint(size)});
    all.push_back({"skipped map", compact, compact_get + "\xFB" + Varint(size) + "\x88"});
  }
  // The most elements that may be declared, in a message that holds none of them.
  const MessageLimits limits;
  all.push_back({"most structs", binary,
                 commit + BinaryField(15, 2) + '\x0C' + BigEndian(limits.container_elements)});
  all.push_back(
      {"most structs", compact, compact_commit + "\x29\xFC" + Varint(limits.container_elements)});
  // Deep nesting: a struct in a struct, and a list in a list.
  std::string structs = get;
  std::string lists = get + BinaryField(15, 99);
  for (int i = 0; i < 100'000; ++i) structs += BinaryField(12, 99);
  for (int i = 0; i < 100'000; ++i) lists += '\x0F' + BigEndian(1);
  all.push_back({"nested structs", binary, structs});
  all.push_back({"nested lists", binary, lists});
  all.push_back({"nested structs", compact, compact_get + std::string(100'000, '\xFC')});
  // Types that there are none of.
  for (const int type : {1, 5, 7, 9, 16, 17, 31, 127, 128, 255}) {
    all.push_back({"type", binary, get + BinaryField(type, 99) + std::string(64, '\0')});
    all.push_back({"element type", binary,
                   get + BinaryField(15, 99) + static_cast<char>(type) + BigEndian(1) + "abcd"});
  }
  return all;
}

TEST(CallLoopTest, HostileMessagesEndTheConnectionAndAllocateLittle) {
  for (const Hostile& hostile : HostileMessages()) {
    for (const bool framed : {false, true}) {
      std::string bytes = hostile.bytes;
      if (framed) bytes = BigEndian(static_cast<std::uint32_t>(bytes.size())) + bytes;
      const Served served = Serve(bytes);
      EXPECT_EQ(0u, served.calls) << hostile.name;
      // A list of the most elements makes the buffer for their bytes, and nothing more.
      EXPECT_LT(served.largest_allocation, std::size_t{1} << 20) << hostile.name;
    }
  }
}

TEST(CallLoopTest, OversizedMessageIsAnsweredWithTheLimit) {
  MessageLimits limits;
  limits.message_bytes = 1000;
  for (const WireFormat format : kFormats) {
    EXPECT_EQ(1u, Serve(GetBytes(format, std::string(900, 'k')), limits).calls);
    const Served served = Serve(GetBytes(format, std::string(1001, 'k')), limits);
    EXPECT_EQ(0u, served.calls);
    EXPECT_EQ(CallLoopEnd::kRefused, served.end);
    const std::string text = ReadGetException(format, served.output);
    EXPECT_NE(std::string::npos, text.find("message_bytes")) << text;
  }
}

TEST(CallLoopTest, OversizedFrameIsAnsweredWithTheLimitAndNotWaitedFor) {
  for (const std::uint32_t size : {(64u << 20) + 1, 0x7FFFFFFFu}) {
    const std::string call = GetBytes(WireFormat::kUnframedBinary, "key");
    const Served served = Serve(BigEndian(size) + call);
    EXPECT_EQ(0u, served.calls);
    EXPECT_EQ(CallLoopEnd::kRefused, served.end);
    const std::string text = ReadGetException(WireFormat::kFramedBinary, served.output);
    EXPECT_NE(std::string::npos, text.find("the frame is over the limit of 67108864")) << text;
    EXPECT_LT(served.largest_allocation, std::size_t{1} << 20);
  }
}

TEST(CallLoopTest, ManySmallFieldsCannotPassTheMessageLimit) {
  MessageLimits limits;
  limits.message_bytes = 10'000;
  std::string call = BinaryHead("get") + BinaryField(12, 1);
  for (int i = 0; i < 5000; ++i) call += BinaryField(3, 99) + '\1';
  const Served served = Serve(call, limits);
  EXPECT_EQ(0u, served.calls);
  EXPECT_EQ(1u, served.protocol_errors);
  EXPECT_LE(served.consumed, 10'000u + MessageTransport::kIdleReadBytes);
}

TEST(CallLoopTest, ContainersUpToTheLimitAreServed) {
  for (const WireFormat format : kFormats) {
    thrift_api::AtomicCommitRequest request;
    request.operations.resize(MessageLimits().container_elements);
    const auto bytes = [&] {
      return WireClient(format).Bytes([&](auto& client) { client.send_atomicCommit(request); });
    };
    EXPECT_EQ(1u, Serve(bytes()).calls);
    request.operations.emplace_back();
    const Served served = Serve(bytes());
    EXPECT_EQ(0u, served.calls);
    EXPECT_NE(std::string::npos, served.output.find("131071 elements is over the limit of 131070"));
  }
}

TEST(CallLoopTest, FramesAreHeldToTheirLength) {
  const std::string call = GetBytes(WireFormat::kUnframedBinary, "key");
  const auto size = static_cast<std::uint32_t>(call.size());
  EXPECT_EQ(1u, Serve(BigEndian(size) + call).calls);
  EXPECT_EQ(0u, Serve(BigEndian(size - 1) + call).calls) << "the frame ends within the message";
  const Served longer = Serve(BigEndian(size + 1) + call + "x");
  EXPECT_EQ(1u, longer.protocol_errors) << "the frame is longer than the message";
  EXPECT_EQ("key", ReadGet(WireFormat::kFramedBinary, longer.output)) << "one answer, not two";
  EXPECT_EQ(1, longer.writes);
}

// ---- Stopping and refusing

TEST(CallLoopTest, StopsAfterTheRunningCall) {
  const std::string one = GetBytes(WireFormat::kUnframedBinary, "k");
  MemoryStream stream(one + one + one);
  std::atomic<bool> stopping{false};
  CallLoopCounters counters;
  CallLoop loop(&stream, {}, &stopping, &counters);
  loop.Run(MakeEchoProcessor([&](const std::string&) { stopping = true; }));
  EXPECT_EQ(1u, counters.calls.load());
  EXPECT_EQ("k", ReadGet(WireFormat::kUnframedBinary, stream.output()));
}

TEST(CallLoopTest, RefusalAnswersTheFirstCallInItsFormat) {
  for (const WireFormat format : kFormats) {
    MemoryStream stream(GetBytes(format, "k"));
    std::atomic<bool> stopping{false};
    CallLoopCounters counters;
    CallLoop loop(&stream, {}, &stopping, &counters);
    EXPECT_EQ(CallLoopEnd::kRefused, loop.Refuse("no room here"));
    EXPECT_EQ("no room here", ReadGetException(format, stream.output()));
  }
}

}  // namespace
}  // namespace cairn::server
