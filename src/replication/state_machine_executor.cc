#include "src/replication/state_machine_executor.h"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/base/planted_bug.h"
#include "src/replication/reader.h"
#include "src/replication/state_capture.h"
#include "src/replication/state_keys.h"
#include "src/storage/state_hash.h"

namespace cairn::replication {
namespace {

// Pending changes are handed to the engine at the end of an entry, and within one beyond this.
constexpr std::size_t kPendingBytes = 4 << 20;

// Samples of (time, version) for VersionAt: one a second of command time, for 24 hours at most.
constexpr std::int64_t kSampleEveryUs = 1'000'000;
constexpr std::size_t kMaxSamples = 86'400;

// Why a command failed that is answered again: its text was not kept. A family that was not there
// is named, where only one can be meant.
std::string WhyAgain(StatusCode code, const kv::KvOperation& operation) {
  const std::string again = "answered before, as now";
  std::set<std::string> families;
  std::visit(
      [&families](const auto& op) {
        if constexpr (requires { op.column_family; }) {
          families.insert(op.column_family);
        } else if constexpr (requires { op.read_conflict_keys; }) {
          for (const kv::Mutation& mutation : op.operations) {
            families.insert(mutation.column_family);
          }
        }
      },
      operation);
  if (code != StatusCode::kNotFound || families.size() != 1) return again;
  return "there is no column family '" + Printable(*families.begin()) + "' (" + again + ")";
}

// A database has a mask of session ids from its first command on. One that was restored from an
// empty one begins at this version or above, and has none until then.
constexpr Version kFirstRestored{std::uint64_t{1} << 32};

bool NeedsSessionMask(Version version) {
  return version > storage::StateMeta().version && version < kFirstRestored;
}

}  // namespace

struct StateMachineExecutor::HistoryPins {
  Mutex mutex;
  std::multiset<Version> versions ABSL_GUARDED_BY(mutex);
};

StateMachineExecutor::StateMachineExecutor(storage::Engine* engine, std::uint64_t known_features)
    : engine_(engine), known_features_(known_features), pins_(std::make_shared<HistoryPins>()) {}

Result<std::unique_ptr<StateMachineExecutor>> StateMachineExecutor::Open(
    storage::Engine* engine, std::uint64_t known_features) {
  std::unique_ptr<StateMachineExecutor> executor(new StateMachineExecutor(engine, known_features));
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<Loaded> loaded, executor->Load(engine));
  executor->Adopt(std::move(loaded));
  CAIRN_RETURN_IF_ERROR(executor->ReleaseHistory());
  return executor;
}

Status StateMachineExecutor::CheckFeatures(std::uint64_t bits) const {
  return kv::CheckFeatures(bits, known_features_, "the database");
}

Result<std::unique_ptr<StateMachineExecutor::Loaded>> StateMachineExecutor::Load(
    storage::Engine* engine) const {
  auto loaded = std::make_unique<Loaded>();
  loaded->meta = engine->Meta();
  CAIRN_RETURN_IF_ERROR(CheckFeatures(loaded->meta.features));
  CAIRN_RETURN_IF_ERROR(loaded->sessions.Load(*engine));
  const storage::KeyRange families{std::string(1, state_keys::kFamily),
                                   std::string(1, state_keys::kFamily + 1)};
  CAIRN_ASSIGN_OR_RETURN(auto it,
                         engine->NewSystemIterator(storage::SystemSpace::kState, families));
  std::vector<FamilyId> ids;
  for (; it->Valid(); it->Next()) {
    CAIRN_ASSIGN_OR_RETURN(const Family family, Family::Decode(it->value()));
    loaded->families.emplace(it->key().substr(1), family);
    ids.push_back(family.id);
  }
  CAIRN_RETURN_IF_ERROR(it->status());
  const auto dropped = engine->GetSystem(storage::SystemSpace::kState, state_keys::LastDrop());
  if (dropped.ok()) {
    CAIRN_ASSIGN_OR_RETURN(loaded->last_drop, FamilyTable::DecodeLastDrop(*dropped));
  } else if (dropped.status().code() != StatusCode::kNotFound) {
    return dropped.status();
  }
  const auto mask = engine->GetSystem(storage::SystemSpace::kState, state_keys::SessionMask());
  if (mask.ok()) {
    CAIRN_ASSIGN_OR_RETURN(loaded->session_mask, DecodeSessionMask(*mask));
  } else if (mask.status().code() != StatusCode::kNotFound) {
    return mask.status();
  } else if (NeedsSessionMask(loaded->meta.version)) {
    // Where it came to a mask would depend on where a replica begins to apply.
    return UnimplementedError(
        "the database was made by a build of Cairn before its first release and has no mask of "
        "session ids; dump it with that build (cairn dump --all-families) and load it into a new "
        "database");
  }
  CAIRN_RETURN_IF_ERROR(engine->ReconcileFamilies(ids));
  return loaded;
}

void StateMachineExecutor::Adopt(std::unique_ptr<Loaded> loaded) {
  meta_ = std::move(loaded->meta);
  meta_dirty_ = false;
  pending_.Clear();
  families_to_drop_.clear();
  sessions_.Assign(std::move(loaded->sessions));
  session_mask_ = loaded->session_mask;
  families_.Assign(std::move(loaded->families), loaded->last_drop);
  Publish();
}

Status StateMachineExecutor::PrepareSnapshot(storage::Engine* next) {
  CAIRN_ASSIGN_OR_RETURN(prepared_, Load(next));
  if (Planted(PlantedBug::kSessionsLostInSnapshot)) prepared_->sessions.Assign(SessionTable());
  return Status::Ok();
}

Status StateMachineExecutor::AdoptSnapshot() {
  CAIRN_CHECK(prepared_ != nullptr, "no snapshot was prepared");
  CAIRN_CHECK(prepared_->meta == engine_->Meta(), "the engine holds another state");
  Adopt(std::move(prepared_));
  return ReleaseHistory();
}

Status StateMachineExecutor::ReleaseHistory() {
  CAIRN_ASSIGN_OR_RETURN(const storage::StateMeta flushed, engine_->FlushedMeta());
  Version limit = flushed.watermark;
  {
    MutexLock lock(&pins_->mutex);
    if (!pins_->versions.empty()) limit = std::min(limit, *pins_->versions.begin());
  }
  return engine_->SetWatermark(limit);
}

Result<StateCapture> StateMachineExecutor::Capture() {
  CAIRN_RETURN_IF_ERROR(WritePending());
  StateCapture capture;
  capture.meta = meta_;
  {
    MutexLock lock(&pins_->mutex);
    pins_->versions.insert(meta_.version);
  }
  capture.history = std::shared_ptr<const void>(
      static_cast<const void*>(this), [pins = pins_, version = meta_.version](const void*) {
        MutexLock lock(&pins->mutex);
        pins->versions.erase(pins->versions.find(version));
      });
  const auto families = families_.Snapshot();
  capture.families.push_back({std::string(kv::kDefaultFamily), FamilyId(), Version(), nullptr});
  for (const auto& [name, family] : *families) {
    capture.families.push_back({name, family.id, family.created, nullptr});
  }
  for (StateCapture::FamilyPart& part : capture.families) {
    CAIRN_ASSIGN_OR_RETURN(part.pairs, engine_->NewIterator(part.id, {}, meta_.version));
  }
  CAIRN_ASSIGN_OR_RETURN(capture.records,
                         engine_->NewSystemIterator(storage::SystemSpace::kState, {}));
  return capture;
}

Status StateMachineExecutor::WritePending() {
  if (meta_dirty_) {
    CAIRN_RETURN_IF_ERROR(engine_->Write(pending_, meta_));
    pending_.Clear();
    meta_dirty_ = false;
    Publish();
  }
  while (!families_to_drop_.empty()) {
    CAIRN_RETURN_IF_ERROR(engine_->DropFamily(families_to_drop_.back()));
    families_to_drop_.pop_back();
  }
  return Status::Ok();
}

void StateMachineExecutor::Publish() {
  // Readers take the version first and the watermark last: they never see a version without its
  // data, nor data that a watermark they missed has thinned out.
  watermark_.store(meta_.watermark.value(), std::memory_order_release);
  features_.store(meta_.features, std::memory_order_release);
  version_.store(meta_.version.value(), std::memory_order_release);
  applied_slot_.store(meta_.applied_slot.value(), std::memory_order_release);
}

Status StateMachineExecutor::ApplyEntry(const consensus::Entry& entry,
                                        std::vector<ApplyOutcome>* outcomes) {
  CAIRN_RETURN_IF_ERROR(WritePending());  // What a full disk left over.
  if (entry.slot <= meta_.applied_slot) return Status::Ok();
  CAIRN_CHECK(entry.slot == meta_.applied_slot.Next(),
              "slot " + ToString(entry.slot) + " after " + ToString(meta_.applied_slot));
  if (entry.kind == consensus::EntryKind::kCommands) {
    CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string_view> commands,
                           kv::SplitCommandBatch(*entry.payload));
    // After a crash between two commands of the entry: those before are in the state.
    if (outcomes->size() < meta_.applied_commands) outcomes->resize(meta_.applied_commands);
    for (std::size_t i = outcomes->size(); i < commands.size(); ++i) {
      CAIRN_ASSIGN_OR_RETURN(const kv::Command command, kv::DecodeCommand(commands[i]));
      ApplyOutcome outcome;
      CAIRN_RETURN_IF_ERROR(ApplyCommand(command, &outcome));
      outcomes->push_back(std::move(outcome));
      meta_.applied_commands = static_cast<std::uint32_t>(i + 1);
      meta_dirty_ = true;
      if (pending_.bytes() > kPendingBytes) CAIRN_RETURN_IF_ERROR(WritePending());
    }
  } else if (entry.kind == consensus::EntryKind::kMembership) {
    CAIRN_RETURN_IF_ERROR(consensus::Membership::Decode(*entry.payload).status());
    meta_.membership = *entry.payload;
  }
  meta_.applied_slot = entry.slot;
  meta_.applied_epoch = entry.epoch;
  meta_.applied_commands = 0;
  meta_dirty_ = true;
  return WritePending();
}

Result<kv::WriteResult> StateMachineExecutor::ApplyOperation(const kv::KvOperation& operation,
                                                             WallTime now) {
  if (kv::is_read_only(operation)) {
    return InvalidArgumentError("apply_operation takes writes only, not '" +
                                std::string(kv::operation_name(operation)) + "'");
  }
  CAIRN_RETURN_IF_ERROR(WritePending());
  kv::Command command;
  command.proposed_at = now;
  command.operation = operation;
  ApplyOutcome outcome;
  CAIRN_RETURN_IF_ERROR(ApplyCommand(command, &outcome));
  CAIRN_RETURN_IF_ERROR(WritePending());
  if (!outcome.status.ok()) return outcome.status;
  return outcome.result;
}

Status StateMachineExecutor::ApplyCommand(const kv::Command& command, ApplyOutcome* outcome) {
  if (session_mask_ == 0) ChooseSessionMask(command.proposed_at);
  return command.session.value() == 0 ? Execute(command, outcome)
                                      : ApplySessionCommand(command, outcome);
}

Status StateMachineExecutor::ApplySessionCommand(const kv::Command& command,
                                                 ApplyOutcome* outcome) {
  const SessionTable::Check check = sessions_.Admit(
      command.session, command.sequence, command.first_outstanding, command.proposed_at, &pending_);
  meta_dirty_ = true;
  switch (check.verdict) {
    case SessionTable::Verdict::kUnknown:
      outcome->status = SessionExpiredError("session " + ToString(command.session) +
                                            " is unknown or expired; open a new one");
      return Status::Ok();
    case SessionTable::Verdict::kForgotten:
      outcome->status =
          Status(StatusCode::kAlreadyAnswered, "sequence " + std::to_string(command.sequence) +
                                                   " was declared received by the client");
      return Status::Ok();
    case SessionTable::Verdict::kDuplicate:
      if (check.answer.code == StatusCode::kOk) {
        outcome->result = AnswerAgain(command.operation, check.answer.version);
      } else {
        outcome->status = Status(check.answer.code, WhyAgain(check.answer.code, command.operation));
      }
      return Status::Ok();
    case SessionTable::Verdict::kApply:
      break;
  }
  CAIRN_RETURN_IF_ERROR(Execute(command, outcome));
  sessions_.Remember(command.session, command.sequence,
                     {outcome->status.code(), outcome->result.version}, &pending_);
  return Status::Ok();
}

Status StateMachineExecutor::Execute(const kv::Command& command, ApplyOutcome* outcome) {
  return std::visit(
      [&](const auto& op) -> Status {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (kv::OperationTraits<Op>::kType == kv::OperationType::kWrite) {
          return Do(op, command, outcome);
        } else {
          return CorruptionError("a read stands in the log");
        }
      },
      command.operation);
}

void StateMachineExecutor::ChooseSessionMask(WallTime first_command) {
  session_mask_ = SessionMaskOf(first_command);
  pending_.SystemPut(storage::SystemSpace::kState, state_keys::SessionMask(),
                     EncodeSessionMask(session_mask_));
  meta_dirty_ = true;
}

Version StateMachineExecutor::TakeVersion() {
  meta_.version = meta_.version.Next();
  meta_dirty_ = true;
  return meta_.version;
}

Status StateMachineExecutor::CheckReadVersion(Version at) const {
  if (at < watermark()) {
    return TransactionTooOldError("read version " + ToString(at) + " is below " +
                                  ToString(watermark()) +
                                  ", the oldest that is kept; start again with a new one");
  }
  if (at > applied_version()) {
    return InvalidArgumentError("read version " + ToString(at) + " is above the current " +
                                ToString(applied_version()));
  }
  return Status::Ok();
}

Result<Family> StateMachineExecutor::FamilyAt(std::string_view name, Version at) const {
  CAIRN_ASSIGN_OR_RETURN(const Family family, families_.Find(name));
  // At `at` there was none of that name, or another one, whose data is gone.
  if (family.created > at) {
    return NotFoundError("column family '" + Printable(name) + "' was created at version " +
                         ToString(family.created) + ", after read version " + ToString(at));
  }
  return family;
}

Result<kv::OperationResult> StateMachineExecutor::GetAt(std::string_view key,
                                                        std::string_view column_family,
                                                        Version at) const {
  CAIRN_ASSIGN_OR_RETURN(const Family family, FamilyAt(column_family, at));
  CAIRN_RETURN_IF_ERROR(CheckReadVersion(at));
  kv::GetResult result;
  CAIRN_ASSIGN_OR_RETURN(const storage::Lookup found,
                         engine_->Get(family.id, key, at, &result.value));
  CAIRN_RETURN_IF_ERROR(CheckReadVersion(at));
  result.found = found.found;
  if (found.found) {
    result.version = found.version;
  } else {
    result.value.clear();
  }
  return kv::OperationResult(std::move(result));
}

Result<kv::OperationResult> StateMachineExecutor::RangeAt(const kv::RangeQuery& query,
                                                          std::string_view column_family,
                                                          Version at,
                                                          const ReadBounds& bounds) const {
  CAIRN_ASSIGN_OR_RETURN(const Family family, FamilyAt(column_family, at));
  CAIRN_RETURN_IF_ERROR(CheckReadVersion(at));
  const ScanCheck check = [&]() -> Status {
    CAIRN_RETURN_IF_ERROR(CheckReadVersion(at));
    if (bounds.clock.Now() >= bounds.deadline) {
      return TimeoutError("the scan did not end before its deadline; ask for a smaller range");
    }
    return Status::Ok();
  };
  CAIRN_ASSIGN_OR_RETURN(kv::RangeResult result,
                         ReadRange(*engine_, family.id, query, at, bounds.limits, check));
  return kv::OperationResult(std::move(result));
}

Result<kv::OperationResult> StateMachineExecutor::Read(const kv::KvOperation& operation,
                                                       const kv::Limits& limits,
                                                       MonotonicTime deadline,
                                                       const Clock& clock) const {
  using Answer = Result<kv::OperationResult>;
  const ReadBounds bounds{limits, deadline, clock};
  // A read of the newest version can be overtaken by the watermark (a thread that was stopped for
  // longer than the window): it simply reads again.
  const auto newest = [this](const auto& read_at) -> Answer {
    while (true) {
      Answer answer = read_at(applied_version());
      if (answer.ok() || answer.status().code() != StatusCode::kTransactionTooOld) return answer;
    }
  };
  return std::visit(
      [&](const auto& op) -> Answer {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (kv::OperationTraits<Op>::kType == kv::OperationType::kWrite) {
          return InvalidArgumentError("a write was handed to Read");
        } else if constexpr (std::is_same_v<Op, kv::Get>) {
          return newest([&](Version at) { return GetAt(op.key, op.column_family, at); });
        } else if constexpr (std::is_same_v<Op, kv::SnapshotRead>) {
          return GetAt(op.key, op.column_family, op.read_version);
        } else if constexpr (std::is_same_v<Op, kv::GetRange>) {
          return newest(
              [&](Version at) { return RangeAt(op.range, op.column_family, at, bounds); });
        } else if constexpr (std::is_same_v<Op, kv::SnapshotGetRange>) {
          return RangeAt(op.range, op.column_family, op.read_version, bounds);
        } else {
          static_assert(std::is_same_v<Op, kv::GetReadVersion> ||
                        std::is_same_v<Op, kv::GetCommittedVersion>);
          return kv::OperationResult(kv::VersionResult{applied_version()});
        }
      },
      operation);
}

std::vector<std::string> StateMachineExecutor::ColumnFamilyNames() const {
  std::vector<std::string> names{std::string(kv::kDefaultFamily)};
  const auto families = families_.Snapshot();  // Held: the table may change meanwhile.
  for (const auto& [name, family] : *families) names.push_back(name);
  return names;
}

std::vector<FamilyId> StateMachineExecutor::ColumnFamilyIds() const {
  std::vector<FamilyId> ids{FamilyId()};
  const auto families = families_.Snapshot();
  for (const auto& [name, family] : *families) ids.push_back(family.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void StateMachineExecutor::TakeSample(WallTime time) {
  MutexLock lock(&samples_mutex_);
  if (!samples_.empty() && time.us < samples_.back().time.us + kSampleEveryUs) return;
  samples_.push_back({time, meta_.version});
  if (samples_.size() > kMaxSamples) samples_.pop_front();
}

std::optional<Version> StateMachineExecutor::VersionAt(WallTime time) const {
  MutexLock lock(&samples_mutex_);
  const auto after =
      std::upper_bound(samples_.begin(), samples_.end(), time,
                       [](WallTime t, const Sample& sample) { return t < sample.time; });
  if (after == samples_.begin()) return std::nullopt;
  const Version version = std::prev(after)->version;
  if (version <= watermark()) return std::nullopt;
  return version;
}

std::size_t StateMachineExecutor::session_count() const { return sessions_.size(); }

bool StateMachineExecutor::HasSessionIdleSince(WallTime time) const {
  return sessions_.AnyUsedBefore(time);
}

Result<std::uint64_t> StateMachineExecutor::StateHash() const {
  return storage::StateHash(*engine_, ColumnFamilyIds(), meta_.version);
}

}  // namespace cairn::replication
