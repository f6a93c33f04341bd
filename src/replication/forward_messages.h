// What a node that does not lead says to the one that does, to get a write into the log, and the
// answer. Bodies of peer frames; format: docs/formats/forward_messages.md.
//
// Decoding faces the network: lengths are checked before use.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_REPLICATION_FORWARD_MESSAGES_H_
#define CAIRN_SRC_REPLICATION_FORWARD_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/result.h"

namespace cairn::replication {

struct ForwardRequest {
  std::uint64_t boot = 0;   // random, of the sender's process: its ids are its own
  std::uint64_t id = 0;     // 1, 2, 3, ... of that process
  std::uint64_t floor = 0;  // it waits for no answer below this id
  Epoch epoch;              // of the leadership that it is put to; all copies name the same
  Duration time_left{0};    // until the deadline, when it was sent
  std::string command;      // as kv::EncodeCommand makes it; the leader puts its own time in
};

struct ForwardResponse {
  std::uint64_t boot = 0;
  std::uint64_t id = 0;
  Status status;
  kv::WriteResult result;  // if status is OK
};

std::string Encode(const ForwardRequest& request);
std::string Encode(const ForwardResponse& response);
// kCorruption for bytes that are no message.
Result<ForwardRequest> DecodeForwardRequest(std::string_view bytes);
Result<ForwardResponse> DecodeForwardResponse(std::string_view bytes);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FORWARD_MESSAGES_H_
