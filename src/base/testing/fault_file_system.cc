#include "src/base/testing/fault_file_system.h"

#include <utility>

#include "src/base/check.h"
#include "src/base/testing/fault_file_state.h"

namespace cairn {
namespace {

using fault_internal::Inode;
using fault_internal::InodePtr;
using fault_internal::Resolved;
using fault_internal::Verdict;

Status Failure(const char* call, const std::string& path, StatusCode code, const char* why) {
  return {code, std::string(call) + " of '" + path + "' failed: " + why};
}

Status NotThere(const char* call, const std::string& path) {
  return Failure(call, path, StatusCode::kNotFound, "No such file or directory");
}

}  // namespace

// ---- Handles -------------------------------------------------------------------------------

class FaultFileSystem::Handle final : public File {
 public:
  Handle(std::shared_ptr<State> state, InodePtr inode, std::string path, bool writable,
         std::uint64_t life)
      : state_(std::move(state)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        life_(life) {}

  ~Handle() override {
    MutexLock lock(&state_->mutex);
    if (life_ != state_->life) return;
    --inode_->handles;
    state_->ReleaseIfDead(inode_.get());
  }

  Status WriteAt(std::uint64_t offset, std::string_view data) override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("pwrite", true));
    const Verdict verdict = state_->Begin(FileOperation::kWrite);
    if (!verdict.happens) return verdict.status;
    if (!state_->Fits(inode_->content.ChargeOfWrite(offset, data.size()))) return Full("pwrite");
    state_->ChangeContent(inode_.get(), [&] { inode_->content.Write(offset, data); });
    return verdict.status;
  }

  Status ReadAt(std::uint64_t offset, std::size_t size, std::string* out) const override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("pread", false));
    const Verdict verdict = state_->Begin(FileOperation::kRead);
    if (verdict.happens) inode_->content.Read(offset, size, out);
    return verdict.status;
  }

  Status Sync() override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("fdatasync", false));
    const Verdict verdict = state_->Begin(FileOperation::kSync);
    if (verdict.status.ok()) {
      inode_->content.Sync();
    } else if (!state_->powered_off) {
      inode_->content.ForgetDirty();
    }
    return verdict.status;
  }

  Status Allocate(std::uint64_t size) override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("fallocate", true));
    const Verdict verdict = state_->Begin(FileOperation::kAllocate);
    if (!verdict.happens) return verdict.status;
    if (!state_->Fits(inode_->content.ChargeOfAllocate(size))) return Full("fallocate");
    state_->ChangeContent(inode_.get(), [&] { inode_->content.Allocate(size); });
    return verdict.status;
  }

  Status Truncate(std::uint64_t size) override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("ftruncate", true));
    const Verdict verdict = state_->Begin(FileOperation::kTruncate);
    if (!verdict.happens) return verdict.status;
    state_->ChangeContent(inode_.get(), [&] { inode_->content.Truncate(size); });
    return verdict.status;
  }

  Result<std::uint64_t> Size() const override {
    MutexLock lock(&state_->mutex);
    CAIRN_RETURN_IF_ERROR(Check("fstat", false));
    if (state_->dead) return IoError("the disk is dead");
    return inode_->content.size();
  }

 private:
  Status Check(const char* call, bool writes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    if (life_ != state_->life) {
      return Failure(call, path_, StatusCode::kIoError, "the file was opened before the crash");
    }
    if (writes && !writable_) {
      return Failure(call, path_, StatusCode::kIoError, "Bad file descriptor");
    }
    return Status::Ok();
  }

  Status Full(const char* call) const {
    return Failure(call, path_, StatusCode::kResourceExhausted, "No space left on device");
  }

  const std::shared_ptr<State> state_;
  const InodePtr inode_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t life_;
};

class FaultFileSystem::LockHandle final : public FileLock {
 public:
  LockHandle(std::shared_ptr<State> state, InodePtr inode, std::uint64_t life)
      : state_(std::move(state)), inode_(std::move(inode)), life_(life) {}
  ~LockHandle() override {
    MutexLock lock(&state_->mutex);
    if (life_ == state_->life) inode_->locked = false;
  }

 private:
  const std::shared_ptr<State> state_;
  const InodePtr inode_;
  const std::uint64_t life_;
};

// ---- Files and names -----------------------------------------------------------------------

FaultFileSystem::FaultFileSystem() : state_(std::make_shared<State>()) {}
FaultFileSystem::~FaultFileSystem() = default;

Result<std::unique_ptr<File>> FaultFileSystem::Open(const std::string& path, OpenMode mode) {
  State& s = *state_;
  MutexLock lock(&s.mutex);
  Resolved at = s.Resolve(path);
  const bool may_create = mode == OpenMode::kCreate || mode == OpenMode::kCreateOrReplace;
  const Verdict verdict = s.Begin(may_create ? FileOperation::kCreate : FileOperation::kRead);
  if (!verdict.happens) return verdict.status;
  if (at.inode != nullptr && at.inode->directory) {
    return Failure("open", path, StatusCode::kIoError, "Is a directory");
  }
  if (at.inode != nullptr && mode == OpenMode::kCreate) {
    return Failure("open", path, StatusCode::kAlreadyExists, "File exists");
  }
  if (at.inode == nullptr) {
    if (!may_create || at.directory == nullptr) return NotThere("open", path);
    at.inode = std::make_shared<Inode>();
    s.Change({{at.directory, at.name, at.inode}});
  } else if (mode == OpenMode::kCreateOrReplace) {
    s.ChangeContent(at.inode.get(), [&] { at.inode->content.Truncate(0); });
  }
  if (!verdict.status.ok()) return verdict.status;
  ++at.inode->handles;
  return std::unique_ptr<File>(
      std::make_unique<Handle>(state_, at.inode, path, mode != OpenMode::kRead, s.life));
}

bool FaultFileSystem::Exists(const std::string& path) const {
  MutexLock lock(&state_->mutex);
  return state_->Resolve(path).inode != nullptr;
}

bool FaultFileSystem::IsDirectory(const std::string& path) const {
  MutexLock lock(&state_->mutex);
  const Resolved at = state_->Resolve(path);
  return at.inode != nullptr && at.inode->directory;
}

Result<std::vector<std::string>> FaultFileSystem::List(const std::string& directory) const {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kRead);
  if (!verdict.happens) return verdict.status;
  const Resolved at = state_->Resolve(directory);
  if (at.inode == nullptr) return NotThere("opendir", directory);
  if (!at.inode->directory) {
    return Failure("opendir", directory, StatusCode::kIoError, "Not a directory");
  }
  std::vector<std::string> names;
  for (const auto& [name, inode] : at.inode->entries) names.push_back(name);
  return names;
}

Status FaultFileSystem::CreateDirectories(const std::string& path) {
  State& s = *state_;
  MutexLock lock(&s.mutex);
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const Resolved at = s.Resolve(path.substr(0, end));
    if (at.inode == nullptr) {
      if (at.directory == nullptr) return NotThere("mkdir", path);
      const Verdict verdict = s.Begin(FileOperation::kCreate);
      if (!verdict.happens) return verdict.status;
      const auto made = std::make_shared<Inode>();
      made->directory = true;
      s.Change({{at.directory, at.name, made}});
      if (!verdict.status.ok()) return verdict.status;
    } else if (!at.inode->directory) {
      return Failure("mkdir", path, StatusCode::kIoError, "Not a directory");
    }
    if (s.dead) return IoError("the disk is dead");
    if (s.powered_off) return IoError("the power is off");
    if (at.directory != nullptr) s.SyncNames(at.directory);
    if (end == std::string::npos) return Status::Ok();
  }
}

Status FaultFileSystem::Remove(const std::string& path) {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kRemove);
  if (!verdict.happens) return verdict.status;
  const Resolved at = state_->Resolve(path);
  if (at.inode == nullptr) return NotThere("unlink", path);
  if (at.inode->directory) return Failure("unlink", path, StatusCode::kIoError, "Is a directory");
  state_->Change({{at.directory, at.name, nullptr}});
  return verdict.status;
}

Status FaultFileSystem::RemoveDirectory(const std::string& path) {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kRemove);
  if (!verdict.happens) return verdict.status;
  const Resolved at = state_->Resolve(path);
  if (at.inode == nullptr) return NotThere("rmdir", path);
  if (!at.inode->directory || at.directory == nullptr) {
    return Failure("rmdir", path, StatusCode::kIoError, "Not a directory");
  }
  if (!at.inode->entries.empty()) {
    return Failure("rmdir", path, StatusCode::kIoError, "Directory not empty");
  }
  state_->Change({{at.directory, at.name, nullptr}});
  return verdict.status;
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kRename);
  if (!verdict.happens) return verdict.status;
  const std::string both = from + "' to '" + to;
  const Resolved a = state_->Resolve(from);
  const Resolved b = state_->Resolve(to);
  if (a.inode == nullptr || a.directory == nullptr || b.directory == nullptr) {
    return NotThere("rename", both);
  }
  if (a.inode == b.inode) return verdict.status;  // the same file: nothing to do
  if (b.inode != nullptr) {
    if (b.inode->directory != a.inode->directory) {
      return Failure("rename", both, StatusCode::kIoError,
                     b.inode->directory ? "Is a directory" : "Not a directory");
    }
    if (!b.inode->entries.empty()) {
      return Failure("rename", both, StatusCode::kIoError, "Directory not empty");
    }
  }
  state_->Change({{b.directory, b.name, a.inode}, {a.directory, a.name, nullptr}});
  return verdict.status;
}

Status FaultFileSystem::Link(const std::string& from, const std::string& to) {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kLink);
  if (!verdict.happens) return verdict.status;
  const std::string both = from + "' to '" + to;
  const Resolved a = state_->Resolve(from);
  const Resolved b = state_->Resolve(to);
  if (a.inode == nullptr || b.directory == nullptr) return NotThere("link", both);
  if (a.inode->directory) return Failure("link", both, StatusCode::kPermissionDenied, "directory");
  if (b.inode != nullptr) return Failure("link", both, StatusCode::kAlreadyExists, "File exists");
  state_->Change({{b.directory, b.name, a.inode}});
  return verdict.status;
}

Status FaultFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(&state_->mutex);
  const Verdict verdict = state_->Begin(FileOperation::kSyncDirectory);
  if (!verdict.status.ok()) return verdict.status;
  const Resolved at = state_->Resolve(path);
  if (at.inode == nullptr || !at.inode->directory) return NotThere("fsync", path);
  state_->SyncNames(at.inode);
  return Status::Ok();
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::Lock(const std::string& path) {
  State& s = *state_;
  MutexLock lock(&s.mutex);
  Resolved at = s.Resolve(path);
  if (at.directory == nullptr) return NotThere("open", path);
  if (at.inode != nullptr && at.inode->locked) {
    return FailedPreconditionError("'" + path + "' is in use by process 1; stop that process or " +
                                   "choose another folder");
  }
  const Verdict verdict = s.Begin(FileOperation::kCreate);
  if (!verdict.happens) return verdict.status;
  if (at.inode == nullptr) {
    at.inode = std::make_shared<Inode>();
    s.Change({{at.directory, at.name, at.inode}});
  }
  if (!verdict.status.ok()) return verdict.status;
  at.inode->locked = true;
  return std::unique_ptr<FileLock>(std::make_unique<LockHandle>(state_, at.inode, s.life));
}

Result<std::uint64_t> FaultFileSystem::FreeBytes(const std::string& path) const {
  MutexLock lock(&state_->mutex);
  if (state_->dead) return IoError("the disk is dead");
  if (state_->Resolve(path).inode == nullptr) return NotThere("statvfs", path);
  if (!state_->capacity.has_value()) return std::uint64_t{1} << 50;
  return *state_->capacity > state_->used ? *state_->capacity - state_->used : 0;
}

// ---- Faults --------------------------------------------------------------------------------

void FaultFileSystem::Crash(CrashMode mode, Random* random) {
  State& s = *state_;
  MutexLock lock(&s.mutex);
  CAIRN_CHECK(random != nullptr || mode != CrashMode::kRandom, "a random crash needs a Random");
  s.Crash(mode, random);
}

void FaultFileSystem::PowerOffAt(std::uint64_t nth) {
  MutexLock lock(&state_->mutex);
  state_->power_off_in = nth;
}

bool FaultFileSystem::PoweredOff() const {
  MutexLock lock(&state_->mutex);
  return state_->powered_off;
}

std::uint64_t FaultFileSystem::Operations() const {
  MutexLock lock(&state_->mutex);
  return state_->operations;
}

void FaultFileSystem::FailNth(FileOperation operation, std::uint64_t nth, Status status) {
  MutexLock lock(&state_->mutex);
  state_->armed[static_cast<std::size_t>(operation)] = {nth, std::move(status)};
}

std::uint64_t FaultFileSystem::Count(FileOperation operation) const {
  MutexLock lock(&state_->mutex);
  return state_->counts[static_cast<std::size_t>(operation)];
}

void FaultFileSystem::SetCapacity(std::optional<std::uint64_t> bytes) {
  MutexLock lock(&state_->mutex);
  state_->capacity = bytes;
}

std::uint64_t FaultFileSystem::UsedBytes() const {
  MutexLock lock(&state_->mutex);
  return state_->used;
}

void FaultFileSystem::SetDead(bool dead) {
  MutexLock lock(&state_->mutex);
  state_->dead = dead;
}

bool FaultFileSystem::IsDead() const {
  MutexLock lock(&state_->mutex);
  return state_->dead;
}

FaultEffects FaultFileSystem::Effects() const {
  MutexLock lock(&state_->mutex);
  return state_->effects;
}

void FaultFileSystem::Damage(const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  MutexLock lock(&state_->mutex);
  const Resolved at = state_->Resolve(path);
  CAIRN_CHECK(at.inode != nullptr && !at.inode->directory, "no file " + path);
  at.inode->content.Damage(offset, mask);
}

}  // namespace cairn
