// The core of a group with one voter: every slot is chosen as soon as it is durable here. It is the
// smallest true core: it shows what the replica expects, and serves standalone nodes.
//
// Invariants: slots are proposed without holes; the epoch of a life of the process is above that of
// every entry and hard state before it; nothing is committed before it is persisted; no proposal is
// accepted before the hard state with the new epoch was handed to the journal.
//
// Thread safety: owned by one serial executor.
#ifndef CAIRN_SRC_CONSENSUS_SOLO_SOLO_CORE_H_
#define CAIRN_SRC_CONSENSUS_SOLO_SOLO_CORE_H_

#include <deque>
#include <utility>

#include "src/consensus/core/core.h"

namespace cairn::consensus {

class SoloCore final : public Core {
 public:
  explicit SoloCore(NodeId self) : self_(self) {}

  Effects Step(const Event& event) override;

 private:
  void On(const Recovered& event, Effects* effects);
  void On(const Propose& event, Effects* effects);
  void On(const ReadBarrier& event, Effects* effects);
  void On(const Persisted& event, Effects* effects);
  void On(const ChangeMembership& event, Effects* effects);
  // A core without peers has nothing to do on these.
  void On(const Tick&, Effects*) {}
  void On(const MessageReceived&, Effects*) {}
  void On(const Applied&, Effects*) {}
  void On(const TransferLeadership&, Effects*) {}
  void On(const Fetched&, Effects*) {}
  void On(const Compacted&, Effects*) {}
  void On(const SnapshotReceived&, Effects*) {}
  void On(const SnapshotInstalled&, Effects*) {}
  void On(const SnapshotSent&, Effects*) {}

  const NodeId self_;
  bool recovered_ = false;
  Epoch epoch_;
  Slot last_slot_;
  Slot committed_;
  PersistToken next_token_{1};
  // Handed to the journal and not yet durable: token and the last slot it makes durable.
  std::deque<std::pair<PersistToken, Slot>> in_flight_;
};

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_SOLO_SOLO_CORE_H_
