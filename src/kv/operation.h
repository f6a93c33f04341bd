// The operations of the transactional plane, and what they are: read or write, in need of consensus
// or not. The classification is total at compile time: an alternative of KvOperation without an
// OperationTraits specialisation does not compile.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_KV_OPERATION_H_
#define CAIRN_SRC_KV_OPERATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/kv/limits.h"

namespace cairn::kv {

// The name of the family that always exists. An empty name means it too.
inline constexpr std::string_view kDefaultFamily = "default";

// A position among the keys, as FoundationDB defines it: find the last key < `key` (<= with
// or_equal), then move `offset` keys onwards. So the first key >= k is {k, false, 1}, the first key
// > k is {k, true, 1}, the last key < k is {k, false, 0}. Running off either end stays at that end.
struct KeySelector {
  std::string key;
  bool or_equal = false;
  std::int32_t offset = 1;

  static KeySelector FirstGreaterOrEqual(std::string key, std::int32_t more = 0) {
    return {std::move(key), false, 1 + more};
  }
  static KeySelector FirstGreaterThan(std::string key, std::int32_t more = 0) {
    return {std::move(key), true, 1 + more};
  }
  static KeySelector LastLessOrEqual(std::string key) { return {std::move(key), true, 0}; }
  static KeySelector LastLessThan(std::string key) { return {std::move(key), false, 0}; }
  friend bool operator==(const KeySelector&, const KeySelector&) = default;
};

// A range read: the keys k with begin <= k < end, where begin and end are resolved first.
struct RangeQuery {
  KeySelector begin{"", false, 1};
  std::optional<KeySelector> end;  // nothing: to the end of the family
  std::uint64_t limit = 0;         // pairs; 0: no bound but the bytes
  std::uint64_t max_bytes = 0;     // keys and values of the answer; 0: Limits::range_answer_bytes
  bool reverse = false;            // from the end backwards
  bool keys_only = false;          // values stay empty in the answer and don't count as bytes
  friend bool operator==(const RangeQuery&, const RangeQuery&) = default;
};

// ---- Reads

struct Get {
  std::string key;
  std::string column_family;
  friend bool operator==(const Get&, const Get&) = default;
};

struct GetRange {
  RangeQuery range;
  std::string column_family;
  friend bool operator==(const GetRange&, const GetRange&) = default;
};

// Get as of a version. A version above the current one is waited for (deadline) or refused.
struct SnapshotRead {
  std::string key;
  Version read_version;
  std::string column_family;
  friend bool operator==(const SnapshotRead&, const SnapshotRead&) = default;
};

struct SnapshotGetRange {
  RangeQuery range;
  Version read_version;
  std::string column_family;
  friend bool operator==(const SnapshotGetRange&, const SnapshotGetRange&) = default;
};

// The version to start a transaction at: that of the newest commit the read level allows to see.
struct GetReadVersion {
  friend bool operator==(const GetReadVersion&, const GetReadVersion&) = default;
};

// The version of the newest commit applied on the node that answers.
struct GetCommittedVersion {
  friend bool operator==(const GetCommittedVersion&, const GetCommittedVersion&) = default;
};

// ---- Writes

struct Set {
  std::string key;
  std::string value;
  std::string column_family;
  friend bool operator==(const Set&, const Set&) = default;
};

// Succeeds whether or not the key exists.
struct Delete {
  std::string key;
  std::string column_family;
  friend bool operator==(const Delete&, const Delete&) = default;
};

// Stores `value` under `key_template` with its last 10 bytes replaced by the commit's versionstamp
// if they are all zero; under the template as given otherwise, and if it is shorter.
struct SetVersionstampedKey {
  std::string key_template;
  std::string value;
  std::string column_family;
  friend bool operator==(const SetVersionstampedKey&, const SetVersionstampedKey&) = default;
};

// The same for the value.
struct SetVersionstampedValue {
  std::string key;
  std::string value_template;
  std::string column_family;
  friend bool operator==(const SetVersionstampedValue&, const SetVersionstampedValue&) = default;
};

enum class MutationType : std::uint8_t {
  kSet = 1,
  kDelete = 2,
  // The last 10 bytes of the key (value) are always replaced; a shorter one is refused.
  kSetVersionstampedKey = 3,
  kSetVersionstampedValue = 4,
};

// One operation of a transaction. `value` is unused by kDelete.
struct Mutation {
  MutationType type = MutationType::kSet;
  std::string key;
  std::string value;
  std::string column_family;
  friend bool operator==(const Mutation&, const Mutation&) = default;
};

struct ConflictKey {
  std::string key;
  // Nothing: the key is checked in every family (the old wire names none).
  std::optional<std::string> column_family;
  friend bool operator==(const ConflictKey&, const ConflictKey&) = default;
};

// [begin, end); an empty end is unbounded. Validate refuses begin > end.
struct ConflictRange {
  std::string begin;
  std::string end;
  std::string column_family;
  friend bool operator==(const ConflictRange&, const ConflictRange&) = default;
};

// A transaction: applied in order, all at one version, if nothing in the conflict sets was
// committed after `read_version`. Decided at apply time, from replicated state alone:
// docs/adr/0005-atomic-commit.md.
struct AtomicCommit {
  Version read_version;
  std::vector<ConflictKey> read_conflict_keys;
  std::vector<ConflictRange> read_conflict_ranges;
  std::vector<Mutation> operations;
  friend bool operator==(const AtomicCommit&, const AtomicCommit&) = default;
};

// ---- Administrative writes

struct CreateColumnFamily {
  std::string name;
  friend bool operator==(const CreateColumnFamily&, const CreateColumnFamily&) = default;
};

struct DropColumnFamily {
  std::string name;
  friend bool operator==(const DropColumnFamily&, const DropColumnFamily&) = default;
};

// Opens a session. The answer has its id in the place of a version.
struct OpenSession {
  friend bool operator==(const OpenSession&, const OpenSession&) = default;
};

struct CloseSession {
  SessionId session;
  friend bool operator==(const CloseSession&, const CloseSession&) = default;
};

// Drops the sessions that were last used more than `idle_us` microseconds before this command's
// time.
struct ExpireSessions {
  std::int64_t idle_us = 0;
  friend bool operator==(const ExpireSessions&, const ExpireSessions&) = default;
};

// Lets versions below `watermark` be dropped. One at or below the current watermark, or above the
// current version, changes nothing.
struct AdvanceWatermark {
  Version watermark;
  friend bool operator==(const AdvanceWatermark&, const AdvanceWatermark&) = default;
};

// Features that this version of Cairn knows, as bits: none so far. A state that has others switched
// on is not for this version.
inline constexpr std::uint64_t kKnownFeatures = 0;
// kUnimplemented, with what `where` has switched on beyond `known`.
Status CheckFeatures(std::uint64_t bits, std::uint64_t known, const std::string& where);

// Switches features on, so that all replicas change behaviour at the same slot.
struct EnableFeatures {
  std::uint64_t bits = 0;
  friend bool operator==(const EnableFeatures&, const EnableFeatures&) = default;
};

// No version up to `to` is given out any more: a state that is lost gave them out, and clients may
// know them. What was read at one of them can't be committed. One at or below the current version
// changes nothing.
struct SkipVersions {
  Version to;
  friend bool operator==(const SkipVersions&, const SkipVersions&) = default;
};

// The index of an alternative is its number in the command format: append only.
using KvOperation =
    std::variant<Get, GetRange, SnapshotRead, SnapshotGetRange, GetReadVersion, GetCommittedVersion,
                 Set, Delete, AtomicCommit, SetVersionstampedKey, SetVersionstampedValue,
                 CreateColumnFamily, DropColumnFamily, OpenSession, CloseSession, ExpireSessions,
                 AdvanceWatermark, EnableFeatures, SkipVersions>;

// ---- Classification

enum class OperationType : std::uint8_t { kRead, kWrite };

// What is known of an operation by its type. `kName` is used in logs, metrics and fault injection.
template <class Op>
struct OperationTraits;  // No definition: every alternative must be classified below.

#define CAIRN_CLASSIFY_(Op, Type, Name)                         \
  template <>                                                   \
  struct OperationTraits<Op> {                                  \
    static constexpr OperationType kType = OperationType::Type; \
    static constexpr std::string_view kName = Name;             \
  }
CAIRN_CLASSIFY_(Get, kRead, "get");
CAIRN_CLASSIFY_(GetRange, kRead, "get_range");
CAIRN_CLASSIFY_(SnapshotRead, kRead, "snapshot_read");
CAIRN_CLASSIFY_(SnapshotGetRange, kRead, "snapshot_get_range");
CAIRN_CLASSIFY_(GetReadVersion, kRead, "get_read_version");
CAIRN_CLASSIFY_(GetCommittedVersion, kRead, "get_committed_version");
CAIRN_CLASSIFY_(Set, kWrite, "set");
CAIRN_CLASSIFY_(Delete, kWrite, "delete");
CAIRN_CLASSIFY_(AtomicCommit, kWrite, "atomic_commit");
CAIRN_CLASSIFY_(SetVersionstampedKey, kWrite, "set_versionstamped_key");
CAIRN_CLASSIFY_(SetVersionstampedValue, kWrite, "set_versionstamped_value");
CAIRN_CLASSIFY_(CreateColumnFamily, kWrite, "create_column_family");
CAIRN_CLASSIFY_(DropColumnFamily, kWrite, "drop_column_family");
CAIRN_CLASSIFY_(OpenSession, kWrite, "open_session");
CAIRN_CLASSIFY_(CloseSession, kWrite, "close_session");
CAIRN_CLASSIFY_(ExpireSessions, kWrite, "expire_sessions");
CAIRN_CLASSIFY_(AdvanceWatermark, kWrite, "advance_watermark");
CAIRN_CLASSIFY_(EnableFeatures, kWrite, "enable_features");
CAIRN_CLASSIFY_(SkipVersions, kWrite, "skip_versions");
#undef CAIRN_CLASSIFY_

// Reads or writes? Total: std::visit instantiates OperationTraits for every alternative.
[[nodiscard]] OperationType operation_type(const KvOperation& operation);
// True if the operation changes nothing and may be served by any node.
[[nodiscard]] bool is_read_only(const KvOperation& operation);
// True if the operation must go through the log.
[[nodiscard]] bool requires_consensus(const KvOperation& operation);
// "get", "atomic_commit", ...
[[nodiscard]] std::string_view operation_name(const KvOperation& operation);
// Every operation name, in the order of the variant.
[[nodiscard]] const std::vector<std::string_view>& AllOperationNames();

// Checks what a client may ask for: sizes against `limits`, empty keys, empty or too long family
// names. kInvalidArgument (kInvalidOperation for a mutation whose versionstamp template is under 10
// bytes) that says what is wrong. Called before proposing or reading, never at apply.
Status Validate(const KvOperation& operation, const Limits& limits);

// True if `name` means the default family.
inline bool IsDefaultFamily(std::string_view name) {
  return name.empty() || name == kDefaultFamily;
}

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_OPERATION_H_
