#include "src/client/write_set.h"

#include <algorithm>

namespace cairn::client {
namespace {

constexpr std::size_t kStampBytes = 10;

std::string_view FamilyKey(std::string_view name) {
  return kv::IsDefaultFamily(name) ? std::string_view() : name;
}

Status Unknown() {
  return FailedPreconditionError(
      "this transaction has written a versionstamp there, which exists only when it has committed; "
      "read it in a later transaction");
}

}  // namespace

void WriteSet::Add(kv::Mutation mutation) {
  Family& family = families_[std::string(FamilyKey(mutation.column_family))];
  switch (mutation.type) {
    case kv::MutationType::kSet:
      family.keys[mutation.key] = {Written::Kind::kSet, mutation.value};
      break;
    case kv::MutationType::kDelete:
      family.keys[mutation.key] = {Written::Kind::kDeleted, {}};
      break;
    case kv::MutationType::kSetVersionstampedValue:
      family.keys[mutation.key] = {Written::Kind::kUnknown, {}};
      break;
    case kv::MutationType::kSetVersionstampedKey: {
      const std::size_t prefix = mutation.key.size() - std::min(mutation.key.size(), kStampBytes);
      std::string first = mutation.key.substr(0, prefix);
      std::string last = first + std::string(kStampBytes, '\xFF');
      family.stamped.emplace_back(std::move(first), std::move(last));
      break;
    }
  }
  mutations_.push_back(std::move(mutation));
}

const WriteSet::Family* WriteSet::FindFamily(std::string_view name) const {
  const auto it = families_.find(FamilyKey(name));
  return it == families_.end() ? nullptr : &it->second;
}

Result<const Written*> WriteSet::Find(std::string_view family, std::string_view key) const {
  const Family* found = FindFamily(family);
  if (found == nullptr) return static_cast<const Written*>(nullptr);
  for (const auto& [first, last] : found->stamped) {
    if (key >= first && key <= last && key.size() == last.size()) return Unknown();
  }
  const auto it = found->keys.find(key);
  if (it == found->keys.end()) return static_cast<const Written*>(nullptr);
  if (it->second.kind == Written::Kind::kUnknown) return Unknown();
  return &it->second;
}

Result<WrittenKeys> WriteSet::Range(std::string_view family, const std::string& begin,
                                    const std::string& end) const {
  const Family* found = FindFamily(family);
  if (found == nullptr) return WrittenKeys();
  for (const auto& [first, last] : found->stamped) {
    if (last >= begin && (end.empty() || first < end)) return Unknown();
  }
  const auto from = found->keys.lower_bound(begin);
  const auto to = end.empty() ? found->keys.end() : found->keys.lower_bound(end);
  WrittenKeys written;
  if (!end.empty() && begin >= end) return written;
  for (auto it = from; it != to; ++it) {
    if (it->second.kind == Written::Kind::kUnknown) return Unknown();
    written.insert(*it);
  }
  return written;
}

void WriteSet::Clear() {
  families_.clear();
  mutations_.clear();
}

}  // namespace cairn::client
