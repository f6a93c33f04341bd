// The frame around every message of the memory plane: docs/formats/dram_wire.md.
//
// A frame is a fixed part of 24 bytes, a header of header_size bytes, and a payload of payload_size
// bytes, which may travel apart from the two others.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_DRAM_FRAME_H_
#define CAIRN_SRC_DRAM_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::dram {

enum class FrameKind : std::uint8_t {
  kRequest = 1,
  kAnswer = 2,
  // No header, no payload, call id 0: the sender lives. The first frame of a server on a socket, by
  // which it takes the client.
  kHeartbeat = 3,
  // Answers a request that no handler answered: the header is empty, the client gets kUnavailable.
  kDropped = 4,
  // The client no longer waits for the answer to call_id. No header, no payload. A hint only.
  kCancel = 5,
};

inline constexpr std::uint8_t kFrameVersion = 1;
inline constexpr std::size_t kFrameFixedBytes = 24;

struct Frame {
  FrameKind kind = FrameKind::kRequest;
  // Chosen by the client, from 1 up, never reused on a connection.
  std::uint64_t call_id = 0;
  std::uint64_t payload_size = 0;
  // A view into what was decoded.
  std::string_view header;
};

// Appends the fixed part and the header to `out`.
void AppendFrame(const Frame& frame, std::string* out);

// How long the fixed part and the header at the start of `bytes` are together; 0 while that can't
// be told or not all of them is there. Where DecodeFrame is to find what is wrong, what it needs
// for that.
std::size_t FrameHeadBytes(std::string_view bytes);

// Reads a fixed part and the header behind it from the start of `bytes`. What follows the header is
// the payload, or the part of it that came along. kCorruption that says which field is wrong.
Result<Frame> DecodeFrame(std::string_view bytes);

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_FRAME_H_
