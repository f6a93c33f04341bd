// Serves the calls of one connection, one after the other, over any byte stream.
//
// What ends it: the client closing its side, the stop flag (after the call that runs), bytes that
// are no message, and a broken stream. A call whose name could be read, but that can't be served
// (over a limit, a required field missing, damaged), is answered with a TApplicationException that
// says why, and the connection ends, since nobody knows where the next message would begin.
//
// Thread safety: Run is called once, by the connection's thread; the counters may be read by all.
#ifndef CAIRN_SRC_SERVER_THRIFT_CALL_LOOP_H_
#define CAIRN_SRC_SERVER_THRIFT_CALL_LOOP_H_

#include <thrift/TProcessor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "src/server/thrift/byte_stream.h"
#include "src/server/thrift/message_transport.h"
#include "src/server/thrift/protocol.h"

namespace cairn::server {

struct CallLoopCounters {
  std::atomic<std::uint64_t> calls{0};
  // Connections ended by bytes that were no message, or by a message over a limit.
  std::atomic<std::uint64_t> protocol_errors{0};
};

enum class CallLoopEnd : std::uint8_t {
  kClosed,   // by the client, or stopped; nothing is owed to it
  kRefused,  // an answer was sent that the client should get to read: see SocketStream::Linger
};

class CallLoop {
 public:
  // `stream`, `counters` and `stopping` must outlive the loop.
  CallLoop(ByteStream* stream, const MessageLimits& limits, const std::atomic<bool>* stopping,
           CallLoopCounters* counters);

  // Serves calls with `processor`. Throws nothing.
  CallLoopEnd Run(const std::shared_ptr<apache::thrift::TProcessor>& processor);

  // Answers the first call, whatever it is, with a TApplicationException of that text.
  CallLoopEnd Refuse(const std::string& why);

  // Why the connection was ended, for the log; empty if there is nothing to tell.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  // Waits for the first message and finds out its format. False: there is none.
  bool Open();
  // Serves one call. False: the connection must end.
  bool ServeOne(const std::shared_ptr<apache::thrift::TProcessor>& processor);
  CallLoopEnd End() const { return refused_ ? CallLoopEnd::kRefused : CallLoopEnd::kClosed; }
  // Notes why, and tells the client if its call is known.
  void FailCall(const std::string& why);
  void SendException(int type, const std::string& why);

  const MessageLimits limits_;
  const std::atomic<bool>* const stopping_;
  CallLoopCounters* const counters_;
  const std::shared_ptr<MessageTransport> transport_;
  std::shared_ptr<apache::thrift::protocol::TProtocol> protocol_;
  WireFormat format_ = WireFormat::kUnframedBinary;
  CallHead head_;
  bool refused_ = false;
  std::string complaint_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_CALL_LOOP_H_
