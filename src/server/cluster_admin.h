// What operators do to a cluster through any wire: see its members and change them, hand leadership
// over, write a node's state out.
//
// Changes are made by the node that leads; another one answers kNotLeader. `done` of a change runs
// when its first step is in the log of the leader: Members shows how far it is.
//
// Thread safety: all methods from any thread. Callbacks run on an executor of the replica, and must
// not block.
#ifndef CAIRN_SRC_SERVER_CLUSTER_ADMIN_H_
#define CAIRN_SRC_SERVER_CLUSTER_ADMIN_H_

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/replication/membership_edits.h"
#include "src/replication/replica.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::server {

// A member as the answering node sees it.
struct MemberSight {
  consensus::Membership::Member member;
  bool leads = false;
  bool is_self = false;
  // Of the leader's peers, when the leader answers.
  std::optional<consensus::PeerProgress> progress;
  std::optional<replication::NodeReport> report;  // its last one, and how old that is
  Duration report_age{0};
};

struct MembersSight {
  replication::GroupView view;
  std::vector<MemberSight> members;  // in the order of the membership
};

// How it stands with the features of the cluster, as bits (kv::EnableFeatures).
struct FeatureSight {
  std::uint64_t active = 0;        // switched on
  std::uint64_t known_by_all = 0;  // known to every member
  std::uint64_t known_here = 0;
  std::vector<NodeId> older;  // members that lack what this node knows, or have not said
};

class ClusterAdmin {
 public:
  // Pointers must outlive the object and its callbacks.
  ClusterAdmin(replication::Replica* replica, replication::StateMachineExecutor* executor,
               const Clock* clock);

  // kFailedPrecondition on a node by itself.
  void Members(absl::AnyInvocable<void(Result<MembersSight>)> done);
  // See replication/membership_edits.h for what each does and refuses.
  void Add(NodeId node, const std::string& endpoint, replication::StatusCallback done);
  void Promote(NodeId node, replication::StatusCallback done);
  void Remove(NodeId node, bool force, replication::StatusCallback done);
  void Replace(NodeId old, NodeId node, const std::string& endpoint, bool force,
               replication::StatusCallback done);
  // Asks the voter to lead; nobody named: the one that is furthest along of those
  // that answer and are well.
  void TransferLeadership(std::optional<NodeId> to, replication::StatusCallback done);
  // Switches on, through the log, every feature that all members know; `check`: only says which.
  // What cannot be switched on yet stands in the answer, with the members that are older. From then
  // on a node that does not know them can't take part. On the leader.
  void Upgrade(bool check, absl::AnyInvocable<void(Result<FeatureSight>)> done);
  // Writes this node's state to disk, so that its journal can be cut; `done` gets the slot up to
  // which it stands there.
  void Snapshot(absl::AnyInvocable<void(Result<Slot>)> done);

 private:
  replication::Replica* const replica_;
  replication::StateMachineExecutor* const executor_;
  const Clock* const clock_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_CLUSTER_ADMIN_H_
