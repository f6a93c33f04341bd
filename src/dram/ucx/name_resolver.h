// Looks host names up without holding anybody up: a name whose servers do not answer takes tens of
// seconds with getaddrinfo, which can't be cancelled.
//
// Thread safety: any thread may call Lookup. Each name that is being looked up has a thread, which
// the resolver owns; `mutex_` guards the rest.
#ifndef CAIRN_SRC_DRAM_UCX_NAME_RESOLVER_H_
#define CAIRN_SRC_DRAM_UCX_NAME_RESOLVER_H_

#include <absl/functional/any_invocable.h>

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "src/base/mutex.h"
#include "src/dram/ucx/door.h"

namespace cairn::dram::ucx {

class NameResolver {
 public:
  using Addresses = Result<std::vector<SocketAddress>>;
  using Then = absl::AnyInvocable<void(Addresses)>;
  // Blocks for as long as it takes. On many threads at once.
  using Resolve = std::function<Addresses(const Endpoint&)>;

  explicit NameResolver(Resolve resolve) : resolve_(std::move(resolve)) {}
  // Waits for the lookups that are under way, whose `then` is still called: name servers are given
  // a few seconds, see LimitPatience.
  ~NameResolver();
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;

  // Calls `then` with what comes of it, on a thread of the resolver. Who asks for what is being
  // looked up already gets the answer of that.
  void Lookup(const Endpoint& endpoint, Then then);

 private:
  struct Running {
    std::vector<Then> waiting;
    std::thread thread;
  };
  void Run(const Endpoint& endpoint, const std::string& key);
  // Joins threads that have nothing left to do.
  void Reap();

  const Resolve resolve_;
  Mutex mutex_;
  // By the endpoint's text.
  std::map<std::string, Running> running_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> ended_ ABSL_GUARDED_BY(mutex_);
  CondVar ended_one_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_NAME_RESOLVER_H_
