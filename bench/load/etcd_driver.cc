#include <grpcpp/grpcpp.h>

#include <utility>

#include "bench/load/driver.h"
#include "bench/load/grpc_connection.h"
#include "etcd_kv.grpc.pb.h"

namespace cairn::bench {
namespace {

class EtcdConnection : public Connection {
 public:
  EtcdConnection(std::shared_ptr<grpc::Channel> channel, bool serializable_reads)
      : stub_(etcdserverpb::KV::NewStub(std::move(channel))),
        serializable_reads_(serializable_reads) {}

  Status Set(const std::string& key, const std::string& value) override {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    return call_.Run(
        [&](auto done) { stub_->async()->Put(&context, &request, &response, std::move(done)); });
  }

  Status Get(const std::string& key, std::string* value) override {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_serializable(serializable_reads_);
    etcdserverpb::RangeResponse response;
    grpc::ClientContext context;
    CAIRN_RETURN_IF_ERROR(call_.Run(
        [&](auto done) { stub_->async()->Range(&context, &request, &response, std::move(done)); }));
    if (response.kvs().empty()) return {StatusCode::kNotFound, "no key " + key};
    *value = std::move(*response.mutable_kvs(0)->mutable_value());
    return Status::Ok();
  }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  const bool serializable_reads_;
  BlockingCall call_;
};

class EtcdDriver : public Driver {
 public:
  EtcdDriver(std::vector<Endpoint> endpoints, std::size_t channels, bool serializable_reads)
      : channels_(std::move(endpoints), channels), serializable_reads_(serializable_reads) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, channels_.Next());
    return std::unique_ptr<Connection>(
        std::make_unique<EtcdConnection>(std::move(channel), serializable_reads_));
  }

 private:
  GrpcChannels channels_;
  const bool serializable_reads_;
};

}  // namespace

std::unique_ptr<Driver> MakeEtcdDriver(std::vector<Endpoint> endpoints, std::size_t channels,
                                       bool serializable_reads) {
  return std::make_unique<EtcdDriver>(std::move(endpoints), channels, serializable_reads);
}

}  // namespace cairn::bench
