// What an operator may do to the members of a group: from what is in force, and how the members
// are, to the target of a change (consensus::ChangeMembership), or to why not.
//
// A new member is named before it runs: it takes a seat under an incarnation that nobody has, a
// *placeholder*. The node that comes to that seat is taken for one that lost its folder, and
// replaces it (consensus::JoinVerdict::kReplace). So an intended member stands in the log, and
// whichever node leads goes on with it.
//
// Guards. A change is refused if too few voters answer the leader, of the group that it makes or,
// where somebody joins in the place of another, of the one that there is: it would stop at once.
// And a learner becomes a voter when it has caught up, not before. `force` lifts the first. A node
// that has just begun to lead, and has not heard of those it counts on, says kUnavailable: it is
// worth asking again.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_REPLICATION_MEMBERSHIP_EDITS_H_
#define CAIRN_SRC_REPLICATION_MEMBERSHIP_EDITS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/consensus/core/membership.h"

namespace cairn::replication {

// A group as one of its nodes sees it, at one moment.
struct GroupView {
  NodeId self;
  consensus::Leadership leadership;
  consensus::Membership membership;  // in force
  Slot last_slot;
  Slot committed_slot;
  std::vector<consensus::PeerProgress> peers;  // of a leader
  MonotonicTime now;

  // How far that peer is; null on nodes that do not lead, for this node, and for strangers.
  [[nodiscard]] const consensus::PeerProgress* Of(const consensus::PeerId& peer) const;
  // Whether a member answers this node, which leads; this node itself does.
  [[nodiscard]] bool Answers(const consensus::PeerId& peer) const;
  // Whether it may do so any moment: this node leads, and gave it no time to answer yet.
  [[nodiscard]] bool Awaits(const consensus::PeerId& peer) const;
};

// kUnavailable: whether that node can be counted on is not known yet (GroupView::Awaits).
Status NotHeardYet(const std::string& nodes);

// The member under this number that stays, if there are two; kNotFound names those there are.
Result<consensus::Membership::Member> FindMember(const consensus::Membership& membership,
                                                 NodeId node);

// How many slots a learner may lack when it is made a voter. It goes on catching up meanwhile.
inline constexpr std::uint64_t kCaughtUpWithin = 1000;

// Who is to become a member.
struct NewMember {
  NodeId node;
  std::string endpoint;  // "host:port" for its peers
  IncarnationId placeholder;
};

// A new learner. kAlreadyExists for a member, unless it is the same seat at the same address: then
// nothing changes. kInvalidArgument for an address that is none or another member's.
Result<consensus::Membership> WithLearner(const GroupView& view, const NewMember& member);

// A learner made a voter. kFailedPrecondition says what it lacks, or that it does not answer.
Result<consensus::Membership> WithPromoted(const GroupView& view, NodeId node);

// Without that member. The removal of one that is joining in the place of another calls that
// replacement off: whoever was to leave stays. kFailedPrecondition if the rest could not go on.
Result<consensus::Membership> WithRemoved(const GroupView& view, NodeId node, bool force);

// `member` joins, and once it has caught up takes the vote of `old`, which goes then: in one change
// of the log. `member` may be a learner already: its endpoint may be empty then.
// kAlreadyExists if it is a voter, or joins already in the place of somebody.
// kFailedPrecondition if the voters that there are could not go on, or `old` is leaving already.
Result<consensus::Membership> WithSuccessor(const GroupView& view, NodeId old,
                                            const NewMember& member, bool force);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_MEMBERSHIP_EDITS_H_
