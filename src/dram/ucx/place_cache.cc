#include "src/dram/ucx/place_cache.h"

#include <map>
#include <utility>

#include "src/base/mutex.h"

namespace cairn::dram::ucx {

using Bytes = std::unique_ptr<char[]>;

// Lives until the cache and its last place are gone.
struct PlaceCache::Shelf {
  Mutex mutex;
  std::multimap<std::size_t, Bytes> idle ABSL_GUARDED_BY(mutex);
  std::size_t idle_bytes ABSL_GUARDED_BY(mutex) = 0;
  bool closed ABSL_GUARDED_BY(mutex) = false;

  // A place of at least `size` bytes, and of at most a quarter more.
  Bytes Take(std::size_t size, std::size_t* capacity) {
    MutexLock lock(&mutex);
    const auto it = idle.lower_bound(size);
    if (it == idle.end() || it->first > size + size / 4) return nullptr;
    *capacity = it->first;
    idle_bytes -= it->first;
    Bytes found = std::move(it->second);
    idle.erase(it);
    return found;
  }

  void Put(Bytes bytes, std::size_t capacity) {
    // Freed without the lock.
    std::multimap<std::size_t, Bytes> surplus;
    MutexLock lock(&mutex);
    if (closed || capacity > kMaxIdleBytes) {
      surplus.emplace(capacity, std::move(bytes));
      return;
    }
    // What is of other sizes makes room: its readers may have gone.
    while (idle_bytes + capacity > kMaxIdleBytes) {
      auto node = idle.extract(idle.begin());
      idle_bytes -= node.key();
      surplus.insert(std::move(node));
    }
    idle_bytes += capacity;
    idle.emplace(capacity, std::move(bytes));
  }

  void Close() {
    std::multimap<std::size_t, Bytes> surplus;
    MutexLock lock(&mutex);
    closed = true;
    idle_bytes = 0;
    surplus.swap(idle);
  }
};

PlaceCache::PlaceCache() : shelf_(std::make_shared<Shelf>()) {}
PlaceCache::~PlaceCache() { shelf_->Close(); }

MutableBuffer PlaceCache::Get(std::size_t size) {
  if (size < kMinKeptBytes) {
    std::shared_ptr<char[]> memory(new char[size]);
    return {memory.get(), size, memory};
  }
  std::size_t capacity = size;
  Bytes bytes = shelf_->Take(size, &capacity);
  if (bytes == nullptr) bytes.reset(new char[size]);
  char* const data = bytes.get();
  return {data, size, std::shared_ptr<void>(bytes.release(), [shelf = shelf_, capacity](char* p) {
            shelf->Put(Bytes(p), capacity);
          })};
}

std::size_t PlaceCache::idle_bytes() const {
  MutexLock lock(&shelf_->mutex);
  return shelf_->idle_bytes;
}

}  // namespace cairn::dram::ucx
