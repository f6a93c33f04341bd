#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/asio/links.h"

namespace cairn::transport {
namespace {

// Bytes that one write takes from the queue, unless a single frame is larger.
constexpr std::size_t kWriteBytes = 1 << 20;

}  // namespace

OutgoingLink::OutgoingLink(LinkSettings* settings, NodeId peer, Endpoint endpoint, Lane lane)
    : settings_(settings), peer_(peer), endpoint_(std::move(endpoint)), lane_(lane) {}

void OutgoingLink::Send(std::string frame) {
  {
    MutexLock lock(&mutex_);
    if (!SendAtOnce(frame)) {
      // One that is larger than the whole queue goes alone, or it would never go.
      const bool room = figures_.queued_bytes == 0 ||
                        figures_.queued_bytes + frame.size() <= settings_->max_queue_bytes;
      if (!reachable_ || !room) {
        ++figures_.dropped;
        return;
      }
      figures_.queued_bytes += frame.size();
      queue_.push_back(std::move(frame));
    } else if (rest_.empty()) {
      return;
    }
    if (std::exchange(flush_posted_, true)) return;
  }
  settings_->loop->Post([self = shared_from_this()] { self->Flush(); });
}

bool OutgoingLink::SendAtOnce(const std::string& frame) {
  if (idle_ == nullptr || !queue_.empty() || !rest_.empty()) return false;
  const std::string header = FrameHeader(frame.size());
  const std::size_t sent = idle_->TryWrite(header, frame);
  if (sent == 0) return false;
  ++figures_.frames;
  figures_.bytes += frame.size();
  if (sent < header.size()) rest_ = header.substr(sent);
  rest_ += std::string_view(frame).substr(sent - std::min(sent, header.size()));
  figures_.queued_bytes += rest_.size();
  return true;
}

LinkFigures OutgoingLink::Figures() const {
  MutexLock lock(&mutex_);
  return figures_;
}

void OutgoingLink::Open() { Dial(); }

void OutgoingLink::Close() {
  closed_ = true;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->Close();
  MutexLock lock(&mutex_);
  reachable_ = false;
  idle_.reset();
  rest_.clear();
  queue_.clear();
  figures_.queued_bytes = 0;
  figures_.connected = false;
}

void OutgoingLink::CheckCluster() {
  const std::uint64_t own = settings_->self.cluster;
  if (met_ && met_->cluster != 0 && own != 0 && met_->cluster != own) {
    Fail("it belongs to another cluster");
  }
}

void OutgoingLink::Dial() {
  if (closed_) return;
  Connect(settings_->loop, endpoint_, settings_->tls, settings_->socket,
          [self = shared_from_this()](Result<std::shared_ptr<Stream>> stream) {
            if (self->closed_) {
              if (stream.ok()) (*stream)->Close();
              return;
            }
            if (!stream.ok()) {
              self->Fail(stream.status().message());
              return;
            }
            self->stream_ = *stream;
            self->Greet(*stream);
          });
}

void OutgoingLink::Greet(const std::shared_ptr<Stream>& stream) {
  const std::string hello = Hello{settings_->self, peer_, lane_}.Encode();
  const auto bytes = std::make_shared<const std::string>(FrameHeader(hello.size()) + hello);
  stream->Write({*bytes},
                [self = shared_from_this(), stream, bytes](const Status& status, std::size_t) {
                  if (self->stream_ != stream) return;
                  if (!status.ok()) {
                    self->Fail(status.message());
                    return;
                  }
                  self->ReadAnswer(stream, FrameReader(kMaxHelloBytes));
                });
  settings_->loop->After(settings_->socket.connect_timeout, [self = shared_from_this(), stream] {
    if (self->stream_ == stream && !self->met_) self->Fail("it does not answer");
  });
}

void OutgoingLink::ReadAnswer(const std::shared_ptr<Stream>& stream, FrameReader reader) {
  stream->Read(scratch_, sizeof(scratch_),
               [self = shared_from_this(), stream, reader = std::move(reader)](
                   Status status, std::size_t size) mutable {
                 if (self->stream_ != stream) return;
                 std::optional<std::string> frame;
                 if (status.ok()) {
                   status = reader.Feed({self->scratch_, size},
                                        [&](std::string whole) { frame = std::move(whole); });
                 }
                 if (status.ok() && !frame) {
                   self->ReadAnswer(stream, std::move(reader));
                   return;
                 }
                 Result<HelloAnswer> answer =
                     status.ok() ? HelloAnswer::Decode(*frame) : Result<HelloAnswer>(status);
                 if (answer.ok()) status = CheckAnswer(self->settings_->self, self->peer_, *answer);
                 if (!answer.ok() || !status.ok()) {
                   self->Fail((answer.ok() ? status : answer.status()).message());
                   return;
                 }
                 self->Established(stream, answer->from);
               });
}

void OutgoingLink::Established(const std::shared_ptr<Stream>& stream, const PeerIdentity& peer) {
  met_ = peer;
  backoff_ = Duration(0);
  CAIRN_LOG(kInfo, "peers: connected to node {} at {} ({})", peer_.value(), endpoint_.ToString(),
            NameOf(lane_));
  complaint_.clear();
  {
    MutexLock lock(&mutex_);
    reachable_ = true;
    figures_.connected = true;
    figures_.problem.clear();
    ++figures_.connects;
  }
  AwaitEnd(stream);
  Flush();
}

void OutgoingLink::AwaitEnd(const std::shared_ptr<Stream>& stream) {
  stream->Read(
      scratch_, sizeof(scratch_),
      [self = shared_from_this(), stream](const Status& status, std::size_t) {
        if (self->stream_ != stream) return;
        self->Fail(status.ok() ? "it sent what it should not" : "it closed the connection");
      });
}

void OutgoingLink::Flush() {
  std::vector<std::string_view> buffers;
  const auto headers = std::make_shared<std::deque<std::string>>();
  {
    MutexLock lock(&mutex_);
    flush_posted_ = false;
    if (!met_ || writing_) return;  // Established or the end of the write comes back here.
    figures_.queued_bytes -= rest_.size();
    sending_rest_ = std::exchange(rest_, {});
    std::size_t bytes = 0;
    while (!queue_.empty() && (bytes == 0 || bytes + queue_.front().size() <= kWriteBytes)) {
      bytes += queue_.front().size();
      sending_.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    figures_.queued_bytes -= bytes;
    figures_.bytes += bytes;
    figures_.frames += sending_.size();
    if (sending_.empty() && sending_rest_.empty()) {
      idle_ = stream_;
      return;
    }
    idle_.reset();
  }
  if (!sending_rest_.empty()) buffers.emplace_back(sending_rest_);
  for (const std::string& frame : sending_) {
    buffers.emplace_back(headers->emplace_back(FrameHeader(frame.size())));
    if (!frame.empty()) buffers.emplace_back(frame);
  }
  writing_ = true;
  stream_->Write(buffers, [self = shared_from_this(), stream = stream_, headers](
                              const Status& status, std::size_t) {
    // Whatever became of the link meanwhile, the buffers are free now.
    self->writing_ = false;
    self->sending_rest_.clear();
    self->sending_.clear();
    if (self->stream_ == stream && !status.ok()) self->Fail(status.message());
    if (!self->closed_) self->Flush();
  });
}

void OutgoingLink::Fail(const std::string& why) {
  if (closed_) return;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->Close();
  met_.reset();
  // Once a problem; what a peer says when it turns this node away is news even so.
  if (complaint_.empty() || (why.starts_with(kTurnedAway) && why != complaint_)) {
    complaint_ = why;
    CAIRN_LOG(kWarn, "peers: no connection to node {} at {} ({}): {}; trying again", peer_.value(),
              endpoint_.ToString(), NameOf(lane_), why);
  }
  {
    MutexLock lock(&mutex_);
    reachable_ = false;
    figures_.connected = false;
    figures_.problem = why;
    // What waited is stale by the time that a connection stands.
    figures_.dropped += queue_.size();
    idle_.reset();
    rest_.clear();
    queue_.clear();
    figures_.queued_bytes = 0;
  }
  backoff_ = std::clamp(backoff_ * 2, settings_->min_backoff, settings_->max_backoff);
  // Between half and all of it, so that peers which lost each other do not meet in step.
  const auto half = static_cast<std::uint64_t>(backoff_.count()) / 2;
  const Duration pause(static_cast<std::int64_t>(half + settings_->random.Below(half + 1)));
  Task again = [self = shared_from_this()] { self->Dial(); };
  if (settings_->pause) return settings_->pause(pause, std::move(again));
  settings_->loop->After(pause, std::move(again));
}

}  // namespace cairn::transport
