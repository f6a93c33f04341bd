// Opening a database, closing it, and saying what is wrong with it.
#include <rocksdb/convenience.h>
#include <rocksdb/listener.h>
#include <rocksdb/sst_file_reader.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "src/base/codec.h"
#include "src/base/log.h"
#include "src/storage/rocksdb/comparator.h"
#include "src/storage/rocksdb/engine_impl.h"
#include "src/storage/rocksdb/env_adapter.h"
#include "src/storage/rocksdb/info_log.h"
#include "src/storage/rocksdb/layout.h"
#include "src/storage/rocksdb/status_mapping.h"

namespace cairn::storage {

Result<std::unique_ptr<RocksDbEngine>> RocksDbEngine::Open(const RocksDbOptions& options,
                                                           const std::string& directory) {
  return rocks::RocksDbEngineImpl::Open(options, directory);
}

}  // namespace cairn::storage

namespace cairn::storage::rocks {
namespace {

class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(RocksDbEngineImpl* engine) : engine_(engine) {}

  // Every batch writes the meta record, so every flush has cairn.state in it. RocksDB calls this
  // when the files of all families are in place.
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    if (info.cf_name == kStateFamily) engine_->OnFlushed();
  }

  // RocksDB goes on writing after a "soft" error, of which a compaction without room is one. In 7.8
  // a flush that runs meanwhile is neither installed nor taken back, and a later flush waits for it
  // for ever (facebook/rocksdb#11872). So every error stops writes until Resume.
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status->severity() < rocksdb::Status::Severity::kHardError) {
      *status = rocksdb::Status(*status, rocksdb::Status::Severity::kHardError);
    }
    engine_->OnBackgroundError(FromRocks(*status));
  }

  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (info.new_bg_error.ok()) engine_->OnRecovered();
  }

 private:
  RocksDbEngineImpl* const engine_;
};

}  // namespace

RocksDbEngineImpl::RocksDbEngineImpl(const RocksDbOptions& options, MappedOptions mapped,
                                     std::string directory)
    : config_(options),
      mapped_(std::move(mapped)),
      directory_(std::move(directory)),
      scratch_(0, 0, 0, VersionComparator()->timestamp_size()) {}

Result<std::unique_ptr<RocksDbEngine>> RocksDbEngineImpl::Open(const RocksDbOptions& options,
                                                               const std::string& directory) {
  CAIRN_ASSIGN_OR_RETURN(MappedOptions mapped, MapOptions(options));
  std::unique_ptr<RocksDbEngineImpl> engine(
      new RocksDbEngineImpl(options, std::move(mapped), directory));
  CAIRN_RETURN_IF_ERROR(engine->OpenDatabase());
  return std::unique_ptr<RocksDbEngine>(std::move(engine));
}

RocksDbEngineImpl::~RocksDbEngineImpl() {
  // A flush may still be telling its listener, which reads with the handles that go next.
  if (db_ != nullptr) rocksdb::CancelAllBackgroundWork(db_, /*wait=*/true);
  {
    MutexLock lock(&maintenance_mutex_);
    dropped_.clear();
  }
  families_.Clear();
  state_ = nullptr;
  index_ = nullptr;
  delete db_;
}

FileSystem& RocksDbEngineImpl::files() const {
  return config_.file_system != nullptr ? *config_.file_system : *PosixFileSystem();
}

Status RocksDbEngineImpl::OpenDatabase() {
  if (config_.file_system != nullptr) {
    env_ = NewSeamEnv(config_.file_system);
    mapped_.db.env = env_.get();
  }
  mapped_.db.create_missing_column_families = true;  // the system families of a new database
  mapped_.db.listeners.push_back(std::make_shared<Listener>(this));
  CAIRN_RETURN_IF_ERROR(files().CreateDirectories(directory_));
  CAIRN_ASSIGN_OR_RETURN(mapped_.db.info_log,
                         MakeInfoLog(config_, mapped_.db.info_log_level, directory_));
  CAIRN_RETURN_IF_ERROR(CheckFolder());
  CAIRN_ASSIGN_OR_RETURN(const auto descriptors, ListFamilies());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status opened = rocksdb::DB::Open(rocksdb::Options(mapped_.db, mapped_.user),
                                                   directory_, descriptors, &handles, &db_);
  if (!opened.ok()) return Explain(opened);
  Status adopted;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (Status status = AdoptFamily(handle); !status.ok()) adopted = std::move(status);
  }
  CAIRN_RETURN_IF_ERROR(adopted);
  return Recover();
}

// RocksDB makes a new database where CURRENT is missing. If there are tables, CURRENT was lost, and
// a new database would have them deleted.
Status RocksDbEngineImpl::CheckFolder() const {
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files().List(directory_));
  if (std::find(names.begin(), names.end(), "CURRENT") != names.end()) return Status::Ok();
  for (const std::string& name : names) {
    if (name.ends_with(".sst")) {
      return CorruptionError("the database in " + directory_ +
                             " has lost its file CURRENT (but has " + name + ")");
    }
  }
  return Status::Ok();
}

Result<std::vector<rocksdb::ColumnFamilyDescriptor>> RocksDbEngineImpl::ListFamilies() const {
  std::vector<std::string> names;
  if (files().Exists(directory_ + "/CURRENT")) {
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(mapped_.db, directory_, &names);
    if (!listed.ok()) return Explain(listed);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
      {rocksdb::kDefaultColumnFamilyName, mapped_.user},
      {kStateFamily, mapped_.system},
      {kIndexFamily, mapped_.system}};
  for (const std::string& name : names) {
    if (name.starts_with(kUserFamilyPrefix)) descriptors.emplace_back(name, mapped_.user);
  }
  return descriptors;
}

Status RocksDbEngineImpl::AdoptFamily(rocksdb::ColumnFamilyHandle* handle) {
  auto owner = std::make_shared<FamilyHandle>(db_, handle);
  const std::string& name = handle->GetName();
  if (name == kStateFamily) {
    state_ = std::move(owner);
  } else if (name == kIndexFamily) {
    index_ = std::move(owner);
  } else if (name == rocksdb::kDefaultColumnFamilyName) {
    families_.Add(FamilyId(0), std::move(owner));
  } else {
    std::uint32_t id = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + kUserFamilyPrefix.size(), end, id);
    if (error != std::errc() || stop != end || id == 0) {
      return CorruptionError("the database in " + directory_ + " has a column family \"" +
                             Printable(name) + "\", which is not Cairn's");
    }
    families_.Add(FamilyId(id), std::move(owner));
  }
  return Status::Ok();
}

Status RocksDbEngineImpl::Recover() {
  CAIRN_ASSIGN_OR_RETURN(const MetaRecord record, ReadMetaRecord(rocksdb::kReadAllTier));
  write_number_ = record.write_number;
  watermark_ = record.meta.watermark.value();
  {
    MutexLock lock(&meta_mutex_);
    meta_ = record.meta;
  }
  {
    MutexLock lock(&health_mutex_);
    flushed_number_ = record.write_number;
    flushed_watermark_ = record.meta.watermark;
  }
  CAIRN_LOG(kInfo, "rocksdb: opened {} at slot {}, version {}", directory_,
            record.meta.applied_slot.value(), record.meta.version.value());
  return Status::Ok();
}

// Adds to an error of opening what RocksDB leaves out: while it reads the manifest it blames that,
// not the table that it could not open, and of some damage it gives no name at all.
Status RocksDbEngineImpl::Explain(const rocksdb::Status& status) const {
  const Status mapped = FromRocks(status);
  std::string message = mapped.message() + " (opening the database in " + directory_;
  if (const auto current = files().ReadFile(directory_ + "/CURRENT"); current.ok()) {
    const std::string name = current->substr(0, current->find('\n'));
    message += name.empty() ? ", whose file CURRENT is empty"
                            : ", whose file CURRENT names " + Printable(name);
  }
  if (mapped.code() == StatusCode::kCorruption) message += DamagedTables();
  return {mapped.code(), message + ")"};
}

std::string RocksDbEngineImpl::DamagedTables() const {
  const auto names = files().List(directory_);
  if (!names.ok()) return {};
  std::string found;
  for (const std::string& name : *names) {
    if (!name.ends_with(".sst")) continue;
    rocksdb::SstFileReader reader(rocksdb::Options(mapped_.db, mapped_.system));
    const rocksdb::Status opened = reader.Open(directory_ + "/" + name);
    if (!opened.ok()) found += ", table " + name + ": " + opened.ToString();
  }
  return found;
}

}  // namespace cairn::storage::rocks
