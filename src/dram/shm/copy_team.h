// Two threads that share the work of a large copy: the one that asks for it, and a helper. Copying
// from process to process is bound by one core's time in the kernel, not by memory: two cores do
// about twice as much.
//
// The helper sleeps between copies. Nobody waits for it to begin: what it has not taken by then,
// the caller does itself. Where there are more busy threads than processors a helper only takes
// time from others, so that it is scheduled behind them (SCHED_BATCH), and is asked less and less
// often when it comes too late.
//
// Thread safety: Run, one thread at a time; its parts run on both threads. The helper belongs to
// the team, which begins it at the first copy and joins it at its end.
#ifndef CAIRN_SRC_DRAM_SHM_COPY_TEAM_H_
#define CAIRN_SRC_DRAM_SHM_COPY_TEAM_H_

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstddef>
#include <thread>

#include "src/base/mutex.h"

namespace cairn::dram::shm {

class CopyTeam {
 public:
  CopyTeam() = default;
  ~CopyTeam();
  CopyTeam(const CopyTeam&) = delete;
  CopyTeam& operator=(const CopyTeam&) = delete;

  // Calls `part` once for each number below `count`, in any order, two at a time if the helper
  // takes part. Returns when none runs any more. False if one of them said false; those that had
  // not begun by then are left out.
  bool Run(std::size_t count, absl::FunctionRef<bool(std::size_t)> part);

  // Parts that the helper has done. For tests.
  [[nodiscard]] std::size_t helped() const { return helped_.load(); }

 private:
  struct Work;
  // How many parts this thread did.
  static std::size_t Do(Work* work);
  void RunTogether(Work* work);
  // The helper, if it is not there. False if it can't be.
  bool Begin();
  void Help();

  Mutex mutex_;
  CondVar asked_;
  CondVar ended_;
  Work* work_ ABSL_GUARDED_BY(mutex_) = nullptr;  // that the helper has not taken yet
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The helper works. Written with the lock held, looked at without it too.
  std::atomic<bool> helping_{false};
  std::atomic<std::size_t> helped_{0};

  // Of the thread that runs Run.
  std::thread helper_;
  bool alone_ = false;  // there is no helper, and never will be
  std::size_t helped_before_ = 0;
  unsigned vain_ = 0;   // calls that the helper came too late for, less those that it did not
  unsigned pause_ = 0;  // calls to do without it
};

}  // namespace cairn::dram::shm

#endif  // CAIRN_SRC_DRAM_SHM_COPY_TEAM_H_
