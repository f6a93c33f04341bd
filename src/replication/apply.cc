// What each write does to the state. Everything here runs at every replica with the same result.
#include <absl/container/flat_hash_map.h>

#include <string>
#include <utility>
#include <vector>

#include "src/base/codec.h"
#include "src/replication/conflicts.h"
#include "src/replication/state_keys.h"
#include "src/replication/state_machine_executor.h"

namespace cairn::replication {
namespace {

using storage::SystemSpace;

constexpr std::size_t kStampBytes = 10;

std::string Versionstamp(Version version, std::uint16_t order) {
  std::string stamp;
  Encoder e(&stamp);
  e.BigEndian64(version.value());
  e.BigEndian16(order);
  return stamp;
}

// The template with its last 10 bytes replaced. It must have that many.
std::string Stamped(std::string_view text, Version version, std::uint16_t order) {
  std::string out(text.substr(0, text.size() - kStampBytes));
  out += Versionstamp(version, order);
  return out;
}

bool EndsInZeros(std::string_view text) {
  return text.size() >= kStampBytes &&
         text.substr(text.size() - kStampBytes).find_first_not_of('\0') == std::string_view::npos;
}

// What the two RPCs make of their template: only a tail of zeros is replaced.
std::string StampedIfAsked(const std::string& text, Version version) {
  return EndsInZeros(text) ? Stamped(text, version, 0) : text;
}

// A mutation with its family looked up and its stamp put in.
struct Change {
  FamilyId family;
  std::string key;
  std::string value;
  bool is_delete = false;
  std::uint16_t order = 0;
};

// What a commit comes down to: the last change of each key, in the order of first mention. `error`
// is set if the commit is not well formed.
std::vector<Change> LastChanges(const kv::AtomicCommit& op, const FamilyTable& families,
                                Version version, Status* error) {
  std::vector<Change> changes;
  changes.reserve(op.operations.size());
  absl::flat_hash_map<std::pair<FamilyId, std::string>, std::size_t> last;
  const bool may_repeat = op.operations.size() > 1;
  for (std::size_t i = 0; i < op.operations.size(); ++i) {
    const kv::Mutation& m = op.operations[i];
    Result<Family> family = families.Find(m.column_family);
    if (!family.ok()) {
      *error = std::move(family).status();
      return {};
    }
    Change change{family->id, m.key, {}, false, static_cast<std::uint16_t>(i)};
    switch (m.type) {
      case kv::MutationType::kSet:
        change.value = m.value;
        break;
      case kv::MutationType::kDelete:
        change.is_delete = true;
        break;
      case kv::MutationType::kSetVersionstampedKey:
      case kv::MutationType::kSetVersionstampedValue: {
        const bool in_key = m.type == kv::MutationType::kSetVersionstampedKey;
        if ((in_key ? m.key : m.value).size() < kStampBytes) {
          *error = InvalidOperationError("operation " + std::to_string(i) +
                                         ": a versionstamp needs a template of 10 bytes or more");
          return {};
        }
        change.key = in_key ? Stamped(m.key, version, change.order) : m.key;
        change.value = in_key ? m.value : Stamped(m.value, version, change.order);
        break;
      }
    }
    if (may_repeat) {
      const auto [it, first] = last.try_emplace({change.family, change.key}, changes.size());
      if (!first) {
        changes[it->second] = std::move(change);
        continue;
      }
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

// kConflict, kTransactionTooOld or kInvalidArgument if the commit may not go on; other codes come
// from the engine.
Status CheckReadSet(const kv::AtomicCommit& op, const storage::StateMeta& meta,
                    const FamilyTable& families, const storage::Engine& engine) {
  const bool has_conflict_set = !op.read_conflict_keys.empty() || !op.read_conflict_ranges.empty();
  if (has_conflict_set && op.read_version < meta.watermark) {
    return TransactionTooOldError("read version " + ToString(op.read_version) + " is below " +
                                  ToString(meta.watermark) +
                                  ", the oldest that is kept; start again with a new one");
  }
  if (op.read_version > meta.version) {
    return InvalidArgumentError("read version " + ToString(op.read_version) +
                                " is above the current " + ToString(meta.version));
  }
  const auto check_family = [&](std::string_view name) -> Result<Family> {
    CAIRN_ASSIGN_OR_RETURN(const Family family, families.Find(name));
    if (family.created > op.read_version) {
      return ConflictError("column family '" + Printable(name) + "' was created at version " +
                           ToString(family.created) + ", after read version " +
                           ToString(op.read_version));
    }
    return family;
  };
  const auto all = families.Snapshot();
  for (const kv::ConflictKey& conflict : op.read_conflict_keys) {
    if (conflict.column_family) {
      CAIRN_ASSIGN_OR_RETURN(const Family family, check_family(*conflict.column_family));
      CAIRN_RETURN_IF_ERROR(CheckConflictKey(engine, family.id, conflict.key, op.read_version));
      continue;
    }
    // It may have been read in a family that is gone.
    if (families.last_drop() > op.read_version) {
      return ConflictError("a column family was dropped at version " +
                           ToString(families.last_drop()) + ", after read version " +
                           ToString(op.read_version) + "; start again with a new read version");
    }
    CAIRN_RETURN_IF_ERROR(CheckConflictKey(engine, FamilyId(), conflict.key, op.read_version));
    for (const auto& [name, family] : *all) {
      CAIRN_RETURN_IF_ERROR(CheckConflictKey(engine, family.id, conflict.key, op.read_version));
    }
  }
  for (const kv::ConflictRange& range : op.read_conflict_ranges) {
    CAIRN_ASSIGN_OR_RETURN(const Family family, check_family(range.column_family));
    CAIRN_RETURN_IF_ERROR(
        CheckConflictRange(engine, family.id, range.begin, range.end, op.read_version));
  }
  return Status::Ok();
}

// Codes that a command earns by itself. Any other one is the engine's, and must not become an
// answer: another replica's engine may be well.
bool IsVerdict(StatusCode code) {
  return code == StatusCode::kConflict || code == StatusCode::kTransactionTooOld ||
         code == StatusCode::kInvalidArgument || code == StatusCode::kNotFound;
}

}  // namespace

kv::WriteResult StateMachineExecutor::AnswerAgain(const kv::KvOperation& operation,
                                                  Version version) {
  kv::WriteResult result;
  result.version = version;
  if (const auto* key = std::get_if<kv::SetVersionstampedKey>(&operation)) {
    result.generated = StampedIfAsked(key->key_template, version);
  } else if (const auto* value = std::get_if<kv::SetVersionstampedValue>(&operation)) {
    result.generated = StampedIfAsked(value->value_template, version);
  }
  return result;
}

void StateMachineExecutor::IndexChange(FamilyId family, std::string_view key, Version version,
                                       std::uint16_t order) {
  std::string value;
  Encoder e(&value);
  e.Fixed32(family.value());
  e.Raw(key);
  pending_.SystemPut(SystemSpace::kVersionIndex, state_keys::IndexEntry(version, order),
                     std::move(value));
}

void StateMachineExecutor::PutUser(FamilyId family, std::string key, std::string value,
                                   Version version, std::uint16_t order) {
  IndexChange(family, key, version, order);
  pending_.Put(family, std::move(key), std::move(value), version);
}

void StateMachineExecutor::DeleteUser(FamilyId family, std::string key, Version version,
                                      std::uint16_t order) {
  IndexChange(family, key, version, order);
  pending_.Delete(family, std::move(key), version);
}

std::optional<FamilyId> StateMachineExecutor::BeginWrite(std::string_view column_family,
                                                         const kv::Command& command,
                                                         ApplyOutcome* outcome) {
  Result<Family> family = families_.Find(column_family);
  if (!family.ok()) {
    outcome->status = std::move(family).status();
    return std::nullopt;
  }
  outcome->result.version = TakeVersion();
  TakeSample(command.proposed_at);
  return family->id;
}

Status StateMachineExecutor::Do(const kv::Set& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  const std::optional<FamilyId> family = BeginWrite(op.column_family, command, outcome);
  if (!family) return Status::Ok();
  PutUser(*family, op.key, op.value, meta_.version, 0);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::Delete& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  const std::optional<FamilyId> family = BeginWrite(op.column_family, command, outcome);
  if (!family) return Status::Ok();
  DeleteUser(*family, op.key, meta_.version, 0);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::SetVersionstampedKey& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  const std::optional<FamilyId> family = BeginWrite(op.column_family, command, outcome);
  if (!family) return Status::Ok();
  std::string key = StampedIfAsked(op.key_template, meta_.version);
  outcome->result.generated = key;
  PutUser(*family, std::move(key), op.value, meta_.version, 0);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::SetVersionstampedValue& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  const std::optional<FamilyId> family = BeginWrite(op.column_family, command, outcome);
  if (!family) return Status::Ok();
  std::string value = StampedIfAsked(op.value_template, meta_.version);
  outcome->result.generated = value;
  PutUser(*family, op.key, std::move(value), meta_.version, 0);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::AtomicCommit& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  // The check reads the engine, so what earlier commands of the entry did must be there.
  if (!op.read_conflict_keys.empty() || !op.read_conflict_ranges.empty()) {
    CAIRN_RETURN_IF_ERROR(WritePending());
  }
  if (Status s = CheckReadSet(op, meta_, families_, *engine_); !s.ok()) {
    if (!IsVerdict(s.code())) return s;
    outcome->status = std::move(s);
    return Status::Ok();
  }
  const Version version = meta_.version.Next();
  Status error;
  std::vector<Change> changes = LastChanges(op, families_, version, &error);
  if (!error.ok()) {
    outcome->status = std::move(error);
    return Status::Ok();
  }
  outcome->result.version = TakeVersion();
  TakeSample(command.proposed_at);
  for (Change& change : changes) {
    if (change.is_delete) {
      DeleteUser(change.family, std::move(change.key), version, change.order);
    } else {
      PutUser(change.family, std::move(change.key), std::move(change.value), version, change.order);
    }
  }
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::CreateColumnFamily& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  // Done already, by this request's own first arrival, say.
  if (kv::IsDefaultFamily(op.name) || families_.Find(op.name).ok()) {
    outcome->result.version = meta_.version;
    return Status::Ok();
  }
  const FamilyId id = meta_.next_family;
  CAIRN_RETURN_IF_ERROR(engine_->CreateFamily(id));
  meta_.next_family = id.Next();
  outcome->result.version = TakeVersion();
  const Family family{id, meta_.version};
  pending_.SystemPut(SystemSpace::kState, state_keys::Family(op.name), family.Encode());
  families_.Put(op.name, family);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::DropColumnFamily& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  const Result<Family> family = families_.Find(op.name);
  if (!family.ok()) {
    outcome->result.version = meta_.version;
    return Status::Ok();
  }
  if (family->id == FamilyId()) {
    outcome->status = InvalidArgumentError("'default' cannot be dropped");
    return Status::Ok();
  }
  outcome->result.version = TakeVersion();
  pending_.SystemDelete(SystemSpace::kState, state_keys::Family(op.name));
  pending_.SystemPut(SystemSpace::kState, state_keys::LastDrop(),
                     FamilyTable::EncodeLastDrop(meta_.version));
  families_.Erase(op.name, meta_.version);
  families_to_drop_.push_back(family->id);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::OpenSession&, const kv::Command& command,
                                ApplyOutcome* outcome) {
  const SessionId id(TakeVersion().value() ^ session_mask_);
  // The answer to this command has the id in the version's place.
  outcome->result.version = Version(id.value());
  sessions_.Open(id, command.proposed_at, &pending_);
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::CloseSession& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  if (!sessions_.Close(op.session, &pending_)) {
    outcome->status =
        SessionExpiredError("session " + ToString(op.session) + " is unknown or expired");
    return Status::Ok();
  }
  outcome->result.version = TakeVersion();
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::ExpireSessions& op, const kv::Command& command,
                                ApplyOutcome* outcome) {
  sessions_.Expire({command.proposed_at.us - op.idle_us}, &pending_);
  outcome->result.version = TakeVersion();
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::AdvanceWatermark& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  if (op.watermark > meta_.watermark && op.watermark <= meta_.version) RaiseWatermark(op.watermark);
  outcome->result.version = TakeVersion();
  return Status::Ok();
}

Status StateMachineExecutor::Do(const kv::SkipVersions& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  if (op.to > meta_.version) {
    meta_.version = op.to;
    RaiseWatermark(op.to);
  }
  outcome->result.version = TakeVersion();
  return Status::Ok();
}

void StateMachineExecutor::RaiseWatermark(Version to) {
  meta_.watermark = to;
  // A check at a read version >= watermark looks at later versions only.
  pending_.SystemDeleteRange(SystemSpace::kVersionIndex, std::string(),
                             state_keys::IndexVersion(to.Next()));
}

Status StateMachineExecutor::Do(const kv::EnableFeatures& op, const kv::Command&,
                                ApplyOutcome* outcome) {
  CAIRN_RETURN_IF_ERROR(CheckFeatures(op.bits));
  meta_.features |= op.bits;
  outcome->result.version = TakeVersion();
  return Status::Ok();
}

}  // namespace cairn::replication
