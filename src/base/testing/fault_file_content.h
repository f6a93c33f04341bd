// The bytes of one file of FaultFileSystem: what a reader sees now, what a power cut would leave
// for sure, and the changes in between.
//
// Both views are sparse maps of 4 KiB pages that share what they have in common, so a Sync copies
// pointers and zeros cost nothing.
//
// Thread safety: none; FaultFileSystem's lock guards it.
#ifndef CAIRN_SRC_BASE_TESTING_FAULT_FILE_CONTENT_H_
#define CAIRN_SRC_BASE_TESTING_FAULT_FILE_CONTENT_H_

#include <absl/container/btree_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.h"

namespace cairn::fault_internal {

inline constexpr std::uint64_t kSector = 512;
inline constexpr std::uint64_t kPage = 4096;

// Sparse bytes. Copying shares the pages.
class SparseBytes {
 public:
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Pages at or after `first_page` that hold bytes.
  [[nodiscard]] std::uint64_t PagesFrom(std::uint64_t first_page) const;
  [[nodiscard]] bool HasPage(std::uint64_t page) const { return pages_.contains(page); }

  // Reads [offset, offset + size), cut at the end of the file.
  void Read(std::uint64_t offset, std::size_t size, std::string* out) const;
  // Writes, growing the file if needed.
  void Write(std::uint64_t offset, std::string_view data);
  // Cuts or grows with zeros.
  void Resize(std::uint64_t size);
  // Makes the pages that [offset, offset + size) touches those of `from`. Sizes are left alone.
  void SharePages(const SparseBytes& from, std::uint64_t offset, std::uint64_t size);

 private:
  using Page = std::array<char, kPage>;
  // A page that nobody else shares, made of zeros if there was none.
  Page& Writable(std::uint64_t page);

  absl::btree_map<std::uint64_t, std::shared_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

class FaultFileContent {
 public:
  [[nodiscard]] std::uint64_t size() const { return current_.size(); }
  // Bytes that this file takes of the disk: blocks allocated or written.
  [[nodiscard]] std::uint64_t Charge() const { return (reserved_pages_ + pages_beyond_) * kPage; }
  // What Charge would grow by.
  [[nodiscard]] std::uint64_t ChargeOfWrite(std::uint64_t offset, std::size_t size) const;
  [[nodiscard]] std::uint64_t ChargeOfAllocate(std::uint64_t size) const;

  void Read(std::uint64_t offset, std::size_t size, std::string* out) const {
    current_.Read(offset, size, out);
  }
  void Write(std::uint64_t offset, std::string_view data);
  void Truncate(std::uint64_t size);
  void Allocate(std::uint64_t size);
  void Sync();
  // What a failed fdatasync does: the changes stay visible but will not reach the disk.
  void ForgetDirty() { changes_.clear(); }
  void Damage(std::uint64_t offset, std::uint8_t mask);

  // The outcomes of a power cut. Afterwards everything that is left is durable. True if bytes, or a
  // size, that a reader saw before are gone.
  bool CrashDroppingUnsynced();
  bool CrashRandomly(Random* random);

 private:
  // A write, or a change of size when `data` is empty.
  struct Change {
    std::uint64_t offset = 0;  // of a change of size: the new size
    std::string data;
    [[nodiscard]] bool IsResize() const { return data.empty(); }
  };

  static void Apply(const Change& change, SparseBytes* bytes);
  // The first changes in order, the next one torn, the others dropped.
  void CrashInOrder(Random* random);
  // Each sector and the size for themselves.
  void CrashBySector(Random* random);
  void TakeDurable();
  // Where the views can differ, they do.
  [[nodiscard]] bool Differs() const;

  SparseBytes current_;
  SparseBytes durable_;
  std::vector<Change> changes_;  // between the two, in order
  std::uint64_t reserved_pages_ = 0;
  std::uint64_t pages_beyond_ = 0;  // pages of current_ at or after reserved_pages_
};

}  // namespace cairn::fault_internal

#endif  // CAIRN_SRC_BASE_TESTING_FAULT_FILE_CONTENT_H_
