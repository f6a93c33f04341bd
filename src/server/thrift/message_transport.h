// The Thrift transport of a server connection: cuts a byte stream into messages, framed or not,
// and holds every message to the limits.
//
// Why not Thrift's TBufferedTransport, TFramedTransport or THeaderTransport: in 0.17 they allocate
// what a length in the message declares before the bytes are there (a frame, a string, a list), and
// count the bytes of a message only on some paths. Here memory follows the bytes that have really
// arrived: a message of n bytes never makes more than a few times n bytes be allocated, whatever it
// declares.
//
// Cost: an idle connection holds kIdleReadBytes and kIdleWriteBytes. A small request is one recv, a
// small answer one send.
//
// Thread safety: one thread at a time. Internal to src/server/thrift.
#ifndef CAIRN_SRC_SERVER_THRIFT_MESSAGE_TRANSPORT_H_
#define CAIRN_SRC_SERVER_THRIFT_MESSAGE_TRANSPORT_H_

#include <thrift/transport/TVirtualTransport.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "src/server/thrift/byte_stream.h"

namespace cairn::server {

struct MessageLimits {
  // One request, without the length of its frame.
  std::size_t message_bytes = 64 << 20;
  // Elements of one list, set or map. The limits of a transaction are lower and are answered in the
  // response; this one ends the connection.
  std::uint32_t container_elements = 2 * 65'535;
  // Structs and containers within each other.
  int nesting = 64;
};

class MessageTransport final
    : public apache::thrift::transport::TVirtualTransport<MessageTransport> {
 public:
  static constexpr std::size_t kIdleReadBytes = 4096;
  static constexpr std::size_t kIdleWriteBytes = 1024;
  // Unframed answers are sent in pieces of about this size; also the largest read buffer that a
  // string alone makes.
  static constexpr std::size_t kChunkBytes = 64 << 10;

  // `stream` must outlive the transport.
  MessageTransport(ByteStream* stream, const MessageLimits& limits);

  // ---- Around a message

  // Waits for the first byte of the next message. False: the client is gone.
  bool AwaitMessage();
  // The next bytes of the stream, at least `size` of them, without taking them. Nullptr if the
  // stream ends before. For the detection of the protocol; `size` is at most kIdleReadBytes.
  const std::uint8_t* Peek(std::size_t size);
  // Starts the message whose first byte was awaited. Framed: takes the length of the frame.
  void BeginMessage(bool framed);
  // Throws if the frame of this message is over the limit. Called when the name of the call has
  // been read, so that the client can be told.
  void CheckFrame() const;
  // Ends it. Throws if a frame holds bytes beyond its message.
  void EndMessage();
  // True if bytes of a further message are already here.
  [[nodiscard]] bool HasBufferedInput() const { return position_ < filled_; }

  // ---- Reading within a message; all throw if the message is over or the stream ends

  std::uint32_t read(std::uint8_t* out, std::uint32_t size) {
    const std::size_t available = window_end_ - position_;
    const std::size_t taken = available < size && available > 0 ? available : size;
    readAll(out, static_cast<std::uint32_t>(taken));
    return static_cast<std::uint32_t>(taken);
  }
  std::uint32_t readAll(std::uint8_t* out, std::uint32_t size) {
    if (__builtin_expect(size > window_end_ - position_, 0)) {
      ReadAllSlow(out, size);
      return size;
    }
    std::memcpy(out, input_.get() + position_, size);
    position_ += size;
    return size;
  }
  // Never waits: nullptr if fewer than *size bytes of the message are here.
  const std::uint8_t* borrow(std::uint8_t* /*buffer*/, std::uint32_t* size) {
    if (*size > window_end_ - position_) return nullptr;
    *size = static_cast<std::uint32_t>(window_end_ - position_);
    return input_.get() + position_;
  }
  void consume(std::uint32_t size) { position_ += size; }

  // Replaces `out` by the next `size` bytes, growing it as they arrive.
  void ReadString(std::string* out, std::size_t size);
  // Returns once `size` bytes of the message are here, so that the caller may allocate for them.
  void RequireBuffered(std::size_t size);
  // Thrift's own check; ours is RequireBuffered, done by the protocols.
  void checkReadBytesAvailable(std::int64_t /*size*/) {}

  // ---- Writing

  void write(const std::uint8_t* data, std::uint32_t size) {
    if (__builtin_expect(size > output_capacity_ - output_size_, 0)) {
      WriteSlow(data, size);
      return;
    }
    std::memcpy(output_.get() + output_size_, data, size);
    output_size_ += size;
  }
  // Sends what was written as one answer.
  void flush() override;
  // Forgets what was written since the last flush. False if part of it was sent already.
  bool DiscardOutput();

  [[nodiscard]] bool isOpen() const override { return true; }
  bool peek() override { return true; }
  void close() override {}

 private:
  void ReadAllSlow(std::uint8_t* out, std::size_t size);
  void WriteSlow(const std::uint8_t* data, std::size_t size);
  // Receives until `size` bytes are readable within the message.
  void Refill(std::size_t size);
  // Throws unless the message may still hold `size` more bytes.
  void CheckBudget(std::size_t size) const;
  // Makes room for `size` bytes from position_ on.
  void ReserveInput(std::size_t size);
  // Receives once into the buffer; false at the end of the stream.
  bool Receive(bool idle);
  // Counts bytes that were buffered since into the message.
  void ExtendWindow();
  void ResetOutput();

  ByteStream* const stream_;
  const MessageLimits limits_;

  // [position_, window_end_) can be read by the current message, [window_end_, filled_) belongs to
  // later ones. budget_ bytes of the message may lie beyond window_end_; while it is above 0,
  // window_end_ == filled_ within a message.
  std::unique_ptr<std::uint8_t[]> input_;
  std::size_t input_capacity_ = 0;
  std::size_t position_ = 0;
  std::size_t window_end_ = 0;
  std::size_t filled_ = 0;
  std::size_t budget_ = 0;
  bool framed_ = false;
  bool oversized_frame_ = false;

  // Starts with room for the length of a frame, whether it is used or not.
  std::unique_ptr<std::uint8_t[]> output_;
  std::size_t output_capacity_ = 0;
  std::size_t output_size_ = 0;
  bool output_started_ = false;  // part of the answer was sent
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_MESSAGE_TRANSPORT_H_
