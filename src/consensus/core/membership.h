// Who replicates a group.
//
// A node is known by its number and its incarnation together: what voted and acknowledged is one
// life of a data folder. A node that comes back with an empty folder is another peer under the same
// number; it never counts for the one that it replaces.
//
// A worked example. Voters 1a, 2b, 3c (number and incarnation). Node 3 loses its disk and comes
// back as 3d. The leader proposes {1a, 2b, 3d}; the core makes three memberships of it:
//   1a 2b 3c(leaving) 3d(joining)           3d gets the log; the voters are as before
//   1a 2b 3d, outgoing voters 1a 2b 3c      3d has caught up: both majorities decide
//   1a 2b 3d, removed 3c
// Voters that leave stay until those who join have caught up, so the group never has fewer.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_CONSENSUS_CORE_MEMBERSHIP_H_
#define CAIRN_SRC_CONSENSUS_CORE_MEMBERSHIP_H_

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"

namespace cairn::consensus {

// One life of one node.
struct PeerId {
  NodeId node;
  IncarnationId incarnation;
  friend auto operator<=>(const PeerId&, const PeerId&) = default;
};
// "2#00000000000000ab".
std::string ToString(const PeerId& peer);

struct Membership {
  struct Member {
    NodeId node;
    IncarnationId incarnation;
    bool voter = true;  // false: a learner, which gets the log and has no vote
    // A learner that is meant to vote: whoever leads makes it a voter once it has caught up.
    bool joining = false;
    // A voter that goes when those who join have caught up.
    bool leaving = false;
    // Where the node is reached, for the transport; the cores don't read it.
    std::string endpoint = {};

    [[nodiscard]] PeerId id() const { return {node, incarnation}; }
    friend bool operator==(const Member&, const Member&) = default;
  };
  // Incarnations that are remembered as removed; the oldest are forgotten beyond it.
  static constexpr std::size_t kMaxRemoved = 256;

  // Sorted by node and incarnation. A node may stand here twice while it is replaced by its own new
  // incarnation: leaving and joining.
  std::vector<Member> members;
  // While one membership replaces another: the voters of the one that goes. A decision then needs a
  // majority of these as well.
  std::vector<PeerId> outgoing_voters;  // sorted
  // Incarnations that were members and are not, oldest first. None of them comes back.
  std::vector<PeerId> removed;

  [[nodiscard]] std::vector<PeerId> Voters() const;
  [[nodiscard]] bool IsJoint() const { return !outgoing_voters.empty(); }
  // In either set of voters.
  [[nodiscard]] bool IsVoter(const PeerId& peer) const;
  // Everyone that the log is sent to: members, and voters on their way out.
  [[nodiscard]] std::vector<PeerId> Peers() const;
  // The member under this number, the one that stays if there are two; null if there is none.
  [[nodiscard]] const Member* Find(NodeId node) const;
  [[nodiscard]] bool IsMember(const PeerId& peer) const;
  [[nodiscard]] bool WasRemoved(const PeerId& peer) const;
  // The target of a change that puts `peer` in the place of the member under its number, which must
  // be there; a joining member counts as the voter that it was to be.
  [[nodiscard]] Membership WithReplaced(const PeerId& peer) const;

  // As it stands in entries of kind kMembership: docs/formats/membership.md.
  [[nodiscard]] std::string Encode() const;
  static Result<Membership> Decode(std::string_view bytes);
  friend bool operator==(const Membership&, const Membership&) = default;
};

// What becomes of a node that asks to be taken in.
enum class JoinVerdict {
  kMember,   // it is a member: it only has to wait for the log
  kReplace,  // it is another incarnation of a member: change to WithReplaced
  kRemoved,  // it was removed; it may join with an empty folder, as somebody new
  kUnknown,  // its number is not in the membership, or is leaving: an operator decides
};
JoinVerdict ClassifyJoin(const Membership& membership, const PeerId& peer);

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_MEMBERSHIP_H_
