// What the transport tests are made of: a server that answers as its requests' headers say, a
// client that collects results, payloads whose pins can be watched.
//
// Thread safety: all of it; waiting functions give up after kPatience and fail the test.
#ifndef CAIRN_SRC_DRAM_TESTING_TRANSPORT_TEST_KIT_H_
#define CAIRN_SRC_DRAM_TESTING_TRANSPORT_TEST_KIT_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/mutex.h"
#include "src/dram/transport.h"

namespace cairn::dram {

inline constexpr std::chrono::seconds kPatience{60};

// `size` bytes that depend on `seed`.
std::string PatternBytes(std::size_t size, std::uint64_t seed);

// A Buffer of its own memory, and a watch on its pin.
struct WatchedBuffer {
  Buffer buffer;
  std::future<void> released;
};
WatchedBuffer Watch(std::string bytes);
// True if the future became ready in time.
bool Arrives(const std::future<void>& event, std::chrono::nanoseconds limit = kPatience);

// Answers by the first word of the header:
//   "echo ..."    receives the payload and sends it back, under the same header
//   "refuse ..."  answers without receiving the payload
//   "hold ..."    keeps the request, its payload received, until ReleaseHeld
//   "keep ..."    the same, its payload not received
//   "drop ..."    destroys the request
//   "nudge"       receives the payload of the oldest kept request; see NextReceive
class TestServer final : public RequestHandler {
 public:
  explicit TestServer(Transport* transport, const Endpoint& address);
  ~TestServer() override;

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] Endpoint address() const { return listener_->address(); }
  [[nodiscard]] std::size_t connections() const { return listener_->connections(); }
  // Stops listening; what is held is dropped first.
  void Close();

  // The headers of all requests so far, in order of arrival.
  std::vector<std::string> Headers();
  // Waits until that many requests have been taken in (for "hold": with payload).
  bool WaitForRequests(std::size_t count);
  bool WaitForDisconnects(std::size_t count);
  // Answers what is held or kept with "released", newest first.
  void ReleaseHeld();
  // The outcome of the next Receive that a "nudge" begins.
  std::future<Status> NextReceive();

  void OnRequest(std::unique_ptr<IncomingRequest> request) override;
  void OnDisconnect(ConnectionId connection) override;

 private:
  void Echo(std::unique_ptr<IncomingRequest> request);
  void Hold(std::unique_ptr<IncomingRequest> request);
  void ReceiveKept();
  void Count(const std::string& header);

  Status status_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> headers_ ABSL_GUARDED_BY(mutex_);
  std::size_t disconnects_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<IncomingRequest>> held_ ABSL_GUARDED_BY(mutex_);
  std::promise<Status> received_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Listener> listener_;
};

// A connection and what became of it.
class TestClient {
 public:
  TestClient(Transport* transport, const Endpoint& address);

  struct Ongoing {
    CallId id = 0;
    std::future<Result<Answer>> done;
  };
  // Starts a call; `deadline` counts from now.
  Ongoing Start(std::string header, Buffer payload = {},
                std::optional<std::chrono::milliseconds> deadline = std::nullopt);
  // Starts a call and waits.
  Result<Answer> Run(std::string header, Buffer payload = {},
                     std::optional<std::chrono::milliseconds> deadline = std::nullopt);
  static Result<Answer> Wait(Ongoing ongoing);

  Connection& connection() { return *connection_; }
  // Waits for on_closed and gives its reason; kTimeout if it never runs.
  Status WaitClosed();
  [[nodiscard]] int closed_count() const { return *closed_count_; }
  void Destroy() { connection_.reset(); }

 private:
  std::shared_ptr<std::promise<Status>> closed_;
  std::shared_ptr<std::atomic<int>> closed_count_;
  std::future<Status> closed_future_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_TESTING_TRANSPORT_TEST_KIT_H_
