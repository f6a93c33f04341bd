#include "src/consensus/core/quorum.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "src/base/clock.h"

namespace cairn::consensus {
namespace {

Voters AnyVoters(Random& random, std::size_t most) {
  std::set<PeerId> peers;
  for (std::uint64_t n = random.Below(most + 1); n > 0; --n) {
    const NodeId node(static_cast<std::uint32_t>(random.Below(8)));
    peers.insert({node, IncarnationId(random.Below(2))});
  }
  return {peers.begin(), peers.end()};
}

// The dumb twin: tries every slot and counts.
Slot DumbReached(const Voters& voters, const std::map<PeerId, Slot>& values) {
  if (voters.empty()) return Slot::Max();
  Slot best;
  for (std::uint64_t s = 0; s <= 20; ++s) {
    std::size_t count = 0;
    for (const PeerId& voter : voters) count += values.at(voter) >= Slot(s);
    if (2 * count > voters.size()) best = Slot(s);
  }
  return best;
}

TEST(Quorum, MatchesADumbTwin) {
  SeededRandom random(5);
  for (int i = 0; i < 20'000; ++i) {
    Membership membership;
    for (const PeerId& peer : AnyVoters(random, 7)) {
      membership.members.push_back({peer.node, peer.incarnation, random.OneIn(4, 5)});
    }
    if (random.OneIn(1, 2)) membership.outgoing_voters = AnyVoters(random, 7);
    std::map<PeerId, Slot> values;
    std::map<PeerId, Vote> votes;
    for (std::uint32_t n = 0; n < 16; ++n) {
      const PeerId peer{NodeId(n / 2), IncarnationId(n % 2)};
      values[peer] = Slot(random.Below(20));
      votes[peer] = static_cast<Vote>(random.Below(3));
    }
    const Slot expected = std::min(DumbReached(membership.Voters(), values),
                                   DumbReached(membership.outgoing_voters, values));
    ASSERT_EQ(ReachedByQuorum<Slot>(membership, [&](const PeerId& p) { return values.at(p); }),
              expected);

    // Won now means won whatever the missing votes say; lost likewise.
    const auto outcome_if = [&](Vote missing) {
      const auto won = [&](const Voters& voters) {
        std::size_t granted = 0;
        for (const PeerId& n : voters) {
          const Vote vote = votes.at(n) == Vote::kMissing ? missing : votes.at(n);
          granted += vote == Vote::kGranted;
        }
        return voters.empty() || 2 * granted > voters.size();
      };
      return won(membership.Voters()) && won(membership.outgoing_voters);
    };
    const VoteOutcome outcome =
        CountVotes(membership, [&](const PeerId& p) { return votes.at(p); });
    ASSERT_EQ(outcome == VoteOutcome::kWon, outcome_if(Vote::kRefused));
    ASSERT_EQ(outcome == VoteOutcome::kLost, !outcome_if(Vote::kGranted));
  }
}

TEST(Membership, WhatIsEncodedDecodesAndDamageDoesNot) {
  SeededRandom random(6);
  for (int i = 0; i < 2'000; ++i) {
    Membership membership;
    for (const PeerId& peer : AnyVoters(random, 7)) {
      const bool voter = random.OneIn(1, 2);
      membership.members.push_back({peer.node, peer.incarnation, voter,
                                    !voter && random.OneIn(1, 2), voter && random.OneIn(1, 2),
                                    random.OneIn(1, 2) ? "host:1" : ""});
    }
    membership.outgoing_voters = AnyVoters(random, 3);
    membership.removed = AnyVoters(random, 3);
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

PeerId Peer(std::uint32_t node, std::uint64_t incarnation) {
  return {NodeId(node), IncarnationId(incarnation)};
}

TEST(Membership, PeersAndVotersOfAJointOne) {
  Membership membership;
  membership.members = {{NodeId(1), IncarnationId(5), true}, {NodeId(4), IncarnationId(6), false}};
  membership.outgoing_voters = {Peer(1, 4), Peer(2, 7)};
  EXPECT_EQ(membership.Voters(), (Voters{Peer(1, 5)}));
  EXPECT_EQ(membership.Peers(), (Voters{Peer(1, 4), Peer(1, 5), Peer(2, 7), Peer(4, 6)}));
  EXPECT_TRUE(membership.IsVoter(Peer(2, 7)));
  EXPECT_FALSE(membership.IsVoter(Peer(2, 8)));
  EXPECT_FALSE(membership.IsVoter(Peer(4, 6)));
  EXPECT_TRUE(membership.IsJoint());
}

TEST(Membership, AnEmptiedNodeTakesThePlaceOfItsFormerLife) {
  Membership membership;
  membership.members = {{NodeId(1), IncarnationId(5), true},
                        {NodeId(2), IncarnationId(6), true, false, true},
                        {NodeId(2), IncarnationId(7), false, true},
                        {NodeId(3), IncarnationId(8), false}};
  membership.removed = {Peer(1, 4)};
  EXPECT_EQ(ClassifyJoin(membership, Peer(2, 7)), JoinVerdict::kMember);
  EXPECT_EQ(ClassifyJoin(membership, Peer(2, 9)), JoinVerdict::kReplace);
  EXPECT_EQ(ClassifyJoin(membership, Peer(1, 4)), JoinVerdict::kRemoved);
  EXPECT_EQ(ClassifyJoin(membership, Peer(9, 1)), JoinVerdict::kUnknown);
  const Membership target = membership.WithReplaced(Peer(2, 9));
  EXPECT_EQ(target.Peers(), (Voters{Peer(1, 5), Peer(2, 9), Peer(3, 8)}));
  EXPECT_EQ(target.Voters(), (Voters{Peer(1, 5), Peer(2, 9)}));
  EXPECT_EQ(membership.WithReplaced(Peer(3, 9)).Voters(), (Voters{Peer(1, 5)}));
}

}  // namespace
}  // namespace cairn::consensus
