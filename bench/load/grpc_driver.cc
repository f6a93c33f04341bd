// Cairn over its own gRPC service, in the same way as the driver of etcd.
#include <grpcpp/grpcpp.h>

#include <utility>

#include "api/cairn.grpc.pb.h"
#include "bench/load/driver.h"
#include "bench/load/grpc_connection.h"

namespace cairn::bench {
namespace {

class GrpcConnection : public Connection {
 public:
  GrpcConnection(std::shared_ptr<grpc::Channel> channel, v1::ReadLevel level, bool ping)
      : stub_(v1::KV::NewStub(std::move(channel))), level_(level), ping_(ping) {}

  Status Set(const std::string& key, const std::string& value) override {
    if (ping_) return Ping(value);
    v1::SetRequest request;
    request.set_key(key);
    request.set_value(value);
    v1::WriteResponse response;
    grpc::ClientContext context;
    return call_.Run(
        [&](auto done) { stub_->async()->Set(&context, &request, &response, std::move(done)); });
  }

  Status Get(const std::string& key, std::string* value) override {
    v1::GetRequest request;
    request.set_key(key);
    request.mutable_read()->set_level(level_);
    v1::GetResponse response;
    grpc::ClientContext context;
    CAIRN_RETURN_IF_ERROR(call_.Run(
        [&](auto done) { stub_->async()->Get(&context, &request, &response, std::move(done)); }));
    if (!response.found()) return NotFoundError("no key " + key);
    *value = std::move(*response.mutable_value());
    return Status::Ok();
  }

 private:
  // What a Set costs gRPC alone: the value comes back, and no store sees it.
  Status Ping(const std::string& value) {
    v1::PingRequest request;
    request.set_message(value);
    v1::PingResponse response;
    grpc::ClientContext context;
    return call_.Run(
        [&](auto done) { stub_->async()->Ping(&context, &request, &response, std::move(done)); });
  }

  const std::unique_ptr<v1::KV::Stub> stub_;
  const v1::ReadLevel level_;
  const bool ping_;
  BlockingCall call_;
};

class GrpcDriver : public Driver {
 public:
  GrpcDriver(std::vector<Endpoint> endpoints, std::size_t channels, v1::ReadLevel level, bool ping)
      : channels_(std::move(endpoints), channels), level_(level), ping_(ping) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, channels_.Next());
    return std::unique_ptr<Connection>(
        std::make_unique<GrpcConnection>(std::move(channel), level_, ping_));
  }

 private:
  GrpcChannels channels_;
  const v1::ReadLevel level_;
  const bool ping_;
};

v1::ReadLevel LevelOf(std::string_view name) {
  if (name == "local") return v1::READ_LEVEL_LOCAL;
  if (name == "leader") return v1::READ_LEVEL_LEADER;
  if (name == "read_index") return v1::READ_LEVEL_READ_INDEX;
  return v1::READ_LEVEL_UNSPECIFIED;
}

}  // namespace

std::unique_ptr<Driver> MakeGrpcDriver(std::vector<Endpoint> endpoints, std::size_t channels,
                                       std::string_view read_level, bool ping) {
  return std::make_unique<GrpcDriver>(std::move(endpoints), channels, LevelOf(read_level), ping);
}

}  // namespace cairn::bench
