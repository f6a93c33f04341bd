#include "src/dram/call_table.h"

#include "src/base/check.h"

namespace cairn::dram {

void CallTable::Add(CallId id, Call call) {
  if (call.deadline != MonotonicTime::Max()) deadlines_.emplace(call.deadline, id);
  const bool added = calls_.emplace(id, std::move(call)).second;
  CAIRN_CHECK(added, "call " + std::to_string(id) + " was added twice");
}

Call* CallTable::Find(CallId id) {
  const auto it = calls_.find(id);
  return it == calls_.end() ? nullptr : &it->second;
}

std::optional<Call> CallTable::Take(CallId id) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return std::nullopt;
  Call call = std::move(it->second);
  calls_.erase(it);
  deadlines_.erase({call.deadline, id});
  return call;
}

MonotonicTime CallTable::NextDeadline() const {
  return deadlines_.empty() ? MonotonicTime::Max() : deadlines_.begin()->first;
}

std::vector<std::pair<CallId, Call>> CallTable::TakeExpired(MonotonicTime now) {
  std::vector<std::pair<CallId, Call>> expired;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const CallId id = deadlines_.begin()->second;
    expired.emplace_back(id, *Take(id));
  }
  return expired;
}

std::vector<std::pair<CallId, Call>> CallTable::TakeAll() {
  std::vector<std::pair<CallId, Call>> all;
  all.reserve(calls_.size());
  for (auto& [id, call] : calls_) all.emplace_back(id, std::move(call));
  calls_.clear();
  deadlines_.clear();
  return all;
}

}  // namespace cairn::dram
