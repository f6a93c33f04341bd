// Checkpoints of the memory engine: one file, docs/formats/state.md, "Memory engine checkpoints".
#include <algorithm>
#include <utility>

#include "src/base/codec.h"
#include "src/storage/memory/memory_engine.h"
#include "xxhash.h"

namespace cairn::storage {

using memory::Entry;
using memory::Family;

namespace {

constexpr std::string_view kMagic = "CAIRNMEM";
constexpr std::uint8_t kFormat = 1;

}  // namespace

std::string MemoryEngine::Serialize() const {
  std::string out;
  Encoder e(&out);
  e.Raw(kMagic);
  e.U8(kFormat);
  e.Bytes(meta_.Encode());
  e.Varint(store_->families.size());
  for (const auto& [id, family] : store_->families) {
    e.Varint(id.value());
    e.Varint(family->keys.size());
    for (const auto& [key, history] : family->keys) {
      e.Bytes(key);
      e.Varint(history.size());
      for (const Entry& entry : history) {
        e.Varint(entry.version.value());
        e.U8(entry.deleted ? 1 : 0);
        e.Bytes(entry.value);
      }
    }
  }
  for (const memory::SystemFamily& space : store_->system) {
    e.Varint(space.keys.size());
    for (const auto& [key, value] : space.keys) {
      e.Bytes(key);
      e.Bytes(value);
    }
  }
  e.Fixed64(XXH3_64bits(out.data(), out.size()));
  return out;
}

Status MemoryEngine::Deserialize(std::string_view bytes) {
  const Status damaged = CorruptionError("the checksum or the form is wrong");
  if (bytes.size() < sizeof(std::uint64_t)) return damaged;
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(std::uint64_t));
  if (Decoder(bytes.substr(body.size())).Fixed64() != XXH3_64bits(body.data(), body.size())) {
    return damaged;
  }
  Decoder d(body);
  if (d.Raw(kMagic.size()) != kMagic || d.U8() != kFormat) return damaged;
  CAIRN_ASSIGN_OR_RETURN(meta_, StateMeta::Decode(d.Bytes()));
  flushed_meta_ = meta_;
  store_->watermark = meta_.watermark;
  for (std::uint64_t families = d.Varint(); d.ok() && families > 0; --families) {
    const FamilyId id(static_cast<std::uint32_t>(d.Varint()));
    auto family = std::make_shared<Family>();
    for (std::uint64_t keys = d.Varint(); d.ok() && keys > 0; --keys) {
      std::string key(d.Bytes());
      memory::History history;
      for (std::uint64_t entries = d.Varint(); d.ok() && entries > 0; --entries) {
        Entry entry;
        entry.version = Version(d.Varint());
        entry.deleted = d.U8() != 0;
        entry.value = std::string(d.Bytes());
        bytes_ += key.size() + entry.value.size();
        if (entry.deleted || !history.empty()) garbage_.push_back({entry.version, id, key});
        history.push_back(std::move(entry));
      }
      family->keys[std::move(key)] = std::move(history);
    }
    store_->families[id] = std::move(family);
  }
  for (memory::SystemFamily& space : store_->system) {
    for (std::uint64_t keys = d.Varint(); d.ok() && keys > 0; --keys) {
      std::string key(d.Bytes());
      std::string value(d.Bytes());
      bytes_ += key.size() + value.size();
      space.keys[std::move(key)] = std::move(value);
    }
  }
  // Garbage is collected from the front while its version is reached.
  std::stable_sort(garbage_.begin(), garbage_.end(),
                   [](const Garbage& a, const Garbage& b) { return a.version < b.version; });
  return d.AtEnd() ? Status::Ok() : damaged;
}

Result<StateMeta> MemoryEngine::Checkpoint(const std::string& directory) {
  if (file_system_ == nullptr) {
    return UnimplementedError("this memory engine was given no file system for checkpoints");
  }
  if (file_system_->Exists(directory)) return AlreadyExistsError(directory + " exists");
  std::string bytes;
  StateMeta meta;
  {
    MutexLock lock(&store_->mutex);
    bytes = Serialize();
    meta = meta_;
  }
  CAIRN_RETURN_IF_ERROR(file_system_->CreateDirectories(directory));
  CAIRN_RETURN_IF_ERROR(
      file_system_->WriteFileAtomically(directory + "/" + kCheckpointFile, bytes));
  CAIRN_RETURN_IF_ERROR(file_system_->SyncDirectory(DirectoryOf(directory)));
  return meta;
}

Result<std::unique_ptr<MemoryEngine>> MemoryEngine::Load(const std::string& directory,
                                                         const MemoryEngineOptions& options) {
  if (options.file_system == nullptr) {
    return InvalidArgumentError("loading a checkpoint needs a file system");
  }
  const std::string path = directory + "/" + kCheckpointFile;
  CAIRN_ASSIGN_OR_RETURN(const std::string bytes, options.file_system->ReadFile(path));
  auto engine = std::make_unique<MemoryEngine>(options);
  MutexLock lock(&engine->store_->mutex);
  if (const Status status = engine->Deserialize(bytes); !status.ok()) {
    return Status(status.code(), path + ": " + status.message());
  }
  return engine;
}

}  // namespace cairn::storage
