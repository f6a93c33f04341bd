// A damaged journal: each byte is changed in turn, files are cut, lost and swapped. Either the
// contents are right or Open refuses and says where; only what was never known to be durable may go
// without a word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kDirectory[] = "/j";

JournalOptions Options() {
  JournalOptions options;
  options.directory = kDirectory;
  options.group = GroupId(3);
  options.segment_bytes = 1024;
  return options;
}

using Image = std::map<std::string, std::string>;  // by file name

class JournalDamageTest : public testing::Test {
 protected:
  // A few segments: a truncation, hard states, a mark, entries out of order, and at the end one
  // batch that was synced but of which no later record tells.
  void SetUp() override {
    FaultFileSystem files;
    SeededRandom random(1);
    auto opened = Journal::Open(Options(), &files, &random);
    ASSERT_TRUE(opened.ok());
    Journal& journal = **opened;
    const auto append = [&](Persist batch) {
      ASSERT_TRUE(journal.Append(batch).ok());
      ASSERT_TRUE(journal.Sync().ok());
    };
    for (std::uint64_t slot = 1; slot <= 14; ++slot) {
      Persist batch;
      batch.entries = {MakeEntry(slot, 1, "payload " + std::to_string(slot)),
                       MakeEntry(slot + 3, 2, std::string(slot * 3, 'y'))};
      if (slot == 4) batch.truncate_from = Slot(4);
      if (slot % 3 == 0) batch.hard_state = "hard " + std::to_string(slot);
      append(batch);
      if (slot == 9) MarkAndSync(&journal);
    }
    before_last_ = *Observe(journal);
    last_batch_ = journal.Figures().appended_bytes;
    Persist last;
    last.entries = {MakeEntry(40, 9, "the last one")};
    append(last);
    last_batch_ = journal.Figures().appended_bytes - last_batch_;
    intact_ = *Observe(journal);
    opened = IoError("closed");
    for (const std::string& name : Names(files)) {
      image_[name] = *files.ReadFile(std::string(kDirectory) + "/" + name);
    }
    ASSERT_GE(image_.size(), 3u);
    const SegmentHeader header = *DecodeSegmentHeader(image_.rbegin()->second, GroupId(3));
    last_position_ = EndOf(header, image_.rbegin()->second) - last_batch_;
  }

  static void MarkAndSync(Journal* journal) {
    ASSERT_TRUE(journal->Compact(Slot(2), Epoch(1)).ok());
    ASSERT_TRUE(journal->Sync().ok());
  }

  static std::vector<std::string> Names(const FaultFileSystem& files) {
    std::vector<std::string> segments;
    const auto names = files.List(kDirectory);
    for (const std::string& name : *names) {
      if (NumberInFileName(name, ".seg").has_value()) segments.push_back(name);
    }
    return segments;
  }

  // The position behind the last record of a segment.
  static std::uint64_t EndOf(const SegmentHeader& header, const std::string& bytes) {
    std::uint64_t position = kSegmentHeaderBytes;
    while (true) {
      const auto length = RecordLength(
          header, position, std::string_view(bytes).substr(position, kRecordHeaderBytes));
      if (!length.has_value()) return position;
      position += RecordBytes(*length - kRecordHeaderBytes);
    }
  }

  struct Outcome {
    Status status;
    TwinState seen;  // if the status is OK
  };
  static Outcome OpenImage(const Image& image) {
    FaultFileSystem files;
    SeededRandom random(2);
    EXPECT_TRUE(files.CreateDirectories(kDirectory).ok());
    for (const auto& [name, bytes] : image) {
      EXPECT_TRUE(files.WriteFileAtomically(std::string(kDirectory) + "/" + name, bytes).ok());
    }
    const auto opened = Journal::Open(Options(), &files, &random);
    if (!opened.ok()) return {opened.status(), {}};
    Result<TwinState> seen = Observe(**opened);
    if (!seen.ok()) return {seen.status(), {}};
    return {Status::Ok(), *seen};
  }

  void CheckDamage(const Image& image, const std::string& name, std::uint64_t position) {
    const Outcome outcome = OpenImage(image);
    if (!outcome.status.ok()) {
      EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption);
      EXPECT_THAT(outcome.status.message(), HasSubstr("journal /j/" + name));
      EXPECT_THAT(outcome.status.message(), HasSubstr("at offset "));
      EXPECT_THAT(outcome.status.message(), HasSubstr("restore this node from a backup"));
      ++refused_;
      return;
    }
    if (name == image_.rbegin()->first && position >= last_position_ &&
        outcome.seen == before_last_) {
      ++cut_;
      return;
    }
    EXPECT_TRUE(outcome.seen == intact_) << "silently wrong after damage at " << position << " of "
                                         << name << ": " << outcome.seen.ToString();
  }

  Image image_;
  TwinState intact_;
  TwinState before_last_;            // without the batch that nothing proves durable
  std::uint64_t last_batch_ = 0;     // its bytes
  std::uint64_t last_position_ = 0;  // where it starts in the last segment
  std::uint64_t refused_ = 0;
  std::uint64_t cut_ = 0;
};

TEST_F(JournalDamageTest, EveryByteChanged) {
  ASSERT_TRUE(OpenImage(image_).seen == intact_);
  for (const std::uint8_t mask : {0x01, 0x80, 0xFF}) {
    for (const auto& [name, bytes] : image_) {
      for (std::uint64_t position = 0; position < bytes.size(); ++position) {
        Image damaged = image_;
        damaged[name][position] = static_cast<char>(bytes[position] ^ mask);
        CheckDamage(damaged, name, position);
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GT(refused_, 4000u);
  EXPECT_LE(cut_, 3 * last_batch_);
  EXPECT_GT(cut_, 0u);
}

TEST_F(JournalDamageTest, EverySectorLost) {
  for (const std::uint64_t step : {8, 64, 512}) {
    for (const auto& [name, bytes] : image_) {
      for (std::uint64_t position = 0; position < bytes.size(); position += step) {
        Image damaged = image_;
        damaged[name].replace(position, step, step, '\0');
        if (damaged == image_) continue;
        // A lost range that begins before the last batch and ends in it loses acknowledged data
        // and the only record that could tell; nobody can know that.
        const bool swallows_proof = name == image_.rbegin()->first && position < last_position_ &&
                                    position + step > last_position_;
        if (!swallows_proof) CheckDamage(damaged, name, position);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(JournalDamageTest, FilesCutShort) {
  for (const auto& [name, bytes] : image_) {
    const bool last = name == image_.rbegin()->first;
    for (std::uint64_t size = 0; size < bytes.size(); ++size) {
      Image damaged = image_;
      damaged[name].resize(size);
      const Outcome outcome = OpenImage(damaged);
      if (outcome.status.ok()) {
        // Cutting the last segment takes away what could tell that more was there.
        EXPECT_TRUE(outcome.seen == intact_ || last);
      } else {
        EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption);
        EXPECT_THAT(outcome.status.message(), HasSubstr("/j/"));
      }
      if (HasFailure()) return;
    }
  }
}

TEST_F(JournalDamageTest, MissingSegments) {
  for (const auto& [name, bytes] : image_) {
    if (name == image_.rbegin()->first) continue;
    Image damaged = image_;
    damaged.erase(name);
    const Outcome outcome = OpenImage(damaged);
    EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption);
    EXPECT_THAT(outcome.status.message(), HasSubstr("/j/" + name + " is missing"));
  }
}

TEST_F(JournalDamageTest, SwappedSegments) {
  Image damaged = image_;
  std::swap(damaged.begin()->second, damaged.rbegin()->second);
  const Outcome outcome = OpenImage(damaged);
  EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption);
  EXPECT_THAT(outcome.status.message(), HasSubstr("its name says"));
}

TEST_F(JournalDamageTest, ForeignGroup) {
  FaultFileSystem files;
  SeededRandom random(1);
  JournalOptions options = Options();
  ASSERT_TRUE(Journal::Open(options, &files, &random).ok());
  options.group = GroupId(4);
  const auto opened = Journal::Open(options, &files, &random);
  EXPECT_EQ(opened.status().code(), StatusCode::kCorruption);
  EXPECT_THAT(opened.status().message(), HasSubstr("belongs to group 3, not to group 4"));
}

TEST_F(JournalDamageTest, FormatOfTheFuture) {
  SegmentHeader header;
  header.group = GroupId(3);
  header.sequence = 1;
  std::string bytes = EncodeSegmentHeader(header);
  bytes[8] = 2;
  // The checksum is right, as a later program would have written it.
  SealSegmentHeader(bytes.data());
  const Outcome outcome = OpenImage({{"0000000000000001.seg", bytes + std::string(960, '\0')}});
  EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption);
  EXPECT_THAT(outcome.status.message(), HasSubstr("format version 2"));
  EXPECT_THAT(outcome.status.message(), Not(HasSubstr("damaged")));
}

TEST_F(JournalDamageTest, UnknownAndMalformedRecords) {
  SegmentHeader header = *DecodeSegmentHeader(image_.begin()->second, GroupId(3));
  header.sequence = 1;
  for (const int type : {0, 1, 2, 3, 5, 6, 255}) {
    std::string bytes = EncodeSegmentHeader(header);
    RecordWriter writer(header, bytes.size(), header.base, &bytes);
    writer.AddSegmentState({{Slot(0), Epoch(0), 1}, ""});
    const std::size_t start = bytes.size();
    writer.AddHardState("x");
    bytes[start + 28] = static_cast<char>(type);
    SealRecord(header.salt, bytes.data() + start, kRecordHeaderBytes + 1);
    bytes.resize(1024, '\0');
    const Outcome outcome = OpenImage({{"0000000000000001.seg", bytes}});
    EXPECT_EQ(outcome.status.code(), StatusCode::kCorruption) << type;
    EXPECT_THAT(outcome.status.message(), HasSubstr("at offset " + std::to_string(start)));
    EXPECT_THAT(outcome.status.message(),
                AnyOf(HasSubstr("malformed"), HasSubstr("unknown type"), HasSubstr("belongs")));
  }
}

TEST_F(JournalDamageTest, DamageUnderARunningJournalIsSeenByReaders) {
  FaultFileSystem files;
  SeededRandom random(1);
  const auto opened = Journal::Open(Options(), &files, &random);
  ASSERT_TRUE(opened.ok());
  Persist batch;
  batch.entries = {MakeEntry(1, 1, "one"), MakeEntry(2, 1, "two")};
  ASSERT_TRUE((*opened)->Append(batch).ok());
  const std::uint64_t second = kSegmentHeaderBytes + SegmentStateBytes(0) + EntryBytes(3);
  files.Damage("/j/0000000000000001.seg", second + kRecordHeaderBytes + kEntryFixedBytes, 4);
  EXPECT_TRUE((*opened)->ReadEntries(Slot(1), Slot(1), 100).ok());
  const Status read = (*opened)->ReadEntries(Slot(1), Slot(2), 100).status();
  EXPECT_EQ(read.code(), StatusCode::kCorruption);
  EXPECT_THAT(read.message(),
              HasSubstr("/j/0000000000000001.seg is damaged at offset " + std::to_string(second)));
}

}  // namespace
}  // namespace cairn::consensus::journal
