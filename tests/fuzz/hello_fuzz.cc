// Bytes from whoever connects, taken for a hello, for an answer and for a stream of frames: nothing
// may crash, what decodes must encode to the same bytes, and frames must not depend on how the
// stream was cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/transport/asio/frames.h"
#include "src/transport/asio/hello.h"

namespace {

std::vector<std::string> Cut(std::string_view stream, std::size_t piece) {
  constexpr std::size_t kBound = 4096;
  cairn::transport::FrameReader reader(kBound);
  std::vector<std::string> frames;
  while (!stream.empty()) {
    const std::string_view part = stream.substr(0, piece);
    stream.remove_prefix(part.size());
    const auto take = [&](std::string frame) { frames.push_back(std::move(frame)); };
    if (!reader.Feed(part, take).ok()) break;
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto hello = cairn::transport::Hello::Decode(bytes); hello.ok()) {
    CAIRN_CHECK(hello->Encode() == bytes);
  }
  if (const auto answer = cairn::transport::HelloAnswer::Decode(bytes); answer.ok()) {
    // Longer refusals are cut when they are encoded.
    CAIRN_CHECK(answer->refusal.size() > 512 || answer->Encode() == bytes);
  }
  CAIRN_CHECK(Cut(bytes, 1) == Cut(bytes, std::max<std::size_t>(size, 1)));
  return 0;
}
