#include "src/replication/conflicts.h"

#include <memory>

#include "src/base/codec.h"
#include "src/base/planted_bug.h"
#include "src/replication/state_keys.h"

namespace cairn::replication {
namespace {

Status Conflict(std::string_view key, Version version, Version since) {
  return ConflictError("key " + Printable(key, 32) + " was changed at version " +
                       ToString(version) + ", after read version " + ToString(since) +
                       "; start again with a new read version");
}

// The engine's own errors must not pass for verdicts on the command: another replica's engine may
// be well, and the two would decide differently.
Status EngineError(Status status) {
  switch (status.code()) {
    case StatusCode::kResourceExhausted:
    case StatusCode::kIoError:
    case StatusCode::kCorruption:
      return status;
    default:
      return CorruptionError("a conflict check could not read the engine: " + status.ToString());
  }
}

bool InRange(std::string_view key, std::string_view begin, std::string_view end) {
  return key >= begin && (end.empty() || key < end);
}

}  // namespace

Status CheckConflictKey(const storage::Engine& engine, FamilyId family, std::string_view key,
                        Version since) {
  const Result<storage::Lookup> newest = engine.Get(family, key, Version::Max(), nullptr);
  if (!newest.ok()) return EngineError(newest.status());
  if (Planted(PlantedBug::kConflictKeyOffByOne) && newest->version == since.Next()) {
    return Status::Ok();
  }
  return newest->version > since ? Conflict(key, newest->version, since) : Status::Ok();
}

Status CheckConflictRange(const storage::Engine& engine, FamilyId family, std::string_view begin,
                          std::string_view end, Version since) {
  if (!end.empty() && begin >= end) return Status::Ok();
  if (Planted(PlantedBug::kConflictRangeIgnored)) return Status::Ok();
  auto indexed = engine.NewSystemIterator(
      storage::SystemSpace::kVersionIndex,
      storage::KeyRange{state_keys::IndexVersion(since.Next()), std::string()});
  if (!indexed.ok()) return EngineError(indexed.status());
  auto stored =
      engine.NewHistoryIterator(family, storage::KeyRange{std::string(begin), std::string(end)});
  if (!stored.ok()) return EngineError(stored.status());
  const std::unique_ptr<storage::SystemIterator> index = *std::move(indexed);
  const std::unique_ptr<storage::HistoryIterator> history = *std::move(stored);
  const auto through = [](const Status& s) { return s.ok() ? s : EngineError(s); };
  while (true) {
    if (!index->Valid()) return through(index->status());
    Decoder key(index->key());
    Decoder value(index->value());
    const Version version(key.BigEndian64());
    const FamilyId changed_family(value.Fixed32());
    const std::string_view changed_key = value.Rest();
    if (!value.ok() || !key.ok()) {
      return CorruptionError("a version index record does not decode: key " +
                             Printable(index->key()));
    }
    if (changed_family == family && InRange(changed_key, begin, end)) {
      return Conflict(changed_key, version, since);
    }
    index->Next();

    if (!history->Valid()) return through(history->status());
    if (history->version() > since) return Conflict(history->key(), history->version(), since);
    history->Next();
  }
}

}  // namespace cairn::replication
