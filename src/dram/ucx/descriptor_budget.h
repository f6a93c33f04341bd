// Whether a listener may take one connection more without taking the process's last descriptors.
//
// UCX accepts on a thread of its own, and when that fails for want of descriptors its socket stays
// ready: the thread spins, with a line in the log each time, until one is free (seen with UCX
// 1.13). So nobody is let in by the door for whom UCX would have none, and the rest of the process
// keeps some for its files.
//
// Thread safety: none; lives on its engine.
#ifndef CAIRN_SRC_DRAM_UCX_DESCRIPTOR_BUDGET_H_
#define CAIRN_SRC_DRAM_UCX_DESCRIPTOR_BUDGET_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include "src/base/clock.h"

namespace cairn::dram::ucx {

// Descriptors that this process may still open: its limit (RLIMIT_NOFILE) less those below it that
// are open. Nothing where /proc can't be read; 0 if it can't for want of one.
std::optional<std::size_t> FreeDescriptors();

class DescriptorBudget {
 public:
  // A connection takes at most so many: its door's, and two of UCX, or four for shared memory and
  // one more while it is made.
  static constexpr std::size_t kEach = 6;
  // Left to the rest of the process.
  static constexpr std::size_t kKept = 16;

  explicit DescriptorBudget(std::function<std::optional<std::size_t>()> free = FreeDescriptors)
      : free_(std::move(free)) {}
  // Takes the descriptors of one connection more, while `in_making` others may still want theirs.
  // False: there are too few.
  bool Take(std::size_t in_making, MonotonicTime now);
  // Gives back what was taken last: nobody came.
  void GiveBack() { ++left_; }

 private:
  // Counting costs some microseconds for every hundred descriptors, so a count serves for a while.
  static constexpr std::chrono::milliseconds kCountFor{100};
  static constexpr std::size_t kConnectionsEachCount = 64;

  const std::function<std::optional<std::size_t>()> free_;
  std::size_t left_ = 0;  // connections, by the last count
  MonotonicTime counted_until_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_DESCRIPTOR_BUDGET_H_
