#include "bench/load/grpc_connection.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <limits>
#include <string>

namespace cairn::bench {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};

}  // namespace

Result<std::shared_ptr<grpc::Channel>> GrpcChannels::Next() {
  MutexLock lock(&mutex_);
  const std::size_t number = shared_ == 0 ? next_ : next_ % shared_;
  ++next_;
  if (number < channels_.size()) return channels_[number];
  grpc::ChannelArguments arguments;
  // Channels with equal arguments share one connection: a number of its own keeps each apart.
  arguments.SetInt("cairn.connection", static_cast<int>(number));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  const Endpoint& endpoint = endpoints_[number % endpoints_.size()];
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(endpoint.ToString(), grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kConnectTimeout)) {
    return UnavailableError(endpoint.ToString() + " did not answer within 10 s");
  }
  channels_.push_back(channel);
  return channel;
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return Status::Ok();
  return UnavailableError("gRPC " + std::to_string(status.error_code()) + ": " +
                          status.error_message());
}

}  // namespace cairn::bench
