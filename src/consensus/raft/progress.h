// What a leader knows of one peer.
//
//   kProbe      it is not known where the peer's log ends: one append at a time, until one matches
//   kReplicate  appends are sent ahead, up to a window, without waiting for answers
//   kSnapshot   the peer lacks slots that are gone here: nothing is sent until a snapshot arrived
//
// Invariants: match < next; everything up to match is durable at the peer and the same as here.
// Surprise: in kReplicate, `next` runs ahead of what the peer has; a refused append sends it back.
// (Compare the progress tracker of etcd's Raft, which has the same three states.)
//
// Thread safety: owned by the core.
#ifndef CAIRN_SRC_CONSENSUS_RAFT_PROGRESS_H_
#define CAIRN_SRC_CONSENSUS_RAFT_PROGRESS_H_

#include <algorithm>
#include <cstdint>
#include <deque>

#include "src/base/clock.h"
#include "src/base/ids.h"

namespace cairn::consensus::raft {

struct Progress {
  enum class State : std::uint8_t { kProbe, kReplicate, kSnapshot };

  State state = State::kProbe;
  Slot match;
  Slot next{1};
  // kProbe: an append is out; the next one goes with its answer or with a heartbeat.
  bool probe_sent = false;
  // Entries are being fetched from the journal for this peer.
  bool fetching = false;
  // kReplicate: the last slots of appends that are not answered.
  std::deque<Slot> in_flight;
  // Up to where the peer was told that the log is committed.
  Slot told;
  // When the peer last answered in this epoch (or when this progress began, and it has not
  // answered), and the newest round that it answered.
  MonotonicTime last_heard{0};
  bool answered = false;
  std::uint64_t round = 0;
  // Of the rounds that it answered, the newest that a lease may rest on; and what the last answer
  // that said so promised.
  std::uint64_t promised_round = 0;
  bool promises = true;

  void BecomeProbe(Slot from) {
    state = State::kProbe;
    next = from;
    told = std::min(told, match);  // What it was sent may be lost.
    probe_sent = false;
    in_flight.clear();
  }
  void BecomeReplicate() {
    state = State::kReplicate;
    next = match.Next();
    probe_sent = false;
    in_flight.clear();
  }
  void BecomeSnapshot() {
    state = State::kSnapshot;
    probe_sent = false;
    in_flight.clear();
  }
};

}  // namespace cairn::consensus::raft

#endif  // CAIRN_SRC_CONSENSUS_RAFT_PROGRESS_H_
