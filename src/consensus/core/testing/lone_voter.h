// A core as the only voter of its group, driven as core.h asks its driver to, over a disk and a
// clock that a test controls. After every step it checks what any core promises, Raft or Paxos:
//
//   tokens of persists are 1, 2, 3 and so on in each run; a proposal is accepted or rejected, once;
//   what is accepted is handed to the journal no later, at a slot above those accepted before; what
//   is rejected never is; nothing is committed that is not durable; what was committed never
//   changes, whatever crashes; a barrier opens once, at or above everything that was committed
//   before it was asked for; a core without peers sends nothing.
//
// It remembers the first that is broken. Deterministic: all follows from the seed and the calls.
// Thread safety: one thread.
#ifndef CAIRN_SRC_CONSENSUS_CORE_TESTING_LONE_VOTER_H_
#define CAIRN_SRC_CONSENSUS_CORE_TESTING_LONE_VOTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "src/base/clock.h"
#include "src/base/testing/check_failure.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus {

// Makes a core of this node. `random` outlives it.
using CoreFactory = std::function<std::unique_ptr<Core>(const PeerId& self, Random* random)>;

class LoneVoter {
 public:
  // Down, with an empty disk.
  LoneVoter(CoreFactory factory, std::uint64_t seed);

  // ---- What happens

  // A new run, from what the disk holds. The engine holds some of what is committed.
  void Start();
  // Memory is lost; of the writes on their way to the disk the first `arrived` are there.
  void Crash(std::size_t arrived = 0);
  // The oldest write becomes durable. False if there is none.
  bool PersistOne();
  void PersistAll();
  // Time passes until the core wants a tick, at least a millisecond, and it gets one.
  void Pass();
  // Writes and lets time pass until the core leads and all is written. Broken if it never does.
  void Lead();
  // The slot, or nothing if it was rejected.
  std::optional<Slot> Propose();
  // The barrier's number.
  std::uint64_t Barrier();
  // Asks for a membership without voters, which no core can grant. Was it rejected?
  bool AskForTheImpossible();
  // The engine holds all up to `slot`, at most what is committed: the journal drops it.
  void Compact(Slot slot);

  // ---- Sights

  [[nodiscard]] bool up() const { return core_ != nullptr; }
  [[nodiscard]] bool leads() const { return leads_; }
  // Of this run; of all runs.
  [[nodiscard]] Slot committed() const { return committed_; }
  [[nodiscard]] Slot highest_committed() const;
  [[nodiscard]] Slot last_durable() const;
  [[nodiscard]] std::size_t writes_under_way() const { return writing_.size(); }
  // Of the last accepted proposal.
  [[nodiscard]] Epoch accepted_epoch() const { return accepted_epoch_; }
  [[nodiscard]] bool IsOpen(std::uint64_t barrier) const { return opened_.count(barrier) != 0; }
  // The payload of the proposal that was accepted at this slot last.
  [[nodiscard]] bool HoldsTheProposalOf(Slot slot) const;
  Random& random() { return random_; }

  // Notes `what` as broken unless `holds`.
  void Expect(bool holds, const std::string& what);
  [[nodiscard]] const std::optional<std::string>& broken() const { return broken_; }

 private:
  struct Disk {
    std::map<Slot, Entry> entries;
    std::string hard_state;
    Slot base;  // compacted up to here
    Epoch base_epoch;
  };

  Effects Step(decltype(Event::what) what);
  void CarryOut(const Effects& effects);
  void TakePersist(const Persist& persist);
  void TakeAnswers(const Effects& effects);
  void TakeCommitted(Slot committed);
  void WriteOne();

  const CoreFactory factory_;
  const ChecksThrow checks_throw_;
  SeededRandom random_;
  Membership membership_;
  std::optional<std::string> broken_;

  // Of all runs.
  Disk disk_;
  MonotonicTime now_{1'000'000'000};
  std::uint64_t next_id_ = 0;
  std::map<Slot, Entry> chosen_;
  std::map<Slot, std::string> accepted_payloads_;  // of the newest acceptance at a slot
  std::set<std::string> proposed_;                 // payloads that may be in the log
  std::map<std::uint64_t, Slot> barrier_floors_;   // of those that are not answered
  std::map<std::uint64_t, Slot> opened_;
  Epoch accepted_epoch_;

  // Of this run.
  std::unique_ptr<Core> core_;  // null: down
  std::deque<Persist> writing_;
  PersistToken last_token_;
  Slot committed_;
  Slot accepted_slot_;
  Slot handed_over_;  // the highest slot of any persist
  bool leads_ = false;
  std::map<std::uint64_t, std::string> asked_;  // proposals that are not answered
  std::optional<MonotonicTime> wake_at_;
};

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_CORE_TESTING_LONE_VOTER_H_
