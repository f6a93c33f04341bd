#include "src/kv/operation.h"

#include <array>
#include <type_traits>
#include <utility>

#include "src/base/codec.h"

namespace cairn::kv {
namespace {

template <std::size_t... I>
std::vector<std::string_view> NamesOf(std::index_sequence<I...>) {
  return {OperationTraits<std::variant_alternative_t<I, KvOperation>>::kName...};
}

Status CheckKey(std::string_view key, const Limits& limits) {
  if (key.empty()) return InvalidArgumentError("the key cannot be empty");
  if (key.size() > limits.key_bytes) {
    return InvalidArgumentError(
        "the key " + Printable(key, 16) +
        " is over the limit key_bytes = " + std::to_string(limits.key_bytes));
  }
  return Status::Ok();
}

// Bounds of ranges may be empty, and one byte longer than a key: the key after the longest key.
Status CheckBound(std::string_view key, const Limits& limits) {
  if (key.size() > limits.key_bytes + 1) {
    return InvalidArgumentError(
        "a range bound of " + std::to_string(key.size()) +
        " bytes is over the limit key_bytes = " + std::to_string(limits.key_bytes));
  }
  return Status::Ok();
}

Status CheckValue(std::string_view value, const Limits& limits) {
  if (value.size() > limits.value_bytes) {
    return InvalidArgumentError(
        "a value of " + std::to_string(value.size()) +
        " bytes is over the limit value_bytes = " + std::to_string(limits.value_bytes));
  }
  return Status::Ok();
}

Status CheckFamily(std::string_view name, const Limits& limits) {
  if (name.size() > limits.column_family_name_bytes) {
    return InvalidArgumentError("a column family name of " + std::to_string(name.size()) +
                                " bytes is over the limit column_family_name_bytes = " +
                                std::to_string(limits.column_family_name_bytes));
  }
  return Status::Ok();
}

Status CheckPair(std::string_view key, std::string_view value, std::string_view family,
                 const Limits& limits) {
  CAIRN_RETURN_IF_ERROR(CheckKey(key, limits));
  CAIRN_RETURN_IF_ERROR(CheckValue(value, limits));
  return CheckFamily(family, limits);
}

Status CheckRange(const RangeQuery& range, const Limits& limits) {
  CAIRN_RETURN_IF_ERROR(CheckBound(range.begin.key, limits));
  return range.end ? CheckBound(range.end->key, limits) : Status::Ok();
}

Status CheckMutation(const Mutation& m, std::size_t index, const Limits& limits) {
  const auto at = [index](const Status& s) {
    return Status(s.code(), "operation " + std::to_string(index) + ": " + s.message());
  };
  const bool key_stamp = m.type == MutationType::kSetVersionstampedKey;
  const bool value_stamp = m.type == MutationType::kSetVersionstampedValue;
  if ((key_stamp && m.key.size() < 10) || (value_stamp && m.value.size() < 10)) {
    return at(
        InvalidOperationError("a versionstamp takes the last 10 bytes of its template, which has " +
                              std::to_string(key_stamp ? m.key.size() : m.value.size())));
  }
  const std::string_view value = m.type == MutationType::kDelete ? std::string_view() : m.value;
  if (Status s = CheckPair(m.key, value, m.column_family, limits); !s.ok()) return at(s);
  return Status::Ok();
}

Status CheckCount(const char* name, std::size_t count, std::size_t limit) {
  if (count <= limit) return Status::Ok();
  return InvalidArgumentError("a transaction with " + std::to_string(count) + " " + name +
                              " is over the limit " + name + " = " + std::to_string(limit));
}

Status CheckCommit(const AtomicCommit& commit, const Limits& limits) {
  CAIRN_RETURN_IF_ERROR(CheckCount("transaction_operations", commit.operations.size(),
                                   limits.transaction_operations));
  CAIRN_RETURN_IF_ERROR(
      CheckCount("conflict_keys", commit.read_conflict_keys.size(), limits.conflict_keys));
  CAIRN_RETURN_IF_ERROR(
      CheckCount("conflict_ranges", commit.read_conflict_ranges.size(), limits.conflict_ranges));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < commit.operations.size(); ++i) {
    CAIRN_RETURN_IF_ERROR(CheckMutation(commit.operations[i], i, limits));
    bytes += commit.operations[i].key.size() + commit.operations[i].value.size();
  }
  for (const ConflictKey& key : commit.read_conflict_keys) {
    CAIRN_RETURN_IF_ERROR(CheckBound(key.key, limits));
    if (key.column_family) CAIRN_RETURN_IF_ERROR(CheckFamily(*key.column_family, limits));
    bytes += key.key.size();
  }
  for (const ConflictRange& range : commit.read_conflict_ranges) {
    CAIRN_RETURN_IF_ERROR(CheckBound(range.begin, limits));
    CAIRN_RETURN_IF_ERROR(CheckBound(range.end, limits));
    CAIRN_RETURN_IF_ERROR(CheckFamily(range.column_family, limits));
    if (!range.end.empty() && range.begin > range.end) {
      return InvalidArgumentError("a conflict range begins at " + Printable(range.begin, 32) +
                                  ", behind its end " + Printable(range.end, 32) +
                                  ", so it would guard nothing; are they swapped?");
    }
    bytes += range.begin.size() + range.end.size();
  }
  if (bytes > limits.transaction_bytes) {
    return InvalidArgumentError(
        "a transaction of " + std::to_string(bytes) +
        " bytes is over the limit transaction_bytes = " + std::to_string(limits.transaction_bytes) +
        "; split it into smaller ones");
  }
  return Status::Ok();
}

// One overload an alternative, so that a new operation can't be forgotten here either.
struct Validator {
  const Limits& limits;

  Status operator()(const Get& op) const {
    CAIRN_RETURN_IF_ERROR(CheckKey(op.key, limits));
    return CheckFamily(op.column_family, limits);
  }
  Status operator()(const SnapshotRead& op) const {
    CAIRN_RETURN_IF_ERROR(CheckKey(op.key, limits));
    return CheckFamily(op.column_family, limits);
  }
  Status operator()(const GetRange& op) const {
    CAIRN_RETURN_IF_ERROR(CheckRange(op.range, limits));
    return CheckFamily(op.column_family, limits);
  }
  Status operator()(const SnapshotGetRange& op) const {
    CAIRN_RETURN_IF_ERROR(CheckRange(op.range, limits));
    return CheckFamily(op.column_family, limits);
  }
  Status operator()(const GetReadVersion&) const { return Status::Ok(); }
  Status operator()(const GetCommittedVersion&) const { return Status::Ok(); }
  Status operator()(const Set& op) const {
    return CheckPair(op.key, op.value, op.column_family, limits);
  }
  Status operator()(const Delete& op) const {
    return CheckPair(op.key, "", op.column_family, limits);
  }
  Status operator()(const AtomicCommit& op) const { return CheckCommit(op, limits); }
  Status operator()(const SetVersionstampedKey& op) const {
    return CheckPair(op.key_template, op.value, op.column_family, limits);
  }
  Status operator()(const SetVersionstampedValue& op) const {
    return CheckPair(op.key, op.value_template, op.column_family, limits);
  }
  Status operator()(const CreateColumnFamily& op) const {
    if (op.name.empty()) return InvalidArgumentError("a column family needs a name");
    return CheckFamily(op.name, limits);
  }
  Status operator()(const DropColumnFamily& op) const {
    if (IsDefaultFamily(op.name)) {
      return InvalidArgumentError("the column family 'default' cannot be dropped");
    }
    return CheckFamily(op.name, limits);
  }
  Status operator()(const OpenSession&) const { return Status::Ok(); }
  Status operator()(const CloseSession&) const { return Status::Ok(); }
  Status operator()(const ExpireSessions& op) const {
    return op.idle_us >= 0 ? Status::Ok()
                           : InvalidArgumentError("idle_us is " + std::to_string(op.idle_us) +
                                                  "; it cannot be negative");
  }
  Status operator()(const AdvanceWatermark&) const { return Status::Ok(); }
  Status operator()(const EnableFeatures&) const { return Status::Ok(); }
  Status operator()(const SkipVersions&) const { return Status::Ok(); }
};

}  // namespace

OperationType operation_type(const KvOperation& operation) {
  return std::visit(
      [](const auto& op) { return OperationTraits<std::decay_t<decltype(op)>>::kType; }, operation);
}

bool is_read_only(const KvOperation& operation) {
  return operation_type(operation) == OperationType::kRead;
}

bool requires_consensus(const KvOperation& operation) { return !is_read_only(operation); }

std::string_view operation_name(const KvOperation& operation) {
  return AllOperationNames()[operation.index()];
}

const std::vector<std::string_view>& AllOperationNames() {
  static const std::vector<std::string_view> names =
      NamesOf(std::make_index_sequence<std::variant_size_v<KvOperation>>());
  return names;
}

Status CheckFeatures(std::uint64_t bits, std::uint64_t known, const std::string& where) {
  const std::uint64_t unknown = bits & ~known;
  if (unknown == 0) return Status::Ok();
  return UnimplementedError(where + " has features " + std::to_string(unknown) +
                            " (as bits) switched on, which this version of Cairn does not know; "
                            "run a later one");
}

Status Validate(const KvOperation& operation, const Limits& limits) {
  return std::visit(Validator{limits}, operation);
}

}  // namespace cairn::kv
