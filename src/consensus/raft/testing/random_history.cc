#include "src/consensus/raft/testing/random_history.h"

#include <algorithm>
#include <chrono>

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class History {
 public:
  History(std::uint64_t seed, const HistoryOptions& options)
      : options_(options), cluster_(options.cluster, seed), random_(cluster_.random()) {}

  std::optional<BrokenPromise> Run() {
    for (int i = 0; i < options_.steps && !cluster_.broken(); ++i) OneStep();
    if (!cluster_.broken()) HealAndDemandProgress();
    if (!cluster_.broken() && !stuck_) return std::nullopt;
    return BrokenPromise{stuck_ ? Promise::kProgress : cluster_.broken_promise(),
                         (stuck_ ? *stuck_ : *cluster_.broken()) + "\n" + cluster_.Describe()};
  }

 private:
  NodeId AnyNode() {
    return NodeId(static_cast<std::uint32_t>(random_.Below(options_.cluster.nodes)));
  }

  void OneStep() {
    const std::uint64_t what = random_.Below(44);
    if (what < 8) return Disturb(what);
    if (what < 12) return PassTime();
    if (what < 16) {
      if (const auto leader = cluster_.Leader()) cluster_.Propose(*leader);
      return;
    }
    if (what < 18) {
      cluster_.Barrier(AnyNode());
      return;
    }
    if (what < 25) {
      cluster_.PersistOne(AnyNode());
      return;
    }
    if (what < 26) {
      cluster_.FinishInstall(AnyNode());
      return;
    }
    if (what < 27 && !cluster_.snapshots().empty()) {
      cluster_.DeliverSnapshot(random_.Below(cluster_.snapshots().size()), random_.OneIn(1, 4));
      return;
    }
    DeliverOne();
  }

  void DeliverOne() {
    if (cluster_.network().empty()) return;
    const std::size_t position = random_.Below(cluster_.network().size());
    if (random_.OneIn(1, 20)) return cluster_.Drop(position);
    cluster_.Deliver(position, random_.OneIn(1, 20));
  }

  void Disturb(std::uint64_t what) {
    const NodeId id = AnyNode();
    switch (what) {
      case 0:
        return cluster_.Crash(id, random_.Below(4));
      case 1:
      case 2:
        if (!cluster_.node(id).core) cluster_.Start(id);
        return;
      case 3:
        return cluster_.Cut(id, AnyNode());
      case 4:
        return cluster_.Heal();
      case 5:
        if (options_.compact) {
          cluster_.Compact(id, Slot(cluster_.node(id).disk.base.value() + 1 + random_.Below(8)));
        }
        return;
      case 6:
        if (const auto leader = cluster_.Leader()) cluster_.Step(*leader, TransferLeadership{id});
        return;
      default:
        if (options_.change_members && random_.OneIn(1, 3)) return ChangeMembers();
        if (options_.wipe && random_.OneIn(1, 3)) MaybeWipe(id);
    }
  }

  void PassTime() {
    cluster_.Advance(Duration(static_cast<std::int64_t>(random_.Below(30'000'000))));
    for (auto& [id, node] : cluster_.nodes()) {
      if (random_.OneIn(9, 10)) cluster_.Tick(id);
    }
    const auto leader = cluster_.Leader();
    if (!leader) return;
    const Membership now = cluster_.node(*leader).core->membership();
    for (const auto& [id, node] : cluster_.nodes()) {
      const PeerId peer = cluster_.peer(id);
      if (!node.core || ClassifyJoin(now, peer) != JoinVerdict::kReplace) continue;
      cluster_.Step(*leader, ChangeMembership{ProposalId(1'000'000), now.WithReplaced(peer)});
    }
  }

  void ChangeMembers() {
    const auto leader = cluster_.Leader();
    if (!leader) return;
    const Membership now = cluster_.node(*leader).core->membership();
    // Not while an emptied voter is being replaced: it could leave the group without a quorum.
    for (const auto& [id, node] : cluster_.nodes()) {
      if (ClassifyJoin(now, cluster_.peer(id)) == JoinVerdict::kReplace) return;
    }
    for (const Membership::Member& member : now.members) {
      if (member.leaving) return;
    }
    Membership target;
    for (std::uint32_t n = 0; n < options_.cluster.nodes; ++n) {
      if (!random_.OneIn(4, 5)) continue;
      const PeerId peer = cluster_.peer(NodeId(n));
      // It comes back as somebody new, once it is sure that it was removed.
      if (cluster_.committed_membership().WasRemoved(peer)) {
        cluster_.Wipe(NodeId(n));
        cluster_.Start(NodeId(n));
      }
      target.members.push_back(
          {NodeId(n), cluster_.peer(NodeId(n)).incarnation, random_.OneIn(4, 5)});
    }
    if (target.Voters().empty()) return;
    cluster_.Step(*leader, ChangeMembership{ProposalId(1'000'000), target});
  }

  // A group of three or more survives one emptied folder, as long as no other replacement and no
  // change of membership is under way.
  void MaybeWipe(NodeId id) {
    const Membership& settled = cluster_.committed_membership();
    if (cluster_.ChangeMayBeUnderWay()) return;
    if (settled.IsJoint() || settled.Voters().size() < 3) return;
    for (const Membership::Member& member : settled.members) {
      if (member.joining || member.leaving) return;
      if (cluster_.peer(member.node) != member.id()) return;
    }
    for (const auto& [other, node] : cluster_.nodes()) {
      const bool follows = node.core && node.core->membership() == settled;
      if (settled.IsMember(cluster_.peer(other)) && !follows) return;
    }
    cluster_.Wipe(id);
    cluster_.Start(id);
  }

  void HealAndDemandProgress() {
    cluster_.Heal();
    for (auto& [id, node] : cluster_.nodes()) {
      if (!node.core) cluster_.Start(id);
    }
    cluster_.Run(seconds(4));
    const Slot before = cluster_.highest_committed();
    const auto leader = cluster_.Leader();
    if (!leader) return Stuck("no leader after healing");
    if (!cluster_.Propose(*leader)) {
      cluster_.Run(seconds(1));
      const auto again = cluster_.Leader();
      if (!again || !cluster_.Propose(*again)) return Stuck("no proposal taken after healing");
    }
    cluster_.Run(seconds(1));
    if (cluster_.highest_committed() <= before) Stuck("no progress after healing");
    for (const auto& [id, node] : cluster_.nodes()) {
      if (!cluster_.committed_membership().IsMember(cluster_.peer(id))) continue;
      if (node.committed < cluster_.highest_committed()) {
        Stuck("node " + ToString(id) + " did not catch up after healing");
      }
    }
  }

  void Stuck(const std::string& why) {
    if (!cluster_.broken()) stuck_ = why;
  }

  const HistoryOptions options_;
  Cluster cluster_;
  Random& random_;
  std::optional<std::string> stuck_;
};

}  // namespace

std::optional<BrokenPromise> RunRandomHistory(std::uint64_t seed, const HistoryOptions& options) {
  return History(seed, options).Run();
}

RaftOptions FastRaft() {
  RaftOptions raft;
  raft.election_timeout = milliseconds(100);
  raft.heartbeat_interval = milliseconds(20);
  raft.max_in_flight = 4;
  raft.max_append_bytes = 16;
  raft.max_cached_bytes = 64;
  raft.promote_within = 0;
  return raft;
}

}  // namespace cairn::consensus::raft
