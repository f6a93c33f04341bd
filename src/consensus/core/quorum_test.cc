#include "src/consensus/core/quorum.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "src/base/clock.h"

namespace cairn::consensus {
namespace {

Voters AnyVoters(Random& random, std::size_t most) {
  std::set<NodeId> nodes;
  for (std::uint64_t n = random.Below(most + 1); n > 0; --n) {
    nodes.insert(NodeId(static_cast<std::uint32_t>(random.Below(8))));
  }
  return {nodes.begin(), nodes.end()};
}

// The dumb twin: tries every slot and counts.
Slot DumbReached(const Voters& voters, const std::map<NodeId, Slot>& values) {
  if (voters.empty()) return Slot::Max();
  Slot best;
  for (std::uint64_t s = 0; s <= 20; ++s) {
    std::size_t count = 0;
    for (const NodeId voter : voters) count += values.at(voter) >= Slot(s);
    if (2 * count > voters.size()) best = Slot(s);
  }
  return best;
}

TEST(Quorum, MatchesADumbTwin) {
  SeededRandom random(5);
  for (int i = 0; i < 20'000; ++i) {
    Membership membership;
    for (const NodeId node : AnyVoters(random, 7)) {
      membership.members.push_back({node, {}, random.OneIn(4, 5)});
    }
    if (random.OneIn(1, 2)) membership.outgoing_voters = AnyVoters(random, 7);
    std::map<NodeId, Slot> values;
    std::map<NodeId, Vote> votes;
    for (std::uint32_t n = 0; n < 8; ++n) {
      values[NodeId(n)] = Slot(random.Below(20));
      votes[NodeId(n)] = static_cast<Vote>(random.Below(3));
    }
    const Slot expected = std::min(DumbReached(membership.Voters(), values),
                                   DumbReached(membership.outgoing_voters, values));
    ASSERT_EQ(ReachedByQuorum<Slot>(membership, [&](NodeId n) { return values.at(n); }), expected);

    // Won now means won whatever the missing votes say; lost likewise.
    const auto outcome_if = [&](Vote missing) {
      const auto won = [&](const Voters& voters) {
        std::size_t granted = 0;
        for (const NodeId n : voters) {
          const Vote vote = votes.at(n) == Vote::kMissing ? missing : votes.at(n);
          granted += vote == Vote::kGranted;
        }
        return voters.empty() || 2 * granted > voters.size();
      };
      return won(membership.Voters()) && won(membership.outgoing_voters);
    };
    const VoteOutcome outcome = CountVotes(membership, [&](NodeId n) { return votes.at(n); });
    ASSERT_EQ(outcome == VoteOutcome::kWon, outcome_if(Vote::kRefused));
    ASSERT_EQ(outcome == VoteOutcome::kLost, !outcome_if(Vote::kGranted));
  }
}

TEST(Membership, WhatIsEncodedDecodesAndDamageDoesNot) {
  SeededRandom random(6);
  for (int i = 0; i < 2'000; ++i) {
    Membership membership;
    for (const NodeId node : AnyVoters(random, 7)) {
      membership.members.push_back({node, IncarnationId(random.Next()), random.OneIn(1, 2)});
    }
    membership.outgoing_voters = AnyVoters(random, 3);
    std::string bytes = membership.Encode();
    const auto decoded = Membership::Decode(bytes);
    ASSERT_TRUE(decoded.ok());
    ASSERT_EQ(*decoded, membership);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_FALSE(Membership::Decode(std::string_view(bytes).substr(0, size)).ok());
    }
    bytes[random.Below(bytes.size())] ^= static_cast<char>(1u << random.Below(8));
    const auto damaged = Membership::Decode(bytes);
    if (damaged.ok()) {
      ASSERT_EQ(damaged->Encode(), bytes);
    }
  }
}

TEST(Membership, NodesAndVotersOfAJointOne) {
  Membership membership;
  membership.members = {{NodeId(1), {}, true}, {NodeId(4), {}, false}};
  membership.outgoing_voters = {NodeId(1), NodeId(2)};
  EXPECT_EQ(membership.Voters(), (Voters{NodeId(1)}));
  EXPECT_EQ(membership.Nodes(), (Voters{NodeId(1), NodeId(2), NodeId(4)}));
  EXPECT_TRUE(membership.IsVoter(NodeId(2)));
  EXPECT_FALSE(membership.IsVoter(NodeId(4)));
  EXPECT_TRUE(membership.IsJoint());
}

}  // namespace
}  // namespace cairn::consensus
