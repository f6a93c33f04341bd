// What is counted while a loop runs. Internal to src/load.
#ifndef CAIRN_SRC_LOAD_RECORDER_H_
#define CAIRN_SRC_LOAD_RECORDER_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/load/runner.h"

namespace cairn::bench {

// The measured time, and how it is cut into slots.
struct Window {
  MonotonicTime begin;
  MonotonicTime end;
  std::chrono::nanoseconds slot{0};
  std::size_t slots = 0;  // 0: no time line
};

// One operation that has ended.
struct Sample {
  OperationKind kind = OperationKind::kRead;
  MonotonicTime due;   // open loop: when it should have begun; closed: when it began
  MonotonicTime sent;  // when it began
  MonotonicTime ended;
};

// Thread safety: all methods from any thread. Lanes share a few shards, so that recording seldom
// waits.
class Recorder {
 public:
  // Once, before anything is recorded. Making the recorder takes a while, which is not measured.
  void Begin(const Window& window);

  void Record(std::size_t lane, const Sample& sample, const Outcome& outcome);
  // Everything so far. `corrected`: add the closed loop's correction.
  LoopReport Report(bool corrected);

 private:
  static constexpr std::size_t kShards = 8;
  struct Shard {
    Mutex mutex;
    LoopReport report ABSL_GUARDED_BY(mutex);
    MonotonicTime last ABSL_GUARDED_BY(mutex);  // end of a measured operation
  };

  Window window_;  // constant from Begin on
  std::array<Shard, kShards> shards_;
};

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_RECORDER_H_
