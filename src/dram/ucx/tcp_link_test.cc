// Frames over a socket of our own, cut into pieces as the network likes.
#include "src/dram/ucx/tcp_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/core.h"

namespace cairn::dram::ucx {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Writes down what comes: "header" or "header:payload", and how it ends.
class Recorder final : public LinkUser {
 public:
  void OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) override {
    std::string header(frame.header);
    if (arrival == nullptr) {
      Note(std::move(header));
    } else if (header == "drop") {
      Note(header);
    } else if (header == "keep") {
      kept_ = std::move(arrival);
      Note(header);
    } else {
      Receive(std::move(arrival), header);
    }
  }
  void OnAttach(Link*, std::string_view token) override { Note("attach " + std::string(token)); }
  void OnBroken(const Status& why) override { Note("broken: " + why.message()); }

  void ReceiveKept() { Receive(std::move(kept_), "kept"); }
  void DropKept() { kept_ = nullptr; }
  // Waits for the `count` next ones.
  std::vector<std::string> Next(std::size_t count) {
    MutexLock lock(&mutex_);
    while (notes_.size() < count) {
      if (!noted_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kPatience)) break;
    }
    return std::exchange(notes_, {});
  }

 private:
  void Receive(std::unique_ptr<Arrival> arrival, const std::string& header) {
    const auto bytes = std::make_shared<std::string>(arrival->size(), '\0');
    arrival->Receive({bytes->data(), bytes->size(), bytes}, [this, header, bytes](Status status) {
      Note(header + ":" + (status.ok() ? *bytes : status.message()));
    });
  }
  void Note(std::string what) {
    MutexLock lock(&mutex_);
    notes_.push_back(std::move(what));
    noted_.SignalAll();
  }

  std::unique_ptr<Arrival> kept_;
  Mutex mutex_;
  CondVar noted_;
  std::vector<std::string> notes_ ABSL_GUARDED_BY(mutex_);
};

std::string FrameOf(const std::string& header, const std::string& payload = {}) {
  std::string bytes;
  AppendFrame({FrameKind::kRequest, 1, payload.size(), header}, &bytes);
  return bytes + payload;
}

// A link, and the other end of its socket.
class TcpLinkTest : public ::testing::Test {
 protected:
  TcpLinkTest() {
    auto context = Context::Create(NetworkConfig("tcp"));
    auto engine = Engine::Create(*context, false);
    core_ = std::make_unique<Core>(*context, std::move(*engine), 1000, false);
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    EXPECT_EQ(::fcntl(fds[1], F_SETFL, 0), 0);
    peer_ = fds[1];
    OnEngine([&] { link_ = *core_->tcp.Accept(fds[0], &recorder_); });
  }
  ~TcpLinkTest() override {
    OnEngine([this] {
      link_->SetUser(nullptr);
      link_->Break(UnavailableError("the test ends"));
      recorder_.DropKept();
    });
    link_ = nullptr;
    core_ = nullptr;
    ::close(peer_);
  }

  void OnEngine(const std::function<void()>& what) { core_->engine().RunAndWait(what); }
  void Write(const std::string& bytes) const {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t n = ::send(peer_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      ASSERT_GT(n, 0);
      done += static_cast<std::size_t>(n);
    }
  }
  [[nodiscard]] std::string ReadBytes(std::size_t count) const {
    std::string bytes(count, '\0');
    std::size_t done = 0;
    while (done < count) {
      const ssize_t n = ::recv(peer_, bytes.data() + done, count - done, 0);
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

  Recorder recorder_;
  std::unique_ptr<Core> core_;
  std::shared_ptr<Link> link_;
  int peer_ = -1;
};

TEST_F(TcpLinkTest, FramesThatComeInTwoPieces) {
  const std::string bytes = FrameOf("a") + FrameOf("b", "payload") + FrameOf("c");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Write(bytes.substr(0, cut));
    // The first piece has been taken in before the second one comes.
    OnEngine([this] { (void)core_->tcp.Look(); });
    Write(bytes.substr(cut));
    ASSERT_THAT(recorder_.Next(3), ElementsAre("a", "b:payload", "c")) << cut;
  }
}

TEST_F(TcpLinkTest, LargePayloadsAndWhatIsBehindThem) {
  const std::string large = PatternBytes(3'000'000, 1);
  const std::string little = PatternBytes(33'000, 2);
  Write(FrameOf("a", large) + FrameOf("b", little) + FrameOf("c", "x") + FrameOf("d", large));
  const auto notes = recorder_.Next(4);
  ASSERT_EQ(notes.size(), 4U);
  EXPECT_TRUE(notes[0] == "a:" + large);
  EXPECT_TRUE(notes[1] == "b:" + little);
  EXPECT_EQ(notes[2], "c:x");
  EXPECT_TRUE(notes[3] == "d:" + large);
}

TEST_F(TcpLinkTest, PayloadsThatNobodyWantsArePassedOver) {
  Write(FrameOf("drop", "x") + FrameOf("a") + FrameOf("drop", PatternBytes(1'000'000, 1)) +
        FrameOf("b", "y"));
  EXPECT_THAT(recorder_.Next(4), ElementsAre("drop", "a", "drop", "b:y"));
}

TEST_F(TcpLinkTest, APayloadThatIsKeptHoldsUpNothing) {
  for (const std::string& payload : {std::string("x"), PatternBytes(1'000'000, 1)}) {
    Write(FrameOf("keep", payload) + FrameOf("a"));
    EXPECT_THAT(recorder_.Next(2), ElementsAre("keep", "a"));
    OnEngine([this] { recorder_.ReceiveKept(); });
    const auto notes = recorder_.Next(1);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_TRUE(notes[0] == "kept:" + payload);
    // One that has not come yet.
    const std::string bytes = FrameOf("keep", payload) + FrameOf("b");
    Write(bytes.substr(0, 30));
    EXPECT_THAT(recorder_.Next(1), ElementsAre("keep"));
    OnEngine([this] { recorder_.ReceiveKept(); });
    Write(bytes.substr(30));
    const auto rest = recorder_.Next(2);
    ASSERT_EQ(rest.size(), 2U);
    EXPECT_TRUE(rest[0] == "kept:" + payload);
    EXPECT_EQ(rest[1], "b");
    // And one that is dropped after all.
    Write(bytes.substr(0, 30));
    EXPECT_THAT(recorder_.Next(1), ElementsAre("keep"));
    OnEngine([this] { recorder_.DropKept(); });
    Write(bytes.substr(30));
    EXPECT_THAT(recorder_.Next(1), ElementsAre("b"));
  }
}

TEST_F(TcpLinkTest, WhatIsSentComesWholeAndInOrder) {
  const std::string large = PatternBytes(3'000'000, 1);
  const std::string expected = FrameOf("a") + FrameOf("b", large) + FrameOf("c", "x");
  std::promise<void> sent;
  OnEngine([&] {
    link_->Send(FrameKind::kRequest, 1, "a", {}, nullptr);
    link_->Send(FrameKind::kRequest, 1, "b", Buffer::Copy(large), [&](const Status& status) {
      EXPECT_TRUE(status.ok());
      // From inside of a callback.
      link_->Send(FrameKind::kRequest, 1, "d", {}, nullptr);
      sent.set_value();
    });
    link_->Send(FrameKind::kRequest, 1, "c", Buffer::Copy("x"), nullptr);
  });
  EXPECT_TRUE(ReadBytes(expected.size()) == expected);
  EXPECT_EQ(ReadBytes(FrameOf("d").size()), FrameOf("d"));
  EXPECT_TRUE(Arrives(sent.get_future()));
  OnEngine([this] { EXPECT_EQ(link_->outstanding(), 0U); });
}

// As when a call behind a large one ends early.
TEST_F(TcpLinkTest, ARequestThatHasNotBeenBegunIsTakenBack) {
  const std::string large = PatternBytes(16 << 20, 1);
  const std::string expected = FrameOf("a", large) + FrameOf("c");
  WatchedBuffer waiting = Watch("x");
  std::promise<Status> ended;
  OnEngine([&] {
    link_->Send(FrameKind::kRequest, 1, "a", Buffer::Copy(large), nullptr);
    link_->Send(FrameKind::kRequest, 2, "b", std::move(waiting.buffer),
                [&](Status status) { ended.set_value(std::move(status)); });
    link_->Send(FrameKind::kRequest, 1, "c", {}, nullptr);
    link_->Send(FrameKind::kCancel, 2, {}, {}, nullptr);
  });
  EXPECT_EQ(ended.get_future().get().code(), StatusCode::kCancelled);
  EXPECT_TRUE(Arrives(waiting.released));
  EXPECT_TRUE(ReadBytes(expected.size()) == expected);
  // One that is gone is cancelled by a frame.
  OnEngine([&] { link_->Send(FrameKind::kCancel, 1, {}, {}, nullptr); });
  const auto cancel = DecodeFrame(ReadBytes(kFrameFixedBytes));
  ASSERT_TRUE(cancel.ok());
  EXPECT_EQ(cancel->kind, FrameKind::kCancel);
  OnEngine([this] { EXPECT_EQ(link_->outstanding(), 0U); });
}

TEST_F(TcpLinkTest, ABrokenLinkGivesBackWhatItHolds) {
  WatchedBuffer waiting = Watch(PatternBytes(64 << 20, 1));
  std::promise<Status> sent;
  OnEngine([&] {
    link_->Send(FrameKind::kRequest, 1, "a", std::move(waiting.buffer),
                [&](Status status) { sent.set_value(std::move(status)); });
  });
  Write(FrameOf("b", PatternBytes(1'000'000, 1)).substr(0, 500'000));
  OnEngine([this] { link_->Break(UnavailableError("enough")); });
  EXPECT_EQ(sent.get_future().get().message(), "enough");
  EXPECT_TRUE(Arrives(waiting.released));
  const auto notes = recorder_.Next(1);
  ASSERT_FALSE(notes.empty());
  EXPECT_EQ(ReadBytes(64 << 20).size() < (64U << 20), true);
}

TEST_F(TcpLinkTest, WhatIsNoFrameEndsIt) {
  ::testing::internal::CaptureStderr();
  Write(std::string(100, 'x'));
  const auto notes = recorder_.Next(1);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("broken: the peer sent a bad frame"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("is closed for a bad frame"));
}

TEST_F(TcpLinkTest, AHeaderThatIsTooLongEndsIt) {
  std::string bytes = FrameOf("a").substr(0, kFrameFixedBytes);
  bytes[6] = '\xFF';
  bytes[7] = '\xFF';
  Write(bytes);
  const auto notes = recorder_.Next(1);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("its header size is 65535"));
}

TEST_F(TcpLinkTest, APeerThatHangsUpEndsIt) {
  Write(FrameOf("a", PatternBytes(1'000'000, 1)).substr(0, 500'000));
  ::shutdown(peer_, SHUT_WR);
  EXPECT_THAT(recorder_.Next(2), ElementsAre("a:the peer hung up", "broken: the peer hung up"));
}

TEST_F(TcpLinkTest, TheFirstFrameOfAServerIsItsAcceptance) {
  OnEngine([this] { link_->SendAttach("0123456789abcdef"); });
  std::string bytes;
  AppendFrame({FrameKind::kHeartbeat, 0, 0, {}}, &bytes);
  Write(bytes + bytes + FrameOf("a"));
  // The second one is a heartbeat like any other.
  EXPECT_THAT(recorder_.Next(3), ElementsAre("attach ", "", "a"));
}

TEST_F(TcpLinkTest, AFrameBeforeTheAcceptanceEndsIt) {
  OnEngine([this] { link_->SendAttach("0123456789abcdef"); });
  Write(FrameOf("a"));
  EXPECT_THAT(recorder_.Next(1), ElementsAre(HasSubstr("broken: the peer sent a frame before")));
}

}  // namespace
}  // namespace cairn::dram::ucx
