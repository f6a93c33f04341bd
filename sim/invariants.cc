#include "sim/invariants.h"

#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include <algorithm>
#include <variant>

#include "src/base/check.h"

namespace cairn::sim {

using consensus::Entry;
using consensus::Event;
using consensus::Persist;
using consensus::PersistToken;

namespace {

std::uint64_t DigestOf(const Entry& entry) {
  const std::uint64_t seed = static_cast<std::uint64_t>(entry.kind);
  if (!entry.payload) return seed;
  return XXH3_64bits_withSeed(entry.payload->data(), entry.payload->size(), seed);
}

}  // namespace

std::string HashText(std::uint64_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad16)); }

// ---- Watchers

class Invariants::WatchedCore final : public consensus::Core {
 public:
  WatchedCore(Invariants* ledger, NodeId node, std::unique_ptr<consensus::Core> core)
      : ledger_(ledger), node_(node), core_(std::move(core)) {}

  consensus::Effects Step(const Event& event) override {
    ledger_->BeforeStep(node_, event);
    consensus::Effects effects = core_->Step(event);
    ledger_->AfterStep(node_, effects);
    if (ledger_->observer_) ledger_->observer_(node_, event, effects);
    return effects;
  }
  [[nodiscard]] std::vector<consensus::PeerProgress> ProgressOfPeers(
      MonotonicTime now) const override {
    return core_->ProgressOfPeers(now);
  }

 private:
  Invariants* const ledger_;
  const NodeId node_;
  const std::unique_ptr<consensus::Core> core_;
};

class Invariants::WatchedJournal final : public consensus::Journal {
 public:
  WatchedJournal(Invariants* ledger, NodeId node, std::unique_ptr<consensus::Journal> journal,
                 const storage::Engine* engine)
      : ledger_(ledger), node_(node), journal_(std::move(journal)), engine_(engine) {}

  [[nodiscard]] consensus::JournalContents Contents() const override {
    return journal_->Contents();
  }
  Status Append(const Persist& batch) override {
    // Before the write: a write that failed may have reached the disk in part.
    disk().unsynced.push_back(batch);
    Status status = journal_->Append(batch);
    if (status.ok()) {
      run().appended = batch.token;
    } else if (status.code() == StatusCode::kResourceExhausted) {
      disk().unsynced.pop_back();
    }
    return Room(std::move(status));
  }
  Status Sync() override {
    Status status = journal_->Sync();
    if (status.ok()) AllSynced();
    return status;
  }
  Status Reserve(std::uint64_t bytes) override { return Room(journal_->Reserve(bytes)); }
  Status Compact(Slot slot, Epoch epoch) override {
    const Result<storage::StateMeta> flushed = engine_->FlushedMeta();
    if (flushed.ok() && slot > flushed->applied_slot) {
      ledger_->Violation(node_, ViolationKind::kJournalCutTooFar,
                         "the journal is cut up to slot " + ToString(slot) +
                             ", the engine has flushed slot " + ToString(flushed->applied_slot) +
                             " only");
    }
    disk().compacted = std::max(disk().compacted, slot);
    return journal_->Compact(slot, epoch);
  }
  Status ResetTo(Slot slot, Epoch epoch) override {
    const Status status = journal_->ResetTo(slot, epoch);
    // A crash in the middle leaves the old journal or the new one: the old one may be gone now.
    disk().compacted = std::max(disk().compacted, slot);
    if (status.ok()) {
      disk().entries.clear();
      for (Persist& persist : disk().unsynced) persist.entries.clear();
    }
    return status;
  }
  Result<std::vector<Entry>> ReadEntries(Slot first, Slot last,
                                         std::uint64_t max_bytes) const override {
    return journal_->ReadEntries(first, last, max_bytes);
  }
  [[nodiscard]] std::optional<Epoch> EpochAt(Slot slot) const override {
    return journal_->EpochAt(slot);
  }
  [[nodiscard]] Slot SlotBefore(std::uint64_t bytes) const override {
    return journal_->SlotBefore(bytes);
  }
  [[nodiscard]] consensus::JournalFigures Figures() const override { return journal_->Figures(); }

 private:
  Disk& disk() { return ledger_->disks_[node_.value()]; }
  // Counts the times that room ran out.
  Status Room(Status status) {
    const bool full = status.code() == StatusCode::kResourceExhausted;
    if (full && !full_) ledger_->effects_->Count(Effect::kJournalNoRoom);
    full_ = full;
    return status;
  }
  Run& run() { return ledger_->runs_[node_.value()]; }
  void AllSynced() {
    if (ledger_->trace_) ledger_->TellSynced(node_);
    for (const Persist& persist : disk().unsynced) Invariants::Apply(persist, &disk());
    disk().unsynced.clear();
    run().synced = run().appended;
    const auto digest = [](const std::string& body) {
      return XXH3_64bits(body.data(), body.size());
    };
    for (const auto& [token, body] : run().promises) {
      if (token <= run().synced) run().due.insert(digest(body));
    }
    // An answer to a doubled message waits for everything handed over by then, and says no more
    // than the first one: what is due once is due however often it was said.
    std::erase_if(run().promises,
                  [&](const auto& promise) { return run().due.contains(digest(promise.second)); });
  }

  Invariants* const ledger_;
  const NodeId node_;
  const std::unique_ptr<consensus::Journal> journal_;
  const storage::Engine* const engine_;
  bool full_ = false;
};

std::unique_ptr<consensus::Core> Invariants::Watch(NodeId node,
                                                   std::unique_ptr<consensus::Core> core) {
  runs_[node.value()] = Run();
  return std::make_unique<WatchedCore>(this, node, std::move(core));
}

std::unique_ptr<consensus::Journal> Invariants::Watch(NodeId node,
                                                      std::unique_ptr<consensus::Journal> journal,
                                                      const storage::Engine* engine) {
  if (journal->Contents().torn_bytes != 0) effects_->Count(Effect::kTornTail);
  return std::make_unique<WatchedJournal>(this, node, std::move(journal), engine);
}

// ---- Disks

void Invariants::Violation(NodeId node, ViolationKind kind, const std::string& what) {
  report_(kind, "node " + ToString(node) + ": " + what);
}

void Invariants::Apply(const Persist& persist, Disk* disk) {
  if (persist.truncate_from) {
    disk->entries.erase(disk->entries.lower_bound(*persist.truncate_from), disk->entries.end());
  }
  for (const Entry& entry : persist.entries) {
    disk->entries[entry.slot] = {entry.epoch, DigestOf(entry)};
  }
  if (persist.hard_state) disk->hard_state = *persist.hard_state;
}

Slot Invariants::DurableSlot(NodeId node) const {
  const Disk& disk = disks_[node.value()];
  const Slot last = disk.entries.empty() ? Slot() : disk.entries.rbegin()->first;
  return std::max(last, std::max(disk.compacted, runs_[node.value()].log_base));
}

// What the journal came back with must be what was synced, and perhaps some of what was handed over
// later.
void Invariants::CheckRecovered(NodeId node, const consensus::Recovered& event) {
  Disk& disk = disks_[node.value()];
  bool hard_state_known = event.hard_state == disk.hard_state;
  std::map<Slot, std::vector<Epoch>> may_be;
  Slot cut_from = Slot::Max();
  for (const Persist& persist : disk.unsynced) {
    hard_state_known = hard_state_known || event.hard_state == persist.hard_state;
    if (persist.truncate_from) cut_from = std::min(cut_from, *persist.truncate_from);
    for (const Entry& entry : persist.entries) may_be[entry.slot].push_back(entry.epoch);
  }
  if (!hard_state_known)
    Violation(node, ViolationKind::kLostAfterRestart,
              "the synced hard state is lost after a restart");
  std::map<Slot, Epoch> found;
  for (const Entry& entry : event.entries) found[entry.slot] = entry.epoch;
  for (const auto& [slot, mark] : disk.entries) {
    if (slot <= event.snapshot_slot) continue;
    const auto it = found.find(slot);
    const auto& others = may_be[slot];
    const bool there =
        it != found.end() && (it->second == mark.epoch ||
                              std::find(others.begin(), others.end(), it->second) != others.end());
    if (there || (it == found.end() && slot >= cut_from)) continue;
    Violation(node, ViolationKind::kLostAfterRestart,
              "slot " + ToString(slot) + " of epoch " + ToString(mark.epoch) +
                  " was synced and is lost after a restart");
    break;
  }
  // From here on the disk holds what was found.
  disk.unsynced.clear();
  disk.hard_state = event.hard_state;
  disk.entries.clear();
  for (const Entry& entry : event.entries)
    disk.entries[entry.slot] = {entry.epoch, DigestOf(entry)};
  disk.compacted = std::max(disk.compacted, event.snapshot_slot);
}

// ---- Cores

void Invariants::BeforeStep(NodeId node, const Event& event) {
  Run& run = runs_[node.value()];
  if (const auto* recovered = std::get_if<consensus::Recovered>(&event.what)) {
    CheckRecovered(node, *recovered);
    run.log_base = run.committed = recovered->snapshot_slot;
    for (const Entry& entry : recovered->entries) run.log[entry.slot] = entry;
    return;
  }
  if (const auto* persisted = std::get_if<consensus::Persisted>(&event.what)) {
    if (persisted->token > run.synced) {
      Violation(node, ViolationKind::kEarlyPromise,
                "the core was told that persist " + ToString(persisted->token) +
                    " is durable, synced is " + ToString(run.synced));
    }
    return;
  }
  if (const auto* applied = std::get_if<consensus::Applied>(&event.what)) {
    if (trace_) {
      trace_(StoryLine::Kind::kApply, node, "has applied up to slot " + ToString(applied->slot));
    }
    if (applied->slot > std::max(run.committed, run.log_base)) {
      Violation(node, ViolationKind::kAppliedTooEarly,
                "slot " + ToString(applied->slot) + " was applied, committed is " +
                    ToString(run.committed));
    }
    if (applied->slot > DurableSlot(node)) {
      Violation(node, ViolationKind::kAppliedTooEarly,
                "slot " + ToString(applied->slot) + " was applied, the journal has synced slot " +
                    ToString(DurableSlot(node)));
    }
    return;
  }
  if (const auto* message = std::get_if<consensus::MessageReceived>(&event.what)) {
    if (trace_message_) trace_message_(message->from, node, message->body);
    return;
  }
  if (const auto* installed = std::get_if<consensus::SnapshotInstalled>(&event.what)) {
    Installs(node, installed->slot, installed->epoch);
  }
}

void Invariants::AfterStep(NodeId node, const consensus::Effects& effects) {
  Run& run = runs_[node.value()];
  if (trace_) TellStep(node, effects);
  if (effects.persist) Takes(node, *effects.persist);
  for (const consensus::Message& message : effects.messages) {
    const std::uint64_t digest = XXH3_64bits(message.body.data(), message.body.size());
    if (message.after <= run.synced) {
      // The same words may wait elsewhere for more than they need.
      std::erase_if(run.promises, [&](const auto& p) { return p.second == message.body; });
      run.due.insert(digest);
    } else if (!run.due.contains(digest)) {
      run.promises.emplace_back(message.after, message.body);
    }
  }
  if (effects.committed) Commits(node, *effects.committed);
  if (effects.leadership) {
    run.leadership = *effects.leadership;
    if (run.leadership.role == consensus::Role::kLeader) Leads(node, run.leadership.epoch);
  }
}

void Invariants::Takes(NodeId node, const Persist& persist) {
  Run& run = runs_[node.value()];
  if (persist.truncate_from) {
    if (*persist.truncate_from <= run.committed) {
      Violation(node, ViolationKind::kCommitChanges,
                "the log is cut from slot " + ToString(*persist.truncate_from) +
                    " on, committed is " + ToString(run.committed));
    }
    run.log.erase(run.log.lower_bound(*persist.truncate_from), run.log.end());
  }
  for (const Entry& entry : persist.entries) {
    const auto before = run.log.find(Slot(entry.slot.value() - 1));
    const Epoch epoch_before = before == run.log.end() ? Epoch() : before->second.epoch;
    run.log[entry.slot] = entry;
    const std::uint64_t digest = DigestOf(entry);
    auto [it, first] = entries_.try_emplace({entry.slot.value(), entry.epoch.value()},
                                            Known{digest, epoch_before, node});
    if (first) continue;
    Known& known = it->second;
    const std::string what = "slot " + ToString(entry.slot) + " of epoch " + ToString(entry.epoch);
    if (known.digest != digest) {
      Violation(node, ViolationKind::kLogsDiffer,
                what + " is another entry than on node " + ToString(known.node));
    }
    if (epoch_before.value() == 0) continue;
    if (known.before.value() == 0) known.before = epoch_before;
    if (known.before != epoch_before) {
      Violation(node, ViolationKind::kLogsDiffer,
                "logs do not match: before " + what + " stands epoch " + ToString(epoch_before) +
                    ", on node " + ToString(known.node) + " epoch " + ToString(known.before));
    }
  }
}

void Invariants::Commits(NodeId node, Slot slot) {
  Run& run = runs_[node.value()];
  if (slot < run.committed) {
    Violation(node, ViolationKind::kCommitChanges,
              "committed falls from " + ToString(run.committed) + " to " + ToString(slot));
    return;
  }
  for (auto it = run.log.upper_bound(run.committed); it != run.log.end() && it->first <= slot;
       ++it) {
    const Entry& entry = it->second;
    const auto [chosen, first] = chosen_.emplace(entry.slot, Chosen{entry, node});
    if (first) {
      highest_committed_ = std::max(highest_committed_, entry.slot);
      continue;
    }
    const Entry& other = chosen->second.entry;
    // A core may hold entries without payload that its engine has applied.
    const bool same = other.epoch == entry.epoch &&
                      (!entry.payload || !other.payload || DigestOf(other) == DigestOf(entry));
    if (!chosen->second.entry.payload) chosen->second.entry = entry;
    if (!same) {
      Violation(node, ViolationKind::kCommitChanges,
                "slot " + ToString(entry.slot) + " is committed as an entry of epoch " +
                    ToString(entry.epoch) + ", node " + ToString(chosen->second.first) +
                    " committed one of epoch " + ToString(other.epoch));
    }
  }
  run.committed = slot;
  // What is applied soon is looked at no more; a window stays for the entry before the next one.
  if (slot.value() > 256)
    run.log.erase(run.log.begin(), run.log.lower_bound(Slot(slot.value() - 256)));
}

void Invariants::Leads(NodeId node, Epoch epoch) {
  const auto [it, first] = leaders_.emplace(epoch, node);
  if (!first && it->second != node) {
    Violation(node, ViolationKind::kTwoLeaders,
              "leads in epoch " + ToString(epoch) + ", and so does node " + ToString(it->second));
  }
}

void Invariants::Installs(NodeId node, Slot slot, Epoch epoch) {
  Run& run = runs_[node.value()];
  if (slot < run.committed) {
    Violation(node, ViolationKind::kWrongSnapshot,
              "a snapshot of slot " + ToString(slot) +
                  " was installed over a log that is committed up to " + ToString(run.committed));
  }
  const auto chosen = chosen_.find(slot);
  if (chosen == chosen_.end() || chosen->second.entry.epoch != epoch) {
    Violation(node, ViolationKind::kWrongSnapshot,
              "a snapshot of slot " + ToString(slot) + " and epoch " + ToString(epoch) +
                  " was installed, which was never committed");
  }
  ++snapshots_;
  if (trace_) {
    trace_(StoryLine::Kind::kDisk, node,
           "installed a snapshot of slot " + ToString(slot) + "/" + ToString(epoch));
  }
  run.log.clear();
  run.committed = run.log_base = slot;
}

std::optional<NodeId> Invariants::leader() const {
  std::optional<NodeId> leader;
  Epoch highest;
  for (std::uint32_t n = 0; n < runs_.size(); ++n) {
    const consensus::Leadership& l = runs_[n].leadership;
    if (l.role != consensus::Role::kLeader || l.epoch < highest) continue;
    leader = NodeId(n);
    highest = l.epoch;
  }
  return leader;
}

// ---- The story

void Invariants::TellSynced(NodeId node) const {
  std::string text;
  for (const Persist& persist : disks_[node.value()].unsynced) {
    if (persist.truncate_from) text += " cut from slot " + ToString(*persist.truncate_from) + ",";
    for (const Entry& entry : persist.entries) {
      text += " " + ToString(entry.slot) + "/" + ToString(entry.epoch);
    }
    if (persist.hard_state && *persist.hard_state != disks_[node.value()].hard_state) {
      text += " epoch and vote";
    }
  }
  if (!text.empty()) trace_(StoryLine::Kind::kDisk, node, "synced" + text);
}

void Invariants::TellStep(NodeId node, const consensus::Effects& effects) const {
  const Run& run = runs_[node.value()];
  if (effects.leadership) {
    static constexpr const char* kRoles[] = {"follower", "candidate", "leader", "learner"};
    const consensus::Leadership& l = *effects.leadership;
    std::string text =
        std::string(kRoles[static_cast<int>(l.role)]) + " in epoch " + ToString(l.epoch);
    if (l.leader && *l.leader != node) text += ", leader is node " + ToString(*l.leader);
    trace_(StoryLine::Kind::kNode, node, text);
  }
  if (effects.committed && *effects.committed > run.committed) {
    const Slot first = run.committed.Next();
    std::string text = "commits slot " + ToString(first);
    if (*effects.committed > first) text += ".." + ToString(*effects.committed);
    trace_(StoryLine::Kind::kCommit, node, text);
  }
  if (!effects.membership) return;
  std::string voters;
  for (const consensus::PeerId& voter : effects.membership->Voters()) {
    voters += " " + ToString(voter.node);
  }
  trace_(StoryLine::Kind::kNode, node,
         "voters are" + voters + (effects.membership->IsJoint() ? ", joint with others" : ""));
}

// ---- The rest

void Invariants::Sends(NodeId node, const std::string& frame) {
  for (const auto& [token, body] : runs_[node.value()].promises) {
    if (frame.find(body) != std::string::npos) {
      Violation(node, ViolationKind::kEarlyPromise,
                "a message left before what it promises was synced: persist " + ToString(token));
    }
  }
}

void Invariants::StateHash(NodeId node, Slot slot, std::uint64_t hash) {
  const auto [it, first] = hashes_.emplace(slot, std::pair(hash, node));
  if (!first && it->second.first != hash) {
    Violation(node, ViolationKind::kStatesDiffer,
              "the state after slot " + ToString(slot) + " has hash " + HashText(hash) +
                  ", that of node " + ToString(it->second.second) + " has " +
                  HashText(it->second.first));
  }
}

}  // namespace cairn::sim
