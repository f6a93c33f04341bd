#include "src/consensus/journal/format.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

TEST(JournalFormatTest, FileNames) {
  EXPECT_EQ(SegmentFileName(1), "0000000000000001.seg");
  EXPECT_EQ(FreeFileName(0xAB), "00000000000000ab.free");
  EXPECT_EQ(SegmentFileName(UINT64_MAX), "ffffffffffffffff.seg");
  EXPECT_EQ(NumberInFileName("00000000000000ab.seg", ".seg"), 0xABu);
  EXPECT_EQ(NumberInFileName("ffffffffffffffff.free", ".free"), UINT64_MAX);
  for (const char* name : {"", ".seg", "1.seg", "00000000000000AB.seg", "0000000000000001.free",
                           "00000000000000001.seg", "000000000000000g.seg", "0000000000000001seg",
                           "0000000000000001.seg.tmp"}) {
    EXPECT_EQ(NumberInFileName(name, ".seg"), std::nullopt) << name;
  }
}

TEST(JournalFormatTest, BodiesOfTheWrongShapeAreRefused) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string body(size, '\1');
    EXPECT_EQ(DecodeEntry(body).has_value(), size >= 17) << size;
    EXPECT_EQ(DecodeTruncate(body).has_value(), size == 8) << size;
    EXPECT_EQ(DecodeMark(body).has_value(), size == 24) << size;
    EXPECT_EQ(DecodeSegmentState(body).has_value(), size >= 24) << size;
  }
  EXPECT_FALSE(DecodeEntry(std::string(16, '\1') + '\0').has_value());
  EXPECT_FALSE(DecodeEntry(std::string(16, '\1') + '\4').has_value());
  EXPECT_FALSE(DecodeEntry(std::string(8, '\0') + std::string(9, '\1')).has_value());
  EXPECT_FALSE(DecodeEntry(std::string(8, '\xFF') + std::string(9, '\1')).has_value());
}

TEST(JournalFormatTest, SizesAreWhatIsWritten) {
  Persist batch;
  batch.truncate_from = Slot(1);
  batch.hard_state = "hard";
  SegmentHeader segment;
  segment.base = 640;
  std::string out;
  RecordWriter writer(segment, 64, 0, &out);
  writer.AddTruncate(Slot(1));
  for (std::size_t size = 0; size < 20; ++size) {
    batch.entries.push_back(MakeEntry(1 + size, 1, std::string(size, 'x')));
    writer.AddEntry(batch.entries.back());
  }
  writer.AddHardState("hard");
  EXPECT_EQ(out.size(), JournalBytes(batch));
  EXPECT_EQ(JournalBytes(Persist{}), 0u);
}

TEST(JournalFormatTest, RecordIsBoundToItsPlace) {
  SegmentHeader segment;
  segment.salt = 0x8000000000000001;
  segment.base = 4096;
  std::string out;
  RecordWriter(segment, 64, 0, &out).AddHardState("12345678");
  EXPECT_EQ(RecordLength(segment, 64, out), out.size());
  EXPECT_TRUE(CheckRecord(segment, 64, out).has_value());
  EXPECT_FALSE(CheckRecord(segment, 72, out).has_value());
  SegmentHeader other = segment;
  other.salt ^= 2;
  EXPECT_FALSE(CheckRecord(other, 64, out).has_value());
  // Not even when base and salt make up for each other: the salt seeds the checksum.
  other = segment;
  other.salt ^= 4096 ^ 8192;
  other.base = 8192;
  ASSERT_EQ(RecordTag(other, 64), RecordTag(segment, 64));
  EXPECT_FALSE(CheckRecord(other, 64, out).has_value());
}

std::string HexDump(const std::string& bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out += kHex[static_cast<unsigned char>(bytes[i]) >> 4];
    out += kHex[static_cast<unsigned char>(bytes[i]) & 15];
    out += i % 16 == 15 ? '\n' : ' ';
  }
  return out;
}

// The worked example of docs/formats/journal.md. If this fails the format changed: raise its
// version.
TEST(JournalFormatTest, WorkedExample) {
  class SaltOfTheExample final : public Random {
   public:
    std::uint64_t Next() override { return 0x8877665544332211; }
  } salt;
  FaultFileSystem files;
  JournalOptions options;
  options.directory = "/j";
  options.group = GroupId(1);
  options.segment_bytes = 1024;
  const auto journal = Journal::Open(options, &files, &salt);
  ASSERT_TRUE(journal.ok());
  Persist batch;
  batch.hard_state = "v1";
  ASSERT_TRUE((*journal)->Append(batch).ok());
  ASSERT_TRUE((*journal)->Sync().ok());
  batch = Persist{};
  batch.truncate_from = Slot(1);
  batch.entries = {MakeEntry(1, 2, "hello")};
  ASSERT_TRUE((*journal)->Append(batch).ok());
  ASSERT_TRUE((*journal)->Sync().ok());
  ASSERT_TRUE((*journal)->Compact(Slot(1), Epoch(2)).ok());

  const auto content = files.ReadFile("/j/0000000000000001.seg");
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(HexDump(content->substr(0, 0x140)),
            "43 41 49 52 4e 53 45 47 01 00 00 00 01 00 00 00\n"
            "01 00 00 00 00 00 00 00 11 22 33 44 55 66 77 88\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "00 00 00 00 00 00 00 00 d1 b3 cd 93 cc 78 91 f8\n"
            "17 f8 02 32 21 fe 44 b2 51 22 33 44 55 66 77 88\n"
            "00 00 00 00 00 00 00 00 18 00 00 00 05 00 00 00\n"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00 8f 0b 5c b3 f5 7d e7 03\n"
            "69 22 33 44 55 66 77 88 78 00 00 00 00 00 00 00\n"
            "02 00 00 00 04 00 00 00 76 31 00 00 00 00 00 00\n"
            "03 d4 35 01 77 d4 ea c2 b1 22 33 44 55 66 77 88\n"
            "a0 00 00 00 00 00 00 00 08 00 00 00 02 00 00 00\n"
            "01 00 00 00 00 00 00 00 8f 84 9e f6 e2 72 d2 e7\n"
            "d9 22 33 44 55 66 77 88 a0 00 00 00 00 00 00 00\n"
            "16 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00\n"
            "02 00 00 00 00 00 00 00 01 68 65 6c 6c 6f 00 00\n"
            "e2 d8 37 f9 31 9b 4e 94 11 23 33 44 55 66 77 88\n"
            "00 01 00 00 00 00 00 00 18 00 00 00 03 00 00 00\n"
            "01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00\n"
            "01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n");
}

}  // namespace
}  // namespace cairn::consensus::journal
