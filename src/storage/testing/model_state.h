// The dumb twin of an engine: what engine.h promises, in nested std::maps, nothing clever. Values
// are copied freely, so a flushed state is simply a copy.
#ifndef CAIRN_SRC_STORAGE_TESTING_MODEL_STATE_H_
#define CAIRN_SRC_STORAGE_TESTING_MODEL_STATE_H_

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/engine.h"
#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {

class ModelState {
 public:
  // One write of a key: a value, or a delete.
  using Versions = std::map<Version, std::optional<std::string>>;

  ModelState() { families_[FamilyId(0)]; }

  void Write(const WriteBatch& batch, const StateMeta& meta);
  void CreateFamily(FamilyId family) { families_[family]; }
  void DropFamily(FamilyId family) { families_.erase(family); }
  // Forgets what nobody may read any more, to stay small.
  void Prune(Version watermark);

  [[nodiscard]] const StateMeta& meta() const { return meta_; }
  [[nodiscard]] bool Has(FamilyId family) const { return families_.contains(family); }
  [[nodiscard]] std::vector<FamilyId> Families() const;
  // The newest write at or below `at`; version 0 if none.
  [[nodiscard]] std::pair<Version, std::optional<std::string>> Get(FamilyId family,
                                                                   const std::string& key,
                                                                   Version at) const;
  [[nodiscard]] KeyValues Visible(FamilyId family, const KeyRange& range, Version at) const;
  // Writes at or above `from`.
  [[nodiscard]] std::vector<HistoryEntry> History(FamilyId family, const KeyRange& range,
                                                  Version from) const;
  [[nodiscard]] KeyValues System(SystemSpace space, const KeyRange& range) const;

 private:
  StateMeta meta_;
  std::map<FamilyId, std::map<std::string, Versions>> families_;
  std::array<std::map<std::string, std::string>, 2> system_;
};

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_TESTING_MODEL_STATE_H_
