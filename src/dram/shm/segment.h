// The memory that two processes of one host share for a connection: a ring of messages each way,
// and the states of large payloads that the receiver copies out of the sender's own memory.
// docs/formats/dram_shm.md is the specification.
//
// Everything in a segment may be changed by the other process at any time: what is read from it is
// copied, then checked, then used.
//
// Thread safety: RingWriter and RingReader belong to one thread each; a ring has one of each, in
// different processes.
#ifndef CAIRN_SRC_DRAM_SHM_SEGMENT_H_
#define CAIRN_SRC_DRAM_SHM_SEGMENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>

#include "cairn/status.h"

namespace cairn::dram::shm {

inline constexpr std::size_t kRingBytes = 64 << 10;
// Payloads of one direction that may wait to be copied at once.
inline constexpr std::size_t kTransfers = 32;

// Of a payload that is offered. The sender offers and withdraws, the receiver reads and is done.
// Whoever moves it by compare-and-swap from a state that it no longer has comes too late.
enum class TransferState : std::uint32_t {
  kFree = 0,
  kOffered = 1,
  kReading = 2,
  kDone = 3,
  kWithdrawn = 4,
};

// One way. The writer owns `written`, the reader owns `read`.
struct Direction {
  alignas(64) std::atomic<std::uint64_t> written;
  alignas(64) std::atomic<std::uint64_t> read;
  // The reader sleeps, and wants its bell rung when something was written.
  alignas(64) std::atomic<std::uint32_t> reader_sleeps;
  // The writer has no room, and wants its bell rung when something was read.
  std::atomic<std::uint32_t> writer_waits;
  alignas(64) std::array<std::atomic<std::uint32_t>, kTransfers> transfers;
  alignas(64) std::array<char, kRingBytes> bytes;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct Layout {
  Direction to_server;
  Direction to_client;
};

// A mapping of one.
class Segment {
 public:
  // A new one; `fd` gets its descriptor, which the caller closes. kUnavailable if there is no room.
  static Result<std::unique_ptr<Segment>> Create(int* fd);
  // One that another process has made. kCorruption if it could be cut short under our hands.
  static Result<std::unique_ptr<Segment>> Map(int fd);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  [[nodiscard]] Layout& layout() const { return *layout_; }

 private:
  explicit Segment(Layout* layout) : layout_(layout) {}
  Layout* const layout_;
};

// The longest message that a ring takes, its first 8 bytes included.
inline constexpr std::size_t kMaxMessageBytes = 16 << 10;

class RingWriter {
 public:
  explicit RingWriter(Direction* direction) : direction_(direction) {}
  // The parts, one after the other, as one message. False if there is no room now; the reader rings
  // when there is some. At most kMaxMessageBytes - 8 bytes.
  bool Write(std::uint32_t kind, std::initializer_list<std::string_view> parts);
  // True if the reader must be rung for what was written. Asked once after writing.
  bool MustRing();

 private:
  [[nodiscard]] bool HasRoom(std::size_t bytes) const;
  Direction* const direction_;
  std::uint64_t written_ = 0;
};

struct RingMessage {
  std::uint32_t kind = 0;
  // In the ring: may change while it is looked at. Valid until Pop.
  std::string_view bytes;
};

class RingReader {
 public:
  explicit RingReader(Direction* direction) : direction_(direction) {}
  // The next message; nothing if there is none. kCorruption if the ring makes no sense.
  Result<std::optional<RingMessage>> Next();
  // Gives the place of the last message of Next back. True if the writer must be rung for it.
  bool Pop();
  [[nodiscard]] bool Empty() const;
  // From now on the writer rings. True if there is nothing to read, so that sleeping is fine.
  bool FallAsleep();
  void WakeUp() { direction_->reader_sleeps.store(0, std::memory_order_relaxed); }

 private:
  Direction* const direction_;
  std::uint64_t read_ = 0;
  std::size_t size_ = 0;  // of the message that Next gave
};

}  // namespace cairn::dram::shm

#endif  // CAIRN_SRC_DRAM_SHM_SEGMENT_H_
