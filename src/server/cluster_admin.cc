#include "src/server/cluster_admin.h"

#include <chrono>
#include <map>
#include <utility>

namespace cairn::server {

using replication::GroupView;
using replication::NewMember;
using replication::StatusCallback;

namespace {

Status Alone() {
  return FailedPreconditionError(
      "this node is not a member of a cluster ([deployment] mode is \"standalone\")");
}

Status Stopping() { return UnavailableError("this node is stopping; try another one"); }

// Of nobody that there is.
IncarnationId Placeholder() { return IncarnationId(SystemEntropy() | 1); }

// Of an edit that needs members.
replication::Replica::MembershipEdit InCluster(
    std::function<Result<consensus::Membership>(const GroupView&)> edit) {
  return [edit = std::move(edit)](const GroupView& view) -> Result<consensus::Membership> {
    if (view.membership.members.empty()) return Alone();
    return edit(view);
  };
}

// A member's word about what it knows counts for so long: it may have been started anew meanwhile,
// as another version.
constexpr Duration kReportCounts = std::chrono::seconds(10);
constexpr Duration kUpgradeBound = std::chrono::seconds(10);

FeatureSight SeeFeatures(const MembersSight& sight, std::uint64_t active, std::uint64_t here) {
  FeatureSight features{active, here, here, {}};
  for (const MemberSight& member : sight.members) {
    if (member.is_self) continue;
    const bool said = member.report && member.report_age < kReportCounts;
    const std::uint64_t known = said ? member.report->known_features : 0;
    features.known_by_all &= known;
    if ((here & ~known) != 0 || !said) features.older.push_back(member.member.node);
  }
  return features;
}

}  // namespace

ClusterAdmin::ClusterAdmin(replication::Replica* replica,
                           replication::StateMachineExecutor* executor, const Clock* clock)
    : replica_(replica), executor_(executor), clock_(clock) {}

void ClusterAdmin::Members(absl::AnyInvocable<void(Result<MembersSight>)> done) {
  replica_->View(
      [replica = replica_, done = std::move(done)](std::optional<GroupView> view) mutable {
        if (!view) return done(Stopping());
        if (view->membership.members.empty()) return done(Alone());
        std::map<NodeId, replication::PeerReport> reports;
        for (replication::PeerReport& report : replica->Reports()) {
          reports.emplace(report.node, std::move(report));
        }
        MembersSight sight;
        for (const auto& member : view->membership.members) {
          MemberSight one;
          one.member = member;
          one.is_self = view->membership.Find(view->self) != nullptr && member.node == view->self &&
                        member.id() == view->membership.Find(view->self)->id();
          one.leads = view->leadership.leader == member.node && !member.joining;
          if (const auto* progress = view->Of(member.id())) one.progress = *progress;
          const auto report = reports.find(member.node);
          if (report != reports.end() &&
              (!member.voter || report->second.incarnation == member.incarnation)) {
            one.report = report->second.report;
            one.report_age = view->now - report->second.received;
          }
          sight.members.push_back(std::move(one));
        }
        sight.view = *std::move(view);
        done(std::move(sight));
      });
}

void ClusterAdmin::Add(NodeId node, const std::string& endpoint, StatusCallback done) {
  const NewMember member{node, endpoint, Placeholder()};
  replica_->EditMembership(
      InCluster([member](const GroupView& view) { return WithLearner(view, member); }),
      std::move(done));
}

void ClusterAdmin::Promote(NodeId node, StatusCallback done) {
  replica_->EditMembership(
      InCluster([node](const GroupView& view) { return WithPromoted(view, node); }),
      std::move(done));
}

void ClusterAdmin::Remove(NodeId node, bool force, StatusCallback done) {
  replica_->EditMembership(
      InCluster([node, force](const GroupView& view) { return WithRemoved(view, node, force); }),
      std::move(done));
}

void ClusterAdmin::Replace(NodeId old, NodeId node, const std::string& endpoint, bool force,
                           StatusCallback done) {
  const NewMember member{node, endpoint, Placeholder()};
  replica_->EditMembership(InCluster([old, member, force](const GroupView& view) {
                             return WithSuccessor(view, old, member, force);
                           }),
                           std::move(done));
}

void ClusterAdmin::TransferLeadership(std::optional<NodeId> to, StatusCallback done) {
  if (replica_->status().membership.members.empty()) return done(Alone());
  replica_->TransferLeadership(to, std::move(done));
}

void ClusterAdmin::Upgrade(bool check, absl::AnyInvocable<void(Result<FeatureSight>)> done) {
  Members([this, check, done = std::move(done)](Result<MembersSight> sight) mutable {
    if (!sight.ok()) return done(std::move(sight).status());
    if (sight->view.leadership.role != consensus::Role::kLeader) {
      return done(NotLeaderError("this node does not lead"));
    }
    FeatureSight features = SeeFeatures(*sight, executor_->features(), executor_->known_features());
    const std::uint64_t more = features.known_by_all & ~features.active;
    if (check || more == 0) return done(std::move(features));
    kv::Command command;
    command.operation = kv::EnableFeatures{more};
    replica_->Propose(std::move(command), clock_->Now() + kUpgradeBound,
                      [features = std::move(features), more,
                       done = std::move(done)](const Result<kv::WriteResult>& result) mutable {
                        if (!result.ok()) return done(result.status());
                        features.active |= more;
                        done(std::move(features));
                      });
  });
}

void ClusterAdmin::Snapshot(absl::AnyInvocable<void(Result<Slot>)> done) {
  const Slot before = replica_->status().applied_slot;
  replica_->Flush([before, done = std::move(done)](Status status) mutable {
    if (!status.ok()) return done(std::move(status));
    done(before);
  });
}

}  // namespace cairn::server
