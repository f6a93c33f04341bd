#include "src/dram/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "src/base/check.h"

namespace cairn::dram::shm {
namespace {

constexpr std::size_t kHeadBytes = 8;  // size, kind
// Skips to the end of the ring.
constexpr std::uint32_t kFiller = 0;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct Head {
  std::uint32_t size = 0;  // with the head, a multiple of 8
  std::uint32_t kind = 0;
};

std::size_t RoundUp(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

Status Errno(const std::string& what) {
  return UnavailableError("shared memory: " + what + ": " + std::strerror(errno));
}

Status Bad(const std::string& what, std::uint64_t value) {
  return {StatusCode::kCorruption, "shared memory: " + what + " is " + std::to_string(value)};
}

Result<Layout*> MapLayout(int fd) {
  void* const at = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return Errno("mmap");
  return static_cast<Layout*>(at);
}

}  // namespace

Result<std::unique_ptr<Segment>> Segment::Create(int* fd) {
  *fd = ::memfd_create("cairn-dram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (*fd < 0) return Errno("memfd_create");
  // A new file is all zeros, which is what a segment begins with.
  Result<Layout*> layout = Errno("no room");
  if (::ftruncate(*fd, sizeof(Layout)) == 0 && ::fcntl(*fd, F_ADD_SEALS, kSeals) == 0) {
    layout = MapLayout(*fd);
  }
  if (!layout.ok()) {
    ::close(*fd);
    *fd = -1;
    return layout.status();
  }
  return std::unique_ptr<Segment>(new Segment(*layout));
}

Result<std::unique_ptr<Segment>> Segment::Map(int fd) {
  struct stat file {};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return Bad("the seals of a segment", 0);
  if (::fstat(fd, &file) != 0 || file.st_size != sizeof(Layout)) {
    return Bad("the size of a segment", static_cast<std::uint64_t>(file.st_size));
  }
  CAIRN_ASSIGN_OR_RETURN(Layout * layout, MapLayout(fd));
  return std::unique_ptr<Segment>(new Segment(layout));
}

Segment::~Segment() { ::munmap(layout_, sizeof(Layout)); }

bool RingWriter::HasRoom(std::size_t bytes) const {
  const std::uint64_t used = written_ - direction_->read.load(std::memory_order_acquire);
  // A reader that claims what was never written gets no more.
  return used <= kRingBytes && kRingBytes - used >= bytes;
}

bool RingWriter::Write(std::uint32_t kind, std::initializer_list<std::string_view> parts) {
  std::size_t size = kHeadBytes;
  for (const std::string_view part : parts) size += part.size();
  CAIRN_CHECK(size <= kMaxMessageBytes, "a message is too long for its ring");
  const std::size_t rounded = RoundUp(size);
  std::size_t at = written_ % kRingBytes;
  const std::size_t to_end = kRingBytes - at;
  const std::size_t filler = rounded > to_end ? to_end : 0;
  if (!HasRoom(rounded + filler)) {
    direction_->writer_waits.store(1);
    // What was read meanwhile was not rung for.
    if (!HasRoom(rounded + filler)) return false;
    direction_->writer_waits.store(0);
  }
  char* const bytes = direction_->bytes.data();
  if (filler != 0) {
    const Head skip{static_cast<std::uint32_t>(filler), kFiller};
    std::memcpy(bytes + at, &skip, sizeof(skip));
    written_ += filler;
    at = 0;
  }
  // The reader takes the length of the parts from what they say themselves; it sees the rounded
  // one.
  const Head head{static_cast<std::uint32_t>(rounded), kind};
  std::memcpy(bytes + at, &head, sizeof(head));
  at += sizeof(head);
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(bytes + at, part.data(), part.size());
    at += part.size();
  }
  written_ += rounded;
  direction_->written.store(written_, std::memory_order_release);
  return true;
}

bool RingWriter::MustRing() {
  // In one order with FallAsleep: either it sees what was written, or this sees that it sleeps.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return direction_->reader_sleeps.load(std::memory_order_relaxed) != 0 &&
         direction_->reader_sleeps.exchange(0) != 0;
}

Result<std::optional<RingMessage>> RingReader::Next() {
  while (true) {
    const std::uint64_t there = direction_->written.load(std::memory_order_acquire) - read_;
    if (there == 0) return std::optional<RingMessage>();
    if (there > kRingBytes || there % 8 != 0) return Bad("what is there to read", there);
    const std::size_t at = read_ % kRingBytes;
    Head head;
    std::memcpy(&head, direction_->bytes.data() + at, sizeof(head));
    // Checked and used must be the same number, whatever the writer does meanwhile.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool fits = head.size >= kHeadBytes && head.size % 8 == 0 && head.size <= there &&
                      head.size <= kRingBytes - at;
    if (!fits) return Bad("the size of a message", head.size);
    if (head.kind == kFiller) {
      read_ += head.size;
      continue;
    }
    if (head.size > kMaxMessageBytes) return Bad("the size of a message", head.size);
    size_ = head.size;
    return std::optional<RingMessage>(RingMessage{
        head.kind, {direction_->bytes.data() + at + kHeadBytes, head.size - kHeadBytes}});
  }
}

bool RingReader::Pop() {
  read_ += size_;
  size_ = 0;
  direction_->read.store(read_, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return direction_->writer_waits.load(std::memory_order_relaxed) != 0 &&
         direction_->writer_waits.exchange(0) != 0;
}

bool RingReader::Empty() const {
  return direction_->written.load(std::memory_order_acquire) == read_;
}

bool RingReader::FallAsleep() {
  direction_->reader_sleeps.store(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (Empty()) return true;
  WakeUp();
  return false;
}

}  // namespace cairn::dram::shm
