#include "src/server/thrift/wire_requests.h"

#include <array>

#include "src/base/codec.h"

namespace cairn::server {
namespace {

struct WireMutation {
  std::string_view name;
  kv::MutationType type;
  bool needs_value;
};
constexpr std::array<WireMutation, 4> kMutations = {{
    {"set", kv::MutationType::kSet, true},
    {"delete", kv::MutationType::kDelete, false},
    {"SET_VERSIONSTAMPED_KEY", kv::MutationType::kSetVersionstampedKey, true},
    {"SET_VERSIONSTAMPED_VALUE", kv::MutationType::kSetVersionstampedValue, true},
}};

Result<kv::Mutation> MakeMutation(const thrift_api::Operation& operation, std::size_t index) {
  for (const WireMutation& known : kMutations) {
    if (operation.type != known.name) continue;
    if (known.needs_value && !operation.__isset.value) {
      return InvalidOperationError("operation " + std::to_string(index) + ": '" + operation.type +
                                   "' needs a value");
    }
    kv::Mutation mutation;
    mutation.type = known.type;
    mutation.key = Take(operation.key);
    if (known.needs_value) mutation.value = Take(operation.value);
    mutation.column_family = Take(operation.column_family);
    return mutation;
  }
  return InvalidOperationError(
      "operation " + std::to_string(index) + ": there is no type '" +
      Printable(operation.type, 32) +
      "'; the types are set, delete, SET_VERSIONSTAMPED_KEY and SET_VERSIONSTAMPED_VALUE");
}

}  // namespace

Result<std::uint64_t> NotNegative(const char* field, std::int64_t value) {
  if (value >= 0) return static_cast<std::uint64_t>(value);
  return InvalidArgumentError(std::string(field) + " cannot be negative; it is " +
                              std::to_string(value));
}

Result<replication::ReadLevel> ParseReadLevel(std::string_view name) {
  if (name == "local") return replication::ReadLevel::kLocal;
  if (name == "leader") return replication::ReadLevel::kLeader;
  if (name == "read_index") return replication::ReadLevel::kReadIndex;
  return InvalidArgumentError("there is no read_level '" + Printable(name, 32) +
                              "'; the levels are local, leader and read_index");
}

Result<kv::AtomicCommit> MakeAtomicCommit(const thrift_api::AtomicCommitRequest& request) {
  kv::AtomicCommit commit;
  CAIRN_ASSIGN_OR_RETURN(commit.read_version, WireVersion("read_version", request.read_version));
  commit.operations.reserve(request.operations.size());
  for (std::size_t i = 0; i < request.operations.size(); ++i) {
    CAIRN_ASSIGN_OR_RETURN(kv::Mutation mutation, MakeMutation(request.operations[i], i));
    commit.operations.push_back(std::move(mutation));
  }
  commit.read_conflict_keys.reserve(request.read_conflict_keys.size() +
                                    request.scoped_read_conflict_keys.size());
  for (const std::string& key : request.read_conflict_keys) {
    commit.read_conflict_keys.push_back({Take(key), std::nullopt});
  }
  for (const auto& scoped : request.scoped_read_conflict_keys) {
    commit.read_conflict_keys.push_back({Take(scoped.key), Take(scoped.column_family)});
  }
  commit.read_conflict_ranges.reserve(request.read_conflict_ranges.size());
  for (const auto& range : request.read_conflict_ranges) {
    commit.read_conflict_ranges.push_back(
        {Take(range.begin_key), Take(range.end_key), Take(range.column_family)});
  }
  return commit;
}

}  // namespace cairn::server
