// SwapEngine over RocksDB engines.
#include <gtest/gtest.h>

#include "src/storage/rocksdb/rocksdb_engine.h"
#include "src/storage/rocksdb/test_options.h"
#include "src/storage/swap_engine.h"
#include "src/storage/testing/swap_conformance.h"

namespace cairn::storage {
namespace {

class RocksDbMachine final : public SwapMachine {
 public:
  Result<std::shared_ptr<Engine>> OpenEngine(const std::string& folder) override {
    CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<RocksDbEngine> engine,
                           RocksDbEngine::Open(SmallOptions(&files()), folder));
    return std::shared_ptr<Engine>(std::move(engine));
  }
  void Crash(CrashMode mode, Random* random) override { files().Crash(mode, random); }
  // RocksDB takes a manifest with a hole for damage: see rocksdb_crash_test.cc.
  [[nodiscard]] bool StandsRandomCrashes() const override { return false; }
};

[[maybe_unused]] const bool kRegistered = [] {
  RegisterSwapConformance("SwappedRocksDb", [] { return std::make_unique<RocksDbMachine>(); });
  return true;
}();

}  // namespace
}  // namespace cairn::storage
