#include "src/storage/testing/engine_conformance.h"

#include <gtest/gtest.h>

namespace cairn::storage {
namespace {

class Case final : public testing::Test {
 public:
  Case(HarnessFactory factory, ConformanceTest test) : factory_(std::move(factory)), test_(test) {}

 private:
  void TestBody() override {
    const std::unique_ptr<EngineHarness> harness = factory_();
    test_.run(*harness);
  }

  const HarnessFactory factory_;
  const ConformanceTest test_;
};

}  // namespace

void RegisterEngineConformance(const std::string& suite, const HarnessFactory& factory) {
  for (const auto& part : {ReadTests(), IteratorTests(), WriteTests(), DurabilityTests(),
                           FamilyTests(), UpkeepTests()}) {
    for (const ConformanceTest& test : part) {
      testing::RegisterTest(suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
                            [=]() -> testing::Test* { return new Case(factory, test); });
    }
  }
}

}  // namespace cairn::storage
