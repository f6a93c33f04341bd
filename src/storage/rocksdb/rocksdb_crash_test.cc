// A fixed workload on a simulated disk that loses power at every operation, one run each, or that
// fills up at every size. What comes back must be the exact state of a batch boundary, not older
// than what the engine had called flushed, and the replay of the rest must give the full state.
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <thread>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/storage/rocksdb/rocksdb_engine.h"
#include "src/storage/rocksdb/test_options.h"
#include "src/storage/testing/engine_harness.h"
#include "src/storage/testing/model_state.h"
#include "src/storage/testing/random_comparison.h"

namespace cairn::storage {
namespace {

constexpr char kDirectory[] = "/db";

struct Step {
  WriteBatch batch;
  StateMeta meta;
  std::optional<FamilyId> create;  // before the batch
  std::optional<FamilyId> drop;    // after it
  bool flush = false;              // after that
};

// Steps, and the state after each: states[i] is the state before steps[i].
struct Workload {
  std::vector<Step> steps;
  std::vector<ModelState> states;
};

Workload MakeWorkload(std::uint64_t seed) {
  SeededRandom random(seed);
  Workload workload;
  ModelState model;
  workload.states.push_back(model);
  for (std::uint64_t n = 1; n <= 40; ++n) {
    Step step;
    if (n <= 2) step.create = FamilyId(static_cast<std::uint32_t>(n));
    if (n == 25) step.drop = FamilyId(1);
    step.flush = n % 6 == 0;
    step.meta = MakeMeta(n, 10 * n, n < 20 ? 0 : 10 * (n - 12));
    if (step.create.has_value()) model.CreateFamily(*step.create);
    const auto families = model.Families();
    for (int i = 0; i < 12; ++i) {
      const FamilyId family = families[random.Below(families.size())];
      const std::string key = "key" + std::to_string(random.Below(20));
      const Version version(10 * n - 5 + i / 2);  // rising, as the contract asks
      if (random.OneIn(1, 4)) {
        step.batch.Delete(family, key, version);
      } else {
        step.batch.Put(family, key, std::string(random.Below(300), 'a' + n % 26), version);
      }
    }
    step.batch.SystemPut(SystemSpace::kState, "last", std::to_string(n));
    step.batch.SystemPut(SystemSpace::kVersionIndex, std::to_string(1000 + n), "x");
    if (n % 10 == 0) {
      step.batch.SystemDeleteRange(SystemSpace::kVersionIndex, "", std::to_string(995 + n));
    }
    model.Write(step.batch, step.meta);
    if (step.drop.has_value()) model.DropFamily(*step.drop);
    workload.states.push_back(model);
    workload.steps.push_back(std::move(step));
  }
  return workload;
}

Status RunStep(Engine& engine, const Step& step) {
  if (step.create.has_value()) CAIRN_RETURN_IF_ERROR(engine.CreateFamily(*step.create));
  CAIRN_RETURN_IF_ERROR(engine.Write(step.batch, step.meta));
  if (step.drop.has_value()) CAIRN_RETURN_IF_ERROR(engine.DropFamily(*step.drop));
  CAIRN_RETURN_IF_ERROR(engine.SetWatermark(step.meta.watermark));
  return step.flush ? engine.Flush() : Status::Ok();
}

void ExpectState(const Engine& engine, const ModelState& state) {
  ASSERT_EQ(engine.Meta(), state.meta());
  const Version watermark = state.meta().watermark;
  for (const FamilyId family : state.Families()) {
    for (Version at = watermark; at <= state.meta().version; at = at.Plus(7)) {
      ASSERT_EQ(Forward(engine, family, {}, at), state.Visible(family, {}, at));
    }
    auto history = History(engine, family);
    std::erase_if(history, [&](const HistoryEntry& e) { return e.version < watermark; });
    ASSERT_EQ(history, state.History(family, {}, watermark));
  }
  for (const SystemSpace space : {SystemSpace::kState, SystemSpace::kVersionIndex}) {
    ASSERT_EQ(System(engine, space), state.System(space, {}));
  }
}

Result<std::unique_ptr<RocksDbEngine>> Open(FaultFileSystem* files) {
  return RocksDbEngine::Open(SmallOptions(files), kDirectory);
}

// Checks that the engine is at a state not older than `flushed`, and returns its index.
std::size_t ExpectSomeState(Engine& engine, const Workload& workload, Slot flushed) {
  const std::size_t index = engine.Meta().applied_slot.value();
  EXPECT_GE(index, flushed.value());
  EXPECT_LT(index, workload.states.size());
  if (index >= workload.states.size()) return 0;
  EXPECT_EQ(engine.ReconcileFamilies(workload.states[index].Families()), Status::Ok());
  ExpectState(engine, workload.states[index]);
  return index;
}

// Either all that was not synced is lost, or none of it: RocksDB counts on file systems that do not
// show a file's new size before its new bytes, and takes a manifest with a hole for damage.
CrashMode Mode(SeededRandom* random) {
  return random->Below(2) == 0 ? CrashMode::kDropUnsynced : CrashMode::kKeepUnsynced;
}

// One run with the power cut at the `nth` operation that changes the disk. False once the workload
// ends before that.
bool RunWithCutAt(const Workload& workload, std::uint64_t nth) {
  FaultFileSystem files;
  SeededRandom random(nth);
  files.PowerOffAt(nth);
  Slot flushed(0);
  if (auto opened = Open(&files); opened.ok()) {
    const std::unique_ptr<RocksDbEngine> engine = *std::move(opened);
    for (const Step& step : workload.steps) {
      if (!RunStep(*engine, step).ok()) break;
      const auto meta = engine->FlushedMeta();
      if (meta.ok()) flushed = std::max(flushed, meta->applied_slot);
    }
  }
  const bool struck = files.PoweredOff();
  files.Crash(Mode(&random), nullptr);

  // The recovery may be cut short, too, at any point up to the first steps after it.
  files.PowerOffAt(1 + random.Below(60));
  if (auto opened = Open(&files); opened.ok()) {
    const std::size_t at = (*opened)->Meta().applied_slot.value();
    EXPECT_GE(at, flushed.value());
    if ((*opened)->ReconcileFamilies(workload.states[at].Families()).ok() &&
        at < workload.steps.size()) {
      const Status status = RunStep(**opened, workload.steps[at]);
      if (status.ok() && workload.steps[at].flush) flushed = workload.steps[at].meta.applied_slot;
    }
  }
  files.Crash(Mode(&random), nullptr);

  auto opened = Open(&files);
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  if (!opened.ok()) return struck;
  std::size_t at = ExpectSomeState(**opened, workload, flushed);
  for (; at < workload.steps.size(); ++at) {
    EXPECT_EQ(RunStep(**opened, workload.steps[at]), Status::Ok());
  }
  ExpectState(**opened, workload.states.back());
  return struck;
}

// Runs `run(i)` for i from 0, on a few threads, until one returns false; returns how many ran.
template <class Run>
std::uint64_t InParallel(int threads, const Run& run) {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      while (!stop && !testing::Test::HasFailure()) {
        if (!run(next++)) stop = true;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return next;
}

TEST(RocksDbCrashTest, PowerCutAtEveryOperation) {
  const Workload workload = MakeWorkload(1);
  // Every operation where that is cheap; under sanitizers every so many.
  const std::uint64_t stride = ScaledOperations(20) == 20 ? 1 : 23;
  constexpr int kThreads = 4;
  rocksdb::Env::Default()->SetBackgroundThreads(kThreads, rocksdb::Env::Priority::HIGH);
  const std::uint64_t runs = InParallel(kThreads, [&](std::uint64_t i) {
    const std::uint64_t nth = 1 + i * stride;
    SCOPED_TRACE("power cut at operation " + std::to_string(nth));
    return RunWithCutAt(workload, nth);
  });
  std::cout << runs << " power cuts, at every operation from 1 by " << stride << std::endl;
  EXPECT_GT(runs * stride, 150U);
}

// The disk fills up somewhere in the workload, and there is room again when the engine has noticed.
// It resumes, or has to be opened again; either way nothing is lost or torn.
void RunWithCapacity(const Workload& workload, std::uint64_t capacity, std::atomic<int>* resumed,
                     std::atomic<int>* reopened) {
  FaultFileSystem files;
  auto opened = Open(&files);
  ASSERT_TRUE(opened.ok());
  std::unique_ptr<RocksDbEngine> engine = *std::move(opened);
  for (std::size_t at = 0; at < workload.steps.size();) {
    // The engine makes no families without ample room.
    if (at == 3) files.SetCapacity(files.UsedBytes() + capacity);
    const Status status = RunStep(*engine, workload.steps[at]);
    if (status.ok()) {
      ++at;
      continue;
    }
    files.SetCapacity(std::nullopt);
    if (status.code() == StatusCode::kResourceExhausted) {
      ASSERT_EQ(engine->Resume(), Status::Ok());
      ++*resumed;
    } else {
      ASSERT_EQ(status.code(), StatusCode::kIoError) << status.ToString();
      const auto flushed = engine->FlushedMeta();
      ASSERT_TRUE(flushed.ok());
      engine = nullptr;
      auto again = Open(&files);
      ASSERT_TRUE(again.ok()) << again.status().ToString();
      engine = *std::move(again);
      ExpectSomeState(*engine, workload, flushed->applied_slot);
      ++*reopened;
    }
    // Goes on with what is not applied; a step that was applied but for its flush is not repeated.
    at = engine->Meta().applied_slot.value();
    if (at > 0 && workload.steps[at - 1].drop.has_value()) {
      ASSERT_EQ(engine->DropFamily(*workload.steps[at - 1].drop), Status::Ok());
    }
    ExpectState(*engine, workload.states[at]);
  }
  files.SetCapacity(std::nullopt);
  ASSERT_EQ(engine->Flush(), Status::Ok());
  ExpectState(*engine, workload.states.back());
  engine = nullptr;
  files.Crash(CrashMode::kDropUnsynced, nullptr);
  auto again = Open(&files);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(ExpectSomeState(**again, workload, workload.steps.back().meta.applied_slot),
            workload.steps.size());
}

TEST(RocksDbCrashTest, FullDiskAtEverySize) {
  constexpr int kThreads = 4;
  rocksdb::Env::Default()->SetBackgroundThreads(kThreads, rocksdb::Env::Priority::HIGH);
  const Workload workload = MakeWorkload(2);
  std::atomic<int> resumed{0};
  std::atomic<int> reopened{0};
  const std::uint64_t stride = ScaledOperations(20) == 20 ? 4096 : 4096 * 7;
  InParallel(kThreads, [&](std::uint64_t i) {
    SCOPED_TRACE("capacity " + std::to_string(i * stride));
    RunWithCapacity(workload, i * stride, &resumed, &reopened);
    return (i + 1) * stride < std::uint64_t{40} * 4096;
  });
  std::cout << resumed << " resumed, " << reopened << " reopened" << std::endl;
  EXPECT_GT(resumed, 0);
}

}  // namespace
}  // namespace cairn::storage
