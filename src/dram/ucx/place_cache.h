// Places for answers that their caller gave none for. A large one that its reader has let go serves
// the next answer of about its size: memory fresh from the kernel costs about as much as the bytes
// that are read into it.
//
// What lies unused is bounded (kMaxIdleBytes), and goes with the cache. Places may outlive it.
//
// Thread safety: Get, one thread at a time; places may be dropped on any thread.
#ifndef CAIRN_SRC_DRAM_UCX_PLACE_CACHE_H_
#define CAIRN_SRC_DRAM_UCX_PLACE_CACHE_H_

#include <cstddef>
#include <memory>

#include "src/dram/transport.h"

namespace cairn::dram::ucx {

class PlaceCache {
 public:
  // Smaller ones are not kept: the allocator reuses them by itself.
  static constexpr std::size_t kMinKeptBytes = 64 << 10;
  static constexpr std::size_t kMaxIdleBytes = 64 << 20;

  PlaceCache();
  ~PlaceCache();
  PlaceCache(const PlaceCache&) = delete;
  PlaceCache& operator=(const PlaceCache&) = delete;

  // A place of `size` bytes, which are undefined.
  MutableBuffer Get(std::size_t size);
  // Of places that nobody uses.
  [[nodiscard]] std::size_t idle_bytes() const;

 private:
  struct Shelf;
  const std::shared_ptr<Shelf> shelf_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_PLACE_CACHE_H_
