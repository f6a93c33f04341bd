// A client connection's calls in flight, by id and by deadline: what every transport needs and what
// is easy to get wrong. The owner runs the callbacks; the table runs none.
//
// Thread safety: none; it belongs to the progress thread or its owner's lock.
#ifndef CAIRN_SRC_DRAM_CALL_TABLE_H_
#define CAIRN_SRC_DRAM_CALL_TABLE_H_

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/dram/transport.h"

namespace cairn::dram {

class CallTable {
 public:
  // `id` must be new.
  void Add(CallId id, Call call);
  // Null if there is no such call, or no more. Valid until the table changes.
  Call* Find(CallId id);
  // Removes the call.
  std::optional<Call> Take(CallId id);
  // When the next call's time is up; Max() if no call has a deadline.
  [[nodiscard]] MonotonicTime NextDeadline() const;
  // Removes the calls whose deadline is at or before `now`.
  std::vector<std::pair<CallId, Call>> TakeExpired(MonotonicTime now);
  std::vector<std::pair<CallId, Call>> TakeAll();
  [[nodiscard]] std::size_t size() const { return calls_.size(); }

 private:
  absl::flat_hash_map<CallId, Call> calls_;
  // (deadline, id) of the calls that have a deadline.
  std::set<std::pair<MonotonicTime, CallId>> deadlines_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_CALL_TABLE_H_
