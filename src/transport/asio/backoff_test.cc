// How long a link waits before it dials again. The pauses are the test's: it says when one is over.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/mutex.h"
#include "src/transport/asio/links.h"
#include "src/transport/asio/tcp_transport.h"

namespace cairn::transport {
namespace {

using std::chrono::milliseconds;

constexpr Duration kMin = milliseconds(20);
constexpr Duration kMax = milliseconds(500);

// The pauses that a link asked for, and what is to follow the last one. Thread safe.
class Pauses {
 public:
  void Ask(Duration pause, Task then) {
    MutexLock lock(&mutex_);
    asked_.push_back(pause);
    then_ = std::move(then);
    changed_.SignalAll();
  }
  // Waits until so many were asked for in all; the last one.
  Duration Await(std::size_t count) {
    MutexLock lock(&mutex_);
    while (asked_.size() < count) changed_.Wait(&mutex_);
    return asked_[count - 1];
  }
  Task TakeThen() {
    MutexLock lock(&mutex_);
    return std::move(then_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Duration> asked_ ABSL_GUARDED_BY(mutex_);
  Task then_ ABSL_GUARDED_BY(mutex_);
};

class BackoffTest : public testing::Test {
 protected:
  BackoffTest() {
    settings_.loop = &loop_;
    settings_.self = {NodeId(1), IncarnationId(101), 0xC1};
    settings_.max_frame_bytes = settings_.max_queue_bytes = 1 << 20;
    settings_.min_backoff = kMin;
    settings_.max_backoff = kMax;
    settings_.pause = [this](Duration pause, Task then) { pauses_.Ask(pause, std::move(then)); };
    StartPeer();
    // Its port stays its own: nobody listens there while it is stopped.
    port_ = peer_->port();
  }
  ~BackoffTest() override {
    loop_.Stop();
    if (link_ != nullptr) link_->Close();
  }

  void StartPeer() {
    TcpTransportOptions options;
    options.self = {NodeId(2), IncarnationId(102), 0xC1};
    options.port = port_;
    auto started = TcpTransport::Start(options, &clock_);
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    peer_ = *std::move(started);
    peer_->SetReceiver([](NodeId, const std::string&) {});
    peer_->SetPeers({{NodeId(1), Endpoint{"127.0.0.1", 1}}});
  }

  // The next pause, which is not over yet.
  Duration Next() { return pauses_.Await(++asked_); }
  void EndPause() { loop_.Post(pauses_.TakeThen()); }

  // The pauses of a peer that is out of reach, from the first on.
  void ExpectThatTheyGrow() {
    Duration expected = kMin;
    for (int i = 0; i < 8; ++i) {
      const Duration pause = Next();
      EXPECT_GE(pause, expected / 2) << "the pause " << i;
      EXPECT_LE(pause, expected) << "the pause " << i;
      expected = std::min(2 * expected, kMax);
      if (i < 7) EndPause();
    }
    EXPECT_EQ(expected, kMax) << "too few to reach the bound";
  }

  const SystemClock clock_;
  Loop loop_{"backoff-test"};
  Pauses pauses_;
  LinkSettings settings_;
  std::unique_ptr<TcpTransport> peer_;
  std::uint16_t port_ = 0;
  std::shared_ptr<OutgoingLink> link_;
  std::size_t asked_ = 0;
};

TEST_F(BackoffTest, PausesGrowToTheirBoundAndBeginAnewAfterAConnection) {
  peer_.reset();
  link_ = std::make_shared<OutgoingLink>(&settings_, NodeId(2), Endpoint{"127.0.0.1", port_},
                                         Lane::kConsensus);
  loop_.Post([link = link_] { link->Open(); });
  ExpectThatTheyGrow();
  StartPeer();
  EndPause();
  while (!link_->Figures().connected) std::this_thread::yield();
  peer_.reset();
  ExpectThatTheyGrow();
}

TEST_F(BackoffTest, APeerThatTurnsThisNodeAwayIsAskedLessAndLess) {
  settings_.self.cluster = 0xC2;
  link_ = std::make_shared<OutgoingLink>(&settings_, NodeId(2), Endpoint{"127.0.0.1", port_},
                                         Lane::kConsensus);
  loop_.Post([link = link_] { link->Open(); });
  ExpectThatTheyGrow();
}

}  // namespace
}  // namespace cairn::transport
