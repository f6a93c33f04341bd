// A TCP connection on which frames (4 bytes of length, big-endian, then that many bytes) go out and
// answers come back in the same order. Any number of calls may be on their way.
//
// Who reads: a thread that waits for one answer (a driven call) reads from the socket itself, so
// that an answer costs no hand-over between threads; while such a thread is at it, it also takes in
// the answers of others. If only background calls wait, the loop's thread reads.
//
// A call whose deadline passes is given up; its answer, if it still comes, is dropped. Until then
// the connection is retired: it takes no new calls, since they would wait behind that one. A call
// of which no byte was sent when it ends is not sent at all.
//
// A peer acts on whole frames: a call of which a part was never sent was not begun.
//
// Thread safety: all methods from any thread. `done` of a background call runs on the loop's
// thread, `done` of a driven call on the thread that drives it.
#ifndef CAIRN_SRC_CLIENT_NET_FRAMED_CONNECTION_H_
#define CAIRN_SRC_CLIENT_NET_FRAMED_CONNECTION_H_

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/mutex.h"
#include "src/client/net/io_loop.h"

namespace cairn::client {

class FramedConnection final : public SocketHandler,
                               public std::enable_shared_from_this<FramedConnection> {
 public:
  // The answer's bytes without the length; or kTimeout, kUnavailable, kCancelled, which are
  // maybe_applied() if all of the call was sent, or may still be.
  using Done = absl::AnyInvocable<void(Result<std::string>)>;

  struct Options {
    std::size_t max_frame = 64 << 20;  // bytes of an answer
    // Whether an answer is the last one that the peer gives: calls that are behind it are failed,
    // and no more are sent. Null: none is.
    bool (*is_last)(std::string_view answer) = nullptr;
  };

  class Pending {
   public:
    Pending(std::string frame, MonotonicTime deadline, bool driven, Done done)
        : deadline_(deadline), driven_(driven), frame_(std::move(frame)), done_(std::move(done)) {}

   private:
    friend class FramedConnection;
    [[nodiscard]] bool all_sent() const { return frame_.empty(); }
    const MonotonicTime deadline_;
    const bool driven_;
    // Guarded by the connection's lock.
    std::string frame_;     // until it is sent
    std::size_t sent_ = 0;  // bytes of it
    Done done_;
    TimerId timer_ = 0;
    bool ended_ = false;                         // has its result, or was given up
    std::optional<Result<std::string>> result_;  // of a driven call, until its thread takes it
  };

  // `fd` is a connected socket, non-blocking; `peer` names it in messages.
  static std::shared_ptr<FramedConnection> Make(int fd, std::string peer, const Options& options,
                                                std::shared_ptr<IoLoop> loop);
  ~FramedConnection() override;

  // Sends `frame`, whose first 4 bytes are its length. Null if it could not: then neither `frame`
  // nor `done` is taken, and the connection is of no use any more.
  std::shared_ptr<Pending> Send(std::string* frame, MonotonicTime deadline, bool driven,
                                Done* done);
  // Brings the answer of a driven call and runs its `done`.
  void Drive(const std::shared_ptr<Pending>& pending);
  // Gives a call up without an answer: its `done` does not run.
  void Abandon(const std::shared_ptr<Pending>& pending);
  // Fails everything and closes the socket.
  void Close(const Status& why);

  // Whether new calls may go here.
  [[nodiscard]] bool usable() const { return usable_.load(std::memory_order_acquire); }
  // How many answers are awaited.
  [[nodiscard]] std::size_t load() const { return load_.load(std::memory_order_relaxed); }

  void OnEvents(std::uint32_t events) override;

 private:
  enum class Reader : std::uint8_t { kNone, kLoop, kDriver };

  FramedConnection(int fd, std::string peer, const Options& options, std::shared_ptr<IoLoop> loop);
  // Sends what is buffered, as far as the socket takes it. The error is that of a broken
  // connection.
  Status Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the loop watches for, as of now.
  void Rearm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes in what the socket has, and hands complete frames to their calls. An error breaks the
  // connection.
  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status ReadAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status TakeFrames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the call whose answer is longer than max_frame; the error is that of the others.
  Status RefuseLong(std::size_t length) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What may be wrong with a peer that has broken the connection.
  [[nodiscard]] std::string Hint() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver(const std::shared_ptr<Pending>& pending, Result<std::string> result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Break(const Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a connection that takes no more bytes: the peer may have said why.
  void BreakOut(const Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After an answer, or a call given up: closes a retired connection nobody waits on.
  void CloseIfDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a call that ends without an answer: forgets it if nothing of it was sent.
  void TakeBack(const std::shared_ptr<Pending>& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUp(const std::shared_ptr<Pending>& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PassReading() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Expire(const std::shared_ptr<Pending>& pending);

  const int wake_;  // an eventfd, for a driver whose call is given up; -1: there was none to be had
  const int fd_;    // closed by the destructor: a driver may be polling it
  const std::string peer_;
  const Options options_;
  const std::shared_ptr<IoLoop> loop_;
  std::atomic<bool> usable_{true};
  std::atomic<std::size_t> load_{0};

  Mutex mutex_;
  CondVar changed_;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;  // a frame has come
  bool hung_up_ ABSL_GUARDED_BY(mutex_) = false;   // the peer did while a driver was reading
  std::uint32_t watching_ ABSL_GUARDED_BY(mutex_) = 0;
  Reader reader_ ABSL_GUARDED_BY(mutex_) = Reader::kNone;
  int drivers_ ABSL_GUARDED_BY(mutex_) = 0;                             // threads in Drive
  std::deque<std::shared_ptr<Pending>> queue_ ABSL_GUARDED_BY(mutex_);  // for answers
  std::size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // calls of the queue that have not ended
  // To be sent, in order; the first one in part, maybe.
  std::deque<std::shared_ptr<Pending>> out_ ABSL_GUARDED_BY(mutex_);
  std::string in_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_done_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t in_size_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_NET_FRAMED_CONNECTION_H_
