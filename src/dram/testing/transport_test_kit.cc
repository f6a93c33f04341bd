#include "src/dram/testing/transport_test_kit.h"

#include <gtest/gtest.h>

#include <atomic>

#include "src/base/clock.h"

namespace cairn::dram {
namespace {

std::chrono::steady_clock::time_point PatienceEnds() {
  return std::chrono::steady_clock::now() + kPatience;
}

MutableBuffer HeapPlace(std::size_t size) {
  std::shared_ptr<char[]> memory(new char[size]);
  return {memory.get(), size, memory};
}

}  // namespace

std::string PatternBytes(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  SeededRandom random(seed);
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    const std::uint64_t word = random.Next();
    std::memcpy(bytes.data() + at, &word, 8);
  }
  for (; at < size; ++at) bytes[at] = static_cast<char>(random.Next());
  return bytes;
}

WatchedBuffer Watch(std::string bytes) {
  auto released = std::make_shared<std::promise<void>>();
  auto* text = new std::string(std::move(bytes));
  std::shared_ptr<const void> pin(text, [released](const std::string* owned) {
    // Whoever still reads the bytes now would read these.
    delete owned;
    released->set_value();
  });
  return {Buffer(text->data(), text->size(), std::move(pin)), released->get_future()};
}

bool Arrives(const std::future<void>& event, std::chrono::nanoseconds limit) {
  return event.wait_for(limit) == std::future_status::ready;
}

TestServer::TestServer(Transport* transport, const Endpoint& address) {
  auto listener = transport->Listen(address, this);
  status_ = listener.status();
  if (listener.ok()) listener_ = *std::move(listener);
}

TestServer::~TestServer() { Close(); }

void TestServer::Close() {
  std::vector<std::unique_ptr<IncomingRequest>> held;
  {
    MutexLock lock(&mutex_);
    held.swap(held_);
  }
  held.clear();
  listener_.reset();
}

std::vector<std::string> TestServer::Headers() {
  MutexLock lock(&mutex_);
  return headers_;
}

bool TestServer::WaitForRequests(std::size_t count) {
  const auto end = PatienceEnds();
  MutexLock lock(&mutex_);
  while (headers_.size() < count) {
    if (!changed_.WaitUntil(&mutex_, end)) return headers_.size() >= count;
  }
  return true;
}

bool TestServer::WaitForDisconnects(std::size_t count) {
  const auto end = PatienceEnds();
  MutexLock lock(&mutex_);
  while (disconnects_ < count) {
    if (!changed_.WaitUntil(&mutex_, end)) return disconnects_ >= count;
  }
  return true;
}

void TestServer::ReleaseHeld() {
  std::vector<std::unique_ptr<IncomingRequest>> held;
  {
    MutexLock lock(&mutex_);
    held.swap(held_);
  }
  for (auto it = held.rbegin(); it != held.rend(); ++it) (*it)->Reply("released", {});
}

std::future<Status> TestServer::NextReceive() {
  MutexLock lock(&mutex_);
  received_ = {};
  return received_.get_future();
}

void TestServer::Count(const std::string& header) {
  MutexLock lock(&mutex_);
  headers_.push_back(header);
  changed_.SignalAll();
}

void TestServer::Echo(std::unique_ptr<IncomingRequest> request) {
  const std::string header(request->header());
  if (request->payload_size() == 0) {
    request->Reply(header, {});
    return;
  }
  const MutableBuffer place = HeapPlace(request->payload_size());
  IncomingRequest* const raw = request.get();
  raw->Receive(place, [request = std::move(request), place, header](Status status) {
    if (!status.ok()) return;
    request->Reply(header, Buffer(place.data, place.size, place.pin));
  });
}

void TestServer::Hold(std::unique_ptr<IncomingRequest> request) {
  const auto keep = [this](std::unique_ptr<IncomingRequest> held) {
    const std::string header(held->header());
    {
      MutexLock lock(&mutex_);
      held_.push_back(std::move(held));
    }
    Count(header);
  };
  if (request->payload_size() == 0) return keep(std::move(request));
  const MutableBuffer place = HeapPlace(request->payload_size());
  IncomingRequest* const raw = request.get();
  raw->Receive(place, [keep, request = std::move(request)](Status status) mutable {
    if (status.ok()) keep(std::move(request));
  });
}

void TestServer::ReceiveKept() {
  std::unique_ptr<IncomingRequest> kept;
  {
    MutexLock lock(&mutex_);
    if (held_.empty()) return;
    kept = std::move(held_.front());
    held_.erase(held_.begin());
  }
  const MutableBuffer place = HeapPlace(kept->payload_size());
  IncomingRequest* const raw = kept.get();
  raw->Receive(place, [this, kept = std::move(kept)](Status status) {
    MutexLock lock(&mutex_);
    received_.set_value(std::move(status));
  });
}

void TestServer::OnRequest(std::unique_ptr<IncomingRequest> request) {
  const std::string header(request->header());
  const std::string word = header.substr(0, header.find(' '));
  if (word == "hold") return Hold(std::move(request));
  if (word == "keep") {
    {
      MutexLock lock(&mutex_);
      held_.push_back(std::move(request));
    }
    return Count(header);
  }
  // Before the answer, so that whoever has the answer finds the request counted.
  Count(header);
  if (word == "nudge") {
    ReceiveKept();
    request->Reply(header, {});
  } else if (word == "refuse") {
    request->Reply("refused", {});
  } else if (word == "drop") {
    request.reset();
  } else {
    Echo(std::move(request));
  }
}

void TestServer::OnDisconnect(ConnectionId /*connection*/) {
  MutexLock lock(&mutex_);
  ++disconnects_;
  changed_.SignalAll();
}

TestClient::TestClient(Transport* transport, const Endpoint& address)
    : closed_(std::make_shared<std::promise<Status>>()),
      closed_count_(std::make_shared<std::atomic<int>>(0)),
      closed_future_(closed_->get_future()) {
  connection_ =
      transport->Connect(address, [closed = closed_, count = closed_count_](Status reason) {
        if (count->fetch_add(1) == 0) closed->set_value(std::move(reason));
      });
}

TestClient::Ongoing TestClient::Start(std::string header, Buffer payload,
                                      std::optional<std::chrono::milliseconds> deadline) {
  Call call;
  call.header = std::move(header);
  call.payload = std::move(payload);
  if (deadline.has_value()) call.deadline = SystemClock().Now() + *deadline;
  std::promise<Result<Answer>> done;
  Ongoing ongoing;
  ongoing.done = done.get_future();
  call.done = [done = std::move(done)](Result<Answer> result) mutable {
    done.set_value(std::move(result));
  };
  ongoing.id = connection_->Start(std::move(call));
  return ongoing;
}

Result<Answer> TestClient::Run(std::string header, Buffer payload,
                               std::optional<std::chrono::milliseconds> deadline) {
  return Wait(Start(std::move(header), std::move(payload), deadline));
}

Result<Answer> TestClient::Wait(Ongoing ongoing) {
  if (ongoing.done.wait_for(kPatience) != std::future_status::ready) {
    ADD_FAILURE() << "a call's done never ran";
    return CancelledError("never");
  }
  return ongoing.done.get();
}

Status TestClient::WaitClosed() {
  if (closed_future_.wait_for(kPatience) != std::future_status::ready) {
    return TimeoutError("on_closed never ran");
  }
  return closed_future_.get();
}

}  // namespace cairn::dram
