// Judges the history of a run by every checker there is, and finds out when it went wrong.
//
// Thread safety: pure functions.
#ifndef CAIRN_SIM_JUDGE_H_
#define CAIRN_SIM_JUDGE_H_

#include <cstdint>
#include <string>

#include "sim/check/history.h"
#include "sim/violation.h"
#include "src/base/clock.h"

namespace cairn::sim {

struct Verdict {
  ViolationKind kind = ViolationKind::kNone;  // kNone: all is well
  std::string text;
  // Searches for an order that ended at their bound: what they looked at is not known to be right.
  std::uint64_t searches_given_up = 0;
  // By then the same could be said of what had happened so far. Of use to a reader: everything that
  // matters is in the story before it.
  MonotonicTime wrong_at;
};

// What the first checker that objects has to say. Searching for the time costs a dozen checks, of a
// bad history only.
Verdict Judge(const History& history);

// What was known of the history at `time`: answers that came later did not come.
History Until(const History& history, MonotonicTime time);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_JUDGE_H_
