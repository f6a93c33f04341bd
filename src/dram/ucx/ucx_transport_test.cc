#include "src/dram/ucx/ucx_transport.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>

#include "src/base/sanitizers.h"
#include "src/dram/testing/transport_conformance.h"
#include "src/dram/testing/transport_test_kit.h"
#include "src/dram/ucx/raw_peer_test_util.h"

namespace cairn::dram {
namespace {

std::unique_ptr<Transport> MakeUcx(const UcxOptions& options = {}) {
  auto transport = MakeUcxTransport(options);
  EXPECT_TRUE(transport.ok()) << transport.status().ToString();
  return std::move(*transport);
}

class UcxHarness final : public TransportHarness {
 public:
  explicit UcxHarness(const UcxOptions& options) : options_(options) {}
  std::unique_ptr<Transport> Make() override { return MakeUcx(options_); }
  bool SendRaw(const Endpoint& address, const std::string& bytes) override {
    const ucx::Way way = options_.shared_memory              ? ucx::Way::kSharedMemory
                         : options_.network == Network::kUcx ? ucx::Way::kUcx
                                                             : ucx::Way::kTcp;
    EXPECT_TRUE(ucx::RawPeer(bytes, "", way).Run(address));
    return true;
  }

 private:
  const UcxOptions options_;
};

const bool kRegistered = [] {
  RegisterTransportConformance("SharedMemoryConformance",
                               [] { return std::make_unique<UcxHarness>(UcxOptions{}); });
  RegisterTransportConformance("TcpConformance", [] {
    UcxOptions options;
    options.shared_memory = false;
    options.network = Network::kTcp;
    return std::make_unique<UcxHarness>(options);
  });
  RegisterTransportConformance("UcxConformance", [] {
    UcxOptions options;
    options.shared_memory = false;
    options.network = Network::kUcx;
    return std::make_unique<UcxHarness>(options);
  });
  return true;
}();

TEST(UcxTransportTest, SuiteIsRegistered) { EXPECT_TRUE(kRegistered); }

TEST(UcxTransportTest, AWaitingCallerMayDrive) {
  UcxOptions busy;
  busy.busy_poll = true;
  const auto server_transport = MakeUcx();
  const auto transport = MakeUcx(busy);
  TestServer server(server_transport.get(), {"127.0.0.1", 0});
  TestClient client(transport.get(), server.address());
  for (const std::size_t size : {10, 1 << 20}) {
    auto ongoing = client.Start("echo", Buffer::Copy(PatternBytes(size, 1)));
    while (ongoing.done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      (void)transport->Poll();
    }
    EXPECT_TRUE(ongoing.done.get().ok());
  }
}

// libucs takes these signals when it is loaded, before main.
TEST(UcxTransportTest, TheProcessKeepsItsSignals) {
  const auto transport = MakeUcx();
  for (const int signal : {SIGHUP, SIGILL, SIGBUS, SIGFPE, SIGSEGV}) {
    if (kSanitized && signal != SIGHUP) continue;
    struct sigaction action {};
    ASSERT_EQ(::sigaction(signal, nullptr, &action), 0);
    EXPECT_TRUE(action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) << signal;
  }
}

}  // namespace
}  // namespace cairn::dram
