#include "src/transport/testing/transport_conformance.h"

#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <utility>

#include "src/base/mutex.h"

namespace cairn::transport {

TestNetworkMaker ConformanceOf(TestNetworkMaker maker) { return maker; }

namespace {

constexpr auto kPatience = std::chrono::seconds(20);

// Collects what arrives. Shared with the receiver, which may be called for a while after the test.
class Inbox {
 public:
  [[nodiscard]] static PeerTransport::Receiver ReceiverOf(const std::shared_ptr<Inbox>& inbox) {
    return [inbox](NodeId from, std::string frame) {
      MutexLock lock(&inbox->mutex_);
      inbox->frames_.emplace_back(from, std::move(frame));
      inbox->arrived_.SignalAll();
    };
  }
  // True once a frame is there for which `wanted` says yes.
  bool Await(const std::function<bool(NodeId, const std::string&)>& wanted,
             std::chrono::steady_clock::duration patience = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    MutexLock lock(&mutex_);
    while (true) {
      for (const auto& [from, frame] : frames_) {
        if (wanted(from, frame)) return true;
      }
      if (!arrived_.WaitUntil(&mutex_, deadline)) return false;
    }
  }
  std::set<std::string> Distinct() {
    MutexLock lock(&mutex_);
    std::set<std::string> all;
    for (const auto& [from, frame] : frames_) all.insert(frame);
    return all;
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::deque<std::pair<NodeId, std::string>> frames_ ABSL_GUARDED_BY(mutex_);
};

// Frames may be lost, above all while connections are made: sends until one arrives.
bool SendUntilArrived(PeerTransport* from, NodeId to, Lane lane, const std::string& frame,
                      Inbox* inbox) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    from->Send(to, lane, frame);
    const auto is_it = [&](NodeId, const std::string& got) { return got == frame; };
    if (inbox->Await(is_it, std::chrono::milliseconds(50))) return true;
  }
  return false;
}

TEST_P(TransportConformance, FramesArriveWholeAndSayWhoTheyAreFrom) {
  const auto inbox = std::make_shared<Inbox>();
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  const std::string large(3 << 20, 'L');
  for (const std::string& frame : {std::string("small"), every_byte, large}) {
    for (const Lane lane : {Lane::kConsensus, Lane::kBulk}) {
      EXPECT_TRUE(SendUntilArrived(network_->node(NodeId(0)), NodeId(1), lane, frame, inbox.get()));
    }
  }
  EXPECT_TRUE(SendUntilArrived(network_->node(NodeId(2)), NodeId(1), Lane::kConsensus, "from 2",
                               inbox.get()));
  EXPECT_TRUE(inbox->Await([](NodeId from, const std::string& frame) {
    return from == NodeId(2) && frame == "from 2";
  }));
  EXPECT_TRUE(inbox->Await(
      [](NodeId from, const std::string& frame) { return from == NodeId(0) && frame == "small"; }));
  // Nothing arrives that was not sent.
  for (const std::string& frame : inbox->Distinct()) {
    EXPECT_TRUE(frame == "small" || frame == every_byte || frame == large || frame == "from 2");
  }
}

TEST_P(TransportConformance, WhatNobodyCanReceiveIsDropped) {
  network_->node(NodeId(0))->Send(NodeId(99), Lane::kConsensus, "to nobody");
  network_->node(NodeId(0))->Send(NodeId(1), Lane::kConsensus, "no receiver there");
  const auto inbox = std::make_shared<Inbox>();
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  network_->node(NodeId(1))->SetReceiver(nullptr);
  network_->node(NodeId(0))->Send(NodeId(1), Lane::kConsensus, "no receiver any more");
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  EXPECT_TRUE(SendUntilArrived(network_->node(NodeId(0)), NodeId(1), Lane::kConsensus, "last",
                               inbox.get()));
}

TEST_P(TransportConformance, ANodeThatRestartsIsReachedAgain) {
  auto inbox = std::make_shared<Inbox>();
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  ASSERT_TRUE(
      SendUntilArrived(network_->node(NodeId(0)), NodeId(1), Lane::kConsensus, "one", inbox.get()));
  network_->Restart(NodeId(1));
  inbox = std::make_shared<Inbox>();
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  EXPECT_TRUE(
      SendUntilArrived(network_->node(NodeId(0)), NodeId(1), Lane::kConsensus, "two", inbox.get()));
  const auto back = std::make_shared<Inbox>();
  network_->node(NodeId(0))->SetReceiver(Inbox::ReceiverOf(back));
  EXPECT_TRUE(
      SendUntilArrived(network_->node(NodeId(1)), NodeId(0), Lane::kConsensus, "back", back.get()));
}

TEST_P(TransportConformance, ASecondProcessOfOneNumberComesInOnceTheFirstIsGone) {
  const auto inbox = std::make_shared<Inbox>();
  network_->node(NodeId(1))->SetReceiver(Inbox::ReceiverOf(inbox));
  const auto send = [&](PeerTransport* from, const std::string& frame) {
    return SendUntilArrived(from, NodeId(1), Lane::kConsensus, frame, inbox.get());
  };
  ASSERT_TRUE(send(network_->node(NodeId(0)), "begin"));
  const std::unique_ptr<PeerTransport> rival = network_->Rival(NodeId(0));
  for (int i = 0; i < 20; ++i) {
    for (const Lane lane : {Lane::kConsensus, Lane::kBulk}) {
      rival->Send(NodeId(1), lane, "of the rival");
    }
    EXPECT_TRUE(send(network_->node(NodeId(0)), "of the first " + std::to_string(i)));
  }
  EXPECT_EQ(inbox->Distinct().count("of the rival"), 0U);
  network_->End(NodeId(0));
  EXPECT_TRUE(send(rival.get(), "of the successor"));
}

TEST_P(TransportConformance, SendingNeverCallsAReceiverInsideTheCall) {
  const auto inbox = std::make_shared<Inbox>();
  Mutex mutex;
  network_->node(NodeId(1))->SetReceiver(
      [&mutex, inbox, to_inbox = Inbox::ReceiverOf(inbox)](NodeId from, std::string frame) {
        // Would hang if this ran inside the Send below.
        MutexLock lock(&mutex);
        to_inbox(from, std::move(frame));
      });
  for (int i = 0; i < 10; ++i) {
    MutexLock lock(&mutex);
    network_->node(NodeId(0))->Send(NodeId(1), Lane::kConsensus, "held");
  }
  EXPECT_TRUE(SendUntilArrived(network_->node(NodeId(0)), NodeId(1), Lane::kConsensus, "last",
                               inbox.get()));
  network_.reset();  // Before the mutex that its receiver uses.
}

}  // namespace

}  // namespace cairn::transport
