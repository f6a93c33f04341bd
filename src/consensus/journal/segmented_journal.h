// The journal over segment files. See journal.h for the contract and docs/formats/journal.md for
// the bytes. Private to this library.
//
// Thread safety: `mutex_` guards what readers share with the journal thread: the state, the list of
// segments and the figures. The other members belong to the journal thread. Files are written and
// synced without the lock; an entry enters the index only after its bytes were written.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENTED_JOURNAL_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENTED_JOURNAL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/mutex.h"
#include "src/consensus/journal/format.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_state.h"
#include "src/consensus/journal/segment.h"
#include "src/consensus/journal/segment_pool.h"

namespace cairn::consensus::journal {

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
  [[nodiscard]] Slot SlotBefore(std::uint64_t bytes) const override;
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
  // Writes zeros behind where buffer_ will end, if the blocks there are new.
  Status Prewrite();
  // Syncs whether anything was appended or not.
  Status SyncCurrent();

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

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_SEGMENTED_JOURNAL_H_
