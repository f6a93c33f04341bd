// Anonymous memory from the kernel: zeroed, page aligned, backed only where it is touched.
//
// Thread safety: a value that owns its mapping.
#ifndef CAIRN_SRC_DRAM_MEMORY_MAPPED_MEMORY_H_
#define CAIRN_SRC_DRAM_MEMORY_MAPPED_MEMORY_H_

#include <cstddef>

#include "cairn/status.h"

namespace cairn::dram {

class MappedMemory {
 public:
  MappedMemory() = default;
  // kResourceExhausted if the kernel does not give that much address space. `huge_pages` asks for
  // transparent huge pages, which the kernel may refuse without harm.
  static Result<MappedMemory> Make(std::size_t bytes, bool huge_pages);
  ~MappedMemory();
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;

  [[nodiscard]] char* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_MEMORY_MAPPED_MEMORY_H_
