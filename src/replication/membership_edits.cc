#include "src/replication/membership_edits.h"

#include <algorithm>
#include <utility>

#include "src/base/endpoint.h"

namespace cairn::replication {
namespace {

using consensus::Membership;
using consensus::PeerId;
using Member = Membership::Member;

// What the members are meant to be when the changes that are under way have ended: those who leave
// are gone, those who join are on their way.
Membership Intended(const Membership& now) {
  Membership target;
  for (const Member& member : now.members) {
    if (!member.leaving) target.members.push_back(member);
  }
  return target;
}

void Insert(Membership* target, Member member) {
  const auto at =
      std::lower_bound(target->members.begin(), target->members.end(), member,
                       [](const Member& a, const Member& b) { return a.node < b.node; });
  target->members.insert(at, std::move(member));
}

Member* Seat(Membership* target, NodeId node) {
  for (Member& member : target->members) {
    if (member.node == node) return &member;
  }
  return nullptr;
}

Status CheckAddress(const Membership& membership, const NewMember& member) {
  const Result<Endpoint> endpoint = ParseEndpoint(member.endpoint);
  if (!endpoint.ok()) return endpoint.status();
  for (const Member& other : membership.members) {
    if (other.node == member.node || other.endpoint != member.endpoint) continue;
    return InvalidArgumentError("node " + ToString(other.node) + " is reached at " +
                                member.endpoint + " already; give node " + ToString(member.node) +
                                " an address of its own");
  }
  return Status::Ok();
}

// Whether the voters of `group` can decide anything, as far as they answer now.
Status CheckQuorum(const GroupView& view, const Membership& group, bool force) {
  std::size_t voters = 0;
  std::size_t alive = 0;
  std::size_t awaited = 0;
  std::string silent;
  for (const Member& member : group.members) {
    if (!member.voter) continue;
    ++voters;
    if (view.Answers(member.id())) {
      ++alive;
    } else {
      silent += (silent.empty() ? "" : ", ") + ToString(member.node);
      if (view.Awaits(member.id())) ++awaited;
    }
  }
  if (voters == 0) {
    return FailedPreconditionError("that would leave no voter: a group needs one");
  }
  if (2 * alive > voters || force) return Status::Ok();
  if (2 * (alive + awaited) > voters) {
    return NotHeardYet(silent);
  }
  return FailedPreconditionError(
      "the change would need a majority of " + std::to_string(voters) + " voters, of which " +
      std::to_string(alive) + " answer (silent: " + silent +
      "): the cluster could write nothing. Bring silent nodes back, or replace them first; "
      "--force does it all the same");
}

}  // namespace

const consensus::PeerProgress* GroupView::Of(const PeerId& peer) const {
  const auto it = std::find_if(peers.begin(), peers.end(),
                               [&](const auto& progress) { return progress.peer == peer; });
  return it == peers.end() ? nullptr : &*it;
}

bool GroupView::Answers(const PeerId& peer) const {
  const Member* const own = membership.Find(self);
  if (own != nullptr && own->id() == peer) return true;
  const consensus::PeerProgress* const progress = Of(peer);
  return progress != nullptr && progress->answers;
}

bool GroupView::Awaits(const PeerId& peer) const {
  const consensus::PeerProgress* const progress = Of(peer);
  return progress != nullptr && progress->awaited;
}

Status NotHeardYet(const std::string& nodes) {
  return UnavailableError("the leader has just begun, and has not heard of node " + nodes +
                          " yet; try again");
}

Result<Member> FindMember(const Membership& membership, NodeId node) {
  const Member* const member = membership.Find(node);
  if (member != nullptr) return *member;
  std::string numbers;
  for (const Member& other : membership.members) {
    numbers += (numbers.empty() ? "" : ", ") + ToString(other.node);
  }
  return NotFoundError("node " + ToString(node) +
                       " is no member of this cluster; its members are " + numbers);
}

Result<Membership> WithLearner(const GroupView& view, const NewMember& member) {
  Membership target = Intended(view.membership);
  if (const Member* const seat = view.membership.Find(member.node); seat != nullptr) {
    const bool again = !seat->voter && !seat->joining && seat->endpoint == member.endpoint;
    if (again) return target;
    return AlreadyExistsError("node " + ToString(member.node) + " is a member already, at " +
                              seat->endpoint + "; remove it first, or take another number");
  }
  CAIRN_RETURN_IF_ERROR(CheckAddress(view.membership, member));
  Insert(&target, {member.node, member.placeholder, false, false, false, member.endpoint});
  return target;
}

Result<Membership> WithPromoted(const GroupView& view, NodeId node) {
  CAIRN_ASSIGN_OR_RETURN(const Member member, FindMember(view.membership, node));
  Membership target = Intended(view.membership);
  if (member.voter || member.joining) return target;
  const consensus::PeerProgress* const progress = view.Of(member.id());
  if (view.Awaits(member.id())) return NotHeardYet(ToString(node));
  if (progress == nullptr || !progress->answers) {
    return FailedPreconditionError(
        "node " + ToString(node) +
        " does not answer: start it (its log says what it waits for) "
        "and promote it when `cairn cluster members` shows that it has caught up");
  }
  const std::uint64_t lag = progress->match >= view.committed_slot
                                ? 0
                                : view.committed_slot.value() - progress->match.value();
  if (lag > kCaughtUpWithin || progress->needs_snapshot) {
    return FailedPreconditionError(
        "node " + ToString(node) + " has not caught up: it lacks " + std::to_string(lag) +
        " slots of the log" + (progress->needs_snapshot ? " and waits for a snapshot" : "") +
        "; promote it when it lacks at most " + std::to_string(kCaughtUpWithin));
  }
  Seat(&target, node)->voter = true;
  return target;
}

Result<Membership> WithRemoved(const GroupView& view, NodeId node, bool force) {
  CAIRN_ASSIGN_OR_RETURN(const Member member, FindMember(view.membership, node));
  const auto replaces_itself = [&](const Member& seat) {
    return seat.node == node && seat.leaving;
  };
  // With one that joins for another the replacement ends, and whose it was is not recorded: nobody
  // leaves any more, but for those whose own new incarnation joins.
  const auto& members = view.membership.members;
  const bool calls_off =
      member.joining && std::none_of(members.begin(), members.end(), replaces_itself);
  Membership target;
  for (const Member& other : members) {
    if (other.node == node) continue;
    const bool stays = calls_off && view.membership.Find(other.node)->leaving;
    if (other.leaving && !stays) continue;
    Insert(&target, other);
    Seat(&target, other.node)->leaving = false;
  }
  CAIRN_RETURN_IF_ERROR(CheckQuorum(view, target, force));
  return target;
}

Result<Membership> WithSuccessor(const GroupView& view, NodeId old, const NewMember& member,
                                 bool force) {
  if (old == member.node) {
    return InvalidArgumentError(
        "a node that comes back under its own number with an empty data folder is taken in by "
        "itself: start it; nothing needs to be replaced");
  }
  CAIRN_ASSIGN_OR_RETURN(const Member gone, FindMember(view.membership, old));
  if (gone.leaving) {
    return FailedPreconditionError(
        "node " + ToString(old) +
        " is being replaced already: replace the one that joins in its place, or remove that one "
        "first");
  }
  const bool votes = gone.voter || gone.joining;
  Membership target = Intended(view.membership);
  std::erase_if(target.members, [&](const Member& other) { return other.node == old; });
  Member* const seat = Seat(&target, member.node);
  if (seat == nullptr) {
    CAIRN_RETURN_IF_ERROR(CheckAddress(target, member));
    Insert(&target, {member.node, member.placeholder, votes, false, false, member.endpoint});
  } else if (seat->voter || seat->joining ||
             (!member.endpoint.empty() && seat->endpoint != member.endpoint)) {
    return AlreadyExistsError("node " + ToString(member.node) + " is a member already, at " +
                              seat->endpoint + "; a successor is new, or a learner");
  } else {
    seat->voter = votes;
  }
  // Until the successor has caught up the voters that there are decide, those who leave included.
  // Afterwards it answers, for it has caught up.
  CAIRN_RETURN_IF_ERROR(CheckQuorum(view, view.membership, force));
  return target;
}

}  // namespace cairn::replication
