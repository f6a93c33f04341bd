#include "src/dram/ucx/name_resolver.h"

#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>

#include <algorithm>
#include <utility>

namespace cairn::dram::ucx {
namespace {

// What a name server is given on this thread, at most: by default it is 5 s, twice. An attempt to
// connect gives up after 5 s, and the end of a pool waits for lookups.
constexpr int kServerSeconds = 2;
constexpr int kTries = 2;

void LimitPatience() {
  if (res_init() != 0) return;
  _res.retrans = std::min(_res.retrans, kServerSeconds);
  _res.retry = std::min(_res.retry, kTries);
}

}  // namespace

NameResolver::~NameResolver() {
  {
    MutexLock lock(&mutex_);
    while (!running_.empty()) ended_one_.Wait(&mutex_);
  }
  Reap();
}

void NameResolver::Lookup(const Endpoint& endpoint, Then then) {
  Reap();
  const std::string key = endpoint.ToString();
  MutexLock lock(&mutex_);
  const auto [it, is_new] = running_.try_emplace(key);
  it->second.waiting.push_back(std::move(then));
  if (is_new) it->second.thread = std::thread([this, endpoint, key] { Run(endpoint, key); });
}

void NameResolver::Run(const Endpoint& endpoint, const std::string& key) {
  pthread_setname_np(pthread_self(), "dram-resolve");
  LimitPatience();
  const Addresses found = resolve_(endpoint);
  std::vector<Then> waiting;
  {
    MutexLock lock(&mutex_);
    waiting = std::exchange(running_.at(key).waiting, {});
  }
  for (Then& then : waiting) then(found);
  MutexLock lock(&mutex_);
  const auto mine = running_.find(key);
  // Those who came meanwhile have the same answer, which is moments old.
  for (Then& then : mine->second.waiting) then(found);
  ended_.push_back(std::move(mine->second.thread));
  running_.erase(mine);
  ended_one_.SignalAll();
}

void NameResolver::Reap() {
  std::vector<std::thread> ended;
  {
    MutexLock lock(&mutex_);
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

}  // namespace cairn::dram::ucx
