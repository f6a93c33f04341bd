#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cairn/remote_dram.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace cairn {
namespace {

using dram::Buffer;
using dram::ReadResult;
using ::testing::HasSubstr;

// Three nodes that know each other: the second and third come later than those that point to them.
class ThreeNodes : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(one_.Initialize("127.0.0.1:0", {}, 1 << 20).ok());
    ASSERT_TRUE(two_.Initialize("127.0.0.1:0", {one_.listen_address()}, 1 << 20).ok());
    ASSERT_TRUE(
        three_.Initialize("127.0.0.1:0", {one_.listen_address(), two_.listen_address()}, 1 << 20)
            .ok());
  }
  DistributedServerNode one_;
  DistributedServerNode two_;
  DistributedServerNode three_;
};

TEST_F(ThreeNodes, DataGoesFromNodeToNode) {
  ASSERT_TRUE(one_.GetServerStore().Write("k", Buffer::Copy("local")).Get().ok());
  EXPECT_EQ(two_.ReadFromServer(one_.listen_address(), "k").Get().value().value.view(), "local");
  ASSERT_TRUE(three_.WriteToServer(two_.listen_address(), "k", Buffer::Copy("sent")).Get().ok());
  EXPECT_EQ(dram::Value(two_.GetServerStore(), "k"), "sent");
  EXPECT_EQ(dram::Value(one_.GetServerStore(), "k"), "local");
  EXPECT_EQ(three_.ReadFromServer(one_.listen_address(), "none").Get().value().state,
            ReadResult::State::kMissing);
  // Itself.
  ASSERT_TRUE(three_.WriteToServer(three_.listen_address(), "own", Buffer::Copy("v")).Get().ok());
  EXPECT_EQ(three_.ReadFromServer(three_.listen_address(), "own").Get().value().value.view(), "v");
}

TEST_F(ThreeNodes, PeersAreNamedAndTheirStateKnown) {
  ASSERT_TRUE(three_.ReadFromServer(one_.listen_address(), "k").Get().ok());
  ASSERT_TRUE(three_.ReadFromServer(two_.listen_address(), "k").Get().ok());
  const auto status = three_.GetPeerStatus();
  ASSERT_EQ(status.size(), 2U);
  EXPECT_EQ(status[0].address, one_.listen_address());
  EXPECT_TRUE(status[0].connected && status[1].connected);
  const auto stranger = three_.ReadFromServer("elsewhere:1", "k").Get();
  EXPECT_EQ(stranger.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(stranger.status().message(), HasSubstr("elsewhere:1"));
  EXPECT_EQ(three_.WriteToServer("elsewhere:1", "k", Buffer::Copy("v")).Get().status().code(),
            StatusCode::kNotFound);
}

TEST_F(ThreeNodes, APeersStoreDoesAllThatAStoreCan) {
  RemoteDram* const two = three_.FindStore(two_.listen_address());
  ASSERT_NE(two, nullptr);
  const auto written =
      two->Write("k", Buffer::Copy("v"), {dram::Generation::NoValue(), {}}).Get().value();
  EXPECT_FALSE(written.generation.IsUnknown());
  EXPECT_EQ(dram::Value(two_.GetServerStore(), "k"), "v");
  ASSERT_TRUE(two->Delete("k", {written.generation, {}}).Get().ok());
  EXPECT_EQ(two->List({}).Get().value().size(), 0U);
  EXPECT_EQ(three_.FindStore(three_.listen_address()), &three_.GetServerStore());
  EXPECT_EQ(three_.FindStore("elsewhere:1"), nullptr);
  EXPECT_EQ(DistributedServerNode().FindStore(""), nullptr);
}

TEST_F(ThreeNodes, InitializeIsCalledOnce) {
  const Status again = one_.Initialize("127.0.0.1:0", {});
  EXPECT_EQ(again.code(), StatusCode::kFailedPrecondition);
  DistributedServerNode other;
  EXPECT_EQ(other.Initialize(one_.listen_address(), {}).code(), StatusCode::kIoError);
  EXPECT_EQ(other.Initialize("127.0.0.1:0", {"nonsense"}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(other.listen_address(), "");
  EXPECT_TRUE(other.Initialize("127.0.0.1:0", {}, 1 << 20).ok());
}

TEST_F(ThreeNodes, APeerThatIsDownIsUnavailable) {
  DistributedServerNode node;
  ASSERT_TRUE(node.Initialize("127.0.0.1:0", {"127.0.0.1:1"}, 1 << 20).ok());
  EXPECT_EQ(node.ReadFromServer("127.0.0.1:1", "k").Get().status().code(),
            StatusCode::kUnavailable);
  EXPECT_FALSE(node.GetPeerStatus()[0].connected);
  EXPECT_FALSE(node.GetPeerStatus()[0].last_error.ok());
}

}  // namespace
}  // namespace cairn
