// The conformance suite over the memory engine, and what only this engine has.
#include "src/storage/memory/memory_engine.h"

#include <gtest/gtest.h>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/testing/engine_conformance.h"
#include "src/storage/testing/random_comparison.h"

namespace cairn::storage {
namespace {

class MemoryHarness final : public EngineHarness {
 public:
  MemoryHarness()
      : files_(std::make_shared<FaultFileSystem>()),
        engine_(std::make_unique<MemoryEngine>(Options())) {}
  MemoryHarness(std::shared_ptr<FaultFileSystem> files, std::unique_ptr<MemoryEngine> engine)
      : files_(std::move(files)), engine_(std::move(engine)) {}

  Engine& engine() override { return *engine_; }
  void Crash() override { engine_->Crash(); }
  void CollectGarbage() override {}  // Flush has done it
  bool SetDiskFull(bool full) override {
    std::optional<std::uint64_t> capacity;
    if (full) capacity = *engine_->Figures().memory_bytes;
    engine_->SetCapacity(capacity);
    return true;
  }
  std::string NewDirectory() override { return "/copy" + std::to_string(++directories_); }
  std::unique_ptr<EngineHarness> OpenCopy(const std::string& directory) override {
    auto loaded = MemoryEngine::Load(directory, Options());
    EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
    return std::make_unique<MemoryHarness>(files_, *std::move(loaded));
  }
  [[nodiscard]] bool ForgetsOldVersions() const override { return false; }

 private:
  [[nodiscard]] MemoryEngineOptions Options() const { return {.file_system = files_.get()}; }

  const std::shared_ptr<FaultFileSystem> files_;
  std::unique_ptr<MemoryEngine> engine_;
  int directories_ = 0;
};

[[maybe_unused]] const bool kRegistered = [] {
  RegisterEngineConformance("MemoryEngine", [] { return std::make_unique<MemoryHarness>(); });
  return true;
}();

TEST(MemoryEngineTest, BehavesAsTheModel) {
  for (std::uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    MemoryHarness harness;
    RunRandomComparison(harness, seed, ScaledOperations(250000));
  }
}

TEST(MemoryEngineTest, CheckpointNeedsAFileSystem) {
  MemoryEngine engine;
  EXPECT_EQ(engine.Checkpoint("/copy").status().code(), StatusCode::kUnimplemented);
}

// Every byte of a checkpoint counts: any change is found and the file named.
TEST(MemoryEngineTest, DamagedCheckpointsAreRefused) {
  FaultFileSystem files;
  MemoryEngine engine({.file_system = &files});
  WriteBatch batch;
  batch.Put(FamilyId(0), "k", "v", Version(2));
  batch.SystemPut(SystemSpace::kState, "s", "v");
  ASSERT_EQ(engine.Write(batch, MakeMeta(1, 2)), Status::Ok());
  ASSERT_TRUE(engine.Checkpoint("/copy").ok());
  const std::string path = "/copy/state.cairn";
  const auto bytes = files.ReadFile(path);
  ASSERT_TRUE(bytes.ok());
  for (std::size_t i = 0; i < bytes->size(); ++i) {
    files.Damage(path, i, 0x40);
    const auto loaded = MemoryEngine::Load("/copy", {.file_system = &files});
    EXPECT_EQ(loaded.status().code(), StatusCode::kCorruption);
    EXPECT_NE(loaded.status().message().find(path), std::string::npos);
    files.Damage(path, i, 0x40);
  }
  for (std::size_t size = 0; size < bytes->size(); ++size) {
    auto file = files.Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Truncate(0), Status::Ok());
    ASSERT_EQ((*file)->WriteAt(0, std::string_view(*bytes).substr(0, size)), Status::Ok());
    EXPECT_EQ(MemoryEngine::Load("/copy", {.file_system = &files}).status().code(),
              StatusCode::kCorruption);
  }
}

}  // namespace
}  // namespace cairn::storage
