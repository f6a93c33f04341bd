// What Raft nodes say to each other. Format: docs/formats/raft_messages.md.
//
// A message is the body of a consensus::Message: the transport adds the number of the node that it
// is from, the group and the identity of the cluster; the body itself names the incarnations of
// both ends. Decoding faces the network: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_MESSAGES_H_
#define CAIRN_SRC_CONSENSUS_RAFT_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus::raft {

// "Vote for me in `epoch`." With `pre` it only asks whether it would be worth trying (Ongaro,
// "Consensus: Bridging Theory and Practice", 2014, section 9.6): nobody changes anything.
struct VoteRequest {
  Epoch epoch;
  Slot last_slot;  // of the candidate's log
  Epoch last_epoch;
  bool pre = false;
  // The leader asked for this election (leadership transfer): do not hold on to that leader.
  bool transfer = false;
  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};

struct VoteResponse {
  Epoch epoch;  // that of the request if granted, else the voter's own
  bool pre = false;
  bool granted = false;
  // The one who asks was removed from the group by a committed change.
  bool removed = false;
  friend bool operator==(const VoteResponse&, const VoteResponse&) = default;
};

// Entries after `prev_slot`, or none: a heartbeat.
struct AppendRequest {
  Epoch epoch;
  Slot prev_slot;
  Epoch prev_epoch;
  Slot committed;
  // The leader's newest round of heartbeats when this was sent: an answer that carries it shows
  // that the leader still led after that round began.
  std::uint64_t round = 0;
  std::vector<Entry> entries;
};

struct AppendResponse {
  Epoch epoch;
  bool ok = false;
  // ok: everything up to here is durable and the same as the leader's.
  // not ok: the prev_slot that did not match.
  Slot slot;
  // not ok: where to try next. The follower holds `hint_slot`, written in `hint_epoch`.
  Slot hint_slot;
  Epoch hint_epoch;
  std::uint64_t round = 0;
  // ok: for how long from the append on the follower votes for nobody else, whatever happens to it:
  // what the leader's lease may rest on. 0: it promises nothing. In microseconds.
  std::uint64_t promise_us = 0;
  friend bool operator==(const AppendResponse&, const AppendResponse&) = default;
};

// "Start an election at once": the last step of a leadership transfer.
struct TimeoutNow {
  Epoch epoch;
  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

// Followers' read barriers, put to the leader: all that were asked for before this was sent.
struct BarrierRequest {
  Epoch epoch;
  std::uint64_t run = 0;  // random, of the follower's present run: numbers begin anew with each
  std::uint64_t id = 0;   // grows within a run
  friend bool operator==(const BarrierRequest&, const BarrierRequest&) = default;
};

// Opens every barrier of that run up to `id`.
struct BarrierResponse {
  Epoch epoch;
  std::uint64_t run = 0;
  std::uint64_t id = 0;
  Slot slot;
  friend bool operator==(const BarrierResponse&, const BarrierResponse&) = default;
};

using RaftMessage = std::variant<VoteRequest, VoteResponse, AppendRequest, AppendResponse,
                                 TimeoutNow, BarrierRequest, BarrierResponse>;

// A message and the lives of its two ends.
struct Framed {
  IncarnationId from;
  IncarnationId to;
  RaftMessage message;
};

std::string Encode(const Framed& framed);
// kCorruption for bytes that are no message, kUnimplemented for one of a later version.
Result<Framed> Decode(std::string_view bytes);
// The epoch of any message.
Epoch EpochOf(const RaftMessage& message);
// One line for traces: "Append e3 prev 7/2 commit 6 round 4 [8/3 9/3]".
std::string Describe(const RaftMessage& message);

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_MESSAGES_H_
