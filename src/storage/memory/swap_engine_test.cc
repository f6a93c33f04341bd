// SwapEngine over memory engines, and the file DATABASE.
#include "src/storage/swap_engine.h"

#include <gtest/gtest.h>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/memory/engine_shelf.h"
#include "src/storage/testing/engine_conformance.h"
#include "src/storage/testing/swap_conformance.h"

namespace cairn::storage {
namespace {

class MemoryMachine final : public SwapMachine {
 public:
  Result<std::shared_ptr<Engine>> OpenEngine(const std::string& folder) override {
    return shelf_.Open(folder);
  }
  void Crash(CrashMode mode, Random* random) override {
    files().Crash(mode, random);
    shelf_.Crash();
  }
  [[nodiscard]] bool StandsRandomCrashes() const override { return true; }
  EngineShelf& shelf() { return shelf_; }

 private:
  EngineShelf shelf_{&files()};
};

// What every engine must do, by an engine whose state came by a snapshot.
class SwappedHarness final : public EngineHarness {
 public:
  SwappedHarness() {
    Open();
    EXPECT_TRUE(engine_->Checkpoint("/data/in").ok());
    EXPECT_EQ(engine_->Install("/data/in", StateMeta()), Status::Ok());
  }

  Engine& engine() override { return *engine_; }
  void Crash() override {
    engine_.reset();
    machine_.Crash(CrashMode::kDropUnsynced, nullptr);
    Open();
  }
  void CollectGarbage() override {}
  bool SetDiskFull(bool full) override {
    std::optional<std::uint64_t> capacity;
    if (full) capacity = *engine_->Figures().memory_bytes;
    machine_.shelf().newest()->SetCapacity(capacity);
    return true;
  }
  std::string NewDirectory() override { return "/copy" + std::to_string(++directories_); }
  std::unique_ptr<EngineHarness> OpenCopy(const std::string& directory) override {
    // Not the other engine, but its checkpoint on a machine of its own.
    auto copy = std::make_unique<SwappedHarness>();
    const auto bytes = machine_.files().ReadFile(directory + "/" + MemoryEngine::kCheckpointFile);
    EXPECT_TRUE(bytes.ok());
    EXPECT_EQ(copy->machine_.files().CreateDirectories("/data/in"), Status::Ok());
    EXPECT_EQ(copy->machine_.files().WriteFileAtomically("/data/in/state.cairn", *bytes),
              Status::Ok());
    const auto loaded = MemoryEngine::Load("/data/in", {.file_system = &copy->machine_.files()});
    EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
    const StateMeta meta = (*loaded)->Meta();
    if (meta == StateMeta()) return copy;
    EXPECT_EQ(copy->engine_->Install("/data/in", meta), Status::Ok());
    return copy;
  }
  [[nodiscard]] bool ForgetsOldVersions() const override { return false; }

 private:
  void Open() {
    auto opened = machine_.OpenSwap();
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    engine_ = *std::move(opened);
  }

  MemoryMachine machine_;
  std::unique_ptr<SwapEngine> engine_;
  int directories_ = 0;
};

[[maybe_unused]] const bool kRegistered = [] {
  RegisterEngineConformance("SwapEngine", [] { return std::make_unique<SwappedHarness>(); });
  RegisterSwapConformance("SwappedMemoryEngine", [] { return std::make_unique<MemoryMachine>(); });
  return true;
}();

TEST(DatabasePointerTest, EveryByteCounts) {
  const DatabasePointer pointer{"db.12.3", Slot(12), Epoch(3)};
  const std::string text = pointer.Encode();
  const auto decoded = DatabasePointer::Decode(text);
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(*decoded, pointer);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(DatabasePointer::Decode(damaged).status().code(), StatusCode::kCorruption) << i;
    EXPECT_FALSE(DatabasePointer::Decode(text.substr(0, i)).ok()) << i;
  }
}

TEST(DatabasePointerTest, NamesOnlyFoldersOfStates) {
  for (const char* folder : {"journal", "db/../journal", "", "..", "db.1/x", "dbx"}) {
    const DatabasePointer pointer{folder, Slot(1), Epoch(1)};
    EXPECT_FALSE(DatabasePointer::Decode(pointer.Encode()).ok()) << folder;
  }
}

TEST(SwapEngineTest, ADamagedOrDanglingPointerStopsTheNode) {
  MemoryMachine machine;
  ASSERT_EQ(machine.files().CreateDirectories("/data"), Status::Ok());
  const DatabasePointer pointer{"db.12.3", Slot(12), Epoch(3)};
  ASSERT_EQ(machine.files().WriteFileAtomically("/data/DATABASE", pointer.Encode()), Status::Ok());
  const auto dangling = machine.OpenSwap();
  EXPECT_EQ(dangling.status().code(), StatusCode::kCorruption);
  EXPECT_NE(dangling.status().message().find("db.12.3"), std::string::npos);
  machine.files().Damage("/data/DATABASE", 20, 1);
  const auto damaged = machine.OpenSwap();
  EXPECT_EQ(damaged.status().code(), StatusCode::kCorruption);
  EXPECT_NE(damaged.status().message().find("/data/DATABASE"), std::string::npos);
}

}  // namespace
}  // namespace cairn::storage
