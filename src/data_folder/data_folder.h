// The folder that a node keeps its data in: who may use it, and whose it is.
//
//   LOCK       held by the running node; names its process
//   IDENTITY   format, random incarnation, cluster and group: docs/formats/identity.md
//   journal/   the journal of the group
//   db/        the database
//
// IDENTITY is written first and once, durably, before journal/ and db/ are made; a member's
// FORMATION when there is a journal. So a folder with data and without IDENTITY, or with a database
// or FORMATION and without a journal, has lost files, and is refused: starting on it would forget
// acknowledged writes, and votes. (A node by itself that lost journal/ and db/ alike can't tell,
// and starts empty.)
//
// Thread safety: Open from one thread; the result is constant.
#ifndef CAIRN_SRC_DATA_FOLDER_DATA_FOLDER_H_
#define CAIRN_SRC_DATA_FOLDER_DATA_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/ids.h"

namespace cairn {

// Whose data a folder holds. Never changes.
struct Identity {
  // Random, made with the folder. A node that comes back with an empty folder has another one.
  IncarnationId incarnation;
  // 0. Which cluster a node belongs to stands in the file FORMATION (docs/formats/formation.md).
  std::uint64_t cluster = 0;
  GroupId group;

  // docs/formats/identity.md.
  [[nodiscard]] std::string Encode() const;
  // kCorruption that says what is wrong.
  static Result<Identity> Decode(std::string_view text);
  friend bool operator==(const Identity&, const Identity&) = default;
};

class DataFolder {
 public:
  // Locks the folder and reads its identity, making both if they do not exist. `files` and `random`
  // (for a new incarnation) must outlive the call; the lock is held as long as the result lives.
  //   kFailedPrecondition  another process holds the lock (named), or the folder is not ours
  //   kCorruption          IDENTITY is damaged, or files are missing
  static Result<std::unique_ptr<DataFolder>> Open(const std::string& path, GroupId group,
                                                  FileSystem* files, Random* random);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  // True if this Open made the folder's identity.
  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] std::string journal_path() const { return path_ + "/journal"; }
  // What the node knows of the cluster that it forms or is of (docs/formats/formation.md).
  static std::string FormationPath(const std::string& folder) { return folder + "/FORMATION"; }
  [[nodiscard]] std::string database_path() const { return path_ + "/db"; }

 private:
  DataFolder(std::string path, std::unique_ptr<FileLock> lock, Identity identity, bool created);

  const std::string path_;
  const std::unique_ptr<FileLock> lock_;
  const Identity identity_;
  const bool created_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_DATA_FOLDER_DATA_FOLDER_H_
