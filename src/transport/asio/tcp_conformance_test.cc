#include <map>
#include <memory>

#include "src/base/check.h"
#include "src/transport/asio/tcp_transport.h"
#include "src/transport/testing/transport_conformance.h"

namespace cairn::transport {
namespace {

class TcpNetwork final : public TestNetwork {
 public:
  TcpNetwork() {
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

  SystemClock clock_;
  std::map<NodeId, Endpoint> endpoints_;
  std::map<NodeId, std::unique_ptr<TcpTransport>> transports_;
};

}  // namespace

CAIRN_TRANSPORT_CONFORMANCE(Tcp, [] { return std::make_unique<TcpNetwork>(); });

}  // namespace cairn::transport
