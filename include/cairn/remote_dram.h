// The memory plane: a key-value store in the DRAM of other nodes.
//
// This header uses the standard library alone and compiles as C++17.
//
// Thread safety: values, unless a class says otherwise.
#ifndef CAIRN_REMOTE_DRAM_H_
#define CAIRN_REMOTE_DRAM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cairn/status.h"

namespace cairn::dram {

// Bytes, and what keeps them in place: while a Buffer or a copy of it lives, its bytes neither move
// nor change. Copying a Buffer copies no bytes. What a read gives is pinned in this way: it stays
// readable while its key is overwritten or deleted.
class Buffer {
 public:
  Buffer() noexcept = default;
  // `pin` keeps [data, data + size) valid; it is dropped with the last copy of this Buffer.
  Buffer(const void* data, std::size_t size, std::shared_ptr<const void> pin) noexcept
      : data_(static_cast<const char*>(data)), size_(size), pin_(std::move(pin)) {}

  // A copy of `bytes` on the heap.
  static Buffer Copy(std::string_view bytes) { return Take(std::string(bytes)); }
  // The bytes of a string, which moves into the Buffer.
  static Buffer Take(std::string bytes) {
    auto pin = std::make_shared<const std::string>(std::move(bytes));
    const char* data = pin->data();
    const std::size_t size = pin->size();
    return Buffer(data, size, std::move(pin));
  }
  // Bytes that the caller keeps valid and unchanged until the operation that takes them has given
  // its result. Nothing is copied and nothing pinned.
  static Buffer Borrow(std::string_view bytes) noexcept {
    return Buffer(bytes.data(), bytes.size(), nullptr);
  }

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string ToString() const { return std::string(view()); }
  [[nodiscard]] const std::shared_ptr<const void>& pin() const noexcept { return pin_; }

  // Part of the bytes, under the same pin. `offset` and `size` must lie within.
  [[nodiscard]] Buffer Slice(std::size_t offset, std::size_t size) const {
    return Buffer(data_ + offset, size, pin_);
  }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> pin_;
};

// Which write made a value: the random boot id of the server that took the write, and a counter
// there. No two writes to a key have the same one, not even across a delete or a restart.
struct Generation {
  std::uint64_t boot_id = 0;
  std::uint64_t counter = 0;

  // As a result: nothing is known of the value (a condition did not hold). As a condition: none.
  static constexpr Generation Unknown() noexcept { return {0, 0}; }
  // The key has no value.
  static constexpr Generation NoValue() noexcept { return {0, 1}; }

  [[nodiscard]] constexpr bool IsUnknown() const noexcept { return *this == Unknown(); }
  [[nodiscard]] constexpr bool IsNoValue() const noexcept { return *this == NoValue(); }

  friend constexpr bool operator==(const Generation& a, const Generation& b) noexcept {
    return a.boot_id == b.boot_id && a.counter == b.counter;
  }
  friend constexpr bool operator!=(const Generation& a, const Generation& b) noexcept {
    return !(a == b);
  }
};

// Which bytes of a value to read.
//   {0, -1}    all of it (the default)
//   {3, -1}    from the fourth byte to the end
//   {3, 7}     four bytes
//   {-5, -1}   the last five bytes
// A range that does not lie within the value is kOutOfRange.
struct ByteRange {
  std::int64_t inclusive_min = 0;
  std::int64_t exclusive_max = -1;

  [[nodiscard]] bool IsFull() const noexcept { return inclusive_min == 0 && exclusive_max == -1; }
  friend bool operator==(const ByteRange& a, const ByteRange& b) noexcept {
    return a.inclusive_min == b.inclusive_min && a.exclusive_max == b.exclusive_max;
  }
};

// Keys from `inclusive_min` up to but without `exclusive_max`; an empty `exclusive_max` is no
// bound.
struct KeyRange {
  std::string inclusive_min;
  std::string exclusive_max;

  // All keys that start with `prefix`.
  static KeyRange Prefix(std::string prefix) {
    KeyRange range{prefix, std::move(prefix)};
    std::string& end = range.exclusive_max;
    while (!end.empty() && end.back() == '\xFF') end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return range;
  }
  [[nodiscard]] bool Contains(std::string_view key) const noexcept {
    return key >= inclusive_min && (exclusive_max.empty() || key < exclusive_max);
  }
  friend bool operator==(const KeyRange& a, const KeyRange& b) noexcept {
    return a.inclusive_min == b.inclusive_min && a.exclusive_max == b.exclusive_max;
  }
};

// Bounds that every server keeps. A request beyond one of them is kInvalidArgument.
inline constexpr std::size_t kMaxKeyBytes = 4096;
inline constexpr std::uint64_t kMaxValueBytes = std::uint64_t{4} << 30;

}  // namespace cairn::dram

#endif  // CAIRN_REMOTE_DRAM_H_
