// Operations that are cancelled from another thread at every moment of their beginning, against a
// node that never answers.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "src/client/cancellation.h"
#include "src/client/core.h"
#include "src/client/net/io_loop.h"

namespace cairn::client {
namespace {

class SilentCall final : public Call {
 public:
  void Abandon() override {
    if (!given_up_.exchange(true)) ends_.set_value();
  }
  bool Drive() override {
    // Whoever drives it waits for as long as the operation may take, unless it is given up.
    EXPECT_EQ(ends_.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready)
        << "a call of a cancelled operation was not given up";
    return true;
  }

 private:
  std::atomic<bool> given_up_{false};
  std::promise<void> ends_;
};

class SilentChannel final : public NodeChannel {
 public:
  explicit SilentChannel(std::atomic<int>* started) : started_(started) {}
  std::shared_ptr<Call> Start(std::shared_ptr<const Request> /*request*/,
                              const CallContext& /*context*/, Done /*done*/) override {
    ++*started_;
    return std::make_shared<SilentCall>();
  }
  void Close() override {}

 private:
  std::atomic<int>* const started_;
};

TEST(OperationCancelTest, WhicheverMomentItIsTheCallIsGivenUp) {
  constexpr int kRounds = 40'000;
  std::atomic<int> started{0};
  const auto loop = std::make_shared<IoLoop>();
  CoreOptions options;
  options.client.sessions = false;
  options.stop = [loop] { loop->Stop(); };
  const auto core = ClientCore::Create(
      std::move(options), {"127.0.0.1:9090"},
      [&](const std::string&) { return std::make_shared<SilentChannel>(&started); }, loop);

  std::atomic<Cancellation*> next{nullptr};
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    for (int round = 0; !over; ++round) {
      Cancellation* cancellation = nullptr;
      while ((cancellation = next.load()) == nullptr && !over) std::this_thread::yield();
      if (cancellation == nullptr) return;
      // A little later each time.
      std::atomic<int> moments{0};
      while (++moments < round % 500) {
      }
      cancellation->Cancel();
      next = nullptr;
    }
  });
  for (int round = 0; round < kRounds && !testing::Test::HasFailure(); ++round) {
    RunOptions run;
    run.deadline = core->DeadlineIn(std::chrono::hours(1));
    run.cancellation = std::make_shared<Cancellation>();
    Request request = kv::KvOperation(kv::Get{"k", ""});
    if (round % 2 == 0) request = kv::KvOperation(kv::Set{"k", "v", ""});
    const int before = started;
    next = run.cancellation.get();
    const Status status = core->Execute(std::move(request), run).status();
    EXPECT_EQ(status.code(), StatusCode::kCancelled) << status.ToString();
    EXPECT_TRUE(status.maybe_applied() || round % 2 == 1 || started == before)
        << "a write was sent, and is told to be not applied";
    while (next != nullptr) std::this_thread::yield();
  }
  over = true;
  canceller.join();
  core->Close();
}

}  // namespace
}  // namespace cairn::client
