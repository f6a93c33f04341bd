#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "bench/load/driver.h"
#include "etcd_kv.grpc.pb.h"

namespace cairn::bench {
namespace {

constexpr std::chrono::seconds kConnectTimeout{10};

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return Status::Ok();
  return {StatusCode::kUnavailable,
          "gRPC " + std::to_string(status.error_code()) + ": " + status.error_message()};
}

class EtcdConnection : public Connection {
 public:
  EtcdConnection(std::shared_ptr<grpc::Channel> channel, bool serializable_reads)
      : channel_(std::move(channel)),
        stub_(etcdserverpb::KV::NewStub(channel_)),
        serializable_reads_(serializable_reads) {}

  Status Open() {
    const auto deadline = std::chrono::system_clock::now() + kConnectTimeout;
    if (channel_->WaitForConnected(deadline)) return Status::Ok();
    return {StatusCode::kUnavailable, "etcd did not answer within 10 s"};
  }

  Status Set(const std::string& key, const std::string& value) override {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    return FromGrpc(stub_->Put(&context, request, &response));
  }

  Status Get(const std::string& key, std::string* value) override {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_serializable(serializable_reads_);
    etcdserverpb::RangeResponse response;
    grpc::ClientContext context;
    if (Status called = FromGrpc(stub_->Range(&context, request, &response)); !called.ok()) {
      return called;
    }
    if (response.kvs().empty()) return {StatusCode::kNotFound, "no key " + key};
    *value = std::move(*response.mutable_kvs(0)->mutable_value());
    return Status::Ok();
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  const bool serializable_reads_;
};

class EtcdDriver : public Driver {
 public:
  EtcdDriver(std::vector<Endpoint> endpoints, bool serializable_reads)
      : endpoints_(std::move(endpoints)), serializable_reads_(serializable_reads) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    grpc::ChannelArguments arguments;
    // Channels with equal arguments share one connection: a number of its own keeps each apart.
    const std::size_t number = next_.fetch_add(1);
    arguments.SetInt("cairn.connection", static_cast<int>(number));
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto connection = std::make_unique<EtcdConnection>(
        grpc::CreateCustomChannel(endpoints_[number % endpoints_.size()].ToString(),
                                  grpc::InsecureChannelCredentials(), arguments),
        serializable_reads_);
    if (Status opened = connection->Open(); !opened.ok()) return opened;
    return std::unique_ptr<Connection>(std::move(connection));
  }

 private:
  const std::vector<Endpoint> endpoints_;
  const bool serializable_reads_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace

std::unique_ptr<Driver> MakeEtcdDriver(std::vector<Endpoint> endpoints, bool serializable_reads) {
  return std::make_unique<EtcdDriver>(std::move(endpoints), serializable_reads);
}

}  // namespace cairn::bench
