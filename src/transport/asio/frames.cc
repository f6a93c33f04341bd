#include "src/transport/asio/frames.h"

#include <algorithm>

#include "src/base/codec.h"

namespace cairn::transport {

std::string FrameHeader(std::size_t size) {
  std::string header;
  Encoder(&header).Fixed32(static_cast<std::uint32_t>(size));
  return header;
}

void FrameReader::TakeHeader(std::string_view* bytes) {
  const std::size_t wanted = std::min(kFrameHeaderBytes - header_.size(), bytes->size());
  header_.append(bytes->substr(0, wanted));
  bytes->remove_prefix(wanted);
  if (!NeedsHeader()) size_ = Decoder(header_).Fixed32();
}

bool FrameReader::TakeBody(std::string_view* bytes) {
  const std::size_t wanted = std::min(size_ - body_.size(), bytes->size());
  // A frame that is here as a whole gets its memory at once; one that still comes grows with it.
  if (body_.empty() && wanted == size_) body_.reserve(size_);
  body_.append(bytes->substr(0, wanted));
  bytes->remove_prefix(wanted);
  return body_.size() == size_;
}

Status FrameReader::TooLong() const {
  return InvalidArgumentError("a frame of " + std::to_string(size_) +
                              " bytes is announced; the limit is " +
                              std::to_string(max_frame_bytes_));
}

}  // namespace cairn::transport
