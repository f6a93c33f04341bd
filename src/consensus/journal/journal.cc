#include "src/consensus/journal/journal.h"

#include <utility>

#include "src/consensus/journal/format.h"
#include "src/consensus/journal/segmented_journal.h"

namespace cairn::consensus {
namespace {

constexpr std::uint64_t kMinSegmentBytes = 1024;

}  // namespace

std::uint64_t JournalBytes(const Persist& batch) {
  std::uint64_t bytes = batch.truncate_from.has_value() ? journal::kTruncateBytes : 0;
  for (const Entry& entry : batch.entries) {
    bytes += journal::EntryBytes(entry.payload == nullptr ? 0 : entry.payload->size());
  }
  if (batch.hard_state.has_value()) bytes += journal::HardStateBytes(batch.hard_state->size());
  return bytes;
}

Result<std::unique_ptr<Journal>> Journal::Open(const JournalOptions& options, FileSystem* files,
                                               Random* random) {
  if (options.segment_bytes < kMinSegmentBytes) {
    return InvalidArgumentError("segment_bytes is " + std::to_string(options.segment_bytes) +
                                ", must be at least " + std::to_string(kMinSegmentBytes));
  }
  auto opened = std::make_unique<journal::SegmentedJournal>(options, files, random);
  CAIRN_RETURN_IF_ERROR(opened->Start());
  return std::unique_ptr<Journal>(std::move(opened));
}

}  // namespace cairn::consensus
