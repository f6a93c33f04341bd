// What an operation says that ends at its deadline.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "src/client/core.h"
#include "src/client/net/io_loop.h"

namespace cairn::client {
namespace {

class DownChannel final : public NodeChannel {
 public:
  DownChannel(std::atomic<int>* tries, std::shared_ptr<IoLoop> loop)
      : tries_(tries), loop_(std::move(loop)) {}
  std::shared_ptr<Call> Start(std::shared_ptr<const Request> /*request*/,
                              const CallContext& /*context*/, Done done) override {
    ++*tries_;
    loop_->Post([done = std::move(done)]() mutable {
      done({UnavailableError("127.0.0.1:9090: connection refused"), false});
    });
    return nullptr;
  }
  void Close() override {}

 private:
  std::atomic<int>* const tries_;
  const std::shared_ptr<IoLoop> loop_;
};

// A machine so busy that each timer runs an hour late.
class LateScheduler final : public Scheduler {
 public:
  explicit LateScheduler(std::shared_ptr<IoLoop> loop) : loop_(std::move(loop)) {}
  [[nodiscard]] MonotonicTime Now() const override { return now_; }
  void Post(Task task) override { loop_->Post(std::move(task)); }
  TimerId AddTimer(MonotonicTime when, Task task) override {
    now_ = when + std::chrono::hours(1);
    Post(std::move(task));
    return 1;
  }
  void CancelTimer(TimerId /*timer*/) override {}

 private:
  const std::shared_ptr<IoLoop> loop_;
  std::atomic<MonotonicTime> now_{MonotonicTime{0}};
};

TEST(OperationDeadlineTest, WhatTheLastTryMetWithIsSaidWhenItIsTooLateForAnother) {
  std::atomic<int> tries{0};
  const auto loop = std::make_shared<IoLoop>();
  CoreOptions options;
  options.client.sessions = false;
  options.stop = [loop] { loop->Stop(); };
  const auto core = ClientCore::Create(
      std::move(options), {"127.0.0.1:9090"},
      [&](const std::string&) { return std::make_shared<DownChannel>(&tries, loop); },
      std::make_shared<LateScheduler>(loop));
  RunOptions run;
  run.deadline = core->DeadlineIn(std::chrono::seconds(10));
  const Status down = core->Execute(kv::KvOperation(kv::Get{"k", ""}), run).status();
  EXPECT_EQ(down.code(), StatusCode::kUnavailable) << down.ToString();
  EXPECT_NE(down.message().find("connection refused"), std::string::npos) << down.ToString();
  EXPECT_EQ(tries, 1);
  core->Close();
}

}  // namespace
}  // namespace cairn::client
