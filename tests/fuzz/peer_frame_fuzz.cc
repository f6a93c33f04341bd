// Frames from peers: decoding never reads past its input, and what decodes encodes to the same
// bytes. The input is tried as it is, and as the content of a frame whose checksum is right.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/replication/peer_frame.h"
#include "xxhash.h"

namespace cairn::replication {
namespace {

void Try(std::string_view bytes) {
  const Result<Frame> frame = DecodeFrame(bytes);
  if (!frame.ok()) return;
  CAIRN_CHECK(EncodeFrame(frame->header, frame->body) == bytes);
}

}  // namespace
}  // namespace cairn::replication

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input(reinterpret_cast<const char*>(data), size);
  cairn::replication::Try(input);
  cairn::Encoder(&input).Fixed64(XXH3_64bits(input.data(), input.size()));
  cairn::replication::Try(input);
  return 0;
}
