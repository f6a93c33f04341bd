// The answers of calls with one response that their clients have not taken yet. gRPC keeps an
// answer until its last byte has gone out, at the client's pace; so what clients that read slowly
// make a node hold is bounded here, together by a number of bytes and, where that gets scarce, each
// by a time.
//
// Answers under kSmall are not counted: a connection has as many calls as
// GrpcServerOptions::streams_per_connection, so it holds few bytes of them.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_GRPC_ANSWERS_H_
#define CAIRN_SRC_SERVER_GRPC_ANSWERS_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"

namespace cairn::server {

class UnaryCall;

class AnswerTable {
 public:
  static constexpr std::size_t kSmall = 4 << 10;

  explicit AnswerTable(std::size_t most_bytes) : most_(most_bytes) {}

  // Makes room for an answer of `bytes`, at least kSmall, until Remove. kResourceExhausted if there
  // is none; an answer alone always fits. `call` must be alive until Remove returns.
  Status Add(UnaryCall* call, std::size_t bytes, MonotonicTime now);
  void Remove(UnaryCall* call);
  // If more than half of the room is taken: cuts the calls whose client has not taken all of an
  // answer since `then`. Else they harm nobody, and may be at the end of a slow line.
  void EndStalled(MonotonicTime then);

  // Of the answers that are held.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Held {
    std::size_t bytes;
    MonotonicTime since;
  };

  const std::size_t most_;
  mutable Mutex mutex_;
  std::unordered_map<UnaryCall*, Held> held_ ABSL_GUARDED_BY(mutex_);
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_ANSWERS_H_
