// Answers over Thrift, right ones and those that nobody should have sent.
#include <gtest/gtest.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <memory>
#include <string>
#include <variant>

#include "api/kvstore_types.h"
#include "src/client/thrift_wire/codec.h"

namespace cairn::client {
namespace {

namespace tp = apache::thrift::protocol;
using apache::thrift::TApplicationException;

// The frame of an answer with this response, without its length.
template <class T>
std::string Frame(const T& response, tp::TMessageType type = tp::T_REPLY) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  tp::TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin("call", type, 0);
  protocol.writeStructBegin("result");
  protocol.writeFieldBegin("success", tp::T_STRUCT, 0);
  response.write(&protocol);
  protocol.writeFieldEnd();
  protocol.writeFieldStop();
  protocol.writeStructEnd();
  protocol.writeMessageEnd();
  return buffer->getBufferAsString();
}

// What a node answers in an answer's place.
std::string Exception(TApplicationException::TApplicationExceptionType type, const char* why) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  tp::TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin("set", tp::T_EXCEPTION, 0);
  TApplicationException(type, why).write(&protocol);
  protocol.writeMessageEnd();
  return buffer->getBufferAsString();
}

thrift_api::GetRangeResponse OnePair() {
  thrift_api::GetRangeResponse response;
  thrift_api::KeyValue pair;
  pair.key = "key";
  pair.value = "value";
  response.key_values.push_back(pair);
  response.success = true;
  return response;
}

const Request kGetRange = kv::KvOperation(kv::GetRange{});

// What came of decoding, as text.
std::string Shown(const std::string& frame) {
  const NodeChannel::Outcome outcome = DecodeThriftAnswer(kGetRange, frame);
  if (!outcome.answer.ok()) {
    return (outcome.answered ? "answered " : "") + outcome.answer.status().ToString();
  }
  const auto& range = std::get<kv::RangeResult>(*outcome.answer);
  return std::to_string(range.key_values.size()) + " pairs";
}

// The frame with one part replaced by another of the same size.
std::string With(std::string frame, const std::string& part, const std::string& other) {
  const std::size_t at = frame.find(part);
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(frame.find(part, at + 1), std::string::npos);
  return frame.replace(at, part.size(), other);
}

TEST(DecodeThriftAnswerTest, TakesWhatANodeSends) {
  EXPECT_EQ(Shown(Frame(OnePair())), "1 pairs");
  EXPECT_EQ(Shown(Frame(thrift_api::GetRangeResponse())), "0 pairs");
  thrift_api::GetRangeResponse failed;
  failed.__set_error("no such column family");
  failed.__set_error_code("NOT_FOUND");
  EXPECT_EQ(Shown(Frame(failed)), "answered NOT_FOUND: no such column family");
}

TEST(DecodeThriftAnswerTest, AListLongerThanItsMessageIsRefusedBeforeItIsMade) {
  const std::string head("\x0f\x00\x01\x0c", 4);  // a list of structs, field 1
  const std::string one("\x00\x00\x00\x01", 4);
  for (const char* size : {"\x7f\xff\xff\xff", "\xff\xff\xff\xff", "\x00\x10\x00\x00"}) {
    const std::string shown =
        Shown(With(Frame(OnePair()), head + one, head + std::string(size, 4)));
    EXPECT_EQ(shown.substr(0, 11), "UNAVAILABLE") << shown;
    EXPECT_NE(shown.find("a container of"), std::string::npos) << shown;
  }
}

// Only what the node says while it reads the request clears a write.
TEST(DecodeThriftAnswerTest, ARequestOverALimitIsInvalidAndNotApplied) {
  const auto status = [](TApplicationException::TApplicationExceptionType type, const char* why) {
    return DecodeThriftAnswer(kv::KvOperation(kv::Set{}), Exception(type, why)).answer.status();
  };
  const char* const limit = "the frame is over the limit of 9 bytes (message_bytes)";
  const Status refused = status(TApplicationException::PROTOCOL_ERROR, limit);
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(refused.maybe_applied());
  EXPECT_NE(refused.message().find("message_bytes"), std::string::npos) << refused.message();
  for (const Status& other :
       {status(TApplicationException::PROTOCOL_ERROR, "the answer does not fit a frame"),
        status(TApplicationException::INTERNAL_ERROR, limit)}) {
    EXPECT_EQ(other.code(), StatusCode::kUnavailable);
    EXPECT_TRUE(other.maybe_applied());
  }
}

TEST(EndsThriftConnectionTest, AfterWhatTheNodeCouldNotRead) {
  EXPECT_TRUE(EndsThriftConnection(Exception(TApplicationException::PROTOCOL_ERROR, "")));
  const std::string crowded = Exception(TApplicationException::INTERNAL_ERROR, "connections");
  EXPECT_TRUE(EndsThriftConnection(crowded));
  EXPECT_TRUE(EndsThriftConnection(crowded.substr(0, 9)));
  EXPECT_FALSE(EndsThriftConnection(Exception(TApplicationException::UNKNOWN_METHOD, "call")));
  EXPECT_FALSE(EndsThriftConnection(Frame(OnePair())));
  EXPECT_FALSE(EndsThriftConnection(""));
}

// Found by client_answer_fuzz: an exception of a type that Thrift does not have, and without words.
TEST(DecodeThriftAnswerTest, AnExceptionOfAnyTypeIsTold) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  tp::TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin("set", tp::T_EXCEPTION, 0);
  protocol.writeFieldBegin("type", tp::T_I32, 2);
  protocol.writeI32(33554432);
  protocol.writeFieldStop();
  const Status told =
      DecodeThriftAnswer(kv::KvOperation(kv::Set{}), buffer->getBufferAsString()).answer.status();
  EXPECT_EQ(told.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(told.maybe_applied());
  EXPECT_NE(told.message().find("no reason"), std::string::npos) << told.message();
}

TEST(DecodeThriftAnswerTest, WhatIsNoAnswerIsRefused) {
  EXPECT_NE(Shown(Frame(OnePair(), tp::T_CALL)).find("is no answer"), std::string::npos);
  const std::string list("\x0f\x00\x01\x0c", 4);
  EXPECT_NE(Shown(With(Frame(OnePair()), list, std::string("\x2f\x00\x01\x0c", 4)))
                .find("there is no type 47"),
            std::string::npos);
  EXPECT_NE(Shown("").find("UNAVAILABLE"), std::string::npos);
  // Cut anywhere.
  const std::string whole = Frame(OnePair());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Shown(whole.substr(0, size)).substr(0, 11), "UNAVAILABLE") << size;
  }
}

}  // namespace
}  // namespace cairn::client
