#include "src/server/thrift/message_transport.h"

#include <thrift/TConfiguration.h>
#include <thrift/protocol/TProtocolException.h>
#include <thrift/transport/TTransportException.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "src/base/check.h"

namespace cairn::server {
namespace {

using apache::thrift::TConfiguration;
using apache::thrift::protocol::TProtocolException;
using apache::thrift::transport::TTransportException;

constexpr std::size_t kFrameHeaderBytes = 4;
// Read ahead beyond a string: what follows it in a request is most often short.
constexpr std::size_t kReadAheadBytes = 512;

[[noreturn]] void ThrowTooLarge(const std::string& what) {
  throw TProtocolException(TProtocolException::SIZE_LIMIT, what);
}

[[noreturn]] void ThrowEndOfStream() {
  throw TTransportException(TTransportException::END_OF_FILE,
                            "the connection was closed within a message");
}

std::shared_ptr<TConfiguration> MakeConfiguration(const MessageLimits& limits) {
  // The sizes are ours to check; the depth is taken from here by Thrift's protocols.
  constexpr int kMost = std::numeric_limits<int>::max();
  return std::make_shared<TConfiguration>(kMost, kMost, limits.nesting);
}

}  // namespace

MessageTransport::MessageTransport(ByteStream* stream, const MessageLimits& limits)
    : stream_(stream), limits_(limits) {
  CAIRN_CHECK(limits.message_bytes <= std::numeric_limits<std::int32_t>::max());
  setConfiguration(MakeConfiguration(limits));
  ResetOutput();
}

bool MessageTransport::AwaitMessage() {
  if (position_ < filled_) {
    stream_->BeginMessage();
    return true;
  }
  position_ = window_end_ = filled_ = 0;
  // A larger buffer was of use to the last message; an idle connection does not keep it.
  if (input_capacity_ != kIdleReadBytes) {
    input_.reset(new std::uint8_t[kIdleReadBytes]);
    input_capacity_ = kIdleReadBytes;
  }
  return Receive(/*idle=*/true);
}

const std::uint8_t* MessageTransport::Peek(std::size_t size) {
  ReserveInput(size);
  while (filled_ - position_ < size) {
    if (!Receive(/*idle=*/false)) return nullptr;
  }
  return input_.get() + position_;
}

void MessageTransport::BeginMessage(bool framed) {
  framed_ = framed;
  budget_ = limits_.message_bytes;
  oversized_frame_ = false;
  if (framed) {
    const std::uint8_t* header = Peek(kFrameHeaderBytes);
    if (header == nullptr) ThrowEndOfStream();
    const std::uint32_t size = (std::uint32_t{header[0]} << 24) | (std::uint32_t{header[1]} << 16) |
                               (std::uint32_t{header[2]} << 8) | header[3];
    position_ += kFrameHeaderBytes;
    // One that is too large is refused when the call's name is known (CheckFrame), so that the
    // client can be told why.
    oversized_frame_ = size > limits_.message_bytes;
    if (!oversized_frame_) budget_ = size;
  }
  window_end_ = position_;
  ExtendWindow();
}

void MessageTransport::CheckFrame() const {
  if (!oversized_frame_) return;
  ThrowTooLarge("the frame is over the limit of " + std::to_string(limits_.message_bytes) +
                " bytes (message_bytes)");
}

void MessageTransport::EndMessage() {
  if (framed_ && (position_ < window_end_ || budget_ > 0)) {
    throw TProtocolException(TProtocolException::INVALID_DATA,
                             "the frame is longer than the message in it");
  }
  window_end_ = position_;
  budget_ = 0;
}

void MessageTransport::ReadString(std::string* out, std::size_t size) {
  if (size <= kChunkBytes) {
    if (size > window_end_ - position_) Refill(size);
    out->assign(reinterpret_cast<const char*>(input_.get() + position_), size);
    position_ += size;
    return;
  }
  const std::size_t buffered = std::min(size, window_end_ - position_);
  CheckBudget(size - buffered);
  out->assign(reinterpret_cast<const char*>(input_.get() + position_), buffered);
  position_ += buffered;
  // The rest goes straight into the string, which at most doubles with every round of real bytes.
  while (out->size() < size) {
    const std::size_t have = out->size();
    const std::size_t step = std::min(size - have, std::max(kChunkBytes, have));
    out->resize(have + step);
    auto* target = reinterpret_cast<std::uint8_t*>(out->data()) + have;
    for (std::size_t done = 0; done < step;) {
      const std::size_t got = stream_->Read(target + done, step - done, /*idle=*/false);
      if (got == 0) ThrowEndOfStream();
      done += got;
      budget_ -= got;
    }
  }
}

void MessageTransport::RequireBuffered(std::size_t size) {
  if (size > window_end_ - position_) Refill(size);
}

void MessageTransport::ReadAllSlow(std::uint8_t* out, std::size_t size) {
  while (size > 0) {
    const std::size_t step = std::min(size, kChunkBytes);
    if (step > window_end_ - position_) Refill(step);
    std::memcpy(out, input_.get() + position_, step);
    position_ += step;
    out += step;
    size -= step;
  }
}

void MessageTransport::CheckBudget(std::size_t size) const {
  if (size <= budget_) return;
  if (framed_) {
    throw TProtocolException(TProtocolException::INVALID_DATA,
                             "the frame ends within the message in it");
  }
  ThrowTooLarge("the message is over the limit of " + std::to_string(limits_.message_bytes) +
                " bytes (message_bytes)");
}

void MessageTransport::Refill(std::size_t size) {
  CheckBudget(size - (window_end_ - position_));
  ReserveInput(size);
  while (window_end_ - position_ < size) {
    if (!Receive(/*idle=*/false)) ThrowEndOfStream();
  }
}

void MessageTransport::ReserveInput(std::size_t size) {
  if (size <= input_capacity_ - position_) return;
  const std::size_t live = filled_ - position_;
  const std::size_t window = window_end_ - position_;
  if (size > input_capacity_) {
    const std::size_t capacity = size + kReadAheadBytes;
    std::unique_ptr<std::uint8_t[]> larger(new std::uint8_t[capacity]);
    if (live > 0) std::memcpy(larger.get(), input_.get() + position_, live);
    input_ = std::move(larger);
    input_capacity_ = capacity;
  } else if (live > 0) {
    std::memmove(input_.get(), input_.get() + position_, live);
  }
  position_ = 0;
  filled_ = live;
  window_end_ = window;
}

bool MessageTransport::Receive(bool idle) {
  CAIRN_CHECK(filled_ < input_capacity_);
  const std::size_t got = stream_->Read(input_.get() + filled_, input_capacity_ - filled_, idle);
  filled_ += got;
  ExtendWindow();
  return got > 0;
}

void MessageTransport::ExtendWindow() {
  const std::size_t more = std::min(filled_ - window_end_, budget_);
  window_end_ += more;
  budget_ -= more;
}

void MessageTransport::WriteSlow(const std::uint8_t* data, std::size_t size) {
  const std::size_t payload = output_size_ - kFrameHeaderBytes;
  if (!framed_ && payload + size > kChunkBytes) {
    const auto* buffered = reinterpret_cast<const char*>(output_.get()) + kFrameHeaderBytes;
    output_started_ = true;
    stream_->Write({buffered, payload}, {reinterpret_cast<const char*>(data), size});
    output_size_ = kFrameHeaderBytes;
    return;
  }
  if (payload + size > std::numeric_limits<std::int32_t>::max()) {
    ThrowTooLarge("the answer does not fit a frame");
  }
  const std::size_t capacity = std::max(2 * output_capacity_, output_size_ + size);
  std::unique_ptr<std::uint8_t[]> larger(new std::uint8_t[capacity]);
  std::memcpy(larger.get(), output_.get(), output_size_);
  output_ = std::move(larger);
  output_capacity_ = capacity;
  std::memcpy(output_.get() + output_size_, data, size);
  output_size_ += size;
}

void MessageTransport::flush() {
  const std::size_t payload = output_size_ - kFrameHeaderBytes;
  if (payload == 0) return;
  if (framed_) {
    for (int i = 0; i < 4; ++i) {
      output_[i] = static_cast<std::uint8_t>(payload >> (24 - 8 * i));
    }
  }
  const std::size_t skipped = framed_ ? 0 : kFrameHeaderBytes;
  const auto* begin = reinterpret_cast<const char*>(output_.get());
  output_started_ = true;
  stream_->Write({begin + skipped, output_size_ - skipped}, {});
  ResetOutput();
}

bool MessageTransport::DiscardOutput() {
  if (output_started_) return false;
  ResetOutput();
  return true;
}

void MessageTransport::ResetOutput() {
  if (output_capacity_ != kIdleWriteBytes) {
    output_.reset(new std::uint8_t[kIdleWriteBytes]);
    output_capacity_ = kIdleWriteBytes;
  }
  output_size_ = kFrameHeaderBytes;
  output_started_ = false;
}

}  // namespace cairn::server
