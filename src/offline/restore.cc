#include "src/offline/restore.h"

#include <map>
#include <utility>
#include <vector>

#include "src/consensus/core/membership.h"
#include "src/consensus/formation/record.h"
#include "src/consensus/journal/journal.h"
#include "src/data_folder/data_folder.h"
#include "src/kv/operation.h"
#include "src/replication/state_capture.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::offline {
namespace {

using consensus::Membership;

// The restored state stands at this place of the new log.
constexpr Slot kSlot(1);
constexpr Epoch kEpoch(1);
// Written to the engine at once.
constexpr std::size_t kBatchBytes = 4 << 20;

// Sums of the backup's sections, by the name that a digest gives them.
using Sums = std::map<std::string, digest::Sum>;

std::string NameOf(const backup::SectionBegin& section) {
  return section.records ? std::string(replication::kRecordsSection)
                         : replication::FamilySection(section.name);
}

// Reads blocks up to the trailer and hands each to `take`.
template <class Take>
Result<Restored> ReadAll(backup::Reader* reader,
                         const std::function<Status(std::uint64_t)>& progress, Take take) {
  Restored restored;
  while (true) {
    CAIRN_ASSIGN_OR_RETURN(backup::Block block, reader->Next());
    CAIRN_RETURN_IF_ERROR(progress(reader->offset()));
    if (const auto* header = std::get_if<backup::Header>(&block)) {
      CAIRN_RETURN_IF_ERROR(kv::CheckFeatures(header->features, kv::kKnownFeatures, "the backup"));
      restored.header = *header;
    } else if (const auto* end = std::get_if<backup::SectionEnd>(&block)) {
      restored.pairs += end->pairs;
      restored.bytes += end->bytes;
    }
    const bool last = std::holds_alternative<backup::Trailer>(block);
    CAIRN_RETURN_IF_ERROR(take(std::move(block)));
    if (last) return restored;
  }
}

// Fills an engine with the blocks of a backup.
class Filler {
 public:
  Filler(storage::Engine* engine, std::string membership) : engine_(engine) {
    meta_.membership = std::move(membership);
  }

  Status Take(backup::Block block) {
    if (const auto* header = std::get_if<backup::Header>(&block)) return Begin(*header);
    if (auto* section = std::get_if<backup::SectionBegin>(&block)) {
      section_ = std::move(*section);
      return section_.records ? Status::Ok() : engine_->CreateFamily(section_.family);
    }
    if (auto* pairs = std::get_if<backup::Pairs>(&block)) return Put(std::move(*pairs));
    if (const auto* end = std::get_if<backup::SectionEnd>(&block)) {
      sums_[NameOf(section_)] = end->sum;
      return Status::Ok();
    }
    CAIRN_RETURN_IF_ERROR(engine_->Write(batch_, meta_));
    return engine_->Flush();
  }

  [[nodiscard]] const Sums& sums() const { return sums_; }

 private:
  Status Begin(const backup::Header& header) {
    meta_.applied_slot = kSlot;
    meta_.applied_epoch = kEpoch;
    if (header.version.value() > kMaxVersion) {
      return CorruptionError("no cluster reaches version " + ToString(header.version));
    }
    backed_up_ = header.version;
    meta_.version = meta_.watermark = Version(header.version.value() + kVersionsLeftOut);
    meta_.features = header.features;
    meta_.next_family = header.next_family;
    return Status::Ok();
  }

  Status Put(backup::Pairs pairs) {
    for (auto& [key, value] : pairs.pairs) {
      if (section_.records) {
        batch_.SystemPut(storage::SystemSpace::kState, std::move(key), std::move(value));
      } else {
        batch_.Put(section_.family, std::move(key), std::move(value), backed_up_);
      }
    }
    if (batch_.bytes() < kBatchBytes) return Status::Ok();
    CAIRN_RETURN_IF_ERROR(engine_->Write(batch_, meta_));
    batch_.Clear();
    return Status::Ok();
  }

  storage::Engine* const engine_;
  storage::StateMeta meta_;
  Version backed_up_;  // at which everything counts as written
  storage::WriteBatch batch_;
  backup::SectionBegin section_;
  Sums sums_;
};

// Does the engine hold what the backup said, and can a state machine use it?
Status CheckState(storage::Engine* engine, const Sums& sums) {
  CAIRN_ASSIGN_OR_RETURN(const auto executor, replication::StateMachineExecutor::Open(engine));
  CAIRN_ASSIGN_OR_RETURN(replication::StateCapture capture, executor->Capture());
  CAIRN_ASSIGN_OR_RETURN(const digest::StateDigest state,
                         DigestOf(std::move(capture), [] { return Status::Ok(); }));
  Sums found;
  for (const digest::Section& section : state.sections) {
    if (section.name != replication::kMetaSection) found[section.name] = section.sum;
  }
  if (found == sums) return Status::Ok();
  return CorruptionError(
      "what was restored is not what the backup holds; the disk, or this program, is at fault");
}

Status MakeDatabase(backup::Reader* reader, const std::string& folder, const Tools& tools,
                    const std::string& membership,
                    const std::function<Status(std::uint64_t)>& progress, Restored* restored) {
  Sums sums;
  {
    CAIRN_ASSIGN_OR_RETURN(const auto engine, tools.open(folder));
    Filler filler(engine.get(), membership);
    CAIRN_ASSIGN_OR_RETURN(Restored read, ReadAll(reader, progress, [&](backup::Block block) {
                             return filler.Take(std::move(block));
                           }));
    read.cluster = restored->cluster;
    read.incarnation = restored->incarnation;
    *restored = std::move(read);
    sums = filler.sums();
  }
  // As a node will find it: opened anew.
  CAIRN_ASSIGN_OR_RETURN(const auto engine, tools.open(folder));
  return CheckState(engine.get(), sums);
}

Result<Restored> Make(backup::Reader* reader, const std::string& folder, const Place& place,
                      const Tools& tools, const std::function<Status(std::uint64_t)>& progress) {
  CAIRN_ASSIGN_OR_RETURN(const auto data,
                         DataFolder::Open(folder, place.group, tools.files, tools.random));
  Restored restored;
  restored.incarnation = data->identity().incarnation;
  Membership first;
  if (place.member) {
    first.members.push_back(
        {place.node, restored.incarnation, true, false, false, place.peer_endpoint});
    restored.cluster = ClusterId(tools.random->Next() | 1);
    const consensus::formation::Record record{consensus::formation::Record::Stage::kFormed, 1,
                                              restored.cluster, first};
    CAIRN_RETURN_IF_ERROR(
        tools.files->WriteFileAtomically(DataFolder::FormationPath(folder), Encode(record)));
  }
  consensus::JournalOptions options;
  options.directory = data->journal_path();
  options.group = place.group;
  CAIRN_ASSIGN_OR_RETURN(const auto journal,
                         consensus::Journal::Open(options, tools.files, tools.random));
  CAIRN_RETURN_IF_ERROR(journal->ResetTo(kSlot, kEpoch));
  CAIRN_RETURN_IF_ERROR(MakeDatabase(reader, data->database_path(), tools,
                                     place.member ? first.Encode() : std::string(), progress,
                                     &restored));
  CAIRN_RETURN_IF_ERROR(tools.files->SyncDirectory(folder));
  return restored;
}

// The folder's place must be free; an empty folder in it goes.
Status MakeWay(const std::string& folder, FileSystem* files) {
  if (!files->Exists(folder)) return files->CreateDirectories(DirectoryOf(folder));
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(folder));
  if (names.empty()) return files->RemoveDirectory(folder);
  return AlreadyExistsError("the data folder '" + folder + "' is not empty (it holds '" +
                            names.front() +
                            "'); a backup is restored to an empty one. Move it away, or choose "
                            "another with --data-dir");
}

}  // namespace

Result<Restored> Restore(backup::Reader* reader, const Place& place, const Tools& tools,
                         const std::function<Status(std::uint64_t bytes)>& progress) {
  CAIRN_RETURN_IF_ERROR(MakeWay(place.folder, tools.files));
  const std::string beside = place.folder + ".restoring";
  if (tools.files->Exists(beside)) {
    // Of a restore that was killed; one that runs holds its lock.
    CAIRN_RETURN_IF_ERROR(tools.files->Lock(beside + "/LOCK").status());
    CAIRN_RETURN_IF_ERROR(tools.files->RemoveTree(beside));
  }
  Result<Restored> restored = Make(reader, beside, place, tools, progress);
  Status status = restored.status();
  if (status.ok()) status = tools.files->Rename(beside, place.folder);
  if (status.ok()) status = tools.files->SyncDirectory(DirectoryOf(place.folder));
  if (status.ok()) return restored;
  const Status removed = tools.files->RemoveTree(beside);
  if (removed.ok()) return status;
  return Status(status.code(), status.message() + " ('" + beside +
                                   "' could not be removed: " + removed.message() + ")");
}

Result<Restored> Check(backup::Reader* reader,
                       const std::function<Status(std::uint64_t bytes)>& progress) {
  return ReadAll(reader, progress, [](const backup::Block&) { return Status::Ok(); });
}

}  // namespace cairn::offline
