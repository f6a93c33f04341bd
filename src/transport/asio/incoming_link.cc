#include <utility>

#include "src/transport/asio/links.h"

namespace cairn::transport {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

// Whether a connection begins as TLS does. No hello begins so: its length would be too large.
bool BeginsAsTls(std::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == 0x16 && bytes[1] == 0x03 && bytes[2] > 0 && bytes[2] <= 4;
}

}  // namespace

IncomingLink::IncomingLink(LinkSettings* settings, std::shared_ptr<Stream> stream, Events events)
    : settings_(settings),
      stream_(std::move(stream)),
      events_(std::move(events)),
      reader_(kMaxHelloBytes),
      buffer_(kMaxHelloBytes) {}

void IncomingLink::Open() {
  settings_->loop->After(settings_->socket.connect_timeout, [self = shared_from_this()] {
    if (!self->hello_) self->Close(UnavailableError("it did not say hello in time"));
  });
  Read();
}

void IncomingLink::Close(const Status& why) {
  if (std::exchange(closed_, true)) return;
  stream_->Close();
  // The owner forgets this link; its callbacks go with the last reference.
  std::exchange(events_.closed, nullptr)(shared_from_this(), why);
}

void IncomingLink::Read() {
  if (hello_) buffer_.resize(kReadBytes);  // Not while what it holds is being taken.
  stream_->Read(buffer_.data(), buffer_.size(),
                [self = shared_from_this()](Status status, std::size_t size) {
                  if (self->closed_) return;
                  const std::string_view bytes(self->buffer_.data(), size);
                  if (status.ok() && !self->hello_ && BeginsAsTls(bytes)) {
                    status = InvalidArgumentError("it speaks TLS, and this node does not");
                  }
                  if (status.ok()) {
                    status = self->reader_.Feed(bytes, [&](std::string frame) {
                      if (self->closed_) return;
                      if (self->hello_) {
                        self->events_.frame(*self->hello_, std::move(frame));
                      } else {
                        self->TakeHello(frame);
                      }
                    });
                  }
                  if (self->closed_) return;
                  if (!status.ok()) {
                    self->Close(status);
                    return;
                  }
                  self->Read();
                });
}

void IncomingLink::TakeHello(const std::string& bytes) {
  Result<Hello> hello = Hello::Decode(bytes);
  if (!hello.ok()) {
    Answer(hello.status());
    return;
  }
  Status verdict = CheckHello(settings_->self, *hello);
  if (verdict.ok()) verdict = events_.admit(shared_from_this(), *hello);
  if (verdict.ok()) {
    hello_ = *std::move(hello);
    reader_.set_max_frame_bytes(settings_->max_frame_bytes);
  }
  Answer(verdict);
}

void IncomingLink::Answer(const Status& verdict) {
  HelloAnswer answer{settings_->self, verdict.ok() ? "" : verdict.message()};
  const std::string body = answer.Encode();
  answer_ = FrameHeader(body.size()) + body;
  stream_->Write({answer_},
                 [self = shared_from_this(), verdict](const Status& status, std::size_t) {
                   if (!verdict.ok()) {
                     self->Close(verdict);
                   } else if (!status.ok()) {
                     self->Close(status);
                   }
                 });
}

}  // namespace cairn::transport
