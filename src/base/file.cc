#include "src/base/file.h"

#include <utility>

namespace cairn {

Result<std::string> FileSystem::ReadFile(const std::string& path) {
  CAIRN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, Open(path, OpenMode::kRead));
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  std::string content;
  CAIRN_RETURN_IF_ERROR(file->ReadAt(0, size, &content));
  return content;
}

Status FileSystem::RemoveTree(const std::string& path) {
  if (!Exists(path)) return Status::Ok();
  if (!IsDirectory(path)) return Remove(path);
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, List(path));
  for (const std::string& name : names) CAIRN_RETURN_IF_ERROR(RemoveTree(path + "/" + name));
  return RemoveDirectory(path);
}

Status FileSystem::WriteFileAtomically(const std::string& path, std::string_view data) {
  const std::string beside = path + ".tmp";
  const auto write = [&]() -> Status {
    CAIRN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                           Open(beside, OpenMode::kCreateOrReplace));
    CAIRN_RETURN_IF_ERROR(file->WriteAt(0, data));
    return file->Sync();
  };
  Status written = write();
  if (written.ok()) written = Rename(beside, path);
  if (!written.ok()) {
    // The first error is the one to report; a file that can't be removed either is only litter.
    static_cast<void>(Remove(beside));
    return written;
  }
  return SyncDirectory(DirectoryOf(path));
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace cairn
