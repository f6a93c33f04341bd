// The two kinds of connection between nodes. A node dials each peer and sends on that connection;
// it receives on those that its peers dialled. So each has one writer, and a connection that breaks
// is made again by the one that needs it.
//
// Threads: a link belongs to its loop's thread, but for what is marked "any thread".
#ifndef CAIRN_SRC_TRANSPORT_ASIO_LINKS_H_
#define CAIRN_SRC_TRANSPORT_ASIO_LINKS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/base/mutex.h"
#include "src/transport/asio/frames.h"
#include "src/transport/asio/hello.h"
#include "src/transport/asio/stream.h"
#include "src/transport/peer_transport.h"

namespace cairn::transport {

// What the links of one transport share. Constant but for `self` and `random`, which belong to the
// loop's thread.
struct LinkSettings {
  Loop* loop = nullptr;
  std::shared_ptr<TlsContext> tls;
  SocketOptions socket;
  PeerIdentity self;
  SeededRandom random{0};
  std::size_t max_frame_bytes = 0;
  std::size_t max_queue_bytes = 0;
  // The pause before a link dials again: doubled each time that it fails, from the one to the
  // other, and between half and all of that. Begins anew once a connection stood.
  Duration min_backoff{0};
  Duration max_backoff{0};
  // How that pause passes, for tests; unless set: as the loop's time does.
  std::function<void(Duration pause, Task then)> pause;
};

// Figures of a link.
struct LinkFigures {
  bool connected = false;
  std::uint64_t frames = 0;   // sent or received
  std::uint64_t bytes = 0;    // of them, without headers
  std::uint64_t dropped = 0;  // frames that were not sent: no connection, or a full queue
  std::uint64_t queued_bytes = 0;
  std::uint64_t connects = 0;  // connections that came to stand
  std::string problem;         // why there is no connection; empty while there is one
};

// Sends frames to one peer over one lane.
class OutgoingLink : public std::enable_shared_from_this<OutgoingLink> {
 public:
  OutgoingLink(LinkSettings* settings, NodeId peer, Endpoint endpoint, Lane lane);

  // Hands the frame to the system at once if nothing is before it and the system takes it; else
  // queues it, or drops it: above the bound of the queue, or while the peer is known to be out of
  // reach. Any thread.
  void Send(std::string frame);
  [[nodiscard]] LinkFigures Figures() const;  // any thread

  // Begins to dial.
  void Open();
  // Ends the connection and dials no more.
  void Close();
  // Ends the connection if the peer is of another cluster, now that this node knows its own.
  void CheckCluster();

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

 private:
  void Dial();
  void Greet(const std::shared_ptr<Stream>& stream);
  void ReadAnswer(const std::shared_ptr<Stream>& stream, FrameReader reader);
  void Established(const std::shared_ptr<Stream>& stream, const PeerIdentity& peer);
  // Nothing comes on this connection but its end.
  void AwaitEnd(const std::shared_ptr<Stream>& stream);
  // Writes what is queued, if nothing is being written.
  void Flush();
  // Send's quick way. False if nothing of the frame is on its way.
  bool SendAtOnce(const std::string& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the connection up and dials again later.
  void Fail(const std::string& why);

  LinkSettings* const settings_;
  const NodeId peer_;
  const Endpoint endpoint_;
  const Lane lane_;

  bool closed_ = false;
  std::shared_ptr<Stream> stream_;   // while connecting or connected
  std::optional<PeerIdentity> met_;  // while connected
  bool writing_ = false;
  std::string sending_rest_;         // what is being written: the end of a frame,
  std::deque<std::string> sending_;  // and whole ones
  char scratch_[64];
  Duration backoff_{0};
  std::string complaint_;  // what the log says about the present problem

  mutable Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  bool reachable_ ABSL_GUARDED_BY(mutex_) = true;  // false after a failure, until the next success
  bool flush_posted_ ABSL_GUARDED_BY(mutex_) = false;
  // The connection, while it stands and nothing is being written to it: Send may write.
  std::shared_ptr<Stream> idle_ ABSL_GUARDED_BY(mutex_);
  // The end of a frame of which a part is on its way; before queue_.
  std::string rest_ ABSL_GUARDED_BY(mutex_);
  LinkFigures figures_ ABSL_GUARDED_BY(mutex_);
};

// Receives frames from whoever dialled.
class IncomingLink : public std::enable_shared_from_this<IncomingLink> {
 public:
  // What a link tells its owner, on the loop's thread.
  struct Events {
    // The hello was read and fits: may this peer stay? An error refuses it.
    std::function<Status(const std::shared_ptr<IncomingLink>&, const Hello&)> admit;
    std::function<void(const Hello&, std::string frame)> frame;
    // It is over; `why` says so in words. Called once.
    std::function<void(const std::shared_ptr<IncomingLink>&, const Status& why)> closed;
  };

  IncomingLink(LinkSettings* settings, std::shared_ptr<Stream> stream, Events events);

  // Begins to read. A peer that does not say hello in time is dropped.
  void Open();
  void Close(const Status& why);

  [[nodiscard]] const std::optional<Hello>& hello() const { return hello_; }
  [[nodiscard]] const std::string& remote() const { return stream_->remote(); }

 private:
  void Read();
  void TakeHello(const std::string& bytes);
  void Answer(const Status& verdict);

  LinkSettings* const settings_;
  const std::shared_ptr<Stream> stream_;
  Events events_;
  FrameReader reader_;
  std::vector<char> buffer_;
  std::optional<Hello> hello_;  // once admitted
  std::string answer_;          // while it is written
  bool closed_ = false;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_LINKS_H_
