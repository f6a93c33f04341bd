// The answer that the client of a connection has not taken yet. A connection has one call at a
// time, so it holds one answer at most: from when the handler has it, until the call loop has
// written its last byte. The room comes from a table that all connections share (answers.h).
//
// Which connection a call belongs to is a property of its thread, as in caller.h.
//
// Thread safety: the connection's thread, but for Cut, which comes from any.
#ifndef CAIRN_SRC_SERVER_THRIFT_ANSWER_SCOPE_H_
#define CAIRN_SRC_SERVER_THRIFT_ANSWER_SCOPE_H_

#include <cstddef>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/server/answers.h"

namespace cairn::server {

class AnswerScope final : public AnswerHolder {
 public:
  // The answers of this thread are those of the socket `fd` while the scope lives; one at a time on
  // a thread. `stall`: how long a client may take for an answer while the table is short of room.
  AnswerScope(AnswerTable* table, int fd, Duration stall, const Clock* clock);
  ~AnswerScope();
  AnswerScope(const AnswerScope&) = delete;
  AnswerScope& operator=(const AnswerScope&) = delete;

  // Makes room for an answer of this thread's connection, of so many bytes of keys and values,
  // until Release. At most once a call. kResourceExhausted: it must not be sent. Outside a scope
  // there is always room.
  static Status Hold(std::size_t bytes);
  // The answer, if there was one, has gone out or was dropped.
  static void Release();
  // A framed answer is held twice, since its length goes before it: as a response and as bytes.
  static void SetFramed(bool framed);

  // Closes the connection for its thread, which then finds out.
  void Cut() override;

 private:
  AnswerTable* const table_;
  const int fd_;
  const Duration stall_;
  const Clock* const clock_;
  std::size_t copies_ = 1;
  bool held_ = false;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_ANSWER_SCOPE_H_
