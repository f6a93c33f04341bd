// Makes the data folder of a node from a backup, while no node runs on it.
//
// The node comes up with the state of the backup, all of it at the backup's version, as a node by
// itself or as the only member of a new cluster with a random id of its own: members of the old
// cluster turn it away, and it them. Others join it with `cairn cluster add`.
//
// The folder is made beside its place and moved there when it is complete, durable, and found to
// hold what the backup says. A crash leaves nothing in its place.
//
// Thread safety: one thread.
#ifndef CAIRN_SRC_OFFLINE_RESTORE_H_
#define CAIRN_SRC_OFFLINE_RESTORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/backup/backup_format.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/storage/engine.h"

namespace cairn::offline {

// Where a node stands, as its configuration says.
struct Place {
  std::string folder;  // its data folder
  NodeId node;
  GroupId group;
  bool member = false;        // of a cluster; else a node by itself
  std::string peer_endpoint;  // of a member: where other nodes will reach it
};

struct Tools {
  FileSystem* files = nullptr;
  Random* random = nullptr;
  // Opens or makes a database in a folder.
  std::function<Result<std::shared_ptr<storage::Engine>>(const std::string& folder)> open;
};

// Versions after the newest one that a backup, or the node that survived, knows may have been given
// out and be lost: clients hold them as read versions, and as ids of sessions. A state that begins
// anew leaves out as many. (FoundationDB's recovery jumps too, for the same reason.)
inline constexpr std::uint64_t kVersionsLeftOut = std::uint64_t{1} << 32;
// What a version may be: more than any cluster reaches, and room for jumps within 63 bits.
inline constexpr std::uint64_t kMaxVersion = std::uint64_t{1} << 62;

struct Restored {
  backup::Header header;
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;  // of keys and values
  ClusterId cluster;        // the new one; 0 for a node by itself
  IncarnationId incarnation;
};

// Reads the backup to its end. `progress` is told the bytes read, now and then; its error ends it.
//   kAlreadyExists      the folder is not empty
//   kFailedPrecondition a node runs on it, or another restore is under way
//   kCorruption         the backup is damaged or not whole
//   kUnimplemented      it is of a later version of Cairn
//   kResourceExhausted  the disk is full
// Whatever the error, nothing is left behind.
Result<Restored> Restore(backup::Reader* reader, const Place& place, const Tools& tools,
                         const std::function<Status(std::uint64_t bytes)>& progress);

// Reads a backup to its end without writing anything: what it holds, or why it can't be used.
Result<Restored> Check(backup::Reader* reader,
                       const std::function<Status(std::uint64_t bytes)>& progress);

}  // namespace cairn::offline

#endif  // CAIRN_SRC_OFFLINE_RESTORE_H_
