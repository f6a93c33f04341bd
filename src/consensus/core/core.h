// The vocabulary of consensus cores: a core is a pure state machine, step(event) -> effects.
//
// A core knows nothing of storage, threads, sockets or clocks. Its driver (src/replication/replica)
// feeds it events one at a time and carries out the effects of each, in this order:
//
//   1. Hand `persist` to the journal. Persists are handed over in the order in which they come out;
//      when one is durable, step a Persisted event with its token (tokens complete in order; the
//      event for a later token covers the earlier ones).
//   2. Send each message whose `after` token is durable (or that has none) at once, and each of the
//      others as soon as its token is. A message that promises something (an acknowledgement, a
//      vote) names the token of what it promises. Messages may be lost, doubled and reordered.
//   3. Apply every entry up to `committed`, in slot order, but never one that is not yet durable in
//      the local journal. Report progress with Applied.
//   4. Answer proposals and read barriers as told. A barrier that opens at slot s may be served
//   once
//      everything up to s is applied.
//
// Every event carries the monotonic time at which the driver took it from its queue, so that a
// process that was stopped wakes up knowing it. Randomness is an input: the driver hands the core a
// Random when it makes it.
//
// The words are neutral. A slot is a position in the log (Raft: index; Paxos: instance), an epoch a
// term of leadership (Raft: term; Paxos: ballot). Entries may be persisted out of slot order and
// again under a higher epoch, as Multi-Paxos does; the latest record of a slot wins.
//
// Thread safety: a core is owned by one thread or serial executor.
#ifndef CAIRN_SRC_CONSENSUS_CORE_CORE_H_
#define CAIRN_SRC_CONSENSUS_CORE_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"

namespace cairn::consensus {

// What an entry's payload is. Part of the journal's and the peers' formats.
enum class EntryKind : std::uint8_t {
  kCommands = 1,    // commands for the state machine
  kNoOp = 2,        // fills a slot; applies nothing
  kMembership = 3,  // a membership; the core reads it
};

// One slot of the log. The payload is shared, not copied, between core, journal and apply.
struct Entry {
  Slot slot;
  Epoch epoch;
  EntryKind kind = EntryKind::kCommands;
  std::shared_ptr<const std::string> payload;
};

// Numbers that the driver gives to what it asks for, to recognise the answer. Unique in one run of
// the process, never persisted.
using ProposalId = StrongId<struct ProposalIdTag, std::uint64_t>;
using BarrierId = StrongId<struct BarrierIdTag, std::uint64_t>;
// Order of persists: 1, 2, 3, ... in one run. 0 means "nothing to wait for".
using PersistToken = StrongId<struct PersistTokenTag, std::uint64_t>;

// Who replicates a group.
struct Membership {
  struct Member {
    NodeId node;
    IncarnationId incarnation;
    bool voter = true;  // false: a learner, which gets the log and has no vote
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::vector<Member> members;  // sorted by node, each node once
  // While one membership replaces another: the voters of the one that goes. A decision then needs a
  // majority of these as well.
  std::vector<NodeId> outgoing_voters;  // sorted

  [[nodiscard]] std::vector<NodeId> Voters() const;
  [[nodiscard]] bool IsJoint() const { return !outgoing_voters.empty(); }
  // In either set of voters.
  [[nodiscard]] bool IsVoter(NodeId node) const;
  // Every node that the log is sent to: members, and voters on their way out.
  [[nodiscard]] std::vector<NodeId> Nodes() const;

  // As it stands in entries of kind kMembership: docs/formats/membership.md.
  [[nodiscard]] std::string Encode() const;
  static Result<Membership> Decode(std::string_view bytes);
  friend bool operator==(const Membership&, const Membership&) = default;
};

// ---- Events --------------------------------------------------------------------------------

// First event of a core's life: what the journal and the engine hold.
struct Recovered {
  // Last hard state that the core asked to persist; empty on a new folder.
  std::string hard_state;
  // Everything up to here is in the engine's flushed state and may be gone from the journal.
  Slot snapshot_slot;
  Epoch snapshot_epoch;
  Membership membership;  // as of snapshot_slot
  // The journal's entries after snapshot_slot, in slot order (possibly with holes, for Paxos).
  std::vector<Entry> entries;
};

// Time passed. Sent when Effects::wake_at is due, or at any other time.
struct Tick {};

// A frame from a peer, as its core made it.
struct MessageReceived {
  NodeId from;
  std::string body;
};

// Wants `payload` in the log. Answered by Effects::accepted or Effects::rejected with the same id.
// An accepted proposal may still be replaced by another leader's entry: the driver learns its fate
// by comparing the epoch of what is committed at its slot.
struct Propose {
  ProposalId id;
  EntryKind kind = EntryKind::kCommands;
  std::shared_ptr<const std::string> payload;
};

// Wants to know a slot such that reading after applying it is linearizable from now.
struct ReadBarrier {
  BarrierId id;
};

// The journal's answer to Effects::fetches: entries from the slot that was asked for, as many as
// the bound allows; empty if they are no longer there (the peer then needs a snapshot).
struct Fetched {
  NodeId peer;
  Slot first;
  std::vector<Entry> entries;
};

// Entries up to `slot` may be dropped from memory and journal: the engine holds them durably.
struct Compacted {
  Slot slot;
};

// The driver installed a snapshot that it received: engine and journal now begin at `slot`.
struct SnapshotInstalled {
  Slot slot;
  Epoch epoch;
  Membership membership;
};

// How the transfer of a snapshot to `peer` ended (see Effects::snapshots). `slot` is the
// snapshot's.
struct SnapshotSent {
  NodeId peer;
  bool ok = false;
  Slot slot;
};

// Everything handed over up to and including `token` is durable.
struct Persisted {
  PersistToken token;
};

// The state machine has applied everything up to `slot`.
struct Applied {
  Slot slot;
};

// Wants the membership changed to `target`, in as many steps as the core needs.
struct ChangeMembership {
  ProposalId id;
  Membership target;
};

// Wants `to` to take over leadership.
struct TransferLeadership {
  NodeId to;
};

struct Event {
  MonotonicTime now;
  std::variant<Recovered, Tick, MessageReceived, Propose, ReadBarrier, Persisted, Applied,
               ChangeMembership, TransferLeadership, Fetched, Compacted, SnapshotInstalled,
               SnapshotSent>
      what;
};

// ---- Effects -------------------------------------------------------------------------------

// What must become durable, together and in this order: the truncation, the entries, the hard
// state.
struct Persist {
  PersistToken token;
  // Forget all entries from this slot on, before `entries` are written.
  std::optional<Slot> truncate_from;
  std::vector<Entry> entries;
  // The core's own encoding of what it must never forget (term and vote; ballot promised).
  std::optional<std::string> hard_state;
};

struct Message {
  NodeId to;
  std::string body;
  PersistToken after;  // 0: send at once
};

struct AcceptedProposal {
  ProposalId id;
  Slot slot;
  Epoch epoch;
};

struct RejectedProposal {
  ProposalId id;
  Status status;  // kNotLeader, kUnavailable, ...
};

struct OpenBarrier {
  BarrierId id;
  Slot slot;
};

struct FailedBarrier {
  BarrierId id;
  Status status;
};

// Entries that the core needs for a peer and no longer holds in memory; answered by Fetched.
struct Fetch {
  NodeId peer;
  Slot first;
  std::uint64_t max_bytes = 0;
};

enum class Role : std::uint8_t { kFollower, kCandidate, kLeader, kLearner };

// What the core knows of leadership.
struct Leadership {
  Role role = Role::kFollower;
  Epoch epoch;
  std::optional<NodeId> leader;
  friend bool operator==(const Leadership&, const Leadership&) = default;
};

struct Effects {
  std::optional<Persist> persist;
  std::vector<Message> messages;
  // Every slot up to this one is chosen. Grows only.
  std::optional<Slot> committed;
  std::vector<AcceptedProposal> accepted;
  std::vector<RejectedProposal> rejected;
  std::vector<OpenBarrier> open_barriers;
  std::vector<FailedBarrier> failed_barriers;
  std::vector<Fetch> fetches;
  // Peers that need a snapshot: they lack slots that are gone from the journal. Answered by
  // SnapshotSent.
  std::vector<NodeId> snapshots;
  // Set when the membership in force changed.
  std::optional<Membership> membership;
  std::optional<Leadership> leadership;  // set when it changed
  // Send Tick at this time; nothing set: no timer wanted.
  std::optional<MonotonicTime> wake_at;
};

class Core {
 public:
  virtual ~Core() = default;
  // Takes one event and says what follows. The first event must be Recovered, and only the first.
  virtual Effects Step(const Event& event) = 0;
};

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_CORE_H_
