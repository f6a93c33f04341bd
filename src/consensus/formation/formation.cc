// Events, proposals and their acceptance. What a formed node does is at the end.
#include "src/consensus/formation/formation.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace cairn::consensus::formation {
namespace {

std::string Hex(std::uint64_t id) {
  return ToString(PeerId{NodeId(), IncarnationId(id)}).substr(2);
}

}  // namespace

Formation::Formation(const FormationOptions& options, Random* random)
    : options_(options), random_(random) {
  CAIRN_CHECK(std::any_of(options_.members.begin(), options_.members.end(),
                          [&](const auto& m) { return m.node == options_.self.node; }),
              "node " + ToString(options_.self.node) + " is not in its own list of members");
}

FormationEffects Formation::Step(const FormationEvent& event) {
  now_ = event.now;
  effects_ = FormationEffects();
  CAIRN_CHECK(started_ != std::holds_alternative<Started>(event.what),
              "Started comes first, and once");
  std::visit([this](const auto& what) { On(what); }, event.what);
  effects_.wake_at = wake_at_;
  return std::move(effects_);
}

void Formation::On(const Started& event) {
  started_ = true;
  if (!event.record.empty()) {
    Result<Record> record = DecodeRecord(event.record);
    CAIRN_CHECK(record.ok(), record.status().message());
    record_ = *std::move(record);
  }
  if (IsFormed()) return AfterFormed();
  if (record_ && Coordinates() && record_->first.IsMember(options_.self)) {
    prepared_.insert(options_.self);
  }
  IsBoundToOtherNodes();
  SendHellos();
  ProposeIfDue();  // A list of one has nobody to wait for.
}

void Formation::On(const Tick&) {
  if (!wake_at_ || now_ < *wake_at_) return;
  if (IsFormed()) {
    SendJoins();
  } else {
    SendHellos();
    ProposeIfDue();
  }
}

void Formation::On(const MessageReceived& event) {
  const Result<Framed> framed = DecodeMessage(event.body);
  // Bytes that are no message are of another version; a lost message does no harm.
  if (!framed.ok() || framed->group != options_.group || event.from == options_.self.node) return;
  if (framed->to != IncarnationId() && framed->to != options_.self.incarnation) return;
  const PeerId from{event.from, framed->from};
  const bool stranger =
      IsFormed() && framed->cluster != ClusterId() && framed->cluster != record_->cluster;
  if (stranger) {
    Problem(FailedPreconditionError(
        "node " + ToString(event.from) + " belongs to cluster " + Hex(framed->cluster.value()) +
        ", this node to " + Hex(record_->cluster.value()) + ": check the endpoints of both"));
    const bool answered = std::holds_alternative<TurnedAway>(framed->message);
    if (!answered) Send(from, TurnedAway{TurnedAway::Why::kOtherCluster});
    return;
  }
  // While the record is being written, the answer to anything depends on whether it survives.
  if (writing_) return;
  std::visit([&](const auto& m) { Receive(from, m); }, framed->message);
}

void Formation::On(const RecordPersisted&) {
  if (!writing_) return;
  record_ = std::exchange(writing_, std::nullopt);
  if (IsFormed()) {
    // Whoever waits need not wait for its next hello.
    if (Coordinates() && record_->first.IsMember(options_.self)) {
      for (const Membership::Member& member : record_->first.members) {
        Send(member.id(), Announce{record_->attempt, record_->cluster, record_->first});
      }
    }
    return AfterFormed();
  }
  prepared_.clear();
  if (Coordinates()) {
    SendPrepares();
    return Accepted(options_.self);
  }
  const PeerId coordinator = record_->first.members.front().id();
  Send(coordinator, Prepared{record_->attempt, record_->cluster});
}

// ---- Before the cluster exists

bool Formation::Coordinates() const { return options_.members.front().node == options_.self.node; }

bool Formation::NamesConfiguredNodes(const Membership& membership) const {
  return std::equal(membership.members.begin(), membership.members.end(), options_.members.begin(),
                    options_.members.end(),
                    [](const auto& a, const auto& b) { return a.node == b.node; });
}

bool Formation::IsBoundToOtherNodes() {
  if (!record_ || IsFormed() || NamesConfiguredNodes(record_->first)) return false;
  std::string nodes;
  for (const Membership::Member& member : record_->first.members) {
    nodes += (nodes.empty() ? "" : ", ") + ToString(member.node);
  }
  Problem(FailedPreconditionError(
      "this node has agreed to form a cluster of nodes " + nodes +
      ", which are not those of `replica_endpoints` any more: start it with the former list, or "
      "empty its data folder if that cluster is not to be"));
  return true;
}

void Formation::SendHellos() {
  wake_at_ = now_ + options_.retry_interval;
  Hello hello{{}, attempt(), true};
  for (const auto& member : options_.members) hello.configured.push_back(member.node);
  for (const auto& member : options_.members) Send({member.node, IncarnationId()}, hello);
  if (record_ && Coordinates()) SendPrepares();
}

void Formation::Receive(const PeerId& from, const Hello& m) {
  if (IsFormed()) {
    return Send(from, Announce{record_->attempt, record_->cluster, record_->first});
  }
  const bool same_list =
      std::equal(m.configured.begin(), m.configured.end(), options_.members.begin(),
                 options_.members.end(), [](NodeId node, const auto& b) { return node == b.node; });
  if (!same_list) {
    Problem(FailedPreconditionError("node " + ToString(from.node) +
                                    " was given another list of members than this node: make "
                                    "`replica_endpoints` the same on all of them"));
    return;
  }
  heard_[from.node] = Heard{from.incarnation, m.attempt};
  if (m.answer) {
    Hello hello{m.configured, attempt(), false};
    Send(from, std::move(hello));
  }
  ProposeIfDue();
}

std::optional<Membership> Formation::WhoIsThere() const {
  Membership first;
  for (const auto& member : options_.members) {
    IncarnationId incarnation = options_.self.incarnation;
    if (member.node != options_.self.node) {
      const auto it = heard_.find(member.node);
      if (it == heard_.end()) return std::nullopt;
      incarnation = it->second.incarnation;
    }
    first.members.push_back({member.node, incarnation, true, false, false, member.endpoint});
  }
  return first;
}

void Formation::ProposeIfDue() {
  if (!Coordinates() || IsFormed() || writing_ || IsBoundToOtherNodes()) return;
  std::optional<Membership> first = WhoIsThere();
  if (!first) return;
  // What was proposed stands until somebody in it is gone or has accepted something later.
  if (record_ && record_->first == *first && refused_attempt_ < attempt()) return;
  std::uint64_t highest = std::max(attempt(), refused_attempt_);
  for (const auto& [node, heard] : heard_) highest = std::max(highest, heard.attempt);
  ClusterId cluster(random_->Next());
  if (cluster == ClusterId()) cluster = ClusterId(1);
  Persist({Record::Stage::kPrepared, highest + 1, cluster, *std::move(first)});
}

void Formation::SendPrepares() {
  for (const Membership::Member& member : record_->first.members) {
    if (prepared_.count(member.id()) != 0) continue;
    Send(member.id(), Prepare{record_->attempt, record_->cluster, record_->first});
  }
}

void Formation::Receive(const PeerId& from, const Prepare& m) {
  if (IsFormed()) {
    return Send(from, Announce{record_->attempt, record_->cluster, record_->first});
  }
  if (!NamesConfiguredNodes(m.first)) {
    Problem(FailedPreconditionError("node " + ToString(from.node) +
                                    " proposes other members than this node was given: make "
                                    "`replica_endpoints` the same on all of them"));
    return;
  }
  if (IsBoundToOtherNodes()) return;
  // From the coordinator of this proposal, and meant for this life of this node.
  if (m.first.members.front().id() != from || !m.first.IsMember(options_.self)) return;
  Record record{Record::Stage::kPrepared, m.attempt, m.cluster, m.first};
  if (record_ == record) return Send(from, Prepared{m.attempt, m.cluster});
  if (m.attempt <= attempt()) return Send(from, Refused{attempt(), record_->cluster});
  Persist(std::move(record));
}

void Formation::Receive(const PeerId& from, const Prepared& m) {
  if (IsFormed() || !Coordinates() || !record_) return;
  if (m.attempt == record_->attempt && m.cluster == record_->cluster) Accepted(from);
}

void Formation::Accepted(const PeerId& by) {
  if (!record_->first.IsMember(by)) return;
  prepared_.insert(by);
  if (prepared_.size() < record_->first.members.size()) return;
  Record formed = *record_;
  formed.stage = Record::Stage::kFormed;
  Persist(std::move(formed));
}

void Formation::Receive(const PeerId& from, const Refused& m) {
  if (IsFormed() || !Coordinates()) return;
  // A late copy of an earlier proposal was refused in favour of the present one.
  if (record_ && record_->cluster == m.cluster) return Accepted(from);
  refused_attempt_ = std::max(refused_attempt_, m.attempt);
  ProposeIfDue();
}

void Formation::Receive(const PeerId& from, const Announce& m) {
  if (IsFormed()) return;
  Record formed{Record::Stage::kFormed, m.attempt, m.cluster, m.first};
  Record accepted = formed;
  accepted.stage = Record::Stage::kPrepared;
  if (record_ != accepted) {
    // Prepared for another one: it can't form if the one who says this is needed for it. See above.
    if (record_ && !record_->first.IsMember(from)) return;
    // Nobody forms a cluster with a node that has not accepted it.
    if (m.first.IsMember(options_.self) && attempt() < m.attempt) {
      Problem(FailedPreconditionError("this node is a first member of cluster " +
                                      Hex(m.cluster.value()) +
                                      " and has lost its record of it: its data folder is not "
                                      "whole. Empty the folder to let the "
                                      "node join as a new one"));
      return;
    }
  }
  Persist(std::move(formed));
}

void Formation::Persist(Record record) {
  CAIRN_CHECK(!writing_);
  effects_.persist = Encode(record);
  writing_ = std::move(record);
}

// ---- When the cluster exists

void Formation::AfterFormed() {
  heard_.clear();
  prepared_.clear();
  effects_.formed = Formed{record_->cluster, record_->first};
  wake_at_.reset();
  if (!record_->first.IsMember(options_.self)) SendJoins();
}

void Formation::On(const MembershipInForce& event) {
  in_force_ = event.membership;
  if (!IsFormed()) return;
  if (in_force_->IsMember(options_.self)) {
    wake_at_.reset();
  } else if (in_force_->WasRemoved(options_.self)) {
    removed_ = true;
    wake_at_.reset();
    // Nobody may be left who tells it that this is for good.
    Problem(FailedPreconditionError(
        "this node was removed from the cluster, by the newest membership in its log; stop it, or "
        "empty its data folder to let it join as a new one"));
  } else if (!wake_at_ && !in_force_->IsVoter(options_.self)) {
    SendJoins();
  }
}

void Formation::SendJoins() {
  wake_at_ = now_ + options_.retry_interval;
  std::set<NodeId> nodes;
  std::string endpoint;
  for (const auto& member : options_.members) {
    nodes.insert(member.node);
    if (member.node == options_.self.node) endpoint = member.endpoint;
  }
  for (const Membership::Member& member : record_->first.members) nodes.insert(member.node);
  if (in_force_) {
    for (const Membership::Member& member : in_force_->members) nodes.insert(member.node);
  }
  for (const NodeId node : nodes) Send({node, IncarnationId()}, Join{endpoint});
}

void Formation::Receive(const PeerId& from, const Join& m) {
  if (!IsFormed() || !in_force_) return;
  const JoinVerdict verdict = ClassifyJoin(*in_force_, from);
  if (verdict == JoinVerdict::kMember) return;
  if (verdict == JoinVerdict::kRemoved) return Send(from, TurnedAway{TurnedAway::Why::kRemoved});
  effects_.join_requests.push_back({from, verdict, m.endpoint});
}

void Formation::Receive(const PeerId& from, const TurnedAway& m) {
  if (m.why != TurnedAway::Why::kRemoved) {
    Problem(FailedPreconditionError("node " + ToString(from.node) +
                                    " turned this node away: it belongs to another cluster"));
    return;
  }
  Problem(FailedPreconditionError(
      "this node was removed from the cluster; empty its data folder to let it join as a new one"));
}

ClusterId Formation::cluster() const { return IsFormed() ? record_->cluster : ClusterId(); }

std::string Formation::Describe() const {
  if (IsFormed()) {
    if (removed_) return "removed from cluster " + Hex(record_->cluster.value());
    const bool waits = wake_at_.has_value();
    return (waits ? "asking to join cluster " : "member of cluster ") +
           Hex(record_->cluster.value());
  }
  std::string missing;
  for (const auto& member : options_.members) {
    if (member.node == options_.self.node || heard_.count(member.node) != 0) continue;
    missing += (missing.empty() ? "" : ", ") + ToString(member.node);
  }
  if (!missing.empty()) return "waiting to hear from nodes " + missing;
  return Coordinates() ? "waiting for all members to accept the cluster"
                       : "waiting for node " + ToString(options_.members.front().node) +
                             " to form the cluster";
}

// ---- Effects

void Formation::Send(const PeerId& to, FormationMessage message) {
  if (to.node == options_.self.node) return;
  const Framed framed{options_.group, options_.self.incarnation, to.incarnation, cluster(),
                      std::move(message)};
  effects_.messages.push_back({to.node, Encode(framed), PersistToken()});
}

void Formation::Problem(Status status) {
  if (status.message() == last_problem_) return;
  last_problem_ = status.message();
  effects_.problem = std::move(status);
}

}  // namespace cairn::consensus::formation
