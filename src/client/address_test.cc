#include "src/client/address.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn::client {
namespace {

TEST(AddressTest, NamesAWireAndAnEndpoint) {
  const auto bare = ParseAddress("host:9090");
  ASSERT_TRUE(bare.ok()) << bare.status().ToString();
  EXPECT_EQ(bare->wire, Wire::kThrift);
  EXPECT_EQ(bare->ToString(), "host:9090");
  EXPECT_EQ(ParseAddress("thrift://host:9090")->ToString(), "host:9090");
  const auto grpc = ParseAddress("grpc://[::1]:50051");
  ASSERT_TRUE(grpc.ok()) << grpc.status().ToString();
  EXPECT_EQ(grpc->wire, Wire::kGrpc);
  EXPECT_EQ(grpc->endpoint.host, "::1");
  EXPECT_EQ(grpc->ToString(), "grpc://[::1]:50051");
}

TEST(AddressTest, SaysWhatIsWrong) {
  for (const std::string text : {"", "host", "host:0", "grpc://host", "grpc://", "http://host:1",
                                 "://host:1", "grpc://grpc://host:1"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(ParseAddress(text).status().code(), StatusCode::kInvalidArgument);
  }
  const Status status = ParseAddress("http://host:1").status();
  EXPECT_NE(status.message().find("grpc://host:port"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace cairn::client
