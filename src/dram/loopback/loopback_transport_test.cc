#include "src/dram/loopback/loopback_transport.h"

#include <gtest/gtest.h>

#include "src/dram/testing/transport_conformance.h"

namespace cairn::dram {
namespace {

class LoopbackHarness final : public TransportHarness {
 public:
  std::unique_ptr<Transport> Make() override {
    return std::make_unique<LoopbackTransport>(network_);
  }
  bool SendRaw(const Endpoint& address, const std::string& bytes) override {
    return network_->SendRaw(address, bytes);
  }

 private:
  const std::shared_ptr<LoopbackNetwork> network_ = std::make_shared<LoopbackNetwork>();
};

const bool kRegistered = [] {
  RegisterTransportConformance("LoopbackConformance",
                               [] { return std::make_unique<LoopbackHarness>(); });
  return true;
}();

TEST(LoopbackTransportTest, SuiteIsRegistered) { EXPECT_TRUE(kRegistered); }

}  // namespace
}  // namespace cairn::dram
