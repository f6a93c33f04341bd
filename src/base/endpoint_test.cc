// "host:port" as users write it.
#include "src/base/endpoint.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Endpoints, AreHostAndPort) {
  EXPECT_EQ(*ParseEndpoint("localhost:9090"), (Endpoint{"localhost", 9090}));
  EXPECT_EQ(*ParseEndpoint("[::1]:1"), (Endpoint{"::1", 1}));
  EXPECT_EQ(ParseEndpoint("[::1]:1")->ToString(), "[::1]:1");
  EXPECT_EQ(ParseEndpoint("a.b-c:65535")->ToString(), "a.b-c:65535");
  for (const char* bad : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "a:-1", "a: 1",
                          "::1:9090", "[]:1", "a b:1", "[::1]", "http://a:1"}) {
    EXPECT_FALSE(ParseEndpoint(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace cairn
