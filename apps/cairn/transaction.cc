#include "apps/cairn/transaction.h"

namespace cairn::cli {
namespace {

// The first key behind `key`.
std::string After(std::string key) {
  key += '\0';
  return key;
}

// The bounds as a half-open range; an end that is not given is that of the wire.
std::pair<std::string, std::string> HalfOpen(const Bounds& bounds) {
  std::string begin = bounds.begin.value_or("");
  if (!bounds.begin_included) begin = After(begin);
  std::string end = bounds.end.value_or("\xFF");
  if (bounds.end_included) end = After(end);
  return {std::move(begin), std::move(end)};
}

}  // namespace

MaybeFailure Transaction::Begin() {
  thrift_api::GetReadVersionRequest request;
  context_.Prepare(&request);
  thrift_api::GetReadVersionResponse response;
  if (auto failure = context_.Call([&](auto& node) { node.getReadVersion(response, request); })) {
    return failure;
  }
  read_version_ = response.read_version;
  return FailureOf(response);
}

MaybeFailure Transaction::Get(const std::string& key, MaybeValue* value) {
  const FamilyKey family_key(context_.options().column_family, key);
  for (const auto* known : {&writes_, &reads_}) {
    const auto found = known->find(family_key);
    if (found != known->end()) {
      *value = found->second;
      return std::nullopt;
    }
  }
  thrift_api::SnapshotReadRequest request;
  request.__set_key(key);
  request.__set_read_version(read_version_);
  context_.Prepare(&request);
  thrift_api::SnapshotReadResponse response;
  if (auto failure = context_.Call([&](auto& node) { node.snapshotRead(response, request); })) {
    return failure;
  }
  if (auto failure = FailureOf(response)) return failure;
  if (response.found) *value = std::move(response.value);
  reads_[family_key] = *value;
  return std::nullopt;
}

MaybeFailure Transaction::Range(const Bounds& bounds, std::uint64_t limit,
                                std::vector<std::pair<std::string, std::string>>* pairs) {
  const std::string& family = context_.options().column_family;
  const auto [begin, end] = HalfOpen(bounds);
  thrift_api::ConflictRange conflict;
  conflict.__set_begin_key(begin);
  conflict.__set_end_key(end);
  if (!family.empty()) conflict.__set_column_family(family);
  // The stored pairs under the transaction's writes. Its deletes may hide some, so the limit comes
  // last.
  std::map<std::string, std::string> merged;
  RangeReader reader(&context_, bounds, limit == 0 ? 0 : limit + writes_.size(), read_version_);
  std::vector<thrift_api::KeyValue> page;
  while (!reader.done()) {
    if (auto failure = reader.Next(&page)) return failure;
    for (auto& pair : page) merged.emplace(std::move(pair.key), std::move(pair.value));
  }
  if (begin < end) ranges_.push_back(std::move(conflict));
  for (auto at = writes_.lower_bound({family, begin});
       at != writes_.end() && at->first < FamilyKey(family, end); ++at) {
    if (at->second.has_value()) {
      merged[at->first.second] = *at->second;
    } else {
      merged.erase(at->first.second);
    }
  }
  for (auto& [key, value] : merged) {
    if (limit > 0 && pairs->size() == limit) break;
    pairs->emplace_back(key, std::move(value));
  }
  return std::nullopt;
}

void Transaction::Write(const std::string& key, MaybeValue value) {
  const std::string& family = context_.options().column_family;
  thrift_api::Operation operation;
  operation.__set_type(value.has_value() ? "set" : "delete");
  operation.__set_key(key);
  if (value.has_value()) operation.__set_value(*value);
  if (!family.empty()) operation.__set_column_family(family);
  operations_.push_back(std::move(operation));
  writes_[{family, key}] = std::move(value);
}

MaybeFailure Transaction::Commit(std::int64_t* version) {
  thrift_api::AtomicCommitRequest request;
  request.__set_read_version(read_version_);
  request.__set_operations(operations_);
  request.__set_read_conflict_ranges(ranges_);
  std::vector<thrift_api::ConflictKey> conflict_keys;
  for (const auto& [family_key, value] : reads_) {
    thrift_api::ConflictKey conflict;
    conflict.__set_key(family_key.second);
    if (!family_key.first.empty()) conflict.__set_column_family(family_key.first);
    conflict_keys.push_back(std::move(conflict));
  }
  request.__set_scoped_read_conflict_keys(conflict_keys);
  context_.Prepare(&request);
  thrift_api::AtomicCommitResponse response;
  if (auto failure = context_.Call([&](auto& node) { node.atomicCommit(response, request); })) {
    return failure;
  }
  *version = response.committed_version;
  return FailureOf(response);
}

}  // namespace cairn::cli
