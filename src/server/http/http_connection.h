// One connection of the HTTP port, as a state machine over its socket.
//
//   kReading   idle, or in the middle of a head
//   kWaiting   a head is whole: its owner takes it and calls Answer
//   kWriting   an answer is on its way; what the client sends meanwhile waits in the kernel
//   kDraining  the last answer is sent and our side is shut; what the client still sends is thrown
//              away for a moment, because closing with unread bytes would reset the connection and
//              take the answer with it
//   kClosed    to be forgotten
//
// Thread safety: owned by the loop's thread.
#ifndef CAIRN_SRC_SERVER_HTTP_HTTP_CONNECTION_H_
#define CAIRN_SRC_SERVER_HTTP_HTTP_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/clock.h"
#include "src/server/http/http_exchange.h"
#include "src/server/http/http_server.h"
#include "src/server/listener.h"

namespace cairn::server {

class HttpConnection {
 public:
  enum class State : std::uint8_t { kReading, kWaiting, kWriting, kDraining, kClosed };

  // `options` must outlive the connection.
  HttpConnection(std::uint64_t id, OwnedFd fd, MonotonicTime now, const HttpServerOptions* options);

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] State state() const { return state_; }
  // What poll is to wait for.
  [[nodiscard]] short events() const;
  // Nothing of a request has arrived.
  [[nodiscard]] bool idle() const { return state_ == State::kReading && in_.empty(); }
  // When OnDeadline is due.
  [[nodiscard]] MonotonicTime deadline() const { return deadline_; }
  // Requests that were refused here.
  [[nodiscard]] bool refused() const { return refused_; }
  // The request that is to be answered is the last one.
  [[nodiscard]] bool last() const { return requests_ >= options_->max_requests; }

  // The socket can be read, or written, or is broken: goes on without waiting.
  void OnReady(MonotonicTime now);
  void OnDeadline(MonotonicTime now);
  // The head that waits; once.
  std::string TakeHead();
  // Of the head that was taken.
  void Answer(HttpAnswer answer, MonotonicTime now);

 private:
  void Read(MonotonicTime now);
  void LookForHead(MonotonicTime now);
  void Refuse(int status, std::string_view reason, MonotonicTime now);
  void Write(MonotonicTime now);
  void AfterAnswer(MonotonicTime now);
  void Drain();
  void Close();

  const std::uint64_t id_;
  const HttpServerOptions* const options_;
  OwnedFd fd_;
  State state_ = State::kReading;
  MonotonicTime deadline_;
  std::string in_;
  std::string head_;
  std::string out_;
  std::size_t written_ = 0;  // of out_
  std::size_t requests_ = 0;
  bool close_after_ = false;  // the answer in out_ is the last one
  bool ended_ = false;        // the client will send nothing more
  bool refused_ = false;
  std::size_t drained_ = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_HTTP_CONNECTION_H_
