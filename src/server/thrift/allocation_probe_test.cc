#include "src/server/thrift/allocation_probe.h"

#include <atomic>
#include <cstdlib>
#include <new>

// In a file of their own, so that no caller sees their bodies and a compiler no mismatch.
static std::atomic<std::size_t> g_largest{0};

// NOLINTBEGIN: replacing the global allocation functions is the point.
void* operator new(std::size_t size) {
  std::size_t largest = g_largest.load(std::memory_order_relaxed);
  while (size > largest && !g_largest.compare_exchange_weak(largest, size)) {
  }
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND

namespace cairn::server::testing {

void ResetLargestAllocation() { g_largest = 0; }
std::size_t LargestAllocation() { return g_largest; }

}  // namespace cairn::server::testing
