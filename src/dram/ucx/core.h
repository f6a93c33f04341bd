// What the two sides of connections share: the links on their engine, the watch over silent peers,
// and the resolver of names.
//
// Thread safety: see each class.
#ifndef CAIRN_SRC_DRAM_UCX_CORE_H_
#define CAIRN_SRC_DRAM_UCX_CORE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "src/base/executor.h"
#include "src/dram/ucx/door.h"
#include "src/dram/ucx/link.h"

namespace cairn::dram::ucx {

// From the beginning of a connection until its first UCX message.
inline constexpr std::chrono::seconds kHandshakeLimit{5};
// A peer that owes something and says nothing is asked once a tick, and is dead after some.
inline constexpr std::chrono::milliseconds kWatchTick{500};
inline constexpr int kSilentTicks = 6;

// Thread safe.
struct Core {
  Core(std::shared_ptr<Context> context_in, std::unique_ptr<Engine> engine, std::size_t eager_bytes)
      : context(std::move(context_in)), links(std::move(engine), eager_bytes) {}
  Engine& engine() { return links.engine(); }

  const std::shared_ptr<Context> context;
  LinkSet links;
  // Looks names up, which blocks. Ends before the engine that its tasks post to.
  SystemClock clock;
  ThreadExecutor resolver{"dram-resolve", &clock};
};

// Finds that a peer has gone silent while something is owed to us. Lives on the engine.
class SilenceWatch {
 public:
  // `busy` says whether anything is owed, `last_heard` when the peer was last heard of; `ping` asks
  // it; `dead` may destroy the watch.
  struct Questions {
    std::function<bool()> busy;
    std::function<MonotonicTime()> last_heard;
    std::function<void()> ping;
    std::function<void()> dead;
  };
  SilenceWatch(Engine* engine, Questions questions)
      : engine_(engine), questions_(std::move(questions)) {}
  ~SilenceWatch() { Stop(); }
  SilenceWatch(const SilenceWatch&) = delete;
  SilenceWatch& operator=(const SilenceWatch&) = delete;

  // Call when something may be owed from now on. Cheap.
  void Wake() {
    if (!armed_) Arm();
  }
  void Stop() {
    if (armed_) engine_->Cancel(timer_);
    armed_ = false;
  }

 private:
  void Arm() {
    armed_ = true;
    timer_ = engine_->RunAt(engine_->Now() + kWatchTick, [this] { Tick(); });
  }
  // Ticks are counted, not time: a process that was stopped itself asks before it judges.
  void Tick() {
    armed_ = false;
    if (!questions_.busy()) {
      silent_ticks_ = 0;
      return;
    }
    if (questions_.last_heard() + kWatchTick > engine_->Now()) {
      silent_ticks_ = 0;
    } else if (++silent_ticks_ > kSilentTicks) {
      questions_.dead();
      return;
    } else {
      questions_.ping();
    }
    Arm();
  }

  Engine* const engine_;
  const Questions questions_;
  Engine::TimerId timer_;
  bool armed_ = false;
  int silent_ticks_ = 0;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_CORE_H_
