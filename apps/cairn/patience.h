// Asks again and again, for a bounded time.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_PATIENCE_H_
#define CAIRN_APPS_CAIRN_PATIENCE_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace cairn::cli {

// Lets `time` pass.
inline void PauseFor(std::chrono::milliseconds time) {
  // Nothing ends it early: a command has one thread.
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock<std::mutex> lock(mutex);
  never.wait_for(lock, time, [] { return false; });
}

class Patience {
 public:
  explicit Patience(std::chrono::milliseconds bound)
      : begun_(std::chrono::steady_clock::now()), until_(begun_ + bound) {}
  // Lets a moment pass; false if the time is up.
  [[nodiscard]] bool Wait() const {
    if (std::chrono::steady_clock::now() >= until_) return false;
    PauseFor(std::chrono::milliseconds(50));
    return true;
  }
  // Since it was made.
  [[nodiscard]] std::chrono::steady_clock::duration Waited() const {
    return std::chrono::steady_clock::now() - begun_;
  }

 private:
  const std::chrono::steady_clock::time_point begun_;
  const std::chrono::steady_clock::time_point until_;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_PATIENCE_H_
