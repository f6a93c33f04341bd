// The machine's file system behind the FileSystem seam (src/base/file.h). Linux only: fallocate,
// open file description locks.
//
// Thread safety: File holds one descriptor and uses positioned reads and writes only, so readers
// need no lock. The file system itself has no state.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "src/base/file.h"

namespace cairn {
namespace {

// "fdatasync of '/data/0001.seg' failed: Input/output error". Reads errno.
Status ErrnoStatus(const char* call, const std::string& path) {
  const int error = errno;
  std::string text =
      std::string(call) + " of '" + path + "' failed: " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
      return {StatusCode::kNotFound, std::move(text)};
    case EEXIST:
      return {StatusCode::kAlreadyExists, std::move(text)};
    case ENOSPC:
    case EDQUOT:
      return {StatusCode::kResourceExhausted, std::move(text)};
    case EACCES:
    case EPERM:
    case EROFS:
      return {StatusCode::kPermissionDenied, std::move(text)};
    default:
      return {StatusCode::kIoError, std::move(text)};
  }
}

// Repeats a call that a signal interrupted.
template <class Call>
auto Retrying(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    // What matters was synced before: an error of close says nothing that Sync did not.
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Status WriteAt(std::uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t n = Retrying(
          [&] { return pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
      if (n < 0) return ErrnoStatus("pwrite", path_);
      offset += static_cast<std::uint64_t>(n);
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return Status::Ok();
  }

  Status ReadAt(std::uint64_t offset, std::size_t size, std::string* out) const override {
    out->resize(size);
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = Retrying([&] {
        return pread(fd_.get(), out->data() + done, size - done, static_cast<off_t>(offset + done));
      });
      if (n < 0) {
        out->clear();
        return ErrnoStatus("pread", path_);
      }
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    out->resize(done);
    return Status::Ok();
  }

  Status Sync() override {
    if (Retrying([&] { return fdatasync(fd_.get()); }) != 0) return ErrnoStatus("fdatasync", path_);
    return Status::Ok();
  }

  Status Allocate(std::uint64_t size) override {
    if (Retrying([&] { return fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); }) == 0) {
      return Status::Ok();
    }
    if (errno != EOPNOTSUPP) return ErrnoStatus("fallocate", path_);
    return AllocateByWriting(size);
  }

  Status Truncate(std::uint64_t size) override {
    if (Retrying([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
      return ErrnoStatus("ftruncate", path_);
    }
    return Status::Ok();
  }

  Result<std::uint64_t> Size() const override {
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) return ErrnoStatus("fstat", path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  // For file systems without fallocate: what is there is written again, the rest with zeros.
  Status AllocateByWriting(std::uint64_t size) {
    constexpr std::size_t kChunk = 1 << 20;
    std::string chunk;
    for (std::uint64_t offset = 0; offset < size; offset += chunk.size()) {
      const std::size_t wanted = std::min<std::uint64_t>(kChunk, size - offset);
      CAIRN_RETURN_IF_ERROR(ReadAt(offset, wanted, &chunk));
      chunk.resize(wanted, '\0');
      CAIRN_RETURN_IF_ERROR(WriteAt(offset, chunk));
    }
    return Status::Ok();
  }

  const std::string path_;
  const Descriptor fd_;
};

// An open file description lock: it belongs to this descriptor, not to the process, so a second
// Lock in the same process is refused as well, and closing another descriptor does not drop it.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(std::unique_ptr<PosixFile> file) : file_(std::move(file)) {}

 private:
  const std::unique_ptr<PosixFile> file_;
};

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateOrReplace:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

Result<Descriptor> OpenDescriptor(const std::string& path, int flags) {
  const int fd = Retrying([&] { return open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) return ErrnoStatus("open", path);
  return Descriptor(fd);
}

// The process id that a lock file names; "unknown" if it names none yet.
std::string LockHolder(const PosixFile& file) {
  std::string text;
  if (!file.ReadAt(0, 32, &text).ok()) return "unknown";
  text.resize(std::min(text.find_first_not_of("0123456789"), text.size()));
  return text.empty() ? "unknown" : text;
}

class PosixFileSystemImpl final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    CAIRN_ASSIGN_OR_RETURN(Descriptor fd, OpenDescriptor(path, OpenFlags(mode)));
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, std::move(fd)));
  }

  bool Exists(const std::string& path) const override {
    struct stat info {};
    return stat(path.c_str(), &info) == 0;
  }

  bool IsDirectory(const std::string& path) const override {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }

  Result<std::vector<std::string>> List(const std::string& directory) const override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), &closedir);
    if (dir == nullptr) return ErrnoStatus("opendir", directory);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = readdir(dir.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return ErrnoStatus("readdir", directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateDirectories(const std::string& path) override {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      const bool made = mkdir(part.c_str(), 0755) == 0;
      if (!made && errno != EEXIST) {
        // An existing parent on a read-only or foreign file system is no error.
        const Status failed = ErrnoStatus("mkdir", part);
        if (!IsDirectory(part)) return failed;
      }
      // Also if it was there: whoever made it may have been killed before this.
      const Status synced = SyncDirectory(DirectoryOf(part));
      if (made) CAIRN_RETURN_IF_ERROR(synced);
      if (end == std::string::npos) break;
    }
    if (!IsDirectory(path)) {
      errno = ENOTDIR;
      return ErrnoStatus("mkdir", path);
    }
    return Status::Ok();
  }

  Status Remove(const std::string& path) override {
    if (unlink(path.c_str()) != 0) return ErrnoStatus("unlink", path);
    return Status::Ok();
  }

  Status RemoveDirectory(const std::string& path) override {
    if (rmdir(path.c_str()) != 0) return ErrnoStatus("rmdir", path);
    return Status::Ok();
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus("rename", from + "' to '" + to);
    }
    return Status::Ok();
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (link(from.c_str(), to.c_str()) != 0) return ErrnoStatus("link", from + "' to '" + to);
    return Status::Ok();
  }

  Status SyncDirectory(const std::string& path) override {
    CAIRN_ASSIGN_OR_RETURN(const Descriptor fd, OpenDescriptor(path, O_RDONLY | O_DIRECTORY));
    if (Retrying([&] { return fsync(fd.get()); }) != 0) return ErrnoStatus("fsync", path);
    return Status::Ok();
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    CAIRN_ASSIGN_OR_RETURN(Descriptor fd, OpenDescriptor(path, O_RDWR | O_CREAT));
    const int raw = fd.get();
    auto file = std::make_unique<PosixFile>(path, std::move(fd));
    struct flock request {};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    if (Retrying([&] { return fcntl(raw, F_OFD_SETLK, &request); }) != 0) {
      if (errno != EAGAIN && errno != EACCES) return ErrnoStatus("fcntl(F_OFD_SETLK)", path);
      return FailedPreconditionError("'" + path + "' is in use by process " + LockHolder(*file) +
                                     "; stop that process or choose another folder");
    }
    CAIRN_RETURN_IF_ERROR(file->Truncate(0));
    CAIRN_RETURN_IF_ERROR(file->WriteAt(0, std::to_string(getpid()) + "\n"));
    return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(std::move(file)));
  }

  Result<std::uint64_t> FreeBytes(const std::string& path) const override {
    struct statvfs info {};
    if (Retrying([&] { return statvfs(path.c_str(), &info); }) != 0) {
      return ErrnoStatus("statvfs", path);
    }
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }
};

}  // namespace

FileSystem* PosixFileSystem() {
  static PosixFileSystemImpl* const files = new PosixFileSystemImpl();
  return files;
}

}  // namespace cairn
