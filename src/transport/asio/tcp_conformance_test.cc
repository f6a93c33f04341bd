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

 private:
  void Begin(NodeId id) {
    TcpTransportOptions options;
    options.self = {id, IncarnationId(id.value() + 1), 7};
    options.tls = tls_;
    options.min_backoff = std::chrono::milliseconds(1);
    options.max_backoff = std::chrono::milliseconds(5);
    if (const auto known = endpoints_.find(id); known != endpoints_.end()) {
      options.port = known->second.port;
    }
    auto started = TcpTransport::Start(options, &clock_);
    CAIRN_CHECK(started.ok(), started.status().ToString());
    endpoints_[id] = {"127.0.0.1", (*started)->port()};
    transports_[id] = *std::move(started);
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
