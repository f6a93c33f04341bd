// When a peer counts as silent.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>

#include "src/base/sanitizers.h"
#include "src/dram/ucx/core.h"

namespace cairn::dram::ucx {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{kSanitized ? 100 : 20};

std::unique_ptr<Engine> MakeEngine() {
  auto context = Context::Create(NetworkConfig("tcp"));
  EXPECT_TRUE(context.ok()) << context.status().ToString();
  auto engine = Engine::Create(*context, false);
  EXPECT_TRUE(engine.ok()) << engine.status().ToString();
  return std::move(*engine);
}

// A peer that is asked, and a watch over it. Lives on the engine.
struct Watched {
  Watched(Engine* engine, bool answers)
      : watch(engine,
              {[] { return true; }, [this] { return last_heard; },
               [this, engine, answers] {
                 if (answers) last_heard = engine->Now();
                 if (++pings == 20) enough.set_value();
               },
               [this] {
                 dead = true;
                 enough.set_value();
               }},
              kTick),
        last_heard(engine->Now()) {}
  SilenceWatch watch;
  MonotonicTime last_heard;
  int pings = 0;
  bool dead = false;
  std::promise<void> enough;
};

// As long as it takes to copy a part of a large value, over and over.
void WorkOn(Engine* engine, const std::atomic<bool>* stop) {
  const auto end = engine->Now() + kTick / 4;
  while (engine->Now() < end) {
  }
  if (!stop->load()) engine->Post([engine, stop] { WorkOn(engine, stop); });
}

// Its ticks come late, so that an answer is always older than a tick when it is looked at.
TEST(SilenceWatchTest, ABusyEngineHearsOfAPeerThatAnswers) {
  const auto engine = MakeEngine();
  std::atomic<bool> stop{false};
  std::unique_ptr<Watched> watched;
  engine->RunAndWait([&] {
    watched = std::make_unique<Watched>(engine.get(), true);
    watched->watch.Wake();
    WorkOn(engine.get(), &stop);
  });
  watched->enough.get_future().wait();
  engine->RunAndWait([&] {
    stop = true;
    EXPECT_FALSE(watched->dead);
    watched->watch.Stop();
  });
  engine->RunAndWait([&] { watched = nullptr; });
}

TEST(SilenceWatchTest, APeerThatDoesNotAnswerIsAskedAndThenDead) {
  const auto engine = MakeEngine();
  std::unique_ptr<Watched> watched;
  engine->RunAndWait([&] {
    watched = std::make_unique<Watched>(engine.get(), false);
    watched->watch.Wake();
  });
  watched->enough.get_future().wait();
  engine->RunAndWait([&] {
    EXPECT_TRUE(watched->dead);
    EXPECT_EQ(watched->pings, kSilentTicks);
    watched = nullptr;
  });
}

}  // namespace
}  // namespace cairn::dram::ucx
