// A lease rests on what voters promise with their answers: on nobody who was configured otherwise.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "src/consensus/raft/messages.h"
#include "src/consensus/raft/raft_core.h"
#include "src/consensus/raft/testing/cluster.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Strangers {
  std::uint32_t count = 0;  // nodes 1 and up
  bool shorter = false;     // their election timeout is shorter; else they have leases off
};

class LeasePromiseTest : public testing::TestWithParam<Strangers> {
 protected:
  LeasePromiseTest() {
    Cluster::Options options;
    options.raft.election_timeout = milliseconds(100);
    options.raft.heartbeat_interval = milliseconds(20);
    options.raft.leases = true;
    options.adjust = [](NodeId id, RaftOptions* raft) {
      if (!IsStranger(id)) return;
      if (GetParam().shorter) {
        raft->election_timeout -= milliseconds(1);
      } else {
        raft->leases = false;
      }
    };
    cluster_.emplace(options, 1);
    // Node 0 is to lead.
    for (int i = 0; i < 100 && cluster_->Leader() != kLeader; ++i) {
      cluster_->Run(seconds(1));
      const auto leader = cluster_->Leader();
      if (leader && leader != kLeader) cluster_->Step(*leader, TransferLeadership{kLeader});
    }
    // And has just been answered by all.
    cluster_->Settle();
    cluster_->Advance(milliseconds(20));
    cluster_->Tick(kLeader);
    cluster_->Settle();
  }

  static bool IsStranger(NodeId id) { return id.value() >= 1 && id.value() <= GetParam().count; }
  [[nodiscard]] const RaftCore& core() { return *cluster_->node(kLeader).core; }

  static constexpr NodeId kLeader{0};
  std::optional<Cluster> cluster_;
};

TEST_P(LeasePromiseTest, OnlyWhoPromisesAsMuchIsCounted) {
  ASSERT_EQ(cluster_->Leader(), kLeader);
  EXPECT_EQ(core().lease_is_valid(), GetParam().count < 2) << "two of three are a majority";
  for (const PeerProgress& peer : core().ProgressOfPeers(cluster_->now())) {
    EXPECT_EQ(peer.honours_lease, !IsStranger(peer.peer.node)) << peer.peer.node.value();
  }
  // Reads go on; where there is no lease they take a round.
  const std::size_t before = cluster_->opened().size();
  cluster_->Barrier(kLeader);
  EXPECT_EQ(cluster_->opened().size() - before, GetParam().count < 2 ? 1u : 0u);
  cluster_->Settle();
  EXPECT_EQ(cluster_->opened().size() - before, 1u);
}

INSTANTIATE_TEST_SUITE_P(Mixed, LeasePromiseTest,
                         testing::Values(Strangers{0, false}, Strangers{1, false},
                                         Strangers{2, false}, Strangers{1, true},
                                         Strangers{2, true}));

TEST(LeasePromise, WhoIsConfiguredAlikeAgainIsCountedAgain) {
  Cluster::Options options;
  options.raft.election_timeout = milliseconds(100);
  options.raft.heartbeat_interval = milliseconds(20);
  options.raft.leases = true;
  bool strange = true;
  options.adjust = [&strange](NodeId, RaftOptions* raft) { raft->leases = !strange; };
  Cluster cluster(options, 1);
  cluster.Run(seconds(2));
  strange = false;
  for (std::uint32_t n = 0; n < 3; ++n) {
    cluster.Crash(NodeId(n));
    cluster.Start(NodeId(n));
    cluster.Run(seconds(2));
  }
  cluster.Settle();
  ASSERT_TRUE(cluster.Leader().has_value());
  const RaftCore& core = *cluster.node(*cluster.Leader()).core;
  EXPECT_TRUE(core.lease_is_valid());
  for (const PeerProgress& peer : core.ProgressOfPeers(cluster.now())) {
    EXPECT_TRUE(peer.honours_lease);
  }
}

TEST(LeasePromise, StandsInAnAnswerWhereARefusalHasItsHint) {
  AppendResponse m;
  m.epoch = Epoch(3);
  m.slot = Slot(7);
  m.round = 9;
  m.ok = true;
  m.promise_us = 5'000'000;
  const Framed promise{IncarnationId(1), IncarnationId(2), m};
  const auto decoded = Decode(Encode(promise));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::get<AppendResponse>(decoded->message), m);
  // The same numbers in a refusal are a hint, and promise nothing.
  m.ok = false;
  m.hint_slot = Slot(std::exchange(m.promise_us, 0));
  const auto refusal = Decode(Encode(Framed{IncarnationId(1), IncarnationId(2), m}));
  ASSERT_TRUE(refusal.ok());
  EXPECT_EQ(std::get<AppendResponse>(refusal->message), m);
  EXPECT_EQ(std::get<AppendResponse>(refusal->message).promise_us, 0u);
}

}  // namespace
}  // namespace cairn::consensus::raft
