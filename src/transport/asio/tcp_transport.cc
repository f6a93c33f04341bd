#include "src/transport/asio/tcp_transport.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "src/base/log.h"

namespace cairn::transport {

// Shared with what runs on the loop. Members without a lock belong to the loop's thread.
class TcpTransport::Impl {
 public:
  Impl(const TcpTransportOptions& options, const Clock* clock) : options_(options), clock_(clock) {}

  Status Listen();
  void Stop();

  void Send(NodeId to, Lane lane, std::string frame);
  void SetReceiver(Receiver receiver) {
    MutexLock lock(&mutex_);
    receiver_ = std::make_shared<const Receiver>(std::move(receiver));
  }
  void SetPeers(const std::map<NodeId, Endpoint>& peers);
  void SetCluster(std::uint64_t cluster);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::vector<PeerConnection> Connections() const;

 private:
  struct Peer {
    Endpoint endpoint;
    std::shared_ptr<OutgoingLink> links[kLanes];
    bool opened[kLanes] = {};
  };
  struct Arrivals {
    LinkFigures figures;
    std::optional<MonotonicTime> last;  // frame
    MonotonicTime admitted;             // the newest connection
  };

  // Opens a link that is not open yet.
  void EnsureOpen(const std::shared_ptr<OutgoingLink>& link);
  void Accepted(Result<std::shared_ptr<Stream>> stream);
  Status Admit(const std::shared_ptr<IncomingLink>& link, const Hello& hello);
  // Refuses another incarnation of a node that is here and alive; ends the connections of one that
  // is not alive any more.
  Status CheckIncarnation(const PeerIdentity& from);
  void Arrived(const Hello& hello, std::string frame);
  void Ended(const std::shared_ptr<IncomingLink>& link, const Status& why);
  // Says in the log that a stranger was turned away; the same words not more than once in a while.
  void LogRefusal(const std::string& remote, const Status& why);

  const TcpTransportOptions options_;
  const Clock* const clock_;
  std::uint16_t port_ = 0;

  LinkSettings settings_;
  std::unique_ptr<Acceptor> acceptor_;
  std::set<std::shared_ptr<IncomingLink>> incoming_;
  std::map<std::pair<NodeId, Lane>, std::shared_ptr<IncomingLink>> admitted_;
  std::map<std::string, MonotonicTime> refusals_;

  mutable Mutex mutex_;
  std::map<NodeId, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, Arrivals> arrivals_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Receiver> receiver_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  Loop loop_{"cairn-peers"};  // last: its thread ends before what it uses
};

Status TcpTransport::Impl::Listen() {
  settings_.loop = &loop_;
  settings_.socket = options_.socket;
  settings_.self = options_.self;
  settings_.random = SeededRandom(options_.seed);
  settings_.max_frame_bytes = options_.max_frame_bytes;
  settings_.max_queue_bytes = options_.max_queue_bytes;
  settings_.min_backoff = options_.min_backoff;
  settings_.max_backoff = options_.max_backoff;
  if (options_.tls) {
    CAIRN_ASSIGN_OR_RETURN(settings_.tls, TlsContext::Load(*options_.tls));
  }
  CAIRN_ASSIGN_OR_RETURN(acceptor_, transport::Listen(&loop_, options_.bind_address, options_.port,
                                                      settings_.tls, options_.socket));
  port_ = acceptor_->port();
  loop_.Post([this] {
    acceptor_->Start(
        [this](Result<std::shared_ptr<Stream>> stream) { Accepted(std::move(stream)); });
  });
  return Status::Ok();
}

void TcpTransport::Impl::Stop() {
  std::map<NodeId, Peer> peers;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    peers.swap(peers_);
    receiver_ = nullptr;
  }
  loop_.Stop();
  // The loop's thread is gone: what was its is ours.
  acceptor_.reset();
  admitted_.clear();
  for (const auto& link : std::exchange(incoming_, {})) link->Close(UnavailableError("stopping"));
  for (auto& [node, peer] : peers) {
    for (const auto& link : peer.links) link->Close();
  }
}

// ---- Sending

void TcpTransport::Impl::Send(NodeId to, Lane lane, std::string frame) {
  std::shared_ptr<OutgoingLink> link;
  bool open = false;
  {
    MutexLock lock(&mutex_);
    const auto peer = peers_.find(to);
    if (peer == peers_.end()) return;
    const auto index = static_cast<std::size_t>(lane);
    link = peer->second.links[index];
    open = !std::exchange(peer->second.opened[index], true);
  }
  link->Send(std::move(frame));
  if (open) EnsureOpen(link);
}

void TcpTransport::Impl::EnsureOpen(const std::shared_ptr<OutgoingLink>& link) {
  loop_.Post([link] { link->Open(); });
}

void TcpTransport::Impl::SetPeers(const std::map<NodeId, Endpoint>& peers) {
  std::vector<std::shared_ptr<OutgoingLink>> begin;
  std::vector<std::shared_ptr<OutgoingLink>> end;
  {
    MutexLock lock(&mutex_);
    if (stopped_) return;
    for (auto it = peers_.begin(); it != peers_.end();) {
      const auto wanted = peers.find(it->first);
      if (wanted != peers.end() && wanted->second == it->second.endpoint) {
        ++it;
        continue;
      }
      for (const auto& link : it->second.links) end.push_back(link);
      it = peers_.erase(it);
    }
    for (const auto& [node, endpoint] : peers) {
      if (node == options_.self.node || peers_.contains(node)) continue;
      Peer& peer = peers_[node];
      peer.endpoint = endpoint;
      for (std::size_t i = 0; i < kLanes; ++i) {
        peer.links[i] =
            std::make_shared<OutgoingLink>(&settings_, node, endpoint, static_cast<Lane>(i));
      }
      // The other lanes are dialled when they are first used.
      peer.opened[static_cast<std::size_t>(Lane::kConsensus)] = true;
      begin.push_back(peer.links[static_cast<std::size_t>(Lane::kConsensus)]);
    }
  }
  for (const auto& link : end) loop_.Post([link] { link->Close(); });
  for (const auto& link : begin) EnsureOpen(link);
}

void TcpTransport::Impl::SetCluster(std::uint64_t cluster) {
  loop_.Post([this, cluster] {
    settings_.self.cluster = cluster;
    std::vector<std::shared_ptr<OutgoingLink>> links;
    {
      MutexLock lock(&mutex_);
      for (auto& [node, peer] : peers_) {
        links.insert(links.end(), std::begin(peer.links), std::end(peer.links));
      }
    }
    for (const auto& link : links) link->CheckCluster();
    const auto incoming = incoming_;
    for (const auto& link : incoming) {
      if (!link->hello()) continue;
      if (Status fits = CheckHello(settings_.self, *link->hello()); !fits.ok()) {
        link->Close(fits);
      }
    }
  });
}

// ---- Receiving

void TcpTransport::Impl::Accepted(Result<std::shared_ptr<Stream>> stream) {
  if (!stream.ok()) {
    LogRefusal("somebody", stream.status());
    return;
  }
  std::size_t strangers = 0;
  for (const auto& link : incoming_) strangers += link->hello() ? 0 : 1;
  if (strangers >= options_.max_strangers) {
    LogRefusal((*stream)->remote(),
               ResourceExhaustedError("too many connections that have not said hello"));
    (*stream)->Close();
    return;
  }
  IncomingLink::Events events;
  events.admit = [this](const std::shared_ptr<IncomingLink>& link, const Hello& hello) {
    return Admit(link, hello);
  };
  events.frame = [this](const Hello& hello, std::string frame) {
    Arrived(hello, std::move(frame));
  };
  events.closed = [this](const std::shared_ptr<IncomingLink>& link, const Status& why) {
    Ended(link, why);
  };
  const auto link = std::make_shared<IncomingLink>(&settings_, *stream, std::move(events));
  incoming_.insert(link);
  link->Open();
}

Status TcpTransport::Impl::CheckIncarnation(const PeerIdentity& from) {
  std::vector<std::shared_ptr<IncomingLink>> others;
  for (const auto& [place, link] : admitted_) {
    if (place.first != from.node || link->hello()->from.incarnation == from.incarnation) continue;
    others.push_back(link);
  }
  if (others.empty()) return Status::Ok();
  MonotonicTime heard;
  {
    MutexLock lock(&mutex_);
    const Arrivals& arrivals = arrivals_[from.node];
    heard = std::max(arrivals.admitted, arrivals.last.value_or(arrivals.admitted));
  }
  const std::uint64_t present = others.front()->hello()->from.incarnation.value();
  if (clock_->Now() - heard <= options_.alive_window) {
    return InvalidArgumentError(
        fmt::format("node {} is here already and alive, with data folder {:016x}; a second process "
                    "under its number, with data folder {:016x}, may not come in: end one of the "
                    "two, or give it an instance_id of its own",
                    from.node.value(), present, from.incarnation.value()));
  }
  for (const auto& link : others) {
    link->Close(UnavailableError("another incarnation took the place of one that was silent"));
  }
  return Status::Ok();
}

Status TcpTransport::Impl::Admit(const std::shared_ptr<IncomingLink>& link, const Hello& hello) {
  CAIRN_RETURN_IF_ERROR(CheckIncarnation(hello.from));
  // A peer that dials again has lost its earlier connection, whether or not this end has noticed.
  auto& place = admitted_[{hello.from.node, hello.lane}];
  const auto earlier = std::exchange(place, link);
  if (earlier != nullptr) earlier->Close(UnavailableError("the peer connected anew"));
  MutexLock lock(&mutex_);
  Arrivals& arrivals = arrivals_[hello.from.node];
  arrivals.admitted = clock_->Now();
  arrivals.figures.connected = true;
  ++arrivals.figures.connects;
  return Status::Ok();
}

void TcpTransport::Impl::Arrived(const Hello& hello, std::string frame) {
  std::shared_ptr<const Receiver> receiver;
  {
    MutexLock lock(&mutex_);
    Arrivals& arrivals = arrivals_[hello.from.node];
    ++arrivals.figures.frames;
    arrivals.figures.bytes += frame.size();
    arrivals.last = clock_->Now();
    receiver = receiver_;
  }
  if (receiver != nullptr && *receiver) (*receiver)(hello.from.node, std::move(frame));
}

void TcpTransport::Impl::Ended(const std::shared_ptr<IncomingLink>& link, const Status& why) {
  incoming_.erase(link);
  if (!link->hello()) {
    LogRefusal(link->remote(), why);
    return;
  }
  const NodeId node = link->hello()->from.node;
  const auto place = admitted_.find({node, link->hello()->lane});
  if (place != admitted_.end() && place->second == link) admitted_.erase(place);
  bool connected = false;
  for (const auto& [key, other] : admitted_) connected = connected || key.first == node;
  MutexLock lock(&mutex_);
  arrivals_[node].figures.connected = connected;
}

void TcpTransport::Impl::LogRefusal(const std::string& remote, const Status& why) {
  constexpr Duration kPause = std::chrono::seconds(30);
  constexpr std::size_t kMostRemembered = 256;
  const MonotonicTime now = clock_->Now();
  if (refusals_.size() >= kMostRemembered) refusals_.clear();
  // By the words, not by the address: its port differs each time.
  const auto [said, first] = refusals_.try_emplace(why.message(), now);
  if (!first && now - said->second < kPause) return;
  said->second = now;
  CAIRN_LOG(kWarn, "peers: turned {} away: {}", remote, why.message());
}

std::vector<PeerConnection> TcpTransport::Impl::Connections() const {
  std::vector<PeerConnection> connections;
  MutexLock lock(&mutex_);
  for (const auto& [node, peer] : peers_) {
    PeerConnection connection;
    connection.peer = node;
    connection.endpoint = peer.endpoint;
    for (std::size_t i = 0; i < kLanes; ++i) connection.outgoing[i] = peer.links[i]->Figures();
    if (const auto arrivals = arrivals_.find(node); arrivals != arrivals_.end()) {
      connection.incoming = arrivals->second.figures;
      connection.last_received = arrivals->second.last;
    }
    connections.push_back(std::move(connection));
  }
  return connections;
}

// ---- The class itself

TcpTransport::TcpTransport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TcpTransport::~TcpTransport() { Stop(); }

Result<std::unique_ptr<TcpTransport>> TcpTransport::Start(const TcpTransportOptions& options,
                                                          const Clock* clock) {
  auto impl = std::make_unique<Impl>(options, clock);
  if (Status listening = impl->Listen(); !listening.ok()) {
    impl->Stop();
    return listening;
  }
  return std::unique_ptr<TcpTransport>(new TcpTransport(std::move(impl)));
}

void TcpTransport::Send(NodeId to, Lane lane, std::string frame) {
  impl_->Send(to, lane, std::move(frame));
}
void TcpTransport::SetReceiver(Receiver receiver) { impl_->SetReceiver(std::move(receiver)); }
void TcpTransport::SetPeers(const std::map<NodeId, Endpoint>& peers) { impl_->SetPeers(peers); }
void TcpTransport::SetCluster(std::uint64_t cluster) { impl_->SetCluster(cluster); }
std::uint16_t TcpTransport::port() const { return impl_->port(); }
std::vector<PeerConnection> TcpTransport::Connections() const { return impl_->Connections(); }
void TcpTransport::Stop() { impl_->Stop(); }

}  // namespace cairn::transport
