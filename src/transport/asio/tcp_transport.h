// Peers over TCP, encrypted and mutually authenticated on demand.
//
// A node dials each of its peers twice: once for what consensus says (heartbeats must not wait)
// and, when it is first needed, once for bulk (snapshots). It receives on the connections that its
// peers dialled. A connection begins with a hello (hello.h): nodes of another cluster, of another
// version, or that mean somebody else are turned away, and the log says why. So is a second process
// under the number of a node that is alive, told from it by the incarnation of its data folder;
// once the first is gone, or silent for `alive_window`, whoever has its number next is let in. A
// broken connection is dialled again with growing, random pauses; frames for a peer that is known
// to be out of reach are dropped at once, and so are those above the bound of its queue.
//
// Threads: one thread of its own, which ends in Stop. All methods from any other thread.
#ifndef CAIRN_SRC_TRANSPORT_ASIO_TCP_TRANSPORT_H_
#define CAIRN_SRC_TRANSPORT_ASIO_TCP_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/base/ids.h"
#include "src/transport/asio/hello.h"
#include "src/transport/asio/links.h"
#include "src/transport/asio/stream.h"
#include "src/transport/peer_transport.h"

namespace cairn::transport {

struct TcpTransportOptions {
  PeerIdentity self;
  std::string bind_address = "127.0.0.1";
  std::uint16_t port = 0;       // 0: any that is free
  std::optional<TlsFiles> tls;  // absent: unencrypted, and anybody may connect
  SocketOptions socket;
  std::size_t max_frame_bytes = 96 << 20;
  // A peer and lane. A frame beyond that is taken if the queue is empty.
  std::size_t max_queue_bytes = 64 << 20;
  // Connections that have not said hello yet; more are closed at once.
  std::size_t max_strangers = 64;
  Duration min_backoff = std::chrono::milliseconds(20);
  Duration max_backoff = std::chrono::milliseconds(500);
  // For so long after a node's last frame, while its connection stands, nobody else may come under
  // its number. Longer than a living node is ever silent (reports go to everybody once a second),
  // shorter than an operator waits for the replacement of a machine that lost its power.
  Duration alive_window = std::chrono::seconds(5);
  std::uint64_t seed = 0;  // of the pauses' randomness
};

// How it stands with one peer.
struct PeerConnection {
  NodeId peer;
  Endpoint endpoint;
  LinkFigures outgoing[kLanes];
  LinkFigures incoming;                        // all connections that the peer dialled
  std::optional<MonotonicTime> last_received;  // of any frame; by the machine's monotonic clock
};

class TcpTransport final : public PeerTransport {
 public:
  // Binds and listens. `clock` must outlive the transport. The error names the address, or the TLS
  // file that can't be used.
  static Result<std::unique_ptr<TcpTransport>> Start(const TcpTransportOptions& options,
                                                     const Clock* clock);
  ~TcpTransport() override;  // Stop()

  void Send(NodeId to, Lane lane, std::string frame) override;
  void SetReceiver(Receiver receiver) override;

  // Whom to dial, and where. Connections to nodes that are no longer named, or whose address
  // changed, end; this node itself is left out.
  void SetPeers(const std::map<NodeId, Endpoint>& peers);
  // The node was formed into a cluster: connections to nodes of other ones end.
  void SetCluster(std::uint64_t cluster);

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::vector<PeerConnection> Connections() const;

  // Closes every connection and ends the thread. The receiver is not called afterwards. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit TcpTransport(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_ASIO_TCP_TRANSPORT_H_
