#include "src/transport/in_process/in_process.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "src/base/executor.h"
#include "src/base/testing/virtual_time.h"
#include "src/transport/testing/transport_conformance.h"

namespace cairn::transport {
namespace {

class ThreadedNetwork final : public TestNetwork {
 public:
  ThreadedNetwork() : executor_("deliver", &clock_) {
    for (std::uint32_t n = 0; n < 3; ++n) Restart(NodeId(n));
  }
  ~ThreadedNetwork() override {
    executor_.Stop();
    ends_.clear();
  }
  PeerTransport* node(NodeId id) override { return ends_.at(id).get(); }
  void Restart(NodeId id) override {
    ends_.erase(id);
    ends_[id] = network_.Attach(id, &executor_);
  }
  void End(NodeId id) override { ends_.erase(id); }
  std::unique_ptr<PeerTransport> Rival(NodeId id) override {
    return network_.Attach(id, &executor_);
  }

 private:
  SystemClock clock_;
  ThreadExecutor executor_;
  InProcessNetwork network_;
  std::map<NodeId, std::unique_ptr<PeerTransport>> ends_;
};

class InProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t n = 0; n < 2; ++n) {
      ends_[n] = network_.Attach(NodeId(n), &executor_);
      ends_[n]->SetReceiver([this, n](NodeId, const std::string&) { ++arrived_[n]; });
    }
  }
  void Send(std::uint32_t from, std::uint32_t to) {
    ends_[from]->Send(NodeId(to), Lane::kConsensus, "x");
    time_.RunFor(std::chrono::seconds(1));
  }

  VirtualTime time_;
  VirtualExecutor executor_{&time_};
  InProcessNetwork network_;
  std::map<std::uint32_t, std::unique_ptr<PeerTransport>> ends_;
  std::map<std::uint32_t, int> arrived_;
};

TEST_F(InProcessTest, ACutGoesOneWay) {
  network_.Cut(NodeId(0), NodeId(1));
  Send(0, 1);
  Send(1, 0);
  EXPECT_EQ(arrived_[1], 0);
  EXPECT_EQ(arrived_[0], 1);
  network_.Heal();
  Send(0, 1);
  EXPECT_EQ(arrived_[1], 1);
}

TEST_F(InProcessTest, AnIsolatedNodeIsCutBothWays) {
  network_.Isolate(NodeId(1));
  Send(0, 1);
  Send(1, 0);
  EXPECT_EQ(arrived_[0] + arrived_[1], 0);
}

TEST_F(InProcessTest, FramesAreLostAndDoubledOnPurpose) {
  network_.SetFaults(100, 0);
  Send(0, 1);
  EXPECT_EQ(arrived_[1], 0);
  network_.SetFaults(0, 100);
  Send(0, 1);
  EXPECT_EQ(arrived_[1], 2);
}

}  // namespace
}  // namespace cairn::transport

CAIRN_TRANSPORT_CONFORMANCE(InProcess,
                            [] { return std::make_unique<cairn::transport::ThreadedNetwork>(); });
