// The dumb twin of a journal: the same steps on a map in memory. For tests only.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_TWIN_FOR_TEST_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_TWIN_FOR_TEST_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "src/consensus/core/core.h"
#include "src/consensus/journal/journal.h"

namespace cairn::consensus::journal {

inline Entry MakeEntry(std::uint64_t slot, std::uint64_t epoch, std::string payload,
                       EntryKind kind = EntryKind::kCommands) {
  return {Slot(slot), Epoch(epoch), kind, std::make_shared<const std::string>(std::move(payload))};
}

// Everything that a journal's owner can see of it.
struct TwinState {
  // By slot: epoch, kind, payload.
  std::map<std::uint64_t, std::tuple<std::uint64_t, EntryKind, std::string>> entries;
  std::string hard_state;
  std::uint64_t mark_slot = 0;
  std::uint64_t mark_epoch = 0;

  friend bool operator==(const TwinState&, const TwinState&) = default;

  [[nodiscard]] std::string ToString() const {
    std::string out = "mark " + std::to_string(mark_slot) + "@" + std::to_string(mark_epoch) +
                      " hard '" + hard_state + "'";
    for (const auto& [slot, entry] : entries) {
      out += " " + std::to_string(slot) + "@" + std::to_string(std::get<0>(entry)) + "=" +
             std::get<2>(entry).substr(0, 12);
    }
    return out;
  }
};

// One record's worth of change: what a crash keeps whole or not at all.
struct TwinStep {
  std::optional<Entry> entry;
  std::optional<std::uint64_t> truncate_from;
  std::optional<std::string> hard_state;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> mark;   // slot, epoch
  std::optional<std::pair<std::uint64_t, std::uint64_t>> reset;  // slot, epoch

  void ApplyTo(TwinState* state) const {
    if (entry.has_value() && entry->slot.value() > state->mark_slot) {
      state->entries[entry->slot.value()] = {entry->epoch.value(), entry->kind, *entry->payload};
    }
    if (truncate_from.has_value()) {
      state->entries.erase(state->entries.lower_bound(*truncate_from), state->entries.end());
    }
    if (hard_state.has_value()) state->hard_state = *hard_state;
    if (reset.has_value()) state->entries.clear();
    for (const auto& which : {mark, reset}) {
      if (!which.has_value()) continue;
      state->mark_slot = which->first;
      state->mark_epoch = which->second;
      state->entries.erase(state->entries.begin(), state->entries.upper_bound(which->first));
    }
  }
};

// The steps of a batch, in the order in which they are written.
inline std::vector<TwinStep> StepsOf(const Persist& batch) {
  std::vector<TwinStep> steps;
  if (batch.truncate_from.has_value()) {
    steps.emplace_back().truncate_from = batch.truncate_from->value();
  }
  for (const Entry& entry : batch.entries) steps.emplace_back().entry = entry;
  if (batch.hard_state.has_value()) steps.emplace_back().hard_state = batch.hard_state;
  return steps;
}

// What the journal shows. Its own answers must agree with one another.
inline Result<TwinState> Observe(const Journal& journal) {
  TwinState state;
  const JournalContents contents = journal.Contents();
  state.hard_state = contents.hard_state;
  state.mark_slot = contents.compacted_slot.value();
  state.mark_epoch = contents.compacted_epoch.value();
  if (journal.EpochAt(contents.compacted_slot) != contents.compacted_epoch) {
    return FailedPreconditionError("EpochAt(mark) differs from the mark");
  }
  if (contents.first_slot.has_value() != contents.last_slot.has_value()) {
    return FailedPreconditionError("only one of first_slot and last_slot is set");
  }
  if (!contents.first_slot.has_value()) return state;
  CAIRN_ASSIGN_OR_RETURN(
      const std::vector<Entry> entries,
      journal.ReadEntries(*contents.first_slot, *contents.last_slot, UINT64_MAX));
  for (const Entry& entry : entries) {
    if (journal.EpochAt(entry.slot) != entry.epoch) {
      return FailedPreconditionError("EpochAt differs from the entry of " +
                                     cairn::ToString(entry.slot));
    }
    state.entries[entry.slot.value()] = {entry.epoch.value(), entry.kind, *entry.payload};
  }
  if (entries.size() != state.entries.size() || entries.front().slot != *contents.first_slot ||
      entries.back().slot != *contents.last_slot) {
    return FailedPreconditionError("ReadEntries disagrees with Contents");
  }
  return state;
}

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_TWIN_FOR_TEST_H_
