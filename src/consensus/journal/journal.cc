// The journal over segment files. See journal.h for the contract and docs/formats/journal.md for
// the bytes.
//
// Thread safety: `mutex_` guards what readers share with the journal thread: the state, the list of
// segments and the figures. The other members belong to the journal thread. Files are written and
// synced without the lock; an entry enters the index only after its bytes were written.
#include "src/consensus/journal/journal.h"

#include <algorithm>
#include <map>
#include <utility>

#include "src/base/check.h"
#include "src/base/mutex.h"
#include "src/consensus/journal/entry_reader.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal_state.h"
#include "src/consensus/journal/recovery.h"
#include "src/consensus/journal/segment.h"
#include "src/consensus/journal/segment_pool.h"

namespace cairn::consensus {
namespace {

using journal::CompactionMark;
using journal::JournalState;
using journal::Location;
using journal::RecordWriter;
using journal::Segment;
using journal::SegmentHeader;
using journal::SegmentPool;
using journal::SegmentState;

constexpr std::uint64_t kMinSegmentBytes = 1024;
// Kept free at the end of each segment, for compaction marks on a full disk.
constexpr std::uint64_t kMarkReserve = 4 * journal::kMarkBytes;

class SegmentedJournal final : public Journal {
 public:
  SegmentedJournal(const JournalOptions& options, FileSystem* files, Random* random)
      : options_(options), files_(files), random_(random), pool_(options, files) {}

  // Called once, before anything else.
  Status Start();

  [[nodiscard]] JournalContents Contents() const override;
  Status Append(const Persist& batch) override;
  Status Sync() override;
  Status Reserve(std::uint64_t bytes) override;
  Status Compact(Slot slot, Epoch epoch) override;
  Status ResetTo(Slot slot, Epoch epoch) override;
  Result<std::vector<Entry>> ReadEntries(Slot first, Slot last,
                                         std::uint64_t max_bytes) const override;
  [[nodiscard]] std::optional<Epoch> EpochAt(Slot slot) const override;
  [[nodiscard]] JournalFigures Figures() const override;

 private:
  // Remembers the error for good and returns it.
  Status Fail(const Status& status);
  // Passes on a full disk, from which the journal recovers; anything else fails it for good.
  Status FailUnlessFull(const Status& status) {
    return status.code() == StatusCode::kResourceExhausted ? status : Fail(status);
  }

  [[nodiscard]] bool Fits(std::uint64_t bytes) const {
    return !must_roll_ && current_->end + bytes <= current_->capacity;
  }
  // Makes current_ a segment that takes a batch of so many bytes.
  Status MakeRoom(std::uint64_t bytes);
  Status MakeRoomForMark();
  // Syncs the present segment and goes on in a new one.
  Status Roll(std::uint64_t bytes);
  // Writes the first bytes of a segment into `file` and gives it its name, durably.
  Result<std::shared_ptr<Segment>> WriteSegment(SegmentPool::FreeFile file,
                                                const SegmentHeader& header,
                                                const SegmentState& state);
  // Makes a new segment the one that takes appends. Everything in it is durable.
  void Install(std::shared_ptr<Segment> segment);
  SegmentHeader NextHeader();

  RecordWriter StartBatch() {
    buffer_.clear();
    return {current_->header, current_->end, synced_offset_, &buffer_};
  }
  // Encodes the batch into buffer_ and remembers in placed_ where its entries will lie.
  void Encode(const Persist& batch);
  // Writes buffer_ at the end of the present segment.
  Status WriteBuffer();
  // Syncs whether anything was appended or not.
  Status SyncCurrent();

  // The first segment that holds something live; the current one if no other does.
  [[nodiscard]] std::uint64_t FirstLive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Recycles the segments before this one. The mark that says so is durable.
  Status FreeBefore(std::uint64_t first_segment);
  // Lets Figures know of the files that wait.
  void UpdatePoolBytes() {
    MutexLock lock(&mutex_);
    pool_bytes_ = pool_.Bytes();
  }

  const JournalOptions options_;
  FileSystem* const files_;
  Random* const random_;

  // Of the journal thread.
  SegmentPool pool_;
  Status failed_;  // the first error that can't be undone; OK while all is well
  std::shared_ptr<Segment> current_;
  std::uint64_t synced_offset_ = 0;  // journal offset up to which everything is durable
  bool dirty_ = false;               // something was written since
  bool must_roll_ = false;           // bytes behind current_->end are not ours to overwrite
  std::string buffer_;
  std::vector<std::pair<Slot, Location>> placed_;

  mutable Mutex mutex_;
  JournalState state_ ABSL_GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::shared_ptr<Segment>> segments_ ABSL_GUARDED_BY(mutex_);
  JournalFigures figures_ ABSL_GUARDED_BY(mutex_);  // the counters; sizes are summed up on demand
  std::uint64_t pool_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t torn_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// ---- Opening -------------------------------------------------------------------------------

Status SegmentedJournal::Start() {
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(options_.directory));
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(options_.directory));
  CAIRN_ASSIGN_OR_RETURN(journal::RecoveredJournal recovered,
                         journal::Recover(options_, names, files_));
  CAIRN_RETURN_IF_ERROR(pool_.Adopt(names));
  CAIRN_RETURN_IF_ERROR(files_->SyncDirectory(options_.directory));
  if (recovered.segments.empty()) {
    SegmentHeader header = NextHeader();
    header.sequence = 1;
    const SegmentState empty{{Slot(0), Epoch(0), header.sequence}, ""};
    CAIRN_ASSIGN_OR_RETURN(SegmentPool::FreeFile file, pool_.Take(options_.segment_bytes));
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Segment> segment,
                           WriteSegment(std::move(file), header, empty));
    {
      MutexLock lock(&mutex_);
      state_.SetMark(empty.mark);
    }
    Install(std::move(segment));
  } else {
    current_ = recovered.segments.rbegin()->second;
    synced_offset_ = current_->EndOffset();
    MutexLock lock(&mutex_);
    state_ = std::move(recovered.state);
    segments_ = std::move(recovered.segments);
    torn_bytes_ = recovered.torn_bytes;
  }
  CAIRN_RETURN_IF_ERROR(pool_.TopUp());
  UpdatePoolBytes();
  return Status::Ok();
}

JournalContents SegmentedJournal::Contents() const {
  MutexLock lock(&mutex_);
  JournalContents contents;
  contents.hard_state = state_.hard_state();
  contents.compacted_slot = state_.mark().slot;
  contents.compacted_epoch = state_.mark().epoch;
  contents.first_slot = state_.index().First();
  contents.last_slot = state_.index().Last();
  contents.torn_bytes = torn_bytes_;
  return contents;
}

// ---- Appending -----------------------------------------------------------------------------

Status SegmentedJournal::Append(const Persist& batch) {
  if (!failed_.ok()) return failed_;
  const std::uint64_t bytes = JournalBytes(batch);
  if (bytes == 0) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(MakeRoom(bytes));
  Encode(batch);
  CAIRN_RETURN_IF_ERROR(WriteBuffer());

  MutexLock lock(&mutex_);
  if (batch.truncate_from.has_value()) state_.TruncateFrom(*batch.truncate_from);
  for (const auto& [slot, location] : placed_) state_.AddEntry(slot, location);
  if (batch.hard_state.has_value()) state_.SetHardState(*batch.hard_state);
  figures_.appended_records += batch.entries.size() + (batch.truncate_from.has_value() ? 1 : 0) +
                               (batch.hard_state.has_value() ? 1 : 0);
  figures_.appended_bytes += buffer_.size();
  return Status::Ok();
}

void SegmentedJournal::Encode(const Persist& batch) {
  RecordWriter writer = StartBatch();
  placed_.clear();
  if (batch.truncate_from.has_value()) writer.AddTruncate(*batch.truncate_from);
  for (const Entry& entry : batch.entries) {
    CAIRN_CHECK(entry.slot > Slot(0) && entry.slot < Slot::Max(), "slot " + ToString(entry.slot));
    const std::size_t payload = entry.payload == nullptr ? 0 : entry.payload->size();
    CAIRN_CHECK(payload < UINT32_MAX / 2, "payload of " + std::to_string(payload) + " bytes");
    const auto length = static_cast<std::uint32_t>(journal::kRecordHeaderBytes +
                                                   journal::kEntryFixedBytes + payload);
    placed_.push_back(
        {entry.slot,
         {current_->header.sequence, current_->end + buffer_.size(), length, entry.epoch}});
    writer.AddEntry(entry);
  }
  if (batch.hard_state.has_value()) writer.AddHardState(*batch.hard_state);
}

Status SegmentedJournal::WriteBuffer() {
  const Status written = current_->file->WriteAt(current_->end, buffer_);
  if (!written.ok()) {
    // A full disk in spite of the allocation (a copy-on-write file system): part of the batch may
    // be there. The next segment will say that this one ends before it.
    must_roll_ = true;
    return FailUnlessFull(written);
  }
  current_->end += buffer_.size();
  dirty_ = true;
  return Status::Ok();
}

Status SegmentedJournal::Sync() {
  if (!failed_.ok()) return failed_;
  if (!dirty_) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(SyncCurrent());
  MutexLock lock(&mutex_);
  ++figures_.syncs;
  return Status::Ok();
}

Status SegmentedJournal::SyncCurrent() {
  if (const Status synced = current_->file->Sync(); !synced.ok()) return Fail(synced);
  synced_offset_ = current_->EndOffset();
  dirty_ = false;
  return Status::Ok();
}

Status SegmentedJournal::Fail(const Status& status) {
  if (failed_.ok()) {
    // Sticky errors must not look like a full disk, after which the caller would go on.
    const StatusCode code =
        status.code() == StatusCode::kResourceExhausted ? StatusCode::kIoError : status.code();
    failed_ = Status(code, "the journal failed and takes nothing more: " + status.message());
  }
  return failed_;
}

// ---- Segments ------------------------------------------------------------------------------

Status SegmentedJournal::Reserve(std::uint64_t bytes) {
  if (!failed_.ok()) return failed_;
  if (Fits(bytes + kMarkReserve)) return Status::Ok();
  std::uint64_t needed = bytes + kMarkReserve + journal::kSegmentHeaderBytes;
  {
    MutexLock lock(&mutex_);
    needed += journal::SegmentStateBytes(state_.hard_state().size());
  }
  const Status ensured = pool_.Ensure(needed);
  UpdatePoolBytes();
  return ensured.ok() ? ensured : FailUnlessFull(ensured);
}

Status SegmentedJournal::MakeRoom(std::uint64_t bytes) {
  return Fits(bytes + kMarkReserve) ? Status::Ok() : Roll(bytes);
}

Status SegmentedJournal::MakeRoomForMark() {
  const Status made = MakeRoom(journal::kMarkBytes);
  if (made.code() == StatusCode::kResourceExhausted && Fits(journal::kMarkBytes)) {
    return Status::Ok();
  }
  return made;
}

Status SegmentedJournal::Roll(std::uint64_t bytes) {
  SegmentState state;
  {
    MutexLock lock(&mutex_);
    state = state_.ForNextSegment();
  }
  const std::uint64_t needed = journal::kSegmentHeaderBytes +
                               journal::SegmentStateBytes(state.hard_state.size()) + bytes +
                               kMarkReserve;
  Result<SegmentPool::FreeFile> file = pool_.Take(needed);
  if (!file.ok()) return FailUnlessFull(file.status());
  // A sealed segment holds no torn tail: everything in it is durable before its successor exists.
  if (dirty_) CAIRN_RETURN_IF_ERROR(SyncCurrent());
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Segment> next,
                         WriteSegment(std::move(*file), NextHeader(), state));
  Install(std::move(next));
  const Status topped = pool_.TopUp();
  UpdatePoolBytes();
  return topped.ok() ? topped : Fail(topped);
}

SegmentHeader SegmentedJournal::NextHeader() {
  SegmentHeader header;
  header.group = options_.group;
  if (current_ != nullptr) {
    header.sequence = current_->header.sequence + 1;
    header.base = current_->EndOffset();
  }
  // The top bit keeps every record's tag from being zero, so zeros are never taken for a record.
  header.salt = random_->Next() | std::uint64_t{1} << 63;
  return header;
}

Result<std::shared_ptr<Segment>> SegmentedJournal::WriteSegment(SegmentPool::FreeFile file,
                                                                const SegmentHeader& header,
                                                                const SegmentState& state) {
  std::string bytes = journal::EncodeSegmentHeader(header);
  RecordWriter writer(header, bytes.size(), header.base, &bytes);
  writer.AddSegmentState(state);

  Status status = file.file->WriteAt(0, bytes);
  if (status.code() == StatusCode::kResourceExhausted) {
    pool_.Return(std::move(file));
    return status;
  }
  if (status.ok()) status = file.file->Sync();
  auto segment = std::make_shared<Segment>();
  segment->path = options_.directory + "/" + journal::SegmentFileName(header.sequence);
  if (status.ok()) status = files_->Rename(file.path, segment->path);
  if (status.ok()) status = files_->SyncDirectory(options_.directory);
  if (!status.ok()) return Fail(status);
  segment->header = header;
  segment->file = std::move(file.file);
  segment->capacity = file.size;
  segment->end = bytes.size();
  return segment;
}

void SegmentedJournal::Install(std::shared_ptr<Segment> segment) {
  current_ = segment;
  synced_offset_ = current_->EndOffset();
  dirty_ = false;
  must_roll_ = false;
  MutexLock lock(&mutex_);
  segments_[current_->header.sequence] = std::move(segment);
}

// ---- Compaction ----------------------------------------------------------------------------

Status SegmentedJournal::Compact(Slot slot, Epoch epoch) {
  if (!failed_.ok()) return failed_;
  CompactionMark mark{slot, epoch, 0};
  {
    MutexLock lock(&mutex_);
    if (slot <= state_.mark().slot) return Status::Ok();
  }
  CAIRN_RETURN_IF_ERROR(MakeRoomForMark());
  std::uint64_t first_before = 0;
  {
    MutexLock lock(&mutex_);
    first_before = state_.mark().first_segment;
    state_.DropThrough(slot);
    mark.first_segment = FirstLive();
  }
  RecordWriter writer = StartBatch();
  writer.AddMark(mark);
  CAIRN_RETURN_IF_ERROR(WriteBuffer());
  {
    MutexLock lock(&mutex_);
    state_.SetMark(mark);
    ++figures_.appended_records;
    figures_.appended_bytes += buffer_.size();
  }
  if (mark.first_segment == first_before) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(SyncCurrent());
  return FreeBefore(mark.first_segment);
}

std::uint64_t SegmentedJournal::FirstLive() const {
  for (const auto& [sequence, segment] : segments_) {
    if (state_.index().LiveIn(sequence) > 0) return sequence;
  }
  return current_->header.sequence;
}

Status SegmentedJournal::ResetTo(Slot slot, Epoch epoch) {
  if (!failed_.ok()) return failed_;
  const SegmentHeader header = NextHeader();
  SegmentState state{{slot, epoch, header.sequence}, ""};
  {
    MutexLock lock(&mutex_);
    state.hard_state = state_.hard_state();
  }
  Result<SegmentPool::FreeFile> file =
      pool_.Take(journal::kSegmentHeaderBytes +
                 journal::SegmentStateBytes(state.hard_state.size()) + kMarkReserve);
  if (!file.ok()) return FailUnlessFull(file.status());
  // The new segment says that nothing before it counts, and appears in one step.
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Segment> next,
                         WriteSegment(std::move(*file), header, state));
  Install(std::move(next));
  {
    MutexLock lock(&mutex_);
    JournalState fresh;
    fresh.SetMark(state.mark);
    fresh.SetHardState(state.hard_state);
    state_ = std::move(fresh);
  }
  return FreeBefore(header.sequence);
}

Status SegmentedJournal::FreeBefore(std::uint64_t first_segment) {
  // A reader that still holds a segment keeps its file: such a file is removed, not used again.
  std::vector<std::pair<std::shared_ptr<Segment>, bool>> freed;
  {
    MutexLock lock(&mutex_);
    const auto end = segments_.lower_bound(first_segment);
    for (auto it = segments_.begin(); it != end; ++it) {
      const bool unread = it->second.use_count() == 1;
      freed.emplace_back(std::move(it->second), unread);
    }
    segments_.erase(segments_.begin(), end);
  }
  Status status;
  for (const auto& [segment, unread] : freed) {
    if (!status.ok()) break;
    status = unread ? pool_.Recycle(segment->path, segment->file, segment->capacity)
                    : files_->Remove(segment->path);
  }
  if (status.ok()) status = pool_.TopUp();
  UpdatePoolBytes();
  return status.ok() ? status : Fail(status);
}

// ---- Reading -------------------------------------------------------------------------------

Result<std::vector<Entry>> SegmentedJournal::ReadEntries(Slot first, Slot last,
                                                         std::uint64_t max_bytes) const {
  journal::EntryReader reader;
  {
    MutexLock lock(&mutex_);
    const journal::SlotIndex& index = state_.index();
    if (first > last || index.Find(first) == nullptr) {
      return NotFoundError("slot " + ToString(first) + " is not in the journal");
    }
    std::uint64_t bytes = 0;
    for (std::optional<Slot> slot = first; slot.has_value() && *slot <= last;
         slot = index.NextHeld(slot->Next())) {
      const Location& location = *index.Find(*slot);
      bytes += journal::EntryReader::PayloadBytes(location);
      if (*slot != first && bytes > max_bytes) break;
      reader.Add(*slot, location, segments_.at(location.segment));
    }
  }
  return reader.Read();
}

std::optional<Epoch> SegmentedJournal::EpochAt(Slot slot) const {
  MutexLock lock(&mutex_);
  if (slot == state_.mark().slot) return state_.mark().epoch;
  const Location* const held = state_.index().Find(slot);
  if (held == nullptr) return std::nullopt;
  return held->epoch;
}

JournalFigures SegmentedJournal::Figures() const {
  MutexLock lock(&mutex_);
  JournalFigures figures = figures_;
  figures.bytes_on_disk = pool_bytes_;
  for (const auto& [sequence, segment] : segments_) {
    const bool takes_appends = sequence == segments_.rbegin()->first;
    figures.bytes_on_disk += segment->capacity;
    if (takes_appends || state_.index().LiveIn(sequence) > 0) {
      figures.live_bytes += segment->capacity;
    }
  }
  return figures;
}

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
  auto opened = std::make_unique<SegmentedJournal>(options, files, random);
  CAIRN_RETURN_IF_ERROR(opened->Start());
  return std::unique_ptr<Journal>(std::move(opened));
}

}  // namespace cairn::consensus
