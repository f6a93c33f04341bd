// The answers that clients have not taken yet. A node keeps an answer until its last byte has gone
// out, at the client's pace; so what clients that read slowly make a node hold is bounded here, by
// a number of bytes for all of a wire together and, where that gets scarce, each by a time.
//
// Answers under kSmall are not counted: a wire bounds how many of those there are at once (gRPC:
// GrpcServerOptions::streams_per_connection; Thrift: one a connection), so they are few bytes.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_ANSWERS_H_
#define CAIRN_SRC_SERVER_ANSWERS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"

namespace cairn::server {

// What holds an answer: a call, or a connection that has one call at a time.
class AnswerHolder {
 public:
  // Makes the client's call end, so that the answer is dropped soon. Called under the table's lock:
  // the holder is alive, and must not call the table.
  virtual void Cut() = 0;

 protected:
  ~AnswerHolder() = default;
};

class AnswerTable {
 public:
  static constexpr std::size_t kSmall = 4 << 10;

  // `advice`: what a client that is refused might do, behind "try again, ".
  AnswerTable(std::size_t most_bytes, std::string advice)
      : most_(most_bytes), advice_(std::move(advice)) {}

  // Makes room for an answer of `bytes`, at least kSmall, until Remove. kResourceExhausted if there
  // is none; an answer alone always fits. `holder` has no other answer in the table, and must be
  // alive until Remove returns.
  Status Add(AnswerHolder* holder, std::size_t bytes, MonotonicTime now);
  // The bytes are free again. Nothing happens for a holder without an answer.
  void Remove(AnswerHolder* holder);
  // If more than half of the room is taken: cuts those whose client has not taken all of an answer
  // since `then`. Else they harm nobody, and may be at the end of a slow line.
  void EndStalled(MonotonicTime then);

  // Of the answers that are held.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Held {
    std::size_t bytes;
    MonotonicTime since;
  };

  const std::size_t most_;
  const std::string advice_;
  mutable Mutex mutex_;
  std::unordered_map<AnswerHolder*, Held> held_ ABSL_GUARDED_BY(mutex_);
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_ANSWERS_H_
