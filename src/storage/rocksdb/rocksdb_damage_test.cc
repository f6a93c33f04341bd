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
    std::erase_if(names, [part](const std::string& name) {
      return name.find(part) == std::string::npos;
    });
    return names;
  }
  static std::string Path(const std::string& name) {
    return std::string(kDirectory) + "/" + name;
  }
  std::uint64_t SizeOf(const std::string& name) {
    return *(*files_.Open(Path(name), OpenMode::kRead))->Size();
  }

  // Opens, reads everything, verifies everything; the first error.
  Status UseAll() {
    auto opened = Open();
    if (!opened.ok()) return opened.status();
    Engine& engine = **opened;
    for (const FamilyId family : {FamilyId(0), FamilyId(1)}) {
      auto it = engine.NewIterator(family, {}, Version::Max());
      if (!it.ok()) return it.status();
      for ((*it)->SeekGreaterOrEqual(""); (*it)->Valid(); (*it)->Next()) {
      }
      CAIRN_RETURN_IF_ERROR((*it)->status());
    }
    return (*opened)->VerifyChecksums();
  }
  void ExpectCorruptionNaming(std::string_view file) {
    const Status status = UseAll();
    EXPECT_EQ(status.code(), StatusCode::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find(file), std::string::npos) << status.ToString();
  }

  FaultFileSystem files_;
};

TEST_F(RocksDbDamageTest, AWholeDatabaseIsFine) { EXPECT_EQ(UseAll(), Status::Ok()); }

TEST_F(RocksDbDamageTest, AFlippedByteInATable) {
  const auto tables = Names(".sst");
  ASSERT_GE(tables.size(), 6U);
  for (const std::string& table : tables) {
    const std::uint64_t size = SizeOf(table);
    // Data at the front, then filter, index and properties, then the footer's magic number.
    for (const std::uint64_t offset : {std::uint64_t{20}, size / 2, size - 120, size - 1}) {
      SCOPED_TRACE(table + " at " + std::to_string(offset));
      files_.Damage(Path(table), offset, 0x10);
      ExpectCorruptionNaming(table);
      files_.Damage(Path(table), offset, 0x10);
    }
  }
  EXPECT_EQ(UseAll(), Status::Ok());
}

TEST_F(RocksDbDamageTest, AMissingTable) {
  for (const std::string& table : Names(".sst")) {
    ASSERT_EQ(files_.Rename(Path(table), "/aside"), Status::Ok());
    ExpectCorruptionNaming(table);
    ASSERT_EQ(files_.Rename("/aside", Path(table)), Status::Ok());
  }
}

TEST_F(RocksDbDamageTest, AShortTable) {
  for (const std::string& table : Names(".sst")) {
    auto bytes = files_.ReadFile(Path(table));
    ASSERT_TRUE(bytes.ok());
    auto file = files_.Open(Path(table), OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Truncate(bytes->size() - 1), Status::Ok());
    ExpectCorruptionNaming(table);
    ASSERT_EQ((*file)->WriteAt(0, *bytes), Status::Ok());
  }
}

TEST_F(RocksDbDamageTest, AFlippedByteInTheManifest) {
  const auto manifests = Names("MANIFEST");
  ASSERT_EQ(manifests.size(), 1U);
  const std::uint64_t size = SizeOf(manifests[0]);
  for (std::uint64_t offset = 0; offset < size; offset += 7) {
    SCOPED_TRACE("at " + std::to_string(offset));
    files_.Damage(Path(manifests[0]), offset, 0x10);
    const Status status = UseAll();
    if (status.ok()) {
      // A last record with a wrong length looks like one that was cut by a crash. What is left is a
      // whole, older state, and its meta says so.
      auto opened = Open();
      ASSERT_TRUE(opened.ok());
      EXPECT_LT((*opened)->Meta().applied_slot, Slot(4));
    } else {
      ExpectCorruptionNaming("MANIFEST");
    }
    files_.Damage(Path(manifests[0]), offset, 0x10);
  }
}

TEST_F(RocksDbDamageTest, AMissingManifest) {
  const auto manifests = Names("MANIFEST");
  ASSERT_EQ(files_.Remove(Path(manifests[0])), Status::Ok());
  ExpectCorruptionNaming(manifests[0]);
}

// RocksDB itself would make a new database, and delete the old one's files.
TEST_F(RocksDbDamageTest, AMissingCurrent) {
  const std::size_t tables = Names(".sst").size();
  ASSERT_EQ(files_.Remove(Path("CURRENT")), Status::Ok());
  ExpectCorruptionNaming("CURRENT");
  EXPECT_EQ(Names(".sst").size(), tables);
}

TEST_F(RocksDbDamageTest, AnEmptyCurrent) {
  auto file = files_.Open(Path("CURRENT"), OpenMode::kCreateOrReplace);
  ASSERT_TRUE(file.ok());
  ExpectCorruptionNaming("CURRENT");
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
