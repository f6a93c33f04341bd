// What only the RocksDB engine has: files that come and go, write buffers that fill, readers beside
// it all.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/memory/memory_engine.h"
#include "src/storage/rocksdb/rocksdb_engine.h"
#include "src/storage/rocksdb/test_options.h"
#include "src/storage/state_hash.h"
#include "src/storage/testing/engine_harness.h"
#include "src/storage/testing/random_comparison.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

class RocksDbUpkeepTest : public testing::Test {
 protected:
  RocksDbUpkeepTest() { Open(); }

  void Open() {
    engine_ = nullptr;
    auto opened = RocksDbEngine::Open(SmallOptions(&files_), "/db");
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    engine_ = *std::move(opened);
  }
  std::size_t Tables() {
    const auto names = *files_.List("/db");
    return std::count_if(names.begin(), names.end(),
                         [](const std::string& name) { return name.ends_with(".sst"); });
  }
  Status Put(FamilyId family, const std::string& key, const std::string& value, std::uint64_t n) {
    WriteBatch batch;
    batch.Put(family, key, value, Version(n));
    return engine_->Write(batch, MakeMeta(n, n));
  }

  FaultFileSystem files_;
  std::unique_ptr<RocksDbEngine> engine_;
};

TEST_F(RocksDbUpkeepTest, TheFilesOfADroppedFamilyGoWhenTheyMay) {
  const FamilyId family(1);
  ASSERT_EQ(engine_->CreateFamily(family), Status::Ok());
  ASSERT_EQ(Put(family, "k", "v", 2), Status::Ok());
  ASSERT_EQ(engine_->Flush(), Status::Ok());
  EXPECT_EQ(Tables(), 2U);  // the family's, and that of the meta record
  auto reader = engine_->NewIterator(family, {}, Version(2));
  ASSERT_TRUE(reader.ok());

  ASSERT_EQ(engine_->Write({}, MakeMeta(3, 3)), Status::Ok());
  ASSERT_EQ(engine_->DropFamily(family), Status::Ok());
  ASSERT_EQ(engine_->Write({}, MakeMeta(4, 4)), Status::Ok());
  EXPECT_EQ(Tables(), 2U);  // the drop is not flushed

  ASSERT_EQ(engine_->Flush(), Status::Ok());
  (*reader)->SeekGreaterOrEqual("");
  ASSERT_TRUE((*reader)->Valid());
  EXPECT_EQ((*reader)->value(), "v");
  EXPECT_EQ(Tables(), 3U);  // it is, but there is a reader
  *reader = nullptr;
  ASSERT_EQ(engine_->Write({}, MakeMeta(5, 5)), Status::Ok());
  while (Tables() > 2) std::this_thread::yield();  // a thread of RocksDB's removes files
}

// Nobody calls Flush: full write buffers do.
TEST_F(RocksDbUpkeepTest, FullWriteBuffersAreFlushedTogether) {
  ASSERT_EQ(engine_->CreateFamily(FamilyId(1)), Status::Ok());
  std::atomic<std::uint64_t> flushes{0};
  engine_->SetFlushListener([&flushes] { ++flushes; });
  const std::string value(20000, 'v');
  std::uint64_t n = 2;
  for (; flushes < 3; ++n) {
    ASSERT_LT(n, 100000U);
    WriteBatch batch;
    batch.Put(FamilyId(n % 2), "k" + std::to_string(n), value, Version(n));
    batch.SystemPut(SystemSpace::kVersionIndex, std::to_string(n), "x");
    ASSERT_EQ(engine_->Write(batch, MakeMeta(n, n)), Status::Ok());
  }
  const auto flushed = engine_->FlushedMeta();
  ASSERT_TRUE(flushed.ok());
  EXPECT_GT(flushed->version, Version(300));
  files_.PowerOffAt(1);
  engine_ = nullptr;
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  Open();
  const std::uint64_t last = engine_->Meta().version.value();
  EXPECT_GE(last, flushed->version.value());
  EXPECT_LT(last, n);
  std::uint64_t found = 0;
  for (const FamilyId family : {kDefault, FamilyId(1)}) {
    found += Forward(*engine_, family, {}, Version::Max()).size();
  }
  EXPECT_EQ(found, last - 1);
  EXPECT_EQ(System(*engine_, SystemSpace::kVersionIndex).size(), last - 1);
}

// Readers of all kinds while families come and go and the watermark rises. Each read ends well or
// with an error that the contract names.
TEST_F(RocksDbUpkeepTest, ReadersBesideChanges) {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> version{2};
  std::atomic<std::uint32_t> newest{1};
  std::atomic<std::uint64_t> reads{0};
  const auto expected = [](const Status& status) {
    return status.ok() || status.code() == StatusCode::kNotFound ||
           status.code() == StatusCode::kTransactionTooOld;
  };
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      while (!stop) {
        const FamilyId family(newest);
        const Version at(version);
        std::string value;
        const auto lookup = engine_->Get(family, "k", at, &value);
        EXPECT_TRUE(expected(lookup.status())) << lookup.status().ToString();
        if (lookup.ok() && lookup->found) {
          EXPECT_LE(std::stoull(value), at.value());
        }
        const auto it = engine_->NewIterator(family, {}, at);
        EXPECT_TRUE(expected(it.status())) << it.status().ToString();
        if (it.ok()) {
          (*it)->SeekGreaterOrEqual("");
          EXPECT_TRUE(expected((*it)->status())) << (*it)->status().ToString();
        }
        const auto history = engine_->NewHistoryIterator(family, {});
        EXPECT_TRUE(expected(history.status()));
        ++reads;
      }
    });
  }
  std::uint64_t n = 2;
  for (std::uint64_t round = 0; round < 40 || reads < ScaledOperations(2000); ++round) {
    const FamilyId family(newest.load());
    EXPECT_EQ(engine_->CreateFamily(family), Status::Ok());
    for (int i = 0; i < 5; ++i, ++n) {
      EXPECT_EQ(Put(family, "k", std::to_string(n), n), Status::Ok());
      version = n;
    }
    if (n > 20) {
      EXPECT_EQ(engine_->SetWatermark(Version(n - 3)), Status::Ok());
    }
    if (round % 4 == 0) {
      EXPECT_EQ(engine_->Flush(), Status::Ok());
    }
    ++newest;
    EXPECT_EQ(engine_->DropFamily(family), Status::Ok());
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

// The same state, stored by two engines after different lives.
TEST_F(RocksDbUpkeepTest, HashesAreThoseOfTheMemoryEngine) {
  MemoryEngine memory;
  SeededRandom random(5);
  for (Engine* engine : {static_cast<Engine*>(engine_.get()), static_cast<Engine*>(&memory)}) {
    ASSERT_EQ(engine->CreateFamily(FamilyId(1)), Status::Ok());
  }
  for (std::uint64_t n = 2; n < 60; ++n) {
    WriteBatch batch;
    for (int i = 0; i < 10; ++i) {
      const FamilyId family(static_cast<std::uint32_t>(random.Below(2)));
      const std::string key = std::to_string(random.Below(50));
      if (random.OneIn(1, 3)) {
        batch.Delete(family, key, Version(n));
      } else {
        batch.Put(family, key, std::to_string(random.Next()), Version(n));
      }
    }
    batch.SystemPut(SystemSpace::kState, "s" + std::to_string(n % 7), std::to_string(n));
    for (Engine* engine : {static_cast<Engine*>(engine_.get()), static_cast<Engine*>(&memory)}) {
      ASSERT_EQ(engine->Write(batch, MakeMeta(n, n, n / 2)), Status::Ok());
      ASSERT_EQ(engine->SetWatermark(Version(n / 2)), Status::Ok());
    }
    if (n % 9 == 0) {
      ASSERT_EQ(engine_->Flush(), Status::Ok());
      ASSERT_EQ(engine_->CompactAll(), Status::Ok());
    }
    const std::vector<FamilyId> families = {kDefault, FamilyId(1)};
    const auto ours = StateHash(*engine_, families, Version(n));
    ASSERT_TRUE(ours.ok());
    ASSERT_EQ(*ours, *StateHash(memory, families, Version(n)));
    ASSERT_EQ(*DataHash(*engine_, families, Version(n / 2)),
              *DataHash(memory, families, Version(n / 2)));
  }
}

// A family was made, the power went before a flush, and the journal asks for it again: the one that
// is there must go first, for which there may be no room.
TEST_F(RocksDbUpkeepTest, AFamilyThatIsMadeAgainAfterACrashWaitsForRoom) {
  const FamilyId family(1);
  ASSERT_EQ(engine_->CreateFamily(family), Status::Ok());
  files_.PowerOffAt(1);
  engine_ = nullptr;
  files_.Crash(CrashMode::kDropUnsynced, nullptr);
  Open();
  ASSERT_EQ(engine_->ReconcileFamilies({}), Status::Ok());
  files_.SetCapacity(0);  // Whatever RocksDB's threads still remove.
  EXPECT_EQ(engine_->CreateFamily(family).code(), StatusCode::kResourceExhausted);
  files_.SetCapacity(std::nullopt);
  EXPECT_EQ(engine_->CreateFamily(family), Status::Ok());
  EXPECT_EQ(Put(family, "k", "v", 2), Status::Ok());
}

// A write buffer fills, its flush starts on RocksDB's thread, and the engine goes away under it.
TEST_F(RocksDbUpkeepTest, ClosingWaitsForTheFlushThatRuns) {
  RocksDbOptions options = SmallOptions(&files_);
  options.write_buffer_size_mb = 1;
  const std::string value(32 << 10, 'v');
  for (int round = 0; round < 20; ++round) {
    engine_ = nullptr;
    auto opened = RocksDbEngine::Open(options, "/small");
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    engine_ = *std::move(opened);
    const std::uint64_t first = engine_->Meta().applied_slot.value() + 1;
    for (std::uint64_t n = first; n < first + 40 + round; ++n) {
      ASSERT_EQ(Put(kDefault, "k" + std::to_string(n), value, n), Status::Ok());
    }
  }
}

}  // namespace
}  // namespace cairn::storage
