#include "src/offline/recover.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "src/base/file.h"
#include "src/consensus/formation/record.h"
#include "src/consensus/journal/journal.h"
#include "src/data_folder/data_folder.h"
#include "src/kv/command.h"
#include "src/replication/interrupted_install.h"
#include "src/storage/swap_engine.h"

namespace cairn::offline {
namespace {

using consensus::Membership;
using consensus::formation::Record;

struct Opened {
  std::unique_ptr<DataFolder> folder;
  std::unique_ptr<consensus::Journal> journal;
  Record formation;
  storage::StateMeta state;
  Epoch last_epoch;
  Recovered what;
};

// The state, with the journal that belongs to it.
Result<storage::StateMeta> StateOf(const DataFolder& folder, const Tools& tools,
                                   consensus::Journal* journal) {
  storage::SwapEngineOptions options;
  options.files = tools.files;
  options.directory = folder.path();
  options.open = tools.open;
  CAIRN_ASSIGN_OR_RETURN(const auto engine, storage::SwapEngine::Open(options));
  storage::StateMeta state = engine->Meta();
  if (const auto installed = engine->installed()) {
    CAIRN_RETURN_IF_ERROR(
        replication::FinishInterruptedInstall(journal, state, installed->slot, installed->epoch));
  }
  return state;
}

// The newest membership, committed or not; and the epoch of the last entry.
Status ReadLog(const consensus::Journal& journal, Opened* opened) {
  const consensus::JournalContents held = journal.Contents();
  Recovered& what = opened->what;
  what.last_slot = std::max(held.last_slot.value_or(Slot()), held.compacted_slot);
  opened->last_epoch = std::max(held.compacted_epoch, opened->state.applied_epoch);
  what.before = opened->formation.first;
  if (!opened->state.membership.empty()) {
    CAIRN_ASSIGN_OR_RETURN(what.before, Membership::Decode(opened->state.membership));
  }
  if (what.last_slot < opened->state.applied_slot) {
    return CorruptionError("the journal ends at slot " + ToString(what.last_slot) +
                           ", but the database holds the state of slot " +
                           ToString(opened->state.applied_slot) + "; journal files are missing");
  }
  constexpr std::uint64_t kStep = 16 << 20;
  for (Slot next = std::max(held.compacted_slot, opened->state.applied_slot).Next();
       next <= what.last_slot;) {
    CAIRN_ASSIGN_OR_RETURN(const std::vector<consensus::Entry> entries,
                           journal.ReadEntries(next, what.last_slot, kStep));
    for (const consensus::Entry& entry : entries) {
      opened->last_epoch = entry.epoch;
      if (entry.kind != consensus::EntryKind::kMembership) continue;
      CAIRN_ASSIGN_OR_RETURN(what.before, Membership::Decode(*entry.payload));
    }
    next = entries.back().slot.Next();
  }
  what.last_epoch = opened->last_epoch;
  return Status::Ok();
}

// The payload of an entry: what only lost nodes had may have had versions beyond those of this log.
// It is no more than 80 GB of log, and a command takes 20 bytes of it or more.
std::string SkipLostVersions(GroupId group, Version version) {
  kv::Command command;
  command.group = group;
  command.operation = kv::SkipVersions{Version(version.value() + kVersionsLeftOut)};
  std::string encoded;
  kv::EncodeCommand(command, &encoded);
  kv::CommandBatchBuilder batch;
  batch.Add(encoded);
  return batch.Finish();
}

Result<Opened> Open(const Place& place, const Tools& tools) {
  const std::string formation = DataFolder::FormationPath(place.folder);
  if (!tools.files->Exists(formation)) {
    return NotFoundError("'" + place.folder +
                         "' is not the data folder of a member of a cluster: it has no FORMATION");
  }
  Opened opened;
  CAIRN_ASSIGN_OR_RETURN(opened.folder,
                         DataFolder::Open(place.folder, place.group, tools.files, tools.random));
  CAIRN_ASSIGN_OR_RETURN(const std::string record, tools.files->ReadFile(formation));
  CAIRN_ASSIGN_OR_RETURN(opened.formation, consensus::formation::DecodeRecord(record));
  if (opened.formation.stage != Record::Stage::kFormed) {
    return FailedPreconditionError("the cluster of '" + place.folder +
                                   "' was never formed: there is nothing to recover");
  }
  opened.what.old_cluster = opened.formation.cluster;
  consensus::JournalOptions options;
  options.directory = opened.folder->journal_path();
  options.group = place.group;
  CAIRN_ASSIGN_OR_RETURN(opened.journal,
                         consensus::Journal::Open(options, tools.files, tools.random));
  CAIRN_ASSIGN_OR_RETURN(opened.state, StateOf(*opened.folder, tools, opened.journal.get()));
  opened.what.applied_slot = opened.state.applied_slot;
  CAIRN_RETURN_IF_ERROR(ReadLog(*opened.journal, &opened));
  const Membership::Member* const self = opened.what.before.Find(place.node);
  const IncarnationId incarnation = opened.folder->identity().incarnation;
  if (self == nullptr) {
    return FailedPreconditionError("node " + ToString(place.node) +
                                   " is no member of the newest membership in '" + place.folder +
                                   "': it was removed, and its state is old. Recover from another "
                                   "node");
  }
  if (self->incarnation != incarnation && !self->joining) {
    return FailedPreconditionError("node " + ToString(place.node) +
                                   " was replaced by another life of it: what '" + place.folder +
                                   "' holds is not its newest state. Recover from another node");
  }
  return opened;
}

}  // namespace

Result<Recovered> Survey(const Place& place, const Tools& tools) {
  CAIRN_ASSIGN_OR_RETURN(const Opened opened, Open(place, tools));
  return opened.what;
}

Result<Recovered> Recover(const Place& place, const Tools& tools) {
  CAIRN_ASSIGN_OR_RETURN(Opened opened, Open(place, tools));
  Membership only;
  only.members.push_back(
      {place.node, opened.folder->identity().incarnation, true, false, false, place.peer_endpoint});
  only.removed = opened.what.before.removed;
  for (const consensus::PeerId& peer : opened.what.before.Peers()) {
    if (peer != only.members.front().id()) only.removed.push_back(peer);
  }
  if (only.removed.size() > Membership::kMaxRemoved) {
    only.removed.erase(only.removed.begin(), only.removed.end() - Membership::kMaxRemoved);
  }
  // The new cluster first: then nobody of the old one speaks to this node, and it can't lead there.
  opened.what.cluster = ClusterId(tools.random->Next() | 1);
  // Its first members stay the old ones until the log says otherwise.
  Record record{Record::Stage::kFormed, opened.formation.attempt + 1, opened.what.cluster,
                opened.formation.first};
  const std::string path = DataFolder::FormationPath(place.folder);
  CAIRN_RETURN_IF_ERROR(tools.files->WriteFileAtomically(path, Encode(record)));
  // As if the leader of the last epoch had made the change: whoever leads decides alone from here.
  const Slot slot = opened.what.last_slot.Next();
  consensus::Persist persist;
  persist.token = consensus::PersistToken(1);
  persist.entries.push_back({slot, std::max(opened.last_epoch, Epoch(1)),
                             consensus::EntryKind::kMembership,
                             std::make_shared<const std::string>(only.Encode())});
  persist.entries.push_back(
      {slot.Next(), persist.entries.front().epoch, consensus::EntryKind::kCommands,
       std::make_shared<const std::string>(SkipLostVersions(place.group, opened.state.version))});
  CAIRN_RETURN_IF_ERROR(opened.journal->Append(persist));
  CAIRN_RETURN_IF_ERROR(opened.journal->Sync());
  record.first = only;
  record.first.removed.clear();
  CAIRN_RETURN_IF_ERROR(tools.files->WriteFileAtomically(path, Encode(record)));
  return opened.what;
}

}  // namespace cairn::offline
