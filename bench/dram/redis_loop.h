// Asynchronous calls to Redis: one thread serves all connections, as that of the C++ client does.
// Calls that are made on one connection before its answers are there travel together (Redis calls
// it pipelining), and are answered in order.
//
// Thread safety: Connect and Send from any thread. Callbacks run on the loop's thread, or inside
// Send on a connection that is broken. When the loop is destroyed, no call may be under way.
#ifndef CAIRN_BENCH_DRAM_REDIS_LOOP_H_
#define CAIRN_BENCH_DRAM_REDIS_LOOP_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/dram/drivers.h"
#include "bench/dram/resp.h"
#include "cairn/status.h"
#include "src/base/mutex.h"

namespace cairn::bench {

class RedisLoop {
 public:
  // The reply is valid inside the call.
  using Done = std::function<void(const Result<RespReply>&)>;
  struct Link;

  static Result<std::unique_ptr<RedisLoop>> Create();
  ~RedisLoop();
  RedisLoop(const RedisLoop&) = delete;
  RedisLoop& operator=(const RedisLoop&) = delete;

  // A connection, which lives as long as the loop.
  Result<Link*> Connect(const SocketPeer& peer);
  void Send(Link* link, std::initializer_list<std::string_view> command, Done done);

 private:
  RedisLoop(int epoll, int wake);
  // Takes `done`, unless the connection is broken.
  Status Queue(Link* link, std::initializer_list<std::string_view> command, Done* done);
  void Run();
  // What epoll has said of a connection.
  void OnEvent(Link* link, bool readable);
  // Takes the whole replies out of what has come.
  Status Replies(Link* link);
  // Sends what waits, as far as the sockets take it.
  void Flush();
  void FlushOne(Link* link);
  void Watch(Link* link, bool writable);
  void Break(Link* link, const Status& status);
  void Wake();

  const int epoll_;
  const int wake_;
  std::atomic<bool> stopping_{false};
  std::array<char, 64 << 10> buffer_{};  // of the loop's thread
  Mutex mutex_;
  std::vector<std::unique_ptr<Link>> links_ ABSL_GUARDED_BY(mutex_);
  std::vector<Link*> dirty_ ABSL_GUARDED_BY(mutex_);  // those that have something to send
  std::thread thread_;
};

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_DRAM_REDIS_LOOP_H_
