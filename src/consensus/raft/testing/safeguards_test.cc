// Negative tests of the core: a bug that only takes a safeguard away must show in a short story
// that the core without it tells rightly.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "src/base/planted_bug.h"
#include "src/base/testing/plant_bug.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

// `to` gets a message of `from`'s that nobody sent.
template <class M>
Effects Receive(Cluster* cluster, NodeId to, NodeId from, const M& message) {
  const Framed framed{cluster->peer(from).incarnation, cluster->peer(to).incarnation, message};
  return cluster->Step(to, MessageReceived{from, Encode(framed)});
}

// The node asked for a vote in the next epoch by somebody with the longest log: does it stay?
bool IgnoresACandidate(Cluster* cluster, NodeId asked, NodeId candidate) {
  const Epoch before = cluster->node(asked).core->epoch();
  Receive(cluster, asked, candidate,
          VoteRequest{before.Next(), Slot(1'000'000), before.Next(), false, false});
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

// A leader that leaves the group leads on, under its lease, until it knows that the change is
// committed. The voter that stays alone restarts with that change in its log: it needs nobody's
// vote, and still has to wait until the lease is over.
bool TheOnlyVoterWaitsForTheLeaseOfALeaderThatLeaves() {
  const auto options = Of(2, 2, true);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  const NodeId stays = After(options, leader);
  cluster.Step(leader, ChangeMembership{ProposalId(1), AllVoters(&cluster, stays.value(), 1)});
  // The joint membership is committed, the target reaches the disk of the one that stays; its
  // answer is lost.
  const auto has_target = [&] {
    const Membership& now = cluster.node(stays).core->membership();
    return !now.IsJoint() && now.Voters() == Voters{cluster.peer(stays)};
  };
  for (int i = 0; i < 100 && !has_target(); ++i) {
    if (!cluster.network().empty()) cluster.Deliver(0);
    cluster.PersistAll(leader);
    if (!has_target()) cluster.PersistAll(stays);
  }
  EXPECT_TRUE(has_target());
  cluster.Cut(stays, leader);
  cluster.PersistAll(stays);
  cluster.Crash(stays);
  cluster.Start(stays);
  cluster.PersistAll(stays);
  const bool waits = cluster.node(stays).core->role() != Role::kLeader;
  cluster.Propose(stays);
  cluster.PersistAll(stays);
  // The other one answers from its lease, and must not miss what was committed.
  const std::uint64_t read = cluster.Barrier(leader);
  EXPECT_EQ(cluster.opened().count(read), 1u);
  EXPECT_EQ(cluster.broken_promise(), waits ? Promise::kNoneBroken : Promise::kFreshReads);
  // The wait is for one lease, not for ever.
  cluster.Run(seconds(1));
  EXPECT_TRUE(!waits || cluster.node(stays).core->role() == Role::kLeader);
  return waits;
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

// ---- Stories of elections

// Delivers what `wanted` says yes to, and what comes of it, without a disk finishing anything.
void DeliverWhere(Cluster* cluster,
                  const std::function<bool(NodeId from, NodeId to, const RaftMessage&)>& wanted) {
  for (std::size_t i = 0; i < cluster->network().size();) {
    const Cluster::InFlight& sent = cluster->network()[i];
    if (!wanted(sent.from, sent.message.to, Decode(sent.message.body)->message)) {
      ++i;
      continue;
    }
    cluster->Deliver(i);
    i = 0;
  }
}

bool IsPreVote(const RaftMessage& message) {
  const auto* request = std::get_if<VoteRequest>(&message);
  const auto* response = std::get_if<VoteResponse>(&message);
  return (request != nullptr && request->pre) || (response != nullptr && response->pre);
}

// Node 0 campaigns, with its own vote durable, and its requests are on their way.
void CampaignOfNodeZero(Cluster* cluster) {
  cluster->Advance(milliseconds(250));
  cluster->Tick(NodeId(0));
  DeliverWhere(cluster, [](NodeId, NodeId, const RaftMessage& m) { return IsPreVote(m); });
  EXPECT_EQ(cluster->node(NodeId(0)).core->role(), Role::kCandidate);
  cluster->PersistAll(NodeId(0));
}

// The voters answer node 0's requests; their answers are on their way, other requests are lost.
void Vote(Cluster* cluster, const std::vector<NodeId>& voters) {
  for (const NodeId voter : voters) {
    DeliverWhere(cluster, [&](NodeId from, NodeId to, const RaftMessage& m) {
      return from == NodeId(0) && to == voter && std::holds_alternative<VoteRequest>(m);
    });
    cluster->PersistAll(voter);
  }
  for (std::size_t i = 0; i < cluster->network().size();) {
    cluster->network()[i].from == NodeId(0) ? cluster->Drop(i) : void(++i);
  }
}

// A voter has one vote, however often the network delivers its answer.
bool AVoterHasOneVote() {
  Cluster cluster(Of(5, 5), 1);
  CampaignOfNodeZero(&cluster);
  Vote(&cluster, {NodeId(1)});
  EXPECT_EQ(cluster.network().size(), 1u);
  for (int i = 0; i < 3; ++i) cluster.Deliver(0, true);
  return cluster.node(NodeId(0)).core->role() != Role::kLeader;
}

// What was granted in one election counts in no other.
bool LateVotesDoNotCount() {
  Cluster cluster(Of(5, 5), 1);
  CampaignOfNodeZero(&cluster);
  Vote(&cluster, {NodeId(1), NodeId(2)});
  const Epoch first = cluster.node(NodeId(0)).core->epoch();
  CampaignOfNodeZero(&cluster);
  EXPECT_GT(cluster.node(NodeId(0)).core->epoch(), first);
  DeliverWhere(&cluster, [](NodeId, NodeId to, const RaftMessage& m) {
    return to == NodeId(0) && std::holds_alternative<VoteResponse>(m);
  });
  return cluster.node(NodeId(0)).core->role() != Role::kLeader;
}

// A vote lasts as long as its epoch: whoever gave it and then lost sight of the leader has none
// left.
bool AVoteIsKeptOnSteppingDown() {
  Cluster cluster(Of(3, 3), 1);
  const NodeId voter(1);
  const VoteRequest request{Epoch(2), Slot(5), Epoch(1), false, false};
  Receive(&cluster, voter, NodeId(0), request);
  cluster.PersistAll(voter);
  // It is the leader's follower, and lacks what this append follows.
  Receive(&cluster, voter, NodeId(0), AppendRequest{Epoch(2), Slot(6), Epoch(2), Slot(), 1, {}});
  cluster.PersistAll(voter);
  cluster.Advance(milliseconds(250));
  cluster.Tick(voter);
  const Effects effects = Receive(&cluster, voter, NodeId(2), request);
  return std::none_of(effects.messages.begin(), effects.messages.end(), [](const Message& message) {
    const RaftMessage body = Decode(message.body)->message;
    const auto* answer = std::get_if<VoteResponse>(&body);
    return answer != nullptr && answer->granted && !answer->pre;
  });
}

// Each process counts its rounds anew: what answers a heartbeat of an earlier one confirms nothing.
bool AHeartbeatOfAFormerEpochConfirmsNothing() {
  const auto options = Of(3, 3);
  Cluster cluster(options, 1);
  const NodeId former = Settle(&cluster);
  AppendRequest late;
  late.epoch = cluster.node(former).core->epoch();
  late.round = 1000;
  cluster.Step(former, TransferLeadership{After(options, former)});
  const NodeId leader = Settle(&cluster);
  EXPECT_GT(cluster.node(leader).core->epoch(), late.epoch);
  // As if the leader had led before, and a heartbeat of that time had been on its way till now.
  const NodeId follower = After(options, leader);
  const Framed framed{cluster.peer(leader).incarnation, cluster.peer(follower).incarnation, late};
  cluster.Step(follower, MessageReceived{leader, Encode(framed)});
  DeliverWhere(&cluster, [&](NodeId, NodeId to, const RaftMessage&) { return to == leader; });
  Isolate(&cluster, leader);
  cluster.Barrier(leader);
  return cluster.opened().empty();
}

// Whoever only learns leads nobody.
bool ALearnerDoesNotCampaign() {
  Cluster cluster({4, 3, 1, FastRaft()}, 1);
  Settle(&cluster);
  const NodeId learner(3);
  cluster.Advance(milliseconds(250));
  cluster.Tick(learner);
  return cluster.node(learner).core->role() != Role::kCandidate;
}

// ---- And others

// A lease is counted from when the heartbeat left, not from when its answer arrived.
bool ALeaseEndsWithItsTime() {
  const auto options = Of(3, 3, true);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  // A round of heartbeats whose answers take 40 ms; then the leader is alone.
  cluster.Advance(milliseconds(20));
  cluster.Tick(leader);
  DeliverWhere(&cluster, [&](NodeId from, NodeId, const RaftMessage&) { return from == leader; });
  cluster.Advance(milliseconds(40));
  DeliverWhere(&cluster, [&](NodeId, NodeId to, const RaftMessage&) { return to == leader; });
  Isolate(&cluster, leader);
  // The followers have not heard of it for longer than an election takes; it has heard of them.
  cluster.Advance(milliseconds(65));
  cluster.Barrier(leader);
  EXPECT_EQ(cluster.node(leader).core->role(), Role::kLeader);
  return cluster.opened().empty();
}

// A lease ends before anybody may vote for another leader, even by the slowest clock of a leader
// and the fastest one of a follower: they are nearly as far apart as leases allow.
bool ALeaseEndsByTheSlowestClock() {
  const auto options = Of(3, 3, true);
  Cluster cluster(options, 1);
  const NodeId leader = Settle(&cluster);
  const NodeId follower = After(options, leader);
  cluster.node(leader).clock_drift_ppm = -24'000;
  cluster.node(follower).clock_drift_ppm = 24'000;
  cluster.Run(seconds(1));
  cluster.Settle();
  EXPECT_EQ(cluster.Leader(), leader);
  // A round of heartbeats that all answer at once; then the leader is alone.
  cluster.Advance(milliseconds(20));
  cluster.Tick(leader);
  cluster.Settle();
  Isolate(&cluster, leader);
  // So much that an election timeout is over for the follower and not for the leader.
  cluster.Advance(milliseconds(99));
  EXPECT_FALSE(IgnoresACandidate(&cluster, follower, After(options, leader, 2)));
  cluster.Barrier(leader);
  EXPECT_EQ(cluster.node(leader).core->role(), Role::kLeader);
  return cluster.opened().empty();
}

// The last disk to finish may be the leader's own.
bool TheLeadersOwnDiskCommits() {
  Cluster cluster(Of(1, 1), 1);
  const NodeId leader = Settle(&cluster);
  const Slot slot = *cluster.Propose(leader);
  cluster.PersistAll(leader);
  return cluster.node(leader).core->committed() == slot;
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
        Safeguard{"LoneVoterIgnoresLease", PlantedBug::kLoneVoterIgnoresLease,
                  TheOnlyVoterWaitsForTheLeaseOfALeaderThatLeaves},
        Safeguard{"BarrierWithoutQuorum", PlantedBug::kBarrierWithoutQuorum,
                  BarrierWaitsForAnswers},
        Safeguard{"BarrierOnRoundUnderWay", PlantedBug::kBarrierOnRoundUnderWay,
                  BarrierWaitsForAnswers},
        Safeguard{"RoundOfFormerEpoch", PlantedBug::kRoundOfFormerEpoch,
                  AHeartbeatOfAFormerEpochConfirmsNothing},
        Safeguard{"LeaseIgnoresTransfer", PlantedBug::kLeaseIgnoresTransfer, TransferEndsTheLease},
        Safeguard{"SnapshotCutsLongerLog", PlantedBug::kSnapshotCutsLongerLog,
                  SnapshotDoesNotCutALongerLog},
        Safeguard{"VotesBeforeCaughtUp", PlantedBug::kVotesBeforeCaughtUp, NewVoterCatchesUpFirst},
        Safeguard{"OverlappingChanges", PlantedBug::kOverlappingChanges,
                  SecondChangeWaitsForTheFirst},
        Safeguard{"MembershipOutlivesTruncation", PlantedBug::kMembershipOutlivesTruncation,
                  TruncatedMembershipIsForgotten},
        Safeguard{"CommitOldEpochByCounting", PlantedBug::kCommitOldEpochByCounting,
                  OldEntryIsCommittedByANewOneAlone},
        Safeguard{"DoubledVotesCount", PlantedBug::kDoubledVotesCount, AVoterHasOneVote},
        Safeguard{"LateVotesCount", PlantedBug::kLateVotesCount, LateVotesDoNotCount},
        Safeguard{"StepDownForgetsVote", PlantedBug::kStepDownForgetsVote,
                  AVoteIsKeptOnSteppingDown},
        Safeguard{"LearnerCampaigns", PlantedBug::kLearnerCampaigns, ALearnerDoesNotCampaign},
        Safeguard{"LeaseByQuorumCheckAlone", PlantedBug::kLeaseByQuorumCheckAlone,
                  ALeaseEndsWithItsTime},
        Safeguard{"LeaseIgnoresDrift", PlantedBug::kLeaseIgnoresDrift, ALeaseEndsByTheSlowestClock},
        Safeguard{"SyncDoesNotCommit", PlantedBug::kSyncDoesNotCommit, TheLeadersOwnDiskCommits}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cairn::consensus::raft
