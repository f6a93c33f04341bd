// A byte stream in memory, for tests and fuzzers: reads what it was given, in pieces of a chosen
// size, and keeps what is written.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_SRC_SERVER_THRIFT_MEMORY_STREAM_H_
#define CAIRN_SRC_SERVER_THRIFT_MEMORY_STREAM_H_

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "src/server/thrift/byte_stream.h"

namespace cairn::server {

class MemoryStream final : public ByteStream {
 public:
  // Ends after `input`, which comes in pieces of at most `piece` bytes.
  explicit MemoryStream(std::string input, std::size_t piece = SIZE_MAX)
      : input_(std::move(input)), piece_(piece) {}

  std::size_t Read(std::uint8_t* out, std::size_t size, bool /*idle*/) override {
    const std::size_t got = std::min({size, piece_, input_.size() - position_});
    std::memcpy(out, input_.data() + position_, got);
    position_ += got;
    ++reads_;
    return got;
  }
  void Write(std::string_view head, std::string_view tail) override {
    output_.append(head).append(tail);
    ++writes_;
  }

  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] std::size_t consumed() const { return position_; }
  [[nodiscard]] int reads() const { return reads_; }
  [[nodiscard]] int writes() const { return writes_; }

 private:
  const std::string input_;
  const std::size_t piece_;
  std::size_t position_ = 0;
  std::string output_;
  int reads_ = 0;
  int writes_ = 0;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_MEMORY_STREAM_H_
