// Cutting a stream of bytes into frames: each is a 32-bit little-endian length and that many bytes
// (docs/formats/peer_connection.md).
//
// Thread safety: none; one owner.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_FRAMES_H_
#define CAIRN_SRC_TRANSPORT_ASIO_FRAMES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "cairn/status.h"

namespace cairn::transport {

inline constexpr std::size_t kFrameHeaderBytes = 4;

// The header of a frame of `size` bytes.
std::string FrameHeader(std::size_t size);

class FrameReader {
 public:
  explicit FrameReader(std::size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

  // Takes bytes as they came in and calls `take(std::string frame)` for each frame that is whole
  // with them. Memory grows with the bytes that came, not with the length that a header claims.
  // kInvalidArgument when a header claims more than the bound: the stream can't be read on.
  template <class Take>
  Status Feed(std::string_view bytes, Take take) {
    while (!bytes.empty()) {
      if (NeedsHeader()) {
        TakeHeader(&bytes);
        if (NeedsHeader()) break;
        if (size_ > max_frame_bytes_) return TooLong();
      }
      if (!TakeBody(&bytes)) break;  // An empty frame is whole as soon as its header is.
      header_.clear();
      take(std::exchange(body_, std::string()));
    }
    return Status::Ok();
  }

  // Raises or lowers the bound for the frames to come.
  void set_max_frame_bytes(std::size_t bytes) { max_frame_bytes_ = bytes; }

 private:
  [[nodiscard]] bool NeedsHeader() const { return header_.size() < kFrameHeaderBytes; }
  void TakeHeader(std::string_view* bytes);
  // True when the frame is whole.
  bool TakeBody(std::string_view* bytes);
  [[nodiscard]] Status TooLong() const;

  std::size_t max_frame_bytes_;
  std::string header_;
  std::size_t size_ = 0;
  std::string body_;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_FRAMES_H_
