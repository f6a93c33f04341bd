// The conformance suite of transports: the rules of src/dram/transport.h as tests that run over
// every implementation.
#ifndef CAIRN_SRC_DRAM_TESTING_TRANSPORT_CONFORMANCE_H_
#define CAIRN_SRC_DRAM_TESTING_TRANSPORT_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/dram/transport.h"

namespace cairn::dram {

// How the suite makes transports of one kind.
class TransportHarness {
 public:
  virtual ~TransportHarness() = default;
  // A transport like a process of its own; all that one harness makes reach each other.
  virtual std::unique_ptr<Transport> Make() = 0;
  // Where to listen: a host of this machine, port 0.
  [[nodiscard]] virtual Endpoint ListenAddress() const { return {"127.0.0.1", 0}; }
  // Sends `bytes` as one frame, on a connection of its own, to a listener. False if the transport
  // can't be made to send such a thing; the tests of hostile frames are then skipped.
  virtual bool SendRaw(const Endpoint& /*address*/, const std::string& /*bytes*/) { return false; }
};

using TransportHarnessFactory = std::function<std::unique_ptr<TransportHarness>()>;

// A test of the suite: gtest assertions on a fresh harness.
struct TransportTest {
  const char* name;
  void (*run)(TransportHarness&);
};

// Registers the suite with gtest as `suite`. Call before RUN_ALL_TESTS.
void RegisterTransportConformance(const std::string& suite, const TransportHarnessFactory& factory);

// The parts of the suite.
std::vector<TransportTest> TransferTests();
std::vector<TransportTest> LifecycleTests();
std::vector<TransportTest> FaultTests();

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_TESTING_TRANSPORT_CONFORMANCE_H_
