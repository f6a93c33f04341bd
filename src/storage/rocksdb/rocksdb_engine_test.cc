// The conformance suite over the RocksDB engine: on the simulated disk, where a crash loses what
// was not synced, and on the machine's own, through RocksDB's own file code.
#include "src/storage/rocksdb/rocksdb_engine.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/rocksdb/test_options.h"
#include "src/storage/testing/engine_conformance.h"
#include "src/storage/testing/random_comparison.h"

namespace cairn::storage {
namespace {

// Opens engines in `directory` over and over.
class RocksDbHarness : public EngineHarness {
 public:
  RocksDbHarness(RocksDbOptions options, std::string directory)
      : options_(std::move(options)), directory_(std::move(directory)) {
    Open();
  }

  Engine& engine() override { return *engine_; }
  void CollectGarbage() override { EXPECT_EQ(engine_->CompactAll(), Status::Ok()); }
  std::string NewDirectory() override {
    return directory_ + "-copy" + std::to_string(++directories_);
  }
  [[nodiscard]] bool ForgetsOldVersions() const override { return true; }

 protected:
  void Open() {
    engine_ = nullptr;
    auto opened = RocksDbEngine::Open(options_, directory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    engine_ = *std::move(opened);
  }
  void Close() { engine_ = nullptr; }
  [[nodiscard]] const RocksDbOptions& options() const { return options_; }

 private:
  const RocksDbOptions options_;
  const std::string directory_;
  std::unique_ptr<RocksDbEngine> engine_;
  int directories_ = 0;
};

class SimulatedDiskHarness final : public RocksDbHarness {
 public:
  SimulatedDiskHarness() : SimulatedDiskHarness(std::make_shared<FaultFileSystem>(), "/db") {}
  SimulatedDiskHarness(std::shared_ptr<FaultFileSystem> files, const std::string& directory)
      : RocksDbHarness(SmallOptions(files.get()), directory), files_(std::move(files)) {}
  ~SimulatedDiskHarness() override { Close(); }

  void Crash() override {
    files_->PowerOffAt(1);
    Close();
    files_->Crash(CrashMode::kDropUnsynced, nullptr);
    Open();
  }
  bool SetDiskFull(bool full) override {
    files_->SetCapacity(full ? std::optional(files_->UsedBytes()) : std::nullopt);
    return true;
  }
  std::unique_ptr<EngineHarness> OpenCopy(const std::string& directory) override {
    return std::make_unique<SimulatedDiskHarness>(files_, directory);
  }

 private:
  const std::shared_ptr<FaultFileSystem> files_;
};

class RealDiskHarness final : public RocksDbHarness {
 public:
  explicit RealDiskHarness(const std::string& directory)
      : RocksDbHarness(SmallOptions(), directory) {}
  RealDiskHarness() : RealDiskHarness(ScratchFolder()) { scratch_ = last_scratch_; }
  ~RealDiskHarness() override {
    Close();
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_);
  }

  // The process lives on, but an engine that is destroyed flushes nothing.
  void Crash() override {
    Close();
    Open();
  }
  bool SetDiskFull(bool) override { return false; }
  std::unique_ptr<EngineHarness> OpenCopy(const std::string& directory) override {
    return std::make_unique<RealDiskHarness>(directory);
  }

 private:
  static std::string ScratchFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "cairn-rocksdb-XXXXXX").string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    last_scratch_ = path;
    return path + "/db";
  }

  static inline std::string last_scratch_;
  std::string scratch_;
};

[[maybe_unused]] const bool kRegistered = [] {
  RegisterEngineConformance("RocksDbOnSimulatedDisk",
                            [] { return std::make_unique<SimulatedDiskHarness>(); });
  RegisterEngineConformance("RocksDbOnRealDisk",
                            [] { return std::make_unique<RealDiskHarness>(); });
  return true;
}();

TEST(RocksDbEngineTest, BehavesAsTheModelOnTheSimulatedDisk) {
  for (std::uint64_t seed = 11; seed <= 13 && !HasFailure(); ++seed) {
    SimulatedDiskHarness harness;
    RunRandomComparison(harness, seed, ScaledOperations(250000));
  }
}

TEST(RocksDbEngineTest, BehavesAsTheModelOnTheRealDisk) {
  RealDiskHarness harness;
  RunRandomComparison(harness, 21, ScaledOperations(100000));
}

}  // namespace
}  // namespace cairn::storage
