// The two sides of a loopback connection, and what travels between them. Each side belongs to the
// progress thread of its process and is reached by posting there.
//
// Thread safety: functions marked (any thread) may be called from anywhere, the rest on the
// progress thread of their own side.
#ifndef CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_PEERS_H_
#define CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_PEERS_H_

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <memory>
#include <string>

#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/dram/call_table.h"
#include "src/dram/frame.h"
#include "src/dram/loopback/loopback_transport.h"
#include "src/dram/transport.h"

namespace cairn::dram {

// What stands for a process: its progress thread.
class LoopbackProcess {
 public:
  LoopbackProcess() : executor_("dram-loopback", &clock_) {}
  [[nodiscard]] const Clock& clock() const { return clock_; }
  ThreadExecutor& executor() { return executor_; }
  // Runs the task on the progress thread and waits for it; at once if that thread has ended.
  void RunAndWait(Task task);

 private:
  SystemClock clock_;
  ThreadExecutor executor_;
};

// A payload on its way: the sender may take it back until the receiver has copied it. Thread safe.
class LoopbackPayload {
 public:
  explicit LoopbackPayload(Buffer buffer) : size_(buffer.size()), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // kUnavailable if it was taken back. Drops the pin.
  Status MoveTo(const MutableBuffer& place);
  void TakeBack();

 private:
  const std::uint64_t size_;
  Mutex mutex_;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  Buffer buffer_ ABSL_GUARDED_BY(mutex_);
};

struct LoopbackMessage {
  std::string frame;
  std::shared_ptr<LoopbackPayload> payload;
};

// The client's side of a connection.
class LoopbackClient : public std::enable_shared_from_this<LoopbackClient> {
 public:
  LoopbackClient(std::shared_ptr<LoopbackProcess> process, Endpoint address,
                 absl::AnyInvocable<void(Status)> on_closed)
      : process_(std::move(process)),
        address_(std::move(address)),
        on_closed_(std::move(on_closed)) {}

  void Connect(const std::shared_ptr<LoopbackNetwork>& network);
  CallId Start(Call call);    // (any thread)
  void Cancel(CallId id);     // (any thread)
  void Close(Status reason);  // (any thread)
  void CloseAndWait();        // (any thread but its own)
  // From the server.
  void Receive(LoopbackMessage message);  // (any thread)
  void PeerGone(Status reason);           // (any thread)

 private:
  struct Sent {
    std::shared_ptr<LoopbackPayload> payload;
  };
  void DoStart(CallId id, Call call);
  void OnMessage(const LoopbackMessage& message);
  void Finish(CallId id, Result<Answer> result);
  Result<Answer> TakeAnswer(Call* call, const Frame& frame, const LoopbackMessage& message);
  void Break(const Status& reason);
  void ArmTimer();
  void OnTimer();

  const std::shared_ptr<LoopbackProcess> process_;
  const Endpoint address_;
  std::atomic<CallId> next_id_{1};
  absl::AnyInvocable<void(Status)> on_closed_;
  std::shared_ptr<LoopbackListener> listener_;
  ConnectionId connection_ = 0;
  CallTable calls_;
  absl::flat_hash_map<CallId, Sent> sent_;
  Status broken_;
  MonotonicTime armed_ = MonotonicTime::Max();
};

// What a listener knows of a connection.
struct LoopbackConnectionState {
  std::weak_ptr<LoopbackClient> client;
  std::atomic<std::size_t> unanswered{0};
  bool had_requests = false;
};

// The server's side: a listener and its connections.
class LoopbackListener : public std::enable_shared_from_this<LoopbackListener> {
 public:
  LoopbackListener(std::shared_ptr<LoopbackNetwork> network,
                   std::shared_ptr<LoopbackProcess> process, RequestHandler* handler)
      : network_(std::move(network)), process_(std::move(process)), handler_(handler) {}

  Status Claim(const Endpoint& address);
  [[nodiscard]] const Endpoint& address() const { return address_; }
  [[nodiscard]] std::size_t connections() const { return open_.load(); }
  ConnectionId Accept(std::weak_ptr<LoopbackClient> client);       // (any thread)
  void Deliver(ConnectionId connection, LoopbackMessage message);  // (any thread)
  void ClientGone(ConnectionId connection);                        // (any thread)
  void CloseAndWait();                                             // (any thread but its own)

 private:
  void OnMessage(ConnectionId id, LoopbackMessage message);
  void Disconnect(ConnectionId id, const Status& reason);

  const std::shared_ptr<LoopbackNetwork> network_;
  const std::shared_ptr<LoopbackProcess> process_;
  RequestHandler* handler_;  // null once closed
  Endpoint address_;
  std::atomic<ConnectionId> next_connection_{1};
  std::atomic<std::size_t> open_{0};
  absl::flat_hash_map<ConnectionId, std::shared_ptr<LoopbackConnectionState>> connections_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_PEERS_H_
