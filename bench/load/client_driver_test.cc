// What the driver by Cairn's own client asks of a node.
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "bench/load/driver.h"
#include "src/base/clock.h"
#include "src/server/testing/test_node.h"
#include "src/server/thrift/kv_processor.h"
#include "src/server/thrift/thrift_server.h"

namespace cairn::bench {
namespace {

TEST(ClientDriverTest, WritesGoUnderASessionIfAskedFor) {
  SystemClock clock;
  server::testing::TestNode node;
  server::ThriftServerOptions serving;
  serving.port = 0;
  auto server =
      server::ThriftServer::Start(serving, server::MakeKvProcessor(&node.service()), &clock);
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  for (const bool sessions : {false, true}) {
    ClientDriverOptions options;
    options.endpoints = {{"127.0.0.1", (*server)->port()}};
    options.sessions = sessions;
    const auto driver = MakeClientDriver(options);
    auto connection = driver->Connect();
    ASSERT_TRUE(connection.ok()) << connection.status().ToString();
    EXPECT_TRUE((*connection)->Set("key", "value").ok());
    EXPECT_EQ(node.service().Sessions(), sessions ? 1U : 0U);
  }
  (*server)->Stop(Duration::zero());
}

}  // namespace
}  // namespace cairn::bench
