// Durable journal of slots: the only fsync on the write path. Format: docs/formats/journal.md.
//
// The journal holds records of four types: an entry {slot, epoch, kind, payload}, "forget all slots
// from s on" (truncation), "slots up to s are in a snapshot" (compaction mark), and the core's hard
// state (opaque bytes). The latest record wins: a slot written again under another epoch replaces
// the former one. Slots may be written in any order, as Multi-Paxos needs; Raft writes them
// contiguously. An entry at or below the mark is never held, whenever it is written.
//
// Records live in segment files of a fixed size, allocated before they are needed and recycled when
// everything in them is dead. Each segment has a random salt that is mixed into the checksums of
// its records, so that what an earlier use of the file left behind is never taken for a record. A
// batch never spans segments; each segment starts with a copy of the mark and the hard state, so
// that the segments before it can go.
//
// Damage. Every record carries the journal offset that was known to be synced when the record was
// written. On open, a record that does not check out is either the torn tail (nothing at or after
// it was ever known to be synced) and is cut, or damage of acknowledged data, and then Open fails
// with kCorruption naming file and offset. Nothing is ever skipped.
//
// Errors. A failed fdatasync, or a failed write for another reason than a full disk, makes the
// journal fail for good: every later call returns that error, and the owner must end the process (a
// retried fdatasync proves nothing). A full disk is found before anything is written: Append
// returns kResourceExhausted, the journal stays as it was and takes appends again when there is
// room. Each segment keeps room for a few compaction marks, so a full disk never prevents freeing
// segments.
//
// Thread safety: Append, Sync, Compact and Reserve are called by one thread at a time (the journal
// thread). ReadEntries and the figures may be called from any thread at any time.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/ids.h"
#include "src/consensus/core/core.h"

namespace cairn::consensus {

struct JournalOptions {
  std::string directory;
  GroupId group;
  // Size of new segment files; at least 1 KiB. A larger batch gets a larger file of its own.
  std::uint64_t segment_bytes = 64 << 20;
  // Segments allocated ahead of the current one. Up to two more are kept when they become free.
  std::uint32_t spare_segments = 1;
  // Zeros written ahead of the records in a file whose blocks were only allocated, not yet written:
  // one write in so many bytes pays for the file system's work on new blocks instead of each
  // fdatasync. 0: none.
  std::uint64_t prewrite_bytes = 1 << 20;
};

// Figures for diagnostics. Counters since Open.
struct JournalFigures {
  std::uint64_t bytes_on_disk = 0;  // of all segments, spare ones included
  std::uint64_t live_bytes = 0;     // in segments that hold live records
  std::uint64_t syncs = 0;          // fdatasyncs that Sync did
  std::uint64_t appended_records = 0;
  std::uint64_t appended_bytes = 0;
};

// What Open found.
struct JournalContents {
  std::string hard_state;  // empty if never written
  // The last compaction mark: slots up to it may be missing.
  Slot compacted_slot;
  Epoch compacted_epoch;
  std::optional<Slot> first_slot;  // lowest and highest slot held
  std::optional<Slot> last_slot;
  // The torn tail that was cut, for the log; 0 if none.
  std::uint64_t torn_bytes = 0;
};

// What a batch takes in the journal: the number to pass to Journal::Reserve.
std::uint64_t JournalBytes(const Persist& batch);

class Journal {
 public:
  // Opens the journal in options.directory, making it if it does not exist. Everything it finds is
  // durable on return. `files` and `random` (salts; used by the journal thread only) must outlive
  // it. Two journals must not be open in one folder: the owner locks it. Errors: kCorruption
  // (damage, a foreign group, an unknown format), kResourceExhausted (no room for the first
  // segment), kInvalidArgument (options), kIoError.
  static Result<std::unique_ptr<Journal>> Open(const JournalOptions& options, FileSystem* files,
                                               Random* random);
  virtual ~Journal() = default;

  [[nodiscard]] virtual JournalContents Contents() const = 0;

  // Writes the batch to the file, all of it or (on kResourceExhausted) nothing. Not durable before
  // the next Sync. The latest record of a slot wins. Slots are above 0 and below Slot::Max().
  virtual Status Append(const Persist& batch) = 0;

  // Makes everything appended durable, with one fdatasync; none if nothing was appended.
  virtual Status Sync() = 0;

  // Makes sure that a batch of `bytes` (JournalBytes) can be appended, allocating a segment if
  // needed.
  // kResourceExhausted if not: nothing was written. Append does the same by itself; this one lets
  // the owner find out early, and again after there is room.
  virtual Status Reserve(std::uint64_t bytes) = 0;

  // Declares slots up to `slot` (whose epoch was `epoch`) no longer needed, and frees or recycles
  // segments in which nothing is live. Durable with the next Sync; segments are only freed behind a
  // durable mark, so this may sync by itself. Does nothing for a slot at or below the mark.
  // kResourceExhausted: the disk is full and the room kept for marks is used up; nothing changed.
  virtual Status Compact(Slot slot, Epoch epoch) = 0;

  // Empties the journal and starts it at a snapshot: every entry is dropped, the hard state is
  // kept. Durable on return; a crash leaves the old journal or the new one. kResourceExhausted:
  // there is no room for a new segment, and nothing changed. (Used when a snapshot is installed.)
  virtual Status ResetTo(Slot slot, Epoch epoch) = 0;

  // The entries of [first, last] that are held, in slot order, up to about `max_bytes` of payload
  // (at least one entry). kNotFound if `first` is not held; kCorruption if the disk gives back
  // something else than was written.
  virtual Result<std::vector<Entry>> ReadEntries(Slot first, Slot last,
                                                 std::uint64_t max_bytes) const = 0;

  // The epoch of a held slot, or of the compaction mark.
  [[nodiscard]] virtual std::optional<Epoch> EpochAt(Slot slot) const = 0;

  // The highest slot that has at least `bytes` of entries behind it: what Compact may be given if
  // so much is to stay. Slot() if no more than that is held. Walks over what stays.
  [[nodiscard]] virtual Slot SlotBefore(std::uint64_t bytes) const = 0;

  [[nodiscard]] virtual JournalFigures Figures() const = 0;
};

}  // namespace cairn::consensus

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_JOURNAL_H_
