#include "src/dram/memory/mapped_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace cairn::dram {

Result<MappedMemory> MappedMemory::Make(std::size_t bytes, bool huge_pages) {
  void* const data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return Status(StatusCode::kResourceExhausted, "the kernel gives no " + std::to_string(bytes) +
                                                      " bytes of memory: " + std::strerror(errno));
  }
  if (huge_pages) (void)::madvise(data, bytes, MADV_HUGEPAGE);
  MappedMemory memory;
  memory.data_ = static_cast<char*>(data);
  memory.size_ = bytes;
  return memory;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace cairn::dram
