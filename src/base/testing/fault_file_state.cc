#include "src/base/testing/fault_file_state.h"

#include <algorithm>
#include <utility>

namespace cairn {

using fault_internal::Armed;
using fault_internal::Cell;
using fault_internal::NameChange;
using fault_internal::Resolved;
using fault_internal::Verdict;

namespace {

void MakeDurable(const Cell& cell) {
  if (cell.target == nullptr) {
    cell.directory->durable_entries.erase(cell.name);
  } else {
    cell.directory->durable_entries[cell.name] = cell.target;
  }
}

}  // namespace

FaultFileSystem::State::State() : root(std::make_shared<Inode>()) {
  root->directory = true;
  root->links = 1;
}

Verdict FaultFileSystem::State::Begin(FileOperation kind) {
  const auto i = static_cast<std::size_t>(kind);
  ++counts[i];
  if (dead) {
    ++effects.refused_dead;
    return {false, IoError("the disk is dead")};
  }
  if (powered_off) return {false, IoError("the power is off")};
  if (armed[i].countdown > 0 && --armed[i].countdown == 0) {
    ++effects.failed_on_demand;
    return {false, armed[i].status};
  }
  if (kind == FileOperation::kRead) return {};
  ++operations;
  if (power_off_in > 0 && --power_off_in == 0) {
    powered_off = true;
    return {true, IoError("the power went off during this operation")};
  }
  return {};
}

Resolved FaultFileSystem::State::Resolve(const std::string& path) {
  Resolved at{nullptr, "", root};
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (at.inode == nullptr || !at.inode->directory) return {};
    at.directory = at.inode;
    const auto it = at.directory->entries.find(part);
    at.inode = it == at.directory->entries.end() ? nullptr : it->second;
    at.name = std::move(part);
  }
  return at;
}

void FaultFileSystem::State::Change(NameChange change) {
  // Former targets are let go last: a renamed file gets a name before it loses one.
  std::vector<InodePtr> former;
  for (const Cell& cell : change) {
    InodePtr& held = cell.directory->entries[cell.name];
    if (held != nullptr) former.push_back(held);
    held = cell.target;
    if (held == nullptr) {
      cell.directory->entries.erase(cell.name);
    } else {
      ++held->links;
    }
  }
  for (const InodePtr& inode : former) {
    --inode->links;
    ReleaseIfDead(inode.get());
  }
  name_changes.push_back(std::move(change));
}

void FaultFileSystem::State::SyncNames(const InodePtr& directory) {
  std::vector<NameChange> left;
  for (const NameChange& change : name_changes) {
    NameChange elsewhere;
    for (const Cell& cell : change) {
      if (cell.directory == directory) {
        MakeDurable(cell);
      } else {
        elsewhere.push_back(cell);
      }
    }
    if (!elsewhere.empty()) left.push_back(std::move(elsewhere));
  }
  name_changes = std::move(left);
}

void FaultFileSystem::State::Crash(CrashMode mode, Random* random) {
  ++life;
  powered_off = false;
  power_off_in = 0;
  for (Armed& fault : armed) fault.countdown = 0;
  CrashNames(mode, random);
  used = 0;
  absl::flat_hash_set<const Inode*> seen;
  Reload(root.get(), mode, random, &seen);
}

void FaultFileSystem::State::CrashNames(CrashMode mode, Random* random) {
  if (mode == CrashMode::kKeepUnsynced) return;
  // Half of the random cuts keep names in order, as journaling file systems do.
  const bool is_random = mode == CrashMode::kRandom;
  const bool in_order = is_random && random->OneIn(1, 2);
  const std::uint64_t kept = in_order ? random->Below(name_changes.size() + 1) : 0;
  for (std::size_t i = 0; i < name_changes.size(); ++i) {
    const bool keep = is_random && (in_order ? i < kept : random->OneIn(1, 2));
    if (!keep) {
      ++effects.names_lost;
      continue;
    }
    for (const Cell& cell : name_changes[i]) MakeDurable(cell);
  }
  name_changes.clear();
}

void FaultFileSystem::State::Reload(Inode* directory, CrashMode mode, Random* random,
                                    absl::flat_hash_set<const Inode*>* seen) {
  if (mode != CrashMode::kKeepUnsynced) directory->entries = directory->durable_entries;
  for (const auto& [name, inode] : directory->entries) {
    if (!seen->insert(inode.get()).second) {
      ++inode->links;
      continue;
    }
    inode->links = 1;
    inode->handles = 0;
    inode->locked = false;
    if (inode->directory) {
      Reload(inode.get(), mode, random, seen);
      continue;
    }
    bool lost = false;
    if (mode == CrashMode::kRandom) lost = inode->content.CrashRandomly(random);
    if (mode == CrashMode::kDropUnsynced) lost = inode->content.CrashDroppingUnsynced();
    if (lost) ++effects.files_lost_bytes;
    used += inode->content.Charge();
  }
}

}  // namespace cairn
