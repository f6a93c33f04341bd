#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "src/base/check.h"
#include "src/transport/asio/certificates_test_util.h"
#include "src/transport/asio/tcp_transport.h"
#include "src/transport/testing/transport_conformance.h"

namespace cairn::transport {
namespace {

class TcpNetwork : public TestNetwork {
 public:
  explicit TcpNetwork(std::optional<TlsFiles> tls = std::nullopt) : tls_(std::move(tls)) {
    for (std::uint32_t n = 0; n < 3; ++n) Begin(NodeId(n));
    for (const auto& [id, transport] : transports_) transport->SetPeers(endpoints_);
  }
  PeerTransport* node(NodeId id) override { return transports_.at(id).get(); }
  void Restart(NodeId id) override {
    transports_.erase(id);
    Begin(id);
    transports_.at(id)->SetPeers(endpoints_);
  }
  void End(NodeId id) override { transports_.erase(id); }
  std::unique_ptr<PeerTransport> Rival(NodeId id) override {
    auto rival = Start(id, IncarnationId(id.value() + 100), 0);
    rival->SetPeers(endpoints_);
    return rival;
  }

 private:
  void Begin(NodeId id) {
    const auto known = endpoints_.find(id);
    auto started = Start(id, IncarnationId(id.value() + 1),
                         known != endpoints_.end() ? known->second.port : std::uint16_t{0});
    endpoints_[id] = {"127.0.0.1", started->port()};
    transports_[id] = std::move(started);
  }
  std::unique_ptr<TcpTransport> Start(NodeId id, IncarnationId incarnation, std::uint16_t port) {
    TcpTransportOptions options;
    options.self = {id, incarnation, 7};
    options.port = port;
    options.tls = tls_;
    options.min_backoff = std::chrono::milliseconds(1);
    options.max_backoff = std::chrono::milliseconds(5);
    options.alive_window = std::chrono::minutes(10);  // Only its end makes room for a successor.
    auto started = TcpTransport::Start(options, &clock_);
    CAIRN_CHECK(started.ok(), started.status().ToString());
    return *std::move(started);
  }

  const std::optional<TlsFiles> tls_;
  SystemClock clock_;
  std::map<NodeId, Endpoint> endpoints_;
  std::map<NodeId, std::unique_ptr<TcpTransport>> transports_;
};

// With a folder for its certificates.
class TlsNetwork final : private TestFolder, public TcpNetwork {
 public:
  TlsNetwork() : TcpNetwork(TestAuthority(path(), "authority").Issue("node")) {}
};

}  // namespace

CAIRN_TRANSPORT_CONFORMANCE(Tcp, [] { return std::make_unique<TcpNetwork>(); });
CAIRN_TRANSPORT_CONFORMANCE(Tls, [] { return std::make_unique<TlsNetwork>(); });

}  // namespace cairn::transport
