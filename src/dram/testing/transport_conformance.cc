#include "src/dram/testing/transport_conformance.h"

#include <gtest/gtest.h>

namespace cairn::dram {
namespace {

class SuiteTest : public ::testing::Test {
 public:
  SuiteTest(TransportTest test, TransportHarnessFactory factory)
      : test_(test), factory_(std::move(factory)) {}
  void TestBody() override {
    const std::unique_ptr<TransportHarness> harness = factory_();
    test_.run(*harness);
  }

 private:
  const TransportTest test_;
  const TransportHarnessFactory factory_;
};

}  // namespace

void RegisterTransportConformance(const std::string& suite,
                                  const TransportHarnessFactory& factory) {
  for (const auto& part : {TransferTests(), LifecycleTests(), FaultTests()}) {
    for (const TransportTest& test : part) {
      ::testing::RegisterTest(
          suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
          [test, factory]() -> ::testing::Test* { return new SuiteTest(test, factory); });
    }
  }
}

}  // namespace cairn::dram
