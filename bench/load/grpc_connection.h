// What the drivers that speak gRPC have in common: their channels. Their calls are of gRPC's
// callback API, on gRPC's own threads. (The blocking API has every client's thread poll, which
// costs a shared channel more than the calls do.)
//
// Thread safety: GrpcChannels from any thread.
#ifndef CAIRN_BENCH_LOAD_GRPC_CONNECTION_H_
#define CAIRN_BENCH_LOAD_GRPC_CONNECTION_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/endpoint.h"
#include "src/base/mutex.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace cairn::bench {

// kUnavailable with gRPC's code and words, unless it is OK.
Status FromGrpc(const grpc::Status& status);

// Channels to servers that share no connection with each other. Clients take turns over them.
class GrpcChannels {
 public:
  // `shared`: how many channels all clients together have; 0: one a client. The n-th channel goes
  // to endpoint n modulo their number.
  GrpcChannels(std::vector<Endpoint> endpoints, std::size_t shared)
      : endpoints_(std::move(endpoints)), shared_(shared) {}

  // The next client's, connected. kUnavailable if the server does not answer within 10 s.
  Result<std::shared_ptr<grpc::Channel>> Next();

 private:
  const std::vector<Endpoint> endpoints_;
  const std::size_t shared_;
  Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_LOAD_GRPC_CONNECTION_H_
