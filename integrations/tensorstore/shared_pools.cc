#include "shared_pools.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

namespace cairn_tensorstore {
namespace {

// Never destroyed: a driver may be dropped while the process ends.
struct Pools {
  std::mutex mutex;
  std::condition_variable closed;
  // By spec. One that has expired is closing, and leaves when it has closed.
  std::map<std::string, std::weak_ptr<cairn::RemoteDram>> open;
};

Pools& ThePools() {
  static auto* const pools = new Pools;
  return *pools;
}

struct Close {
  std::string spec;

  void operator()(cairn::RemoteDram* pool) const {
    delete pool;
    Pools& pools = ThePools();
    {
      const std::lock_guard<std::mutex> lock(pools.mutex);
      pools.open.erase(spec);
    }
    pools.closed.notify_all();
  }
};

}  // namespace

cairn::Result<std::shared_ptr<cairn::RemoteDram>> OpenSharedPool(const std::string& spec) {
  Pools& pools = ThePools();
  std::unique_lock<std::mutex> lock(pools.mutex);
  for (auto it = pools.open.find(spec); it != pools.open.end(); it = pools.open.find(spec)) {
    if (auto pool = it->second.lock()) return pool;
    pools.closed.wait(lock);
  }
  auto opened = cairn::RemoteDram::Open(spec);
  if (!opened.ok()) return opened.status();
  std::shared_ptr<cairn::RemoteDram> pool(opened->release(), Close{spec});
  pools.open.emplace(spec, pool);
  return pool;
}

}  // namespace cairn_tensorstore
