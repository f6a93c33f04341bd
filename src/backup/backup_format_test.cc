#include "src/backup/backup_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace cairn::backup {
namespace {

Header SomeHeader() {
  return {7, NodeId(2),  {1'700'000'000'000'000}, "0.1.0", Slot(90), Epoch(3), Version(70),
          1, FamilyId(4)};
}

// A backup of two families and the records, and the blocks that it holds.
std::string SomeBackup(std::vector<Block>* blocks = nullptr) {
  Writer writer;
  std::string file = FileBegin() + writer.Add(SomeHeader());
  const SectionBegin sections[] = {{false, "default", FamilyId(0), Version(0)},
                                   {false, "users", FamilyId(3), Version(12)},
                                   {true, "", FamilyId(0), Version(0)}};
  const Pairs pairs[] = {{{{"a", "1"}, {"b", ""}}}, {{{"c", std::string(3000, 'x')}}}};
  for (const SectionBegin& section : sections) {
    file += writer.Begin(section);
    for (const Pairs& some : pairs) file += writer.Add(some);
    file += writer.EndSection();
    if (blocks == nullptr) continue;
    blocks->emplace_back(section);
    for (const Pairs& some : pairs) blocks->emplace_back(some);
  }
  return file + writer.Finish();
}

Reader::Source From(const std::string& file) {
  return [&file, at = std::size_t{0}](char* to, std::size_t size) mutable -> Result<std::size_t> {
    // In small pieces, as a pipe may give them.
    const std::size_t got = std::min({size, file.size() - at, std::size_t{100}});
    std::memcpy(to, file.data() + at, got);
    at += got;
    return got;
  };
}

// Reads to the end: OK, or why not.
Status ReadAll(const std::string& file, std::vector<Block>* blocks = nullptr) {
  Reader reader(From(file));
  while (true) {
    Result<Block> block = reader.Next();
    if (!block.ok()) return block.status();
    const bool last = std::holds_alternative<Trailer>(*block);
    if (blocks != nullptr) blocks->push_back(*std::move(block));
    if (last) return Status::Ok();
  }
}

TEST(BackupFormatTest, WhatWasWrittenIsRead) {
  std::vector<Block> written;
  const std::string file = SomeBackup(&written);
  std::vector<Block> read;
  ASSERT_TRUE(ReadAll(file, &read).ok()) << ReadAll(file).ToString();
  EXPECT_EQ(std::get<Header>(read.front()), SomeHeader());
  std::erase_if(read, [](const Block& block) {
    return std::holds_alternative<Header>(block) || std::holds_alternative<SectionEnd>(block) ||
           std::holds_alternative<Trailer>(block);
  });
  EXPECT_EQ(read, written);
}

TEST(BackupFormatTest, EveryCutIsFound) {
  const std::string file = SomeBackup();
  for (std::size_t size = 0; size < file.size(); size += size < 200 ? 1 : 37) {
    const Status status = ReadAll(file.substr(0, size));
    EXPECT_EQ(status.code(), StatusCode::kCorruption) << size;
    EXPECT_NE(status.message().find("not whole"), std::string::npos) << status.message();
  }
}

TEST(BackupFormatTest, EveryChangedByteIsFound) {
  const std::string file = SomeBackup();
  for (std::size_t at = 0; at < file.size(); at += at < 200 ? 1 : 37) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_FALSE(ReadAll(damaged).ok()) << at;
  }
  EXPECT_EQ(ReadAll(file + "x").code(), StatusCode::kCorruption);
}

TEST(BackupFormatTest, BlocksThatAreMissingOrChangePlacesAreFound) {
  Writer writer;
  const std::string begin = FileBegin();
  const std::string header = writer.Add(SomeHeader());
  const std::string section = writer.Begin({false, "default", FamilyId(), Version()});
  const std::string first = writer.Add(Pairs{{{"a", "1"}}});
  const std::string second = writer.Add(Pairs{{{"b", "2"}}});
  std::string rest = writer.EndSection();
  rest += writer.Finish();
  ASSERT_TRUE(ReadAll(begin + header + section + first + second + rest).ok());
  EXPECT_FALSE(ReadAll(begin + header + section + second + first + rest).ok());
  EXPECT_FALSE(ReadAll(begin + header + section + first + rest).ok());
  EXPECT_FALSE(ReadAll(begin + header + section + first + first + second + rest).ok());
  EXPECT_FALSE(ReadAll(begin + section + first + second + rest).ok());
}

TEST(BackupFormatTest, KeysAscend) {
  Writer writer;
  std::string file = FileBegin() + writer.Add(SomeHeader());
  file += writer.Begin({false, "default", FamilyId(), Version()});
  file += writer.Add(Pairs{{{"b", "1"}, {"a", "2"}}});
  file += writer.EndSection();
  file += writer.Finish();
  EXPECT_NE(ReadAll(file).message().find("ascend"), std::string::npos);
}

TEST(BackupFormatTest, OtherFilesAndLaterFormatsAreNamed) {
  EXPECT_NE(ReadAll("hello, world").message().find("no backup"), std::string::npos);
  std::string later = SomeBackup();
  later[8] = 2;
  EXPECT_EQ(ReadAll(later).code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace cairn::backup
