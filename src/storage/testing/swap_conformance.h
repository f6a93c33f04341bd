// Tests of SwapEngine that every engine under it must pass: what installing a snapshot replaces,
// what readers see meanwhile, and what a crash at each point leaves.
#ifndef CAIRN_SRC_STORAGE_TESTING_SWAP_CONFORMANCE_H_
#define CAIRN_SRC_STORAGE_TESTING_SWAP_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <string>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/swap_engine.h"
#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {

// A machine with a disk that can lose power, and a kind of engine.
class SwapMachine {
 public:
  virtual ~SwapMachine() = default;
  // For SwapEngineOptions::open.
  virtual Result<std::shared_ptr<Engine>> OpenEngine(const std::string& folder) = 0;
  // The engines are gone: what was not durable is lost.
  virtual void Crash(CrashMode mode, Random* random) = 0;
  // Crash modes that the engine can stand.
  [[nodiscard]] virtual bool StandsRandomCrashes() const = 0;

  FaultFileSystem& files() { return files_; }
  Result<std::unique_ptr<SwapEngine>> OpenSwap();

 private:
  FaultFileSystem files_;
};

using SwapMachineFactory = std::function<std::unique_ptr<SwapMachine>()>;

// Registers all tests under the suite's name, each on a machine of its own.
void RegisterSwapConformance(const std::string& suite, const SwapMachineFactory& factory);

}  // namespace cairn::storage

#endif  // CAIRN_SRC_STORAGE_TESTING_SWAP_CONFORMANCE_H_
