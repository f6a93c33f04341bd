// Making and ending listeners and connections.
#include <gtest/gtest.h>

#include "src/base/sanitizers.h"
#include "src/dram/testing/transport_conformance.h"
#include "src/dram/testing/transport_test_kit.h"

namespace cairn::dram {
namespace {

void APortOfItsOwnIsTold(TransportHarness& harness) {
  const auto transport = harness.Make();
  const TestServer one(transport.get(), harness.ListenAddress());
  const TestServer two(transport.get(), harness.ListenAddress());
  ASSERT_TRUE(one.status().ok()) << one.status().ToString();
  ASSERT_TRUE(two.status().ok()) << two.status().ToString();
  EXPECT_NE(one.address().port, 0);
  EXPECT_NE(one.address().port, two.address().port);
}

void AnAddressInUseIsAnError(TransportHarness& harness) {
  const auto transport = harness.Make();
  const auto other = harness.Make();
  const TestServer first(transport.get(), harness.ListenAddress());
  const TestServer second(other.get(), first.address());
  EXPECT_FALSE(second.status().ok());
  EXPECT_NE(second.status().message().find(first.address().ToString()), std::string::npos)
      << second.status().ToString();
}

void ClosingRunsEveryDoneAndThenOnClosed(TransportHarness& harness) {
  const auto transport = harness.Make();
  TestServer server(transport.get(), harness.ListenAddress());
  const auto other = harness.Make();
  TestClient client(other.get(), server.address());
  auto held = client.Start("keep");
  ASSERT_TRUE(server.WaitForRequests(1));
  client.connection().Close(Status(StatusCode::kFailedPrecondition, "not wanted"));
  EXPECT_EQ(TestClient::Wait(std::move(held)).status().message(), "not wanted");
  EXPECT_EQ(client.WaitClosed().message(), "not wanted");
  EXPECT_TRUE(server.WaitForDisconnects(1));
  EXPECT_EQ(client.closed_count(), 1);
}

void DestroyingAConnectionEndsItsCalls(TransportHarness& harness) {
  const auto transport = harness.Make();
  TestServer server(transport.get(), harness.ListenAddress());
  const auto other = harness.Make();
  for (int i = 0; i < 10; ++i) {
    TestClient client(other.get(), server.address());
    auto ongoing = client.Start("keep", Buffer::Copy(PatternBytes(100'000, 1)));
    client.Destroy();
    ASSERT_EQ(ongoing.done.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    EXPECT_EQ(ongoing.done.get().status().code(), StatusCode::kUnavailable);
  }
}

void ConnectionsComeAndGo(TransportHarness& harness) {
  const auto transport = harness.Make();
  TestServer server(transport.get(), harness.ListenAddress());
  const auto other = harness.Make();
  const std::size_t rounds = kSanitized ? 20 : 100;
  for (std::size_t i = 0; i < rounds; ++i) {
    TestClient client(other.get(), server.address());
    ASSERT_TRUE(client.Run("echo").ok());
  }
  EXPECT_TRUE(server.WaitForDisconnects(rounds));
  EXPECT_EQ(server.connections(), 0u);
}

void ATransportIsServerAndClientAtOnce(TransportHarness& harness) {
  const auto one = harness.Make();
  const auto two = harness.Make();
  TestServer first(one.get(), harness.ListenAddress());
  TestServer second(two.get(), harness.ListenAddress());
  TestClient to_second(one.get(), second.address());
  TestClient to_first(two.get(), first.address());
  TestClient to_itself(one.get(), first.address());
  auto a = to_second.Start("echo a", Buffer::Copy(PatternBytes(1 << 20, 1)));
  auto b = to_first.Start("echo b", Buffer::Copy(PatternBytes(1 << 20, 2)));
  auto c = to_itself.Start("echo c", Buffer::Copy(PatternBytes(1 << 20, 3)));
  EXPECT_EQ(TestClient::Wait(std::move(a))->header, "echo a");
  EXPECT_EQ(TestClient::Wait(std::move(b))->header, "echo b");
  EXPECT_EQ(TestClient::Wait(std::move(c))->header, "echo c");
}

}  // namespace

std::vector<TransportTest> LifecycleTests() {
  return {{"APortOfItsOwnIsTold", APortOfItsOwnIsTold},
          {"AnAddressInUseIsAnError", AnAddressInUseIsAnError},
          {"ClosingRunsEveryDoneAndThenOnClosed", ClosingRunsEveryDoneAndThenOnClosed},
          {"DestroyingAConnectionEndsItsCalls", DestroyingAConnectionEndsItsCalls},
          {"ConnectionsComeAndGo", ConnectionsComeAndGo},
          {"ATransportIsServerAndClientAtOnce", ATransportIsServerAndClientAtOnce}};
}

}  // namespace cairn::dram
