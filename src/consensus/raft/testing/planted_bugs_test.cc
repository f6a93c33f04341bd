// Negative tests of the core. A bug that breaks a promise must do so within a few random histories;
// one that only takes a safeguard away must show in a short story that the core without it tells
// rightly.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"
#include "src/base/testing/plant_bug.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// ---- By random histories

struct Planted {
  const char* name;
  PlantedBug bug;
  std::uint64_t seeds;  // within so many
  friend std::ostream& operator<<(std::ostream& out, const Planted& p) { return out << p.name; }
};

class PlantedCoreBugTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedCoreBugTest, IsFound) {
  if (kSanitized) GTEST_SKIP() << "the release build finds it";
  const PlantBug planted(GetParam().bug);
  const std::vector<Cluster::Options> shapes = {
      {3, 3, 0, FastRaft()}, {5, 4, 1, FastRaft()}, {7, 5, 0, FastRaft()}};
  for (std::uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
    const auto broken = RunRandomHistory(seed, {shapes[seed % shapes.size()]});
    if (!broken) continue;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("found", broken->substr(0, 200));
    return;
  }
  FAIL() << "not found within " << GetParam().seeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedCoreBugTest,
    testing::Values(Planted{"VoteNotPersisted", PlantedBug::kVoteNotPersisted, 3000},
                    Planted{"VoteForStaleLog", PlantedBug::kVoteForStaleLog, 20},
                    Planted{"VoteTwice", PlantedBug::kVoteTwice, 50},
                    Planted{"AckBeforeDurable", PlantedBug::kAckBeforeDurable, 20},
                    Planted{"LeaderCountsUnsyncedSelf", PlantedBug::kLeaderCountsUnsyncedSelf, 20},
                    Planted{"BarrierBeforeOwnEntry", PlantedBug::kBarrierBeforeOwnEntry, 50},
                    Planted{"TruncateMatchingEntries", PlantedBug::kTruncateMatchingEntries, 20},
                    Planted{"CommitBeyondMatch", PlantedBug::kCommitBeyondMatch, 1000},
                    Planted{"SingleStepMembership", PlantedBug::kSingleStepMembership, 5000},
                    Planted{"WipedVoterVotes", PlantedBug::kWipedVoterVotes, 20},
                    Planted{"SnapshotRewindsCommit", PlantedBug::kSnapshotRewindsCommit, 3000},
                    Planted{"VoteByLengthAlone", PlantedBug::kVoteByLengthAlone, 3000},
                    Planted{"VoteOutlivesEpoch", PlantedBug::kVoteOutlivesEpoch, 20},
                    Planted{"PreVotesCountAsVotes", PlantedBug::kPreVotesCountAsVotes, 2000},
                    Planted{"BarrierOfFormerRun", PlantedBug::kBarrierOfFormerRun, 1000},
                    Planted{"NoPrevCheck", PlantedBug::kNoPrevCheck, 20},
                    Planted{"DurableSurvivesTruncation", PlantedBug::kDurableSurvivesTruncation,
                            5000}),
    [](const auto& test) { return std::string(test.param.name); });

// ---- By stories

Cluster::Options Of(std::uint32_t nodes, std::uint32_t voters, bool leases = false) {
  Cluster::Options options{nodes, voters, 0, FastRaft()};
  options.raft.leases = leases;
  return options;
}

// A group that has been well for a second.
NodeId Settle(Cluster* cluster) {
  cluster->Run(seconds(1));
  cluster->Settle();
  return *cluster->Leader();
}

NodeId After(const Cluster::Options& options, NodeId id, std::uint32_t by = 1) {
  return NodeId((id.value() + by) % options.voters);
}

void Isolate(Cluster* cluster, NodeId id) {
  for (auto& [other, node] : cluster->nodes()) {
    if (other == id) continue;
    cluster->Cut(id, other);
    cluster->Cut(other, id);
  }
}

Membership AllVoters(Cluster* cluster, std::uint32_t first, std::uint32_t count) {
  Membership target;
  for (std::uint32_t n = first; n < first + count; ++n) {
    target.members.push_back({NodeId(n), cluster->peer(NodeId(n)).incarnation, true});
  }
  return target;
}

// A node that hears nothing does not drive its epoch up.
bool EpochStaysWithoutAMajority() {
  const auto options = Of(3, 3);
  Cluster cluster(options, 1);
  const NodeId alone = After(options, Settle(&cluster));
  const Epoch before = cluster.node(alone).core->epoch();
  Isolate(&cluster, alone);
  cluster.Run(seconds(1));
  return cluster.node(alone).core->epoch() == before;
}

// A leader that nobody answers steps down.
bool LeaderWithoutAQuorumStepsDown() {
  Cluster cluster(Of(3, 3), 1);
  const NodeId leader = Settle(&cluster);
  Isolate(&cluster, leader);
  cluster.Run(seconds(1));
  return cluster.node(leader).core->role() != Role::kLeader;
}

// The node asked for a vote in the next epoch by somebody with the longest log: does it stay?
bool IgnoresACandidate(Cluster* cluster, NodeId asked, NodeId candidate) {
  const Epoch before = cluster->node(asked).core->epoch();
  const VoteRequest request{before.Next(), Slot(1'000'000), before.Next(), false, false};
  const Framed framed{cluster->peer(candidate).incarnation, cluster->peer(asked).incarnation,
                      request};
  cluster->Step(asked, MessageReceived{candidate, Encode(framed)});
  return cluster->node(asked).core->epoch() == before;
}

// Whoever hears from a leader lets nobody disturb it.
bool FollowerOfALeaderIgnoresCandidates() {
  const auto options = Of(3, 3);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  return IgnoresACandidate(&cluster, After(options, leader), After(options, leader, 2));
}

// With leases, a restarted node may have promised that and forgotten: it waits.
bool RestartedNodeHonoursTheLease() {
  const auto options = Of(3, 3, true);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  const NodeId restarted = After(options, leader);
  cluster.Crash(restarted);
  cluster.Start(restarted);
  return IgnoresACandidate(&cluster, restarted, After(options, leader, 2));
}

// A barrier needs answers to what was sent after it was asked for.
bool BarrierWaitsForAnswers() {
  Cluster cluster(Of(3, 3), 1);
  const NodeId leader = Settle(&cluster);
  Isolate(&cluster, leader);
  cluster.Barrier(leader);
  return cluster.opened().empty();
}

// The one that leadership is handed to may lead at once: the lease is over.
bool TransferEndsTheLease() {
  const auto options = Of(3, 3, true);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  cluster.Step(leader, TransferLeadership{After(options, leader)});
  Isolate(&cluster, leader);
  cluster.Barrier(leader);
  return cluster.opened().empty();
}

// A log that holds the end of a snapshot holds what was acknowledged behind it.
bool SnapshotDoesNotCutALongerLog() {
  const auto options = Of(3, 3);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  const NodeId follower = After(options, leader);
  for (int i = 0; i < 4; ++i) cluster.Propose(leader);
  // Everything that was sent arrives; its answers do not, so nothing is committed.
  for (std::size_t i = 0; i < cluster.network().size();) {
    if (cluster.network()[i].message.to == follower) {
      cluster.Deliver(i);
    } else {
      ++i;
    }
  }
  const RaftCore& core = *cluster.node(follower).core;
  const Slot slot = core.log().last_slot().Prev();
  EXPECT_GT(slot, core.committed());
  const Effects effects =
      cluster.Step(follower, SnapshotReceived{slot, *core.log().EpochAt(slot), core.membership()});
  return !effects.install_snapshot.has_value();
}

// A new voter counts when it holds the log, not before.
bool NewVoterCatchesUpFirst() {
  Cluster cluster(Of(4, 3), 1);
  const NodeId leader = Settle(&cluster);
  Isolate(&cluster, NodeId(3));
  cluster.Step(leader, ChangeMembership{ProposalId(1), AllVoters(&cluster, 0, 4)});
  cluster.Run(milliseconds(50));
  return !cluster.node(leader).core->membership().IsVoter(cluster.peer(NodeId(3)));
}

// One change at a time.
bool SecondChangeWaitsForTheFirst() {
  Cluster cluster(Of(5, 5), 1);
  const NodeId leader = Settle(&cluster);
  cluster.Step(leader, ChangeMembership{ProposalId(1), AllVoters(&cluster, 0, 4)});
  const Effects second =
      cluster.Step(leader, ChangeMembership{ProposalId(2), AllVoters(&cluster, 1, 3)});
  return second.rejected.size() == 1;
}

// A membership goes with the entry that brought it.
bool TruncatedMembershipIsForgotten() {
  Cluster cluster(Of(5, 5), 1);
  const NodeId old = Settle(&cluster);
  Isolate(&cluster, old);
  cluster.Step(old, ChangeMembership{ProposalId(1), AllVoters(&cluster, 0, 4)});
  cluster.Run(seconds(1));
  cluster.Heal();
  cluster.Run(seconds(1));
  return cluster.node(old).core->membership() == cluster.node(*cluster.Leader()).core->membership();
}

// Figure 8: an entry of an earlier epoch is not committed by counting its copies.
bool OldEntryIsCommittedByANewOneAlone() {
  const auto options = Of(3, 3);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  const NodeId other = After(options, leader);
  // An entry that only the leader's disk holds, and too large to travel with the next one.
  const Slot slot = *cluster.Propose(leader, std::string(32, 'x'));
  cluster.PersistAll(leader);
  for (const NodeId id : {other, After(options, leader, 2)}) cluster.Crash(id);
  while (!cluster.network().empty()) cluster.Drop(0);
  cluster.Crash(leader);
  cluster.Start(leader);
  cluster.Start(other);
  for (int steps = 0; steps < 2000; ++steps) {
    if (cluster.node(leader).core->committed() == slot) return false;
    if (cluster.node(leader).core->committed() > slot) return true;
    if (!cluster.network().empty()) {
      cluster.Deliver(0);
    } else if (!cluster.PersistOne(leader) && !cluster.PersistOne(other)) {
      cluster.Advance(milliseconds(5));
      cluster.Tick(leader);  // The other one never asks for votes.
    }
  }
  ADD_FAILURE() << "nothing was committed: " << cluster.Describe();
  return false;
}

struct Safeguard {
  const char* name;
  PlantedBug bug;
  std::function<bool()> holds;
  friend std::ostream& operator<<(std::ostream& out, const Safeguard& s) { return out << s.name; }
};

class SafeguardTest : public testing::TestWithParam<Safeguard> {};

TEST_P(SafeguardTest, HoldsAndIsMissed) {
  EXPECT_TRUE(GetParam().holds());
  const PlantBug planted(GetParam().bug);
  EXPECT_FALSE(GetParam().holds());
}

INSTANTIATE_TEST_SUITE_P(
    All, SafeguardTest,
    testing::Values(
        Safeguard{"NoPreVote", PlantedBug::kNoPreVote, EpochStaysWithoutAMajority},
        Safeguard{"NoCheckQuorum", PlantedBug::kNoCheckQuorum, LeaderWithoutAQuorumStepsDown},
        Safeguard{"NoStickiness", PlantedBug::kNoStickiness, FollowerOfALeaderIgnoresCandidates},
        Safeguard{"RestartForgetsLease", PlantedBug::kRestartForgetsLease,
                  RestartedNodeHonoursTheLease},
        Safeguard{"BarrierWithoutQuorum", PlantedBug::kBarrierWithoutQuorum,
                  BarrierWaitsForAnswers},
        Safeguard{"BarrierOnRoundUnderWay", PlantedBug::kBarrierOnRoundUnderWay,
                  BarrierWaitsForAnswers},
        Safeguard{"LeaseIgnoresTransfer", PlantedBug::kLeaseIgnoresTransfer, TransferEndsTheLease},
        Safeguard{"SnapshotCutsLongerLog", PlantedBug::kSnapshotCutsLongerLog,
                  SnapshotDoesNotCutALongerLog},
        Safeguard{"VotesBeforeCaughtUp", PlantedBug::kVotesBeforeCaughtUp, NewVoterCatchesUpFirst},
        Safeguard{"OverlappingChanges", PlantedBug::kOverlappingChanges,
                  SecondChangeWaitsForTheFirst},
        Safeguard{"MembershipOutlivesTruncation", PlantedBug::kMembershipOutlivesTruncation,
                  TruncatedMembershipIsForgotten},
        Safeguard{"CommitOldEpochByCounting", PlantedBug::kCommitOldEpochByCounting,
                  OldEntryIsCommittedByANewOneAlone}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cairn::consensus::raft
