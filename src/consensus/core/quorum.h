// Arithmetic of majorities, for any core: over one set of voters, or over two at once while the
// membership changes (joint consensus: Ongaro and Ousterhout, "In Search of an Understandable
// Consensus Algorithm", 2014, section 6). What holds for the joint set holds for both.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_CONSENSUS_CORE_QUORUM_H_
#define CAIRN_SRC_CONSENSUS_CORE_QUORUM_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "src/base/ids.h"
#include "src/consensus/core/membership.h"

namespace cairn::consensus {

using Voters = std::vector<PeerId>;

// The smallest number of `n` voters of which any two sets meet.
constexpr std::size_t MajorityOf(std::size_t n) { return n / 2 + 1; }

// The highest value that a majority of `voters` has reached; values only grow. An empty set has
// reached everything: it does not hold anything back (this makes the joint form below right).
template <class T>
T ReachedByMajority(const Voters& voters, const std::function<T(const PeerId&)>& value_of) {
  if (voters.empty()) return T::Max();
  std::vector<T> values;
  values.reserve(voters.size());
  for (const PeerId& voter : voters) values.push_back(value_of(voter));
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(MajorityOf(values.size()) - 1);
  std::nth_element(values.begin(), nth, values.end(), std::greater<>());
  return *nth;
}

// The same for both sets of a membership.
template <class T>
T ReachedByQuorum(const Membership& membership, const std::function<T(const PeerId&)>& value_of) {
  return std::min(ReachedByMajority<T>(membership.Voters(), value_of),
                  ReachedByMajority<T>(membership.outgoing_voters, value_of));
}

enum class VoteOutcome : std::uint8_t { kPending, kWon, kLost };

enum class Vote : std::uint8_t { kMissing, kGranted, kRefused };

// What the votes so far amount to. An empty set has won.
inline VoteOutcome CountVotes(const Voters& voters,
                              const std::function<Vote(const PeerId&)>& vote_of) {
  if (voters.empty()) return VoteOutcome::kWon;
  std::size_t granted = 0;
  std::size_t refused = 0;
  for (const PeerId& voter : voters) {
    const Vote vote = vote_of(voter);
    granted += vote == Vote::kGranted;
    refused += vote == Vote::kRefused;
  }
  if (granted >= MajorityOf(voters.size())) return VoteOutcome::kWon;
  if (voters.size() - refused < MajorityOf(voters.size())) return VoteOutcome::kLost;
  return VoteOutcome::kPending;
}

inline VoteOutcome CountVotes(const Membership& membership,
                              const std::function<Vote(const PeerId&)>& vote_of) {
  const VoteOutcome incoming = CountVotes(membership.Voters(), vote_of);
  const VoteOutcome outgoing = CountVotes(membership.outgoing_voters, vote_of);
  if (incoming == VoteOutcome::kLost || outgoing == VoteOutcome::kLost) return VoteOutcome::kLost;
  if (incoming == VoteOutcome::kWon && outgoing == VoteOutcome::kWon) return VoteOutcome::kWon;
  return VoteOutcome::kPending;
}

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_QUORUM_H_
