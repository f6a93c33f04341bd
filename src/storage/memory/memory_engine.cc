#include "src/storage/memory/memory_engine.h"

#include <algorithm>
#include <utility>

#include "src/base/codec.h"

namespace cairn::storage {

using memory::Entry;
using memory::Family;
using memory::History;

namespace {

std::uint64_t BytesOf(std::string_view key, const Entry& entry) {
  return key.size() + entry.value.size();
}

bool ByVersion(const Entry& entry, Version version) { return entry.version < version; }

std::uint64_t BytesOf(const Family& family) {
  std::uint64_t bytes = 0;
  for (const auto& [key, history] : family.keys) {
    for (const Entry& entry : history) bytes += BytesOf(key, entry);
  }
  return bytes;
}

Status NoSuchFamily(FamilyId family) {
  return NotFoundError("the engine has no column family " + ToString(family));
}

}  // namespace

MemoryEngine::MemoryEngine(const MemoryEngineOptions& options)
    : store_(std::make_shared<memory::Store>()), file_system_(options.file_system) {
  MutexLock lock(&store_->mutex);
  capacity_ = options.capacity_bytes;
  store_->families[FamilyId(0)] = std::make_shared<Family>();
}

MemoryEngine::~MemoryEngine() = default;

StateMeta MemoryEngine::Meta() const {
  MutexLock lock(&store_->mutex);
  return meta_;
}

Result<StateMeta> MemoryEngine::FlushedMeta() const {
  MutexLock lock(&store_->mutex);
  return flushed_meta_;
}

// ---- Writes

Status MemoryEngine::CheckBatch(const WriteBatch& batch) {
  for (const WriteBatch::Change& change : batch.changes()) {
    CAIRN_RETURN_IF_ERROR(CheckChange(change));
    using Kind = WriteBatch::Change::Kind;
    const bool user = change.kind == Kind::kPut || change.kind == Kind::kDelete;
    if (user && !store_->families.contains(change.family)) return NoSuchFamily(change.family);
  }
  if (capacity_.has_value() && bytes_ + batch.bytes() > *capacity_) {
    health_ = ResourceExhaustedError("no room for a batch of " + std::to_string(batch.bytes()) +
                                     " bytes: " + std::to_string(bytes_) + " of " +
                                     std::to_string(*capacity_) + " bytes are used");
    return health_;
  }
  return Status::Ok();
}

Status MemoryEngine::Write(const WriteBatch& batch, const StateMeta& meta) {
  MutexLock lock(&store_->mutex);
  CAIRN_RETURN_IF_ERROR(health_);
  CAIRN_RETURN_IF_ERROR(CheckBatch(batch));
  using Kind = WriteBatch::Change::Kind;
  for (const WriteBatch::Change& change : batch.changes()) {
    switch (change.kind) {
      case Kind::kPut:
      case Kind::kDelete:
        ApplyUser(change);
        break;
      case Kind::kSystemPut:
        PutSystem(change.space, change.key, change.value);
        break;
      case Kind::kSystemDelete:
        PutSystem(change.space, change.key, std::nullopt);
        break;
      case Kind::kSystemDeleteRange:
        DeleteSystemRange(change);
        break;
    }
  }
  unflushed_bytes_ += batch.bytes();
  meta_ = meta;
  return Status::Ok();
}

void MemoryEngine::ApplyUser(const WriteBatch::Change& change) {
  const std::shared_ptr<Family>& family = store_->families.find(change.family)->second;
  const bool deleted = change.kind == WriteBatch::Change::Kind::kDelete;
  auto [place, added] = family->keys.try_emplace(change.key);
  if (added) ++family->generation;
  History& history = place->second;
  Entry entry{change.version, deleted, deleted ? std::string() : change.value};
  bytes_ += BytesOf(change.key, entry);

  Undo undo{.kind = Undo::Kind::kUser,
            .id = change.family,
            .family = family,
            .key = change.key,
            .version = change.version,
            .entry = {},
            .system_value = {}};
  // Versions rise, so this is the end of the history in all but odd cases.
  auto at = std::lower_bound(history.begin(), history.end(), change.version, ByVersion);
  if (at != history.end() && at->version == change.version) {
    bytes_ -= BytesOf(change.key, *at);
    undo.entry = std::exchange(*at, std::move(entry));
  } else {
    history.insert(at, std::move(entry));
  }
  undo_.push_back(std::move(undo));
  if (deleted || history.size() > 1) {
    garbage_.push_back({change.version, change.family, change.key});
    ++garbage_unflushed_;
  }
}

void MemoryEngine::PutSystem(SystemSpace space, const std::string& key,
                             std::optional<std::string> value) {
  auto& keys = store_->system[static_cast<std::size_t>(space)].keys;
  auto place = keys.find(key);
  std::optional<std::string> before;
  if (place != keys.end()) {
    bytes_ -= key.size() + place->second.size();
    before = std::move(place->second);
  }
  if (!value.has_value()) {
    if (!before.has_value()) return;
    keys.erase(place);
  } else {
    bytes_ += key.size() + value->size();
    keys[key] = *std::move(value);
  }
  undo_.push_back({.kind = Undo::Kind::kSystem,
                   .id = {},
                   .family = nullptr,
                   .space = space,
                   .key = key,
                   .version = {},
                   .entry = {},
                   .system_value = std::move(before)});
}

void MemoryEngine::DeleteSystemRange(const WriteBatch::Change& change) {
  auto& keys = store_->system[static_cast<std::size_t>(change.space)].keys;
  std::vector<std::string> doomed;
  for (auto it = keys.lower_bound(change.key); it != keys.end() && it->first < change.value; ++it) {
    doomed.push_back(it->first);
  }
  for (const std::string& key : doomed) PutSystem(change.space, key, std::nullopt);
}

// ---- Flush and crash

Status MemoryEngine::Flush() {
  {
    MutexLock lock(&store_->mutex);
    CAIRN_RETURN_IF_ERROR(health_);
    for (const Undo& undo : undo_) {
      if (undo.kind == Undo::Kind::kDrop) bytes_ -= BytesOf(*undo.family);
    }
    undo_.clear();
    flushed_meta_ = meta_;
    garbage_unflushed_ = 0;
    unflushed_bytes_ = 0;
    CollectGarbage();
  }
  if (flush_listener_) flush_listener_();
  return Status::Ok();
}

void MemoryEngine::CollectGarbage() {
  // Not above the flushed state's own watermark: see Engine::SetWatermark.
  const Version watermark = std::min(store_->watermark, flushed_meta_.watermark);
  while (!garbage_.empty() && garbage_.front().version <= watermark) {
    CollectKey(garbage_.front(), watermark);
    garbage_.pop_front();
  }
}

void MemoryEngine::CollectKey(const Garbage& garbage, Version watermark) {
  const auto found = store_->families.find(garbage.family);
  if (found == store_->families.end()) return;
  Family& family = *found->second;
  const auto place = family.keys.find(garbage.key);
  if (place == family.keys.end()) return;
  History& history = place->second;
  // Keep the newest entry that is visible at the watermark, and all after it.
  auto keep = std::upper_bound(history.begin(), history.end(), watermark,
                               [](Version v, const Entry& e) { return v < e.version; });
  if (keep != history.begin()) --keep;
  // A delete hides nothing once all before it is gone.
  if (keep->deleted && keep->version < watermark) ++keep;
  for (auto it = history.begin(); it != keep; ++it) bytes_ -= BytesOf(garbage.key, *it);
  history.erase(history.begin(), keep);
  if (!history.empty()) {
    // A delete at the watermark itself goes when the watermark moves on; its record was this one.
    if (history.front().deleted && history.front().version == watermark) {
      garbage_.push_back({Version(watermark.Next()), garbage.family, garbage.key});
    }
    return;
  }
  family.keys.erase(place);
  ++family.generation;
}

void MemoryEngine::SetFlushListener(std::function<void()> listener) {
  flush_listener_ = std::move(listener);
}

void MemoryEngine::UndoOne(Undo& undo) {
  switch (undo.kind) {
    case Undo::Kind::kDrop:
      store_->families[undo.id] = std::move(undo.family);
      return;
    case Undo::Kind::kSystem: {
      auto& keys = store_->system[static_cast<std::size_t>(undo.space)].keys;
      if (const auto now = keys.find(undo.key); now != keys.end()) {
        bytes_ -= undo.key.size() + now->second.size();
        keys.erase(now);
      }
      if (undo.system_value.has_value()) {
        bytes_ += undo.key.size() + undo.system_value->size();
        keys[undo.key] = *std::move(undo.system_value);
      }
      return;
    }
    case Undo::Kind::kUser: {
      const auto place = undo.family->keys.find(undo.key);
      History& history = place->second;
      const auto at = std::lower_bound(history.begin(), history.end(), undo.version, ByVersion);
      bytes_ -= BytesOf(undo.key, *at);
      if (undo.entry.has_value()) {
        *at = *std::move(undo.entry);
        bytes_ += BytesOf(undo.key, *at);
        return;
      }
      history.erase(at);
      if (!history.empty()) return;
      undo.family->keys.erase(place);
      ++undo.family->generation;
      return;
    }
  }
}

void MemoryEngine::Crash() {
  MutexLock lock(&store_->mutex);
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) UndoOne(*undo);
  undo_.clear();
  garbage_.resize(garbage_.size() - garbage_unflushed_);
  garbage_unflushed_ = 0;
  unflushed_bytes_ = 0;
  meta_ = flushed_meta_;
  store_->watermark = flushed_meta_.watermark;
  health_ = Status::Ok();
}

// ---- Room

void MemoryEngine::SetCapacity(std::optional<std::uint64_t> capacity_bytes) {
  MutexLock lock(&store_->mutex);
  capacity_ = capacity_bytes;
}

Status MemoryEngine::Health() const {
  MutexLock lock(&store_->mutex);
  return health_;
}

Status MemoryEngine::Resume() {
  MutexLock lock(&store_->mutex);
  if (!capacity_.has_value() || bytes_ < *capacity_) health_ = Status::Ok();
  return health_;
}

// ---- Families

Status MemoryEngine::CreateFamily(FamilyId family) {
  MutexLock lock(&store_->mutex);
  std::shared_ptr<Family>& place = store_->families[family];
  if (place == nullptr) place = std::make_shared<Family>();
  return Status::Ok();
}

Status MemoryEngine::DropFamily(FamilyId family) {
  if (family == FamilyId(0)) return InvalidArgumentError("the default family can't be dropped");
  MutexLock lock(&store_->mutex);
  const auto place = store_->families.find(family);
  if (place == store_->families.end()) return Status::Ok();
  undo_.push_back({.kind = Undo::Kind::kDrop,
                   .id = family,
                   .family = std::move(place->second),
                   .key = {},
                   .version = {},
                   .entry = {},
                   .system_value = {}});
  store_->families.erase(place);
  return Status::Ok();
}

Status MemoryEngine::ReconcileFamilies(const std::vector<FamilyId>& families) {
  MutexLock lock(&store_->mutex);
  for (auto it = store_->families.begin(); it != store_->families.end();) {
    const bool kept = it->first == FamilyId(0) ||
                      std::find(families.begin(), families.end(), it->first) != families.end();
    if (!kept) bytes_ -= BytesOf(*it->second);
    it = kept ? std::next(it) : store_->families.erase(it);
  }
  for (const FamilyId family : families) {
    std::shared_ptr<Family>& place = store_->families[family];
    if (place == nullptr) place = std::make_shared<Family>();
  }
  return Status::Ok();
}

// ---- Reads

Result<Lookup> MemoryEngine::Get(FamilyId family, std::string_view key, Version at,
                                 std::string* value) const {
  MutexLock lock(&store_->mutex);
  if (at < store_->watermark) return memory::TooOld(at, store_->watermark);
  const auto found = store_->families.find(family);
  if (found == store_->families.end()) return NoSuchFamily(family);
  const auto place = found->second->keys.find(key);
  if (place == found->second->keys.end()) return Lookup{};
  const Entry* entry = memory::NewestAt(place->second, at);
  if (entry == nullptr) return Lookup{};
  if (!entry->deleted && value != nullptr) *value = entry->value;
  return Lookup{.found = !entry->deleted, .version = entry->version};
}

Result<std::unique_ptr<ReadIterator>> MemoryEngine::NewIterator(FamilyId family,
                                                                const KeyRange& range,
                                                                Version at) const {
  MutexLock lock(&store_->mutex);
  if (at < store_->watermark) return memory::TooOld(at, store_->watermark);
  const auto found = store_->families.find(family);
  if (found == store_->families.end()) return NoSuchFamily(family);
  return memory::NewMemoryIterator(store_, found->second, range, at);
}

Result<std::unique_ptr<HistoryIterator>> MemoryEngine::NewHistoryIterator(
    FamilyId family, const KeyRange& range) const {
  std::shared_ptr<Family> held;
  {
    MutexLock lock(&store_->mutex);
    const auto found = store_->families.find(family);
    if (found == store_->families.end()) return NoSuchFamily(family);
    held = found->second;
  }
  return memory::NewMemoryHistoryIterator(store_, std::move(held), range);
}

Result<std::string> MemoryEngine::GetSystem(SystemSpace space, std::string_view key) const {
  MutexLock lock(&store_->mutex);
  const auto& keys = store_->system[static_cast<std::size_t>(space)].keys;
  const auto found = keys.find(key);
  if (found == keys.end()) return NotFoundError("no system key " + Printable(key));
  return found->second;
}

Result<std::unique_ptr<SystemIterator>> MemoryEngine::NewSystemIterator(
    SystemSpace space, const KeyRange& range) const {
  return memory::NewMemorySystemIterator(store_, space, range);
}

// ---- Upkeep

Status MemoryEngine::SetWatermark(Version watermark) {
  MutexLock lock(&store_->mutex);
  store_->watermark = std::max(store_->watermark, watermark);
  return Status::Ok();
}

EngineFigures MemoryEngine::Figures() const {
  MutexLock lock(&store_->mutex);
  EngineFigures figures;
  std::uint64_t keys = 0;
  for (const auto& [id, family] : store_->families) keys += family->keys.size();
  figures.estimated_keys = keys;
  figures.memory_bytes = bytes_;
  figures.unflushed_bytes = unflushed_bytes_;
  return figures;
}

}  // namespace cairn::storage
