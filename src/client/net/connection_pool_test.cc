// The connections of a client against a server that sends every frame back.
#include "src/client/net/connection_pool.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace cairn::client {
namespace {

std::string Frame(const std::string& text) {
  const std::uint32_t length = __builtin_bswap32(static_cast<std::uint32_t>(text.size()));
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

// Echoes bytes, so frames; a mute one only listens. A paused one keeps its connections and reads
// nothing. With a refusal it answers that to the first bytes, and closes.
class EchoServer {
 public:
  explicit EchoServer(bool mute = false, std::string refusal = "")
      : listener_(socket(AF_INET, SOCK_STREAM, 0)), mute_(mute), refusal_(std::move(refusal)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(pipe(stop_), 0);
    fds_ = {{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    GoOn();
  }
  ~EchoServer() {
    if (thread_.joinable()) Pause();
    for (std::size_t i = 2; i < fds_.size(); ++i) {
      if (fds_[i].fd >= 0) close(fds_[i].fd);
    }
    for (const int fd : {listener_, stop_[0], stop_[1]}) close(fd);
  }
  void Pause() {
    EXPECT_EQ(write(stop_[1], "x", 1), 1);
    thread_.join();
    char stop = 0;
    EXPECT_EQ(read(stop_[0], &stop, 1), 1);
  }
  void GoOn() {
    thread_ = std::thread([this] { Run(); });
  }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", port_}; }
  [[nodiscard]] std::size_t received() const { return received_; }
  [[nodiscard]] std::size_t accepted() const { return accepted_; }

 private:
  void Run() {
    std::string buffer(1 << 16, '\0');
    for (;;) {
      (void)poll(fds_.data(), fds_.size(), -1);
      if (fds_[0].revents != 0) break;
      for (std::size_t i = 2; i < fds_.size(); ++i) {
        if (fds_[i].revents == 0) continue;
        const ssize_t got = recv(fds_[i].fd, buffer.data(), buffer.size(), 0);
        if (got > 0) received_ += static_cast<std::size_t>(got);
        if (got > 0 && !refusal_.empty()) {
          (void)send(fds_[i].fd, refusal_.data(), refusal_.size(), MSG_NOSIGNAL);
        }
        if (got <= 0 || !refusal_.empty()) {
          close(fds_[i].fd);
          fds_[i].fd = -1;
        } else if (!mute_) {
          (void)send(fds_[i].fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
        }
      }
      if (fds_[1].revents != 0) {
        fds_.push_back({accept(listener_, nullptr, nullptr), POLLIN, 0});
        ++accepted_;
      }
    }
  }

  const int listener_;
  const bool mute_;
  const std::string refusal_;
  std::atomic<std::size_t> received_{0};
  std::atomic<std::size_t> accepted_{0};
  std::uint16_t port_ = 0;
  int stop_[2] = {-1, -1};
  std::vector<pollfd> fds_;
  std::thread thread_;
};

class PoolTest : public ::testing::Test {
 protected:
  void Make(const Endpoint& endpoint, std::size_t connections,
            FramedConnection::Options connection = {}) {
    PoolOptions options;
    options.max_connections = connections;
    options.connection = connection;
    pool_ = std::make_shared<ConnectionPool>(endpoint, options, loop_, resolver_);
  }
  ~PoolTest() override {
    if (pool_) pool_->Close();
    resolver_->Stop();
    loop_->Stop();
  }
  [[nodiscard]] MonotonicTime In(std::chrono::milliseconds wait) const {
    return loop_->Now() + wait;
  }
  std::future<Result<std::string>> Background(const std::string& text,
                                              std::chrono::milliseconds wait) {
    auto done = std::make_shared<std::promise<Result<std::string>>>();
    (void)pool_->Submit(Frame(text), In(wait), /*driven=*/false,
                        [done](Result<std::string> got) { done->set_value(std::move(got)); });
    return done->get_future();
  }
  Result<std::string> Driven(const std::string& text, std::chrono::milliseconds wait) {
    std::optional<Result<std::string>> result;
    const auto call = pool_->Submit(Frame(text), In(wait), /*driven=*/true,
                                    [&](Result<std::string> got) { result = std::move(got); });
    EXPECT_TRUE(call->Drive());
    return std::move(*result);
  }

  SystemClock clock_;
  std::shared_ptr<IoLoop> loop_ = std::make_shared<IoLoop>();
  std::shared_ptr<ThreadExecutor> resolver_ = std::make_shared<ThreadExecutor>("resolve", &clock_);
  std::shared_ptr<ConnectionPool> pool_;
};

constexpr std::chrono::seconds kLong(20);

std::string Value(const Result<std::string>& got) {
  return got.ok() ? *got : got.status().ToString();
}

TEST_F(PoolTest, AnswersComeToWhoAskedWhoeverReads) {
  const EchoServer server;
  Make(server.endpoint(), 2);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const std::string text = std::to_string(t) + ":" + std::to_string(i);
        auto later = Background("b" + text, kLong);
        const auto now = Driven("d" + text, kLong);
        if (!now.ok() || *now != "d" + text) ++wrong;
        const auto then = later.get();
        if (!then.ok() || *then != "b" + text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(PoolTest, LongFramesPassInPieces) {
  const EchoServer server;
  Make(server.endpoint(), 1);
  const std::string text(3 << 20, 'x');
  const auto got = Driven(text, kLong);
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(*got, text);
}

TEST_F(PoolTest, NoAnswerIsATimeoutThatMayHaveBeenApplied) {
  EchoServer server;
  Make(server.endpoint(), 1);
  for (const bool driven : {true, false}) {
    // Connected, so that the call is sent at once, however busy the machine is.
    EXPECT_EQ(Value(Driven("up", kLong)), "up");
    server.Pause();
    const std::chrono::milliseconds brief(50);
    const Status late = (driven ? Driven("a", brief) : Background("b", brief).get()).status();
    EXPECT_EQ(late.code(), StatusCode::kTimeout) << late.ToString();
    EXPECT_TRUE(late.maybe_applied()) << late.ToString();
    server.GoOn();
  }
}

// Calls that end while their frames wait behind a long one are not sent, as their results say; the
// answers of the others come to whom they belong.
TEST_F(PoolTest, WhatEndsBeforeItIsBegunIsNeverSent) {
  EchoServer server;
  Make(server.endpoint(), 1);
  EXPECT_EQ(Value(Driven("up", kLong)), "up");
  server.Pause();
  const std::string text(32 << 20, 'x');  // more than the sockets take
  auto first = Background(text, kLong);
  const auto abandoned = pool_->Submit(Frame("abandoned"), In(kLong), /*driven=*/false,
                                       [](const Result<std::string>& /*got*/) { FAIL(); });
  auto late = Background("late", std::chrono::milliseconds(100));
  auto last = Background("last", kLong);
  abandoned->Abandon();
  const Status timeout = late.get().status();
  EXPECT_EQ(timeout.code(), StatusCode::kTimeout) << timeout.ToString();
  EXPECT_FALSE(timeout.maybe_applied());
  server.GoOn();
  const auto got = first.get();
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_TRUE(*got == text);
  EXPECT_EQ(Value(last.get()), "last");
  EXPECT_EQ(server.received(), Frame("up").size() + Frame(text).size() + Frame("last").size());
}

// What is begun goes on: else the peer would take the next frame for the rest of this one.
TEST_F(PoolTest, WhatEndsHalfSentIsSentToItsEnd) {
  EchoServer server;
  Make(server.endpoint(), 1);
  EXPECT_EQ(Value(Driven("up", kLong)), "up");
  server.Pause();
  auto begun = Background(std::string(32 << 20, 'x'), std::chrono::milliseconds(100));
  auto last = Background("last", kLong);
  const Status timeout = begun.get().status();
  EXPECT_EQ(timeout.code(), StatusCode::kTimeout) << timeout.ToString();
  EXPECT_TRUE(timeout.maybe_applied());
  server.GoOn();
  EXPECT_EQ(Value(last.get()), "last");
}

// The peer does not take the whole frame, and resets the connection after it has said why.
TEST_F(PoolTest, ARefusalIsReadThoughTheFrameIsNotSent) {
  const EchoServer server(/*mute=*/true, Frame("no"));
  for (int i = 0; i < 50; ++i) {
    // A pool of its own: the connection of the round before may not be known to be closed yet.
    if (pool_) pool_->Close();
    Make(server.endpoint(), 1);
    const std::string text(8 << 20, 'x');
    EXPECT_EQ(Value(i % 2 == 0 ? Background(text, kLong).get() : Driven(text, kLong)), "no");
  }
}

// A peer can have begun only what was sent to its end.
TEST_F(PoolTest, ACallThatWasSentInPartWasNotBegun) {
  auto server = std::make_unique<EchoServer>();
  Make(server->endpoint(), 1);
  EXPECT_EQ(Value(Driven("up", kLong)), "up");
  server->Pause();
  auto sent = Background("sent", kLong);
  auto part = Background(std::string(32 << 20, 'x'), kLong);  // more than the sockets take
  auto behind = Background("behind", kLong);
  server.reset();
  const auto broken = [](std::future<Result<std::string>>* call) {
    Status status = call->get().status();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.ToString();
    return status;
  };
  EXPECT_TRUE(broken(&sent).maybe_applied());
  EXPECT_FALSE(broken(&part).maybe_applied());
  EXPECT_FALSE(broken(&behind).maybe_applied());
}

TEST_F(PoolTest, AfterALastAnswerTheConnectionTakesNoCalls) {
  const EchoServer server;
  FramedConnection::Options options;
  options.is_last = [](std::string_view answer) { return answer == "last"; };
  Make(server.endpoint(), 1, options);
  for (std::size_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(Value(Driven("more", kLong)), "more");
    EXPECT_EQ(Value(i % 2 == 0 ? Background("last", kLong).get() : Driven("last", kLong)), "last");
    EXPECT_EQ(server.accepted(), i);  // the server itself closes none
  }
}

// A length over the limit is that of an answer, or the first bytes of another protocol.
TEST_F(PoolTest, ALongAnswerEndsItsCallAndAnotherProtocolDoesNotAnswer) {
  const auto status = [&](const std::string& bytes) {
    const EchoServer server(/*mute=*/true, bytes);
    if (pool_) pool_->Close();
    Make(server.endpoint(), 1);
    const Status driven = Driven("a", kLong).status();
    EXPECT_EQ(Background("b", kLong).get().status(), driven);
    EXPECT_TRUE(driven.maybe_applied());
    return driven;
  };
  const Status answer = status(std::string("\x7f\xff\xff\xff\x80\x01\x00\x02", 8));
  EXPECT_EQ(answer.code(), StatusCode::kInvalidArgument) << answer.ToString();
  EXPECT_NE(answer.message().find("max_message_bytes"), std::string::npos) << answer.ToString();
  for (const char* other : {"HTTP/1.1 400 Bad Request\r\n", "HTTP", "HTTP/"}) {
    const Status unknown = status(other);
    EXPECT_EQ(unknown.code(), StatusCode::kUnavailable) << unknown.ToString();
    EXPECT_NE(unknown.message().find("is it the node's gRPC port"), std::string::npos)
        << unknown.ToString();
  }
}

TEST_F(PoolTest, ABrokenConnectionFailsItsCallsAndIsMadeAgain) {
  auto server = std::make_unique<EchoServer>(/*mute=*/true);
  Make(server->endpoint(), 1);
  auto first = Background("a", kLong);
  auto second = Background("b", kLong);
  server.reset();
  EXPECT_EQ(first.get().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(second.get().status().code(), StatusCode::kUnavailable);
  const auto refused = Driven("c", kLong);
  EXPECT_EQ(refused.status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(refused.status().maybe_applied());
}

TEST_F(PoolTest, ADrivenCallThatIsGivenUpReturnsAtOnce) {
  const EchoServer server(/*mute=*/true);
  Make(server.endpoint(), 1);
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::thread> drivers;
  std::vector<std::shared_ptr<Call>> calls;
  // One of them reads for all, and may be given up first or last.
  for (int i = 0; i < 20; ++i) {
    calls.push_back(pool_->Submit(Frame("a"), In(kLong), /*driven=*/true,
                                  [](const Result<std::string>& /*got*/) { FAIL(); }));
    drivers.emplace_back([call = calls.back()] { EXPECT_TRUE(call->Drive()); });
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i]->Abandon();
    drivers[i].join();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kLong);
}

TEST_F(PoolTest, ClosingEndsWhatWaits) {
  const EchoServer server(/*mute=*/true);
  Make(server.endpoint(), 1);
  auto waiting = Background("a", kLong);
  pool_->Close();
  EXPECT_EQ(waiting.get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(Driven("b", kLong).status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace cairn::client
