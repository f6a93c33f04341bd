#include "src/consensus/journal/segmented_journal.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/consensus/journal/entry_reader.h"
#include "src/consensus/journal/recovery.h"

namespace cairn::consensus::journal {
namespace {

// Kept free at the end of each segment, for compaction marks on a full disk.
constexpr std::uint64_t kMarkReserve = 4 * kMarkBytes;

}  // namespace

// ---- Opening -------------------------------------------------------------------------------

Status SegmentedJournal::Start() {
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(options_.directory));
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(options_.directory));
  CAIRN_ASSIGN_OR_RETURN(RecoveredJournal recovered, Recover(options_, names, files_));
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
    const auto length = static_cast<std::uint32_t>(kRecordHeaderBytes + kEntryFixedBytes + payload);
    placed_.push_back(
        {entry.slot,
         {current_->header.sequence, current_->end + buffer_.size(), length, entry.epoch}});
    writer.AddEntry(entry);
  }
  if (batch.hard_state.has_value()) writer.AddHardState(*batch.hard_state);
}

Status SegmentedJournal::Prewrite() {
  const std::uint64_t begin = current_->end + buffer_.size();
  if (options_.prewrite_bytes == 0 || begin <= current_->written_to) return Status::Ok();
  const std::uint64_t end = std::min(begin + options_.prewrite_bytes, current_->capacity);
  current_->written_to = end;
  const Status written = current_->file->WriteAt(begin, std::string(end - begin, '\0'));
  // No room for what was allocated: the write of the batch will tell whether that matters.
  return written.code() == StatusCode::kResourceExhausted ? Status::Ok() : written;
}

Status SegmentedJournal::WriteBuffer() {
  if (const Status prewritten = Prewrite(); !prewritten.ok()) return Fail(prewritten);
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
  std::uint64_t needed = bytes + kMarkReserve + kSegmentHeaderBytes;
  {
    MutexLock lock(&mutex_);
    needed += SegmentStateBytes(state_.hard_state().size());
  }
  const Status ensured = pool_.Ensure(needed);
  UpdatePoolBytes();
  return ensured.ok() ? ensured : FailUnlessFull(ensured);
}

Status SegmentedJournal::MakeRoom(std::uint64_t bytes) {
  return Fits(bytes + kMarkReserve) ? Status::Ok() : Roll(bytes);
}

Status SegmentedJournal::MakeRoomForMark() {
  const Status made = MakeRoom(kMarkBytes);
  if (made.code() == StatusCode::kResourceExhausted && Fits(kMarkBytes)) {
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
  const std::uint64_t needed =
      kSegmentHeaderBytes + SegmentStateBytes(state.hard_state.size()) + bytes + kMarkReserve;
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
  std::string bytes = EncodeSegmentHeader(header);
  RecordWriter writer(header, bytes.size(), header.base, &bytes);
  writer.AddSegmentState(state);

  Status status = file.file->WriteAt(0, bytes);
  if (status.code() == StatusCode::kResourceExhausted) {
    pool_.Return(std::move(file));
    return status;
  }
  if (status.ok()) status = file.file->Sync();
  auto segment = std::make_shared<Segment>();
  segment->path = options_.directory + "/" + SegmentFileName(header.sequence);
  if (status.ok()) status = files_->Rename(file.path, segment->path);
  if (status.ok()) status = files_->SyncDirectory(options_.directory);
  if (!status.ok()) return Fail(status);
  segment->header = header;
  segment->file = std::move(file.file);
  segment->capacity = file.size;
  segment->end = bytes.size();
  segment->written_to = std::max<std::uint64_t>(file.written_to, bytes.size());
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
    const auto first = state_.index().FirstSegmentAfter(slot);
    mark.first_segment = first.value_or(current_->header.sequence);
  }
  // On a full disk the last room is for a mark that frees segments.
  if (mark.first_segment == first_before && !Fits(kMarkBytes + kMarkReserve)) {
    return ResourceExhaustedError("the disk has no room for a mark that frees nothing");
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

Status SegmentedJournal::ResetTo(Slot slot, Epoch epoch) {
  if (!failed_.ok()) return failed_;
  const SegmentHeader header = NextHeader();
  SegmentState state{{slot, epoch, header.sequence}, ""};
  {
    MutexLock lock(&mutex_);
    state.hard_state = state_.hard_state();
  }
  Result<SegmentPool::FreeFile> file =
      pool_.Take(kSegmentHeaderBytes + SegmentStateBytes(state.hard_state.size()) + kMarkReserve);
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
    status =
        unread
            ? pool_.Recycle({segment->path, segment->file, segment->capacity, segment->written_to})
            : files_->Remove(segment->path);
  }
  if (status.ok()) status = pool_.TopUp();
  UpdatePoolBytes();
  return status.ok() ? status : Fail(status);
}

// ---- Reading -------------------------------------------------------------------------------

Result<std::vector<Entry>> SegmentedJournal::ReadEntries(Slot first, Slot last,
                                                         std::uint64_t max_bytes) const {
  EntryReader reader;
  {
    MutexLock lock(&mutex_);
    const SlotIndex& index = state_.index();
    if (first > last || index.Find(first) == nullptr) {
      return NotFoundError("slot " + ToString(first) + " is not in the journal");
    }
    std::uint64_t bytes = 0;
    for (std::optional<Slot> slot = first; slot.has_value() && *slot <= last;
         slot = index.NextHeld(slot->Next())) {
      const Location& location = *index.Find(*slot);
      bytes += EntryReader::PayloadBytes(location);
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

Slot SegmentedJournal::SlotBefore(std::uint64_t bytes) const {
  MutexLock lock(&mutex_);
  return state_.index().SlotBefore(bytes);
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

}  // namespace cairn::consensus::journal
