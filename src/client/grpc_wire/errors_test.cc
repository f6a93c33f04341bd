// Ends of calls over gRPC: what a client may conclude from each.
#include "src/client/grpc_wire/errors.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "api/cairn.pb.h"

namespace cairn::client {
namespace {

v1::RpcStatus Error(int code, const std::string& message) {
  v1::RpcStatus error;
  error.set_code(code);
  error.set_message(message);
  return error;
}

TEST(GrpcErrors, ACodeThatGrpcDoesNotHaveLeavesAWriteInDoubt) {
  for (const int code :
       {-1, 17, 200, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    SCOPED_TRACE(code);
    const CallError of_write = FromGrpc(Error(code, "odd"), /*is_write=*/true, "node");
    EXPECT_EQ(of_write.status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(of_write.status.message(), "node: odd");
    EXPECT_TRUE(of_write.status.maybe_applied());
    EXPECT_FALSE(of_write.answered);
    EXPECT_FALSE(FromGrpc(Error(code, "odd"), /*is_write=*/false, "node").status.maybe_applied());
  }
}

TEST(GrpcErrors, AnErrorWithTheCodeOkIsAnErrorStill) {
  EXPECT_FALSE(FromGrpc(Error(0, ""), /*is_write=*/true, "node").status.ok());
}

TEST(GrpcErrors, WhatGrpcMadeOfTheRequestAloneIsAnAnswer) {
  const CallError error =
      FromGrpc(Error(grpc::StatusCode::UNIMPLEMENTED, "no such call"), /*is_write=*/true, "node");
  EXPECT_EQ(error.status.code(), StatusCode::kUnimplemented);
  EXPECT_FALSE(error.status.maybe_applied());
  EXPECT_TRUE(error.answered);
}

// A server that is short of memory ends calls at random, also those whose write it has begun.
TEST(GrpcErrors, AServersShortageLeavesAWriteInDoubt) {
  const grpc::Status cut(grpc::StatusCode::RESOURCE_EXHAUSTED,
                         "Received RST_STREAM with error code 11");
  const CallError error = FromGrpc(cut, /*is_write=*/true, "node");
  EXPECT_EQ(error.status.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(error.status.maybe_applied());
  EXPECT_FALSE(FromGrpc(cut, /*is_write=*/false, "node").status.maybe_applied());
}

TEST(GrpcErrors, AMessageOverALimitClearsAWriteOnlyIfItIsTheRequest) {
  const auto doubt = [](const std::string& message, const MessageSizes& sizes) {
    const grpc::Status status(grpc::StatusCode::RESOURCE_EXHAUSTED, message);
    const CallError error = FromGrpc(status, /*is_write=*/true, "node", /*closed=*/false, sizes);
    EXPECT_EQ(error.status.code(), StatusCode::kInvalidArgument) << message;
    EXPECT_TRUE(error.answered);
    const bool clear = !error.status.maybe_applied();
    EXPECT_NE(error.status.message().find(clear ? "; send less" : "; ask for less"),
              std::string::npos);
    EXPECT_FALSE(FromGrpc(status, /*is_write=*/false, "node", false, sizes).status.maybe_applied());
    return error.status.maybe_applied();
  };
  const std::string words = "Received message larger than max (5030 vs. 4000)";
  // The node's limit, or the client's.
  EXPECT_FALSE(doubt(words, {5030, 9000, /*long_answer=*/true}));
  EXPECT_TRUE(doubt(words, {5000, 4000, /*long_answer=*/true}));
  // The same limit at both ends, and the sizes that are alike by chance.
  EXPECT_TRUE(doubt(words, {5030, 4000, /*long_answer=*/true}));
  EXPECT_FALSE(doubt(words, {5030, 4000, /*long_answer=*/false}));
  EXPECT_TRUE(doubt("Received message larger than max (5 vs. 4)", {5, 4, false}));
  // What does not tell.
  EXPECT_TRUE(doubt(words, {}));
  EXPECT_TRUE(doubt("Sent message larger than max (5030 vs. 4000)", {5030, 9000, true}));
  EXPECT_TRUE(doubt("Received message larger than max (5030", {5030, 9000, true}));
  EXPECT_TRUE(doubt("Received message larger than max (x vs. 4000)", {5030, 9000, true}));
}

TEST(GrpcErrors, OnlyAConnectionThatWasNeverThereClearsAWriteOfDoubt) {
  const grpc::Status refused(grpc::StatusCode::UNAVAILABLE, "failed to connect to all addresses");
  EXPECT_FALSE(FromGrpc(refused, /*is_write=*/true, "node").status.maybe_applied());
  const grpc::Status cut(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  EXPECT_TRUE(FromGrpc(cut, /*is_write=*/true, "node").status.maybe_applied());
}

TEST(GrpcErrors, SomethingElseThanGrpcIsToldFromNobody) {
  const auto message = [](const std::string& last) {
    const grpc::Status status(grpc::StatusCode::UNAVAILABLE,
                              "failed to connect to all addresses; last error: " + last);
    return FromGrpc(status, /*is_write=*/true, "node").status.message();
  };
  const std::string hint = "is it the node's Thrift port (HOST:PORT without grpc://)";
  for (const char* other : {"UNAVAILABLE: ipv4:127.0.0.1:9090: Socket closed",
                            "INTERNAL: ipv4:127.0.0.1:8090: Trying to connect an http1.x server"}) {
    EXPECT_NE(message(other).find(hint), std::string::npos) << message(other);
  }
  const std::string nobody =
      message("UNKNOWN: ipv4:127.0.0.1:1: connect: Connection refused (111)");
  EXPECT_EQ(nobody.find(hint), std::string::npos) << nobody;
}

TEST(GrpcErrors, ACancelledCallWasCutByTheNodeUnlessThisClientIsClosed) {
  const grpc::Status cancelled(grpc::StatusCode::CANCELLED, "");
  EXPECT_EQ(FromGrpc(cancelled, false, "node", /*closed=*/false).status.code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(FromGrpc(cancelled, false, "node", /*closed=*/true).status.code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace cairn::client
