// First formation of a group: how nodes with empty folders agree, once, on who the first members
// are and which cluster they make, before anyone votes. A pure state machine, like a core.
//
// Every node starts with a random incarnation and the same configured list of members. Two steps:
//
//   1. All nodes of the list say hello and name their incarnations. When the coordinator (the
//      lowest number of the list) has heard everybody, it proposes the first membership, with a
//      random cluster id, under an attempt number. Each member that finds itself in it under its
//      present incarnation persists the proposal ("prepared") and says so.
//   2. When all of them are prepared, the coordinator persists that the cluster is formed, and only
//      then tells. Whoever is told persists that, too, and starts its core.
//
// Why it is safe. A member's attempt only grows, and a formed node accepts no proposal. So all
// members of a formed membership F accepted it, and if a later proposal P takes in a node that
// knows F, that node refuses and P can't form. A coordinator that lost its folder may thus replace
// a proposal whose fate it does not know: it needs everybody, and if anyone was told of F, it
// learns of F and joins as somebody new. For the same reason a member that is prepared for P may
// believe somebody in P who says that F was formed earlier; it believes nobody else. All this rests
// on one list: a node that is prepared for a membership of other nodes than its list now names (the
// list was changed, and the node restarted) takes part in nothing until it is started with the old
// list, or emptied, or is told that a cluster exists; its acceptance may still form the former one.
// Messages may be lost, doubled, delayed and reordered, and everyone may crash at any point;
// everything unanswered is said again every `retry_interval`.
//
// Afterwards the machine goes on listening. It tells forming nodes that the cluster exists; a node
// whose incarnation is not in the first membership (an emptied folder, or a new node) takes the
// cluster's id and first membership, starts its core as a stranger, and asks to be taken in until
// the log says that it is; nodes of another cluster are turned away.
//
// The driver: writes `persist` durably (replacing what was there) and steps Persisted; sends
// `messages` at once; starts its core with formed.first when `formed` comes, never before. Messages
// travel as those of cores do. Thread safety: owned by one serial executor. Deterministic: time
// comes with events, chance from the Random that is handed in.
//
// Formats: docs/formats/formation.md.
#ifndef CAIRN_SRC_CONSENSUS_FORMATION_FORMATION_H_
#define CAIRN_SRC_CONSENSUS_FORMATION_FORMATION_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"
#include "src/consensus/core/membership.h"
#include "src/consensus/formation/messages.h"
#include "src/consensus/formation/record.h"

namespace cairn::consensus::formation {

struct FormationOptions {
  PeerId self;  // node and the incarnation of its folder
  GroupId group;
  struct Configured {
    NodeId node;
    std::string endpoint;  // as it will stand in the membership
  };
  // All members as configured, this node among them; sorted by node, each once.
  std::vector<Configured> members;
  Duration retry_interval = std::chrono::milliseconds(500);
};

// ---- Events (Tick, MessageReceived as in core.h)

// First event: the record as it was last persisted; empty if never.
struct Started {
  std::string record;
};
// The last `persist` is durable.
struct RecordPersisted {};
// The core's membership in force, at its start and whenever it changes (Effects::membership).
struct MembershipInForce {
  Membership membership;
};

struct FormationEvent {
  MonotonicTime now;
  std::variant<Started, Tick, MessageReceived, RecordPersisted, MembershipInForce> what;
};

// ---- Effects

struct Formed {
  ClusterId cluster;
  // The membership at slot 0, for Recovered::membership of a core without a snapshot. This node may
  // be absent from it: then it starts as a stranger and is taken in through the log.
  Membership first;
};

// Somebody wants to be taken in. The leader's driver changes the membership for kReplace
// (Membership::WithReplaced) and lets an operator decide about kUnknown; it comes again until done.
struct JoinRequest {
  PeerId peer;
  JoinVerdict verdict = JoinVerdict::kUnknown;
  std::string endpoint;  // where it says that it is reached
};

struct FormationEffects {
  // Replace the record by these bytes, durably; answered by RecordPersisted.
  std::optional<std::string> persist;
  std::vector<Message> messages;  // `after` is 0: send at once
  std::optional<Formed> formed;   // once in a life of the process
  std::vector<JoinRequest> join_requests;
  // Something that an operator must mend, when it is first seen.
  std::optional<Status> problem;
  std::optional<MonotonicTime> wake_at;  // send Tick then; nothing: no timer wanted
};

class Formation {
 public:
  // `random` must outlive the machine and belongs to the same executor.
  Formation(const FormationOptions& options, Random* random);

  // Takes one event and says what follows. The first event must be Started, and only the first. A
  // record that does not decode ends the process: the driver checks it with DecodeRecord before.
  FormationEffects Step(const FormationEvent& event);

  // One line for health and logs: "waiting to hear from nodes 1, 2".
  [[nodiscard]] std::string Describe() const;
  // The cluster of a formed node; 0 before.
  [[nodiscard]] ClusterId cluster() const;

 private:
  struct Heard {
    IncarnationId incarnation;
    std::uint64_t attempt = 0;
  };

  void On(const Started& event);
  void On(const Tick& event);
  void On(const MessageReceived& event);
  void On(const RecordPersisted& event);
  void On(const MembershipInForce& event);

  void Receive(const PeerId& from, const Hello& m);
  void Receive(const PeerId& from, const Prepare& m);
  void Receive(const PeerId& from, const Prepared& m);
  void Receive(const PeerId& from, const Refused& m);
  void Receive(const PeerId& from, const Announce& m);
  void Receive(const PeerId& from, const Join& m);
  void Receive(const PeerId& from, const TurnedAway& m);

  [[nodiscard]] bool IsFormed() const {
    return record_ && record_->stage == Record::Stage::kFormed;
  }
  [[nodiscard]] bool Coordinates() const;
  [[nodiscard]] std::uint64_t attempt() const { return record_ ? record_->attempt : 0; }
  [[nodiscard]] bool NamesConfiguredNodes(const Membership& membership) const;
  // Prepared for other nodes than those of the list: reported, and true.
  bool IsBoundToOtherNodes();
  // Whether the coordinator has heard everybody, and then the membership that they make.
  [[nodiscard]] std::optional<Membership> WhoIsThere() const;
  void ProposeIfDue();
  void SendPrepares();
  void Accepted(const PeerId& by);
  void Persist(Record record);
  void AfterFormed();
  void SendHellos();
  void SendJoins();
  void Send(const PeerId& to, FormationMessage message);
  void Problem(Status status);

  const FormationOptions options_;
  Random* const random_;
  MonotonicTime now_;
  FormationEffects effects_;

  bool started_ = false;
  std::optional<Record> record_;   // durable
  std::optional<Record> writing_;  // handed over; messages are ignored until it is durable
  std::optional<MonotonicTime> wake_at_;
  std::string last_problem_;

  // Of a node that is not formed: who said hello. Of the coordinator: who is prepared, and the
  // highest attempt that somebody refused for.
  std::map<NodeId, Heard> heard_;
  std::set<PeerId> prepared_;
  std::uint64_t refused_attempt_ = 0;

  // Of a formed node.
  std::optional<Membership> in_force_;
  bool removed_ = false;
};

}  // namespace cairn::consensus::formation

#endif  // CAIRN_SRC_CONSENSUS_FORMATION_FORMATION_H_
