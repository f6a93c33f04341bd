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
//      once everything up to s is applied.
//   5. Install a snapshot only when `install_snapshot` says so, behind all persists handed over so
//      far, and step SnapshotInstalled before any other event is taken that came after it.
//
// Who speaks. A node is known by its number and its incarnation together (PeerId). Messages are
// addressed to a number, as transports are; their bodies name the incarnations of both ends, and a
// core drops what is meant for, or comes from, another life than it knows. The driver need not
// look.
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
#include "src/consensus/core/membership.h"

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

// ---- Events --------------------------------------------------------------------------------

// First event of a core's life: what the journal and the engine hold.
struct Recovered {
  // Last hard state that the core asked to persist; empty on a new folder.
  std::string hard_state;
  // Everything up to here is in the engine's flushed state and may be gone from the journal.
  Slot snapshot_slot;
  Epoch snapshot_epoch;
  Membership membership;  // as of `applied`
  // The journal's entries after snapshot_slot, in slot order (possibly with holes, for Paxos).
  // Those up to `applied` may come without payload: they are fetched when a peer needs them.
  std::vector<Entry> entries;
  // What the engine holds; at least snapshot_slot (and taken for it if lower).
  Slot applied;
};

// Time passed. Sent when Effects::wake_at is due, or at any other time.
struct Tick {};

// A frame from a peer, as its core made it. Who it says it is from is checked by the core.
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
  // Somebody at another node waits for it to be committed: the others hear of that without delay.
  bool announce = false;
};

// Wants to know a slot such that reading after applying it is linearizable from now.
struct ReadBarrier {
  BarrierId id;
};

// The journal's answer to Effects::fetches: entries from the slot that was asked for, as many as
// the bound allows; empty if they are no longer there (the peer then needs a snapshot).
struct Fetched {
  PeerId peer;
  Slot first;
  std::vector<Entry> entries;
};

// Entries up to `slot` may be dropped from memory and journal: the engine holds them durably.
struct Compacted {
  Slot slot;
};

// A snapshot arrived and lies complete and durable beside the state. Effects::install_snapshot says
// whether to install it; if not, it is dropped (the state is ahead of it, or the log holds it).
struct SnapshotReceived {
  Slot slot;
  Epoch epoch;
  Membership membership;
};

// The driver installed a snapshot as it was told: engine and journal now begin at `slot`. Between
// the telling and this the core acknowledges no entries. An installation that fails ends the node.
struct SnapshotInstalled {
  Slot slot;
  Epoch epoch;
  Membership membership;
};

// How the transfer of a snapshot to `peer` ended (see Effects::snapshots). `slot` is the
// snapshot's.
struct SnapshotSent {
  PeerId peer;
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

// Wants the membership changed to `target`, in as many steps as the core needs: voters that are new
// join as learners, catch up, and are made voters by whichever node leads by then. `accepted` names
// the first step; Effects::membership shows the others. Rejected if another change is under way, if
// a member of `target` was removed before (Membership::removed), or if it would replace an
// incarnation that still answers. `target.outgoing_voters` and `target.removed` are the core's
// business and ignored.
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
               ChangeMembership, TransferLeadership, Fetched, Compacted, SnapshotReceived,
               SnapshotInstalled, SnapshotSent>
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
  PeerId peer;
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
  // Peers that need a snapshot: they lack slots that are gone from the journal. It must reach this
  // incarnation or none. Answered by SnapshotSent.
  std::vector<PeerId> snapshots;
  // Install the snapshot of this slot that SnapshotReceived announced.
  std::optional<Slot> install_snapshot;
  // Set when the membership in force changed.
  std::optional<Membership> membership;
  std::optional<Leadership> leadership;  // set when it changed
  // This incarnation was removed from the group, for good: the core does nothing more of itself.
  bool removed = false;
  // Send Tick at this time; nothing set: no timer wanted.
  std::optional<MonotonicTime> wake_at;
};

// What a leader knows of one of its peers, for operators and for what rests on their word.
struct PeerProgress {
  PeerId peer;
  Slot match;                // the peer's journal is known to hold everything up to here
  bool answers = false;      // it answered this leader not longer ago than a leader may be silent
  MonotonicTime last_heard;  // if it ever answered this leader; else when the leader began with it
  // It has not answered this leader yet, and had no time to: whether it will is not known.
  bool awaited = false;
  bool needs_snapshot = false;
  // False: leases are on here, and the peer's last answer promised nothing that one can rest on.
  bool honours_lease = true;
};

class Core {
 public:
  virtual ~Core() = default;
  // Takes one event and says what follows. The first event must be Recovered, and only the first.
  virtual Effects Step(const Event& event) = 0;
  // How far the peers of a leader are, by `now`; empty on other nodes.
  [[nodiscard]] virtual std::vector<PeerProgress> ProgressOfPeers(MonotonicTime /*now*/) const {
    return {};
  }
};

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_CORE_H_
