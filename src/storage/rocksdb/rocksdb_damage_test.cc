// Damaged and incomplete databases: opening or reading one says what is wrong, and with which file.
#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/testing/fault_file_system.h"
#include "src/storage/rocksdb/rocksdb_engine.h"
#include "src/storage/rocksdb/test_options.h"
#include "src/storage/testing/engine_harness.h"

namespace cairn::storage {
namespace {

constexpr char kDirectory[] = "/db";

class RocksDbDamageTest : public testing::Test {
 protected:
  RocksDbDamageTest() {
    auto opened = Open();
    EXPECT_TRUE(opened.ok());
    Engine& engine = **opened;
    EXPECT_EQ(engine.CreateFamily(FamilyId(1)), Status::Ok());
    for (std::uint64_t n = 2; n < 5; ++n) {
      WriteBatch batch;
      for (std::uint64_t i = 0; i < 200; ++i) {
        batch.Put(FamilyId(i % 2), "key" + std::to_string(1000 * n + i), std::string(100, 'v'),
                  Version(n));
      }
      EXPECT_EQ(engine.Write(batch, MakeMeta(n, n)), Status::Ok());
      EXPECT_EQ(engine.Flush(), Status::Ok());
    }
  }

  Result<std::unique_ptr<RocksDbEngine>> Open() {
    return RocksDbEngine::Open(SmallOptions(&files_), kDirectory);
  }

  // The names in the folder that hold `part`.
  std::vector<std::string> Names(std::string_view part) {
    std::vector<std::string> names = *files_.List(kDirectory);
    std::erase_if(names,
                  [part](const std::string& name) { return name.find(part) == std::string::npos; });
    return names;
  }
  std::uint64_t SizeOf(const std::string& name) {
    return files_.ReadFile(std::string(kDirectory) + "/" + name)->size();
  }

  // A copy of the database, for spoiling.
  std::string Copy() {
    const std::string copy = "/copy" + std::to_string(++copies_);
    EXPECT_EQ(files_.CreateDirectories(copy), Status::Ok());
    for (const std::string& name : Names("")) {
      const auto bytes = files_.ReadFile(std::string(kDirectory) + "/" + name);
      EXPECT_EQ(files_.WriteFileAtomically(copy + "/" + name, *bytes), Status::Ok());
    }
    return copy + "/";
  }

  // Opens a copy, reads everything, verifies everything; the first error. `slot`: what it is at.
  Status UseAll(const std::string& directory, Slot* slot = nullptr) {
    auto opened = RocksDbEngine::Open(SmallOptions(&files_), directory);
    if (!opened.ok()) return opened.status();
    Engine& engine = **opened;
    if (slot != nullptr) *slot = engine.Meta().applied_slot;
    for (const FamilyId family : {FamilyId(0), FamilyId(1)}) {
      auto it = engine.NewIterator(family, {}, Version::Max());
      if (!it.ok()) return it.status();
      for ((*it)->SeekGreaterOrEqual(""); (*it)->Valid(); (*it)->Next()) {
      }
      CAIRN_RETURN_IF_ERROR((*it)->status());
    }
    return (*opened)->VerifyChecksums();
  }
  void ExpectCorruptionNaming(const std::string& directory, std::string_view file) {
    const Status status = UseAll(directory);
    EXPECT_EQ(status.code(), StatusCode::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find(file), std::string::npos) << status.ToString();
  }

  FaultFileSystem files_;
  int copies_ = 0;
};

TEST_F(RocksDbDamageTest, AWholeDatabaseIsFine) { EXPECT_EQ(UseAll(Copy()), Status::Ok()); }

TEST_F(RocksDbDamageTest, AFlippedByteInATable) {
  const auto tables = Names(".sst");
  ASSERT_GE(tables.size(), 6U);
  for (const std::string& table : tables) {
    const std::uint64_t size = SizeOf(table);
    // Data at the front, then filter, index and properties, then the footer's magic number.
    for (const std::uint64_t offset : {std::uint64_t{20}, size / 2, size - 120, size - 1}) {
      SCOPED_TRACE(table + " at " + std::to_string(offset));
      const std::string copy = Copy();
      files_.Damage(copy + table, offset, 0x10);
      ExpectCorruptionNaming(copy, table);
    }
  }
}

TEST_F(RocksDbDamageTest, AMissingTable) {
  for (const std::string& table : Names(".sst")) {
    const std::string copy = Copy();
    ASSERT_EQ(files_.Remove(copy + table), Status::Ok());
    ExpectCorruptionNaming(copy, table);
  }
}

TEST_F(RocksDbDamageTest, AShortTable) {
  for (const std::string& table : Names(".sst")) {
    const std::string copy = Copy();
    auto file = files_.Open(copy + table, OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Truncate(SizeOf(table) - 1), Status::Ok());
    ExpectCorruptionNaming(copy, table);
  }
}

// RocksDB takes a record whose length runs past the end of the manifest for one that a crash cut,
// and stops there. What it has by then is a whole, older state, and its meta says so: the replica
// finds that its journal does not reach back that far. All other damage is found.
TEST_F(RocksDbDamageTest, AFlippedByteInTheManifest) {
  const auto manifests = Names("MANIFEST");
  ASSERT_EQ(manifests.size(), 1U);
  const std::uint64_t size = SizeOf(manifests[0]);
  int older = 0;
  int found = 0;
  for (std::uint64_t offset = 0; offset < size; offset += 3) {
    SCOPED_TRACE("at " + std::to_string(offset));
    const std::string copy = Copy();
    files_.Damage(copy + manifests[0], offset, 0x10);
    Slot slot = Slot::Max();
    const Status status = UseAll(copy, &slot);
    if (slot != Slot::Max()) {
      EXPECT_LE(slot, Slot(4));
      ++older;
      continue;
    }
    EXPECT_EQ(status.code(), StatusCode::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find("MANIFEST"), std::string::npos) << status.ToString();
    ++found;
  }
  EXPECT_GT(found, 10 * older);
}

TEST_F(RocksDbDamageTest, AMissingManifest) {
  const std::string manifest = Names("MANIFEST")[0];
  const std::string copy = Copy();
  ASSERT_EQ(files_.Remove(copy + manifest), Status::Ok());
  ExpectCorruptionNaming(copy, manifest);
}

// RocksDB itself would make a new database, and delete the old one's files.
TEST_F(RocksDbDamageTest, AMissingCurrent) {
  const std::string copy = Copy();
  const std::size_t names = files_.List(copy)->size();
  ASSERT_EQ(files_.Remove(copy + "CURRENT"), Status::Ok());
  ExpectCorruptionNaming(copy, "CURRENT");
  EXPECT_EQ(files_.List(copy)->size(), names - 1);
}

TEST_F(RocksDbDamageTest, AnEmptyCurrent) {
  const std::string copy = Copy();
  ASSERT_TRUE(files_.Open(copy + "CURRENT", OpenMode::kCreateOrReplace).ok());
  ExpectCorruptionNaming(copy, "CURRENT");
}

TEST_F(RocksDbDamageTest, OnlyOneEngineADirectory) {
  auto first = Open();
  ASSERT_TRUE(first.ok());
  auto second = Open();
  EXPECT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("LOCK"), std::string::npos)
      << second.status().ToString();
  EXPECT_EQ(ValueAt(**first, FamilyId(0), "key2000", Version::Max()), std::string(100, 'v'));
}

}  // namespace
}  // namespace cairn::storage
