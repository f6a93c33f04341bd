// Journals out of arbitrary bytes: opening one never crashes, leaks or hangs, and one that opens
// behaves like a journal: what is appended to it is there after the next opening.
//
// The input's first byte chooses: the rest is a segment file as it is, or changes to a good journal
// of several segments, with the checksums left wrong or put right again.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/check.h"
#include "src/base/clock.h"
#include "src/base/codec.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

using Image = std::map<std::string, std::string>;

JournalOptions Options() {
  JournalOptions options;
  options.directory = "/j";
  options.group = GroupId(1);
  options.segment_bytes = 1024;
  return options;
}

Image GoodJournal() {
  FaultFileSystem files;
  SeededRandom random(1);
  auto journal = Journal::Open(Options(), &files, &random);
  for (std::uint64_t slot = 1; slot <= 16; ++slot) {
    Persist batch;
    batch.entries = {MakeEntry(slot, 1, std::string(slot * 7, 'x')), MakeEntry(slot + 2, 2, "y")};
    if (slot % 4 == 0) batch.hard_state = "hard";
    if (slot % 5 == 0) batch.truncate_from = Slot(slot - 1);
    CAIRN_CHECK((*journal)->Append(batch).ok());
    CAIRN_CHECK((*journal)->Sync().ok());
    if (slot == 8) CAIRN_CHECK((*journal)->Compact(Slot(3), Epoch(1)).ok());
  }
  Image image;
  const auto names = files.List("/j");
  for (const std::string& name : *names) {
    if (name.ends_with(".seg")) image[name] = *files.ReadFile("/j/" + name);
  }
  return image;
}

// Makes the checksums of a segment's header and of everything that looks like a record right.
void Seal(std::string* bytes) {
  if (bytes->size() < kSegmentHeaderBytes) return;
  SealSegmentHeader(bytes->data());
  Decoder in(std::string_view(*bytes).substr(24, 16));
  SegmentHeader header;
  header.salt = in.Fixed64();
  header.base = in.Fixed64();
  for (std::uint64_t at = kSegmentHeaderBytes; at + kRecordHeaderBytes <= bytes->size(); at += 8) {
    const auto length =
        RecordLength(header, at, std::string_view(*bytes).substr(at, kRecordHeaderBytes));
    if (length.has_value() && *length <= bytes->size() - at) {
      SealRecord(header.salt, bytes->data() + at, *length);
    }
  }
}

// Changes are {which file, position (2), byte}.
void Change(std::string_view changes, Image* image) {
  Decoder in(changes);
  while (in.remaining() >= 4) {
    auto it = image->begin();
    std::advance(it, in.U8() % image->size());
    std::uint16_t position = in.U8();
    position = static_cast<std::uint16_t>(position << 8 | in.U8());
    it->second[position % it->second.size()] = static_cast<char>(in.U8());
  }
}

void CheckStillAJournal(std::unique_ptr<Journal> journal, FaultFileSystem* files, Random* random) {
  const Result<TwinState> before = Observe(*journal);
  CAIRN_CHECK(before.ok(), before.status().ToString());
  TwinState expected = *before;
  const std::uint64_t slot = expected.mark_slot + 1;
  if (slot == 0 || slot == UINT64_MAX) return;
  Persist batch;
  batch.entries = {MakeEntry(slot, 77, "appended")};
  if (!journal->Append(batch).ok() || !journal->Sync().ok()) return;
  for (const TwinStep& step : StepsOf(batch)) step.ApplyTo(&expected);
  journal.reset();
  files->Crash(CrashMode::kDropUnsynced, nullptr);
  const auto again = Journal::Open(Options(), files, random);
  CAIRN_CHECK(again.ok(), again.status().ToString());
  const Result<TwinState> after = Observe(**again);
  CAIRN_CHECK(after.ok(), after.status().ToString());
  CAIRN_CHECK(*after == expected, after->ToString() + " expected " + expected.ToString());
}

void Run(std::string_view input) {
  static const Image* const good = new Image(GoodJournal());
  if (input.empty()) return;
  const auto mode = static_cast<std::uint8_t>(input.front());
  input.remove_prefix(1);
  Image image;
  if (mode % 3 == 0) {
    image[SegmentFileName(1)] = std::string(input);
  } else {
    image = *good;
    Change(input, &image);
    if (mode % 3 == 1) {
      for (auto& [name, bytes] : image) Seal(&bytes);
    }
  }
  FaultFileSystem files;
  SeededRandom random(2);
  CAIRN_CHECK(files.CreateDirectories("/j").ok());
  for (const auto& [name, bytes] : image) {
    CAIRN_CHECK(files.WriteFileAtomically("/j/" + name, bytes).ok());
  }
  auto opened = Journal::Open(Options(), &files, &random);
  if (opened.ok()) CheckStillAJournal(std::move(*opened), &files, &random);
}

}  // namespace
}  // namespace cairn::consensus::journal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::consensus::journal::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
