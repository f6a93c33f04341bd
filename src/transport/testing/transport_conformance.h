// What every PeerTransport must do. An implementation's test derives a fixture that makes a network
// of nodes and instantiates the suite:
//
//   class MyNetwork : public transport::TestNetwork { ... };
//   CAIRN_TRANSPORT_CONFORMANCE(Mine, [] { return std::make_unique<MyNetwork>(); });
#ifndef CAIRN_SRC_TRANSPORT_TESTING_TRANSPORT_CONFORMANCE_H_
#define CAIRN_SRC_TRANSPORT_TESTING_TRANSPORT_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "src/base/ids.h"
#include "src/transport/peer_transport.h"

namespace cairn::transport {

// Three nodes, 0 to 2, that can reach each other. Destroyed with all its transports.
class TestNetwork {
 public:
  virtual ~TestNetwork() = default;
  virtual PeerTransport* node(NodeId id) = 0;
  // Ends the node and starts it again, without a receiver.
  virtual void Restart(NodeId id) = 0;
  // Ends the node for good.
  virtual void End(NodeId id) = 0;
  // Another process under the number of a node, with a data folder of its own, that knows the other
  // nodes. It must end before the network does.
  virtual std::unique_ptr<PeerTransport> Rival(NodeId id) = 0;
};

using TestNetworkMaker = std::function<std::unique_ptr<TestNetwork>()>;

// Gives `maker` back. It stands beside the tests, so that whoever names it gets them linked.
TestNetworkMaker ConformanceOf(TestNetworkMaker maker);

class TransportConformance : public testing::TestWithParam<TestNetworkMaker> {
 protected:
  void SetUp() override { network_ = GetParam()(); }
  std::unique_ptr<TestNetwork> network_;
};

}  // namespace cairn::transport

#define CAIRN_TRANSPORT_CONFORMANCE(Name, ...)                           \
  namespace cairn::transport {                                           \
  INSTANTIATE_TEST_SUITE_P(Name, TransportConformance,                   \
                           testing::Values(ConformanceOf(__VA_ARGS__))); \
  }                                                                      \
  static_assert(true, "a semicolon follows")

#endif  // CAIRN_SRC_TRANSPORT_TESTING_TRANSPORT_CONFORMANCE_H_
