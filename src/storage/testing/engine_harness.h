// What tests of engines share: an engine that can crash and fill up, and short ways to use it.
#ifndef CAIRN_SRC_STORAGE_TESTING_ENGINE_HARNESS_H_
#define CAIRN_SRC_STORAGE_TESTING_ENGINE_HARNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/storage/engine.h"

namespace cairn::storage {

// An engine in a folder of its own, new and empty at first.
class EngineHarness {
 public:
  virtual ~EngineHarness() = default;
  // The engine; another one after Crash.
  virtual Engine& engine() = 0;
  // Ends the engine without a flush, loses what was not durable, and recovers. Iterators must be
  // gone. Families are not reconciled.
  virtual void Crash() = 0;
  // Lets versions that may go, go: an engine may otherwise take its time. May flush.
  virtual void CollectGarbage() = 0;
  // Leaves no room on the disk, or gives it back. False if this engine can't play it.
  virtual bool SetDiskFull(bool full) = 0;
  // A folder name that does not exist yet, for checkpoints.
  virtual std::string NewDirectory() = 0;
  // An engine on a checkpoint, read and written on its own.
  virtual std::unique_ptr<EngineHarness> OpenCopy(const std::string& directory) = 0;
  // True if an engine may report version 0 for a write below the watermark.
  [[nodiscard]] virtual bool ForgetsOldVersions() const = 0;
};

using HarnessFactory = std::function<std::unique_ptr<EngineHarness>()>;

// One write of a family, as a history iterator tells it.
struct HistoryEntry {
  std::string key;
  Version version;
  bool is_delete = false;
  friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

// For failure messages.
void PrintTo(const HistoryEntry& entry, std::ostream* out);
void PrintTo(const StateMeta& meta, std::ostream* out);

using KeyValues = std::vector<std::pair<std::string, std::string>>;

// A state at a slot and a version, with a watermark.
StateMeta MakeMeta(std::uint64_t slot, std::uint64_t version, std::uint64_t watermark = 0);

// Each checks with gtest that the engine gives no error.
KeyValues Forward(const Engine& engine, FamilyId family, const KeyRange& range, Version at);
KeyValues Backward(const Engine& engine, FamilyId family, const KeyRange& range, Version at);
std::vector<HistoryEntry> History(const Engine& engine, FamilyId family,
                                  const KeyRange& range = {});
KeyValues System(const Engine& engine, SystemSpace space, const KeyRange& range = {});
// The value at a version, or "(none)".
std::string ValueAt(const Engine& engine, FamilyId family, std::string_view key, Version at);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_TESTING_ENGINE_HARNESS_H_
