#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "bench/load/driver.h"
#include "bench/load/grpc_connection.h"
#include "etcd_kv.grpc.pb.h"

namespace cairn::bench {
namespace {

// One call at a time: what it sends and gets is kept from call to call, as gRPC's users do it who
// want speed.
class EtcdConnection : public AsyncConnection {
 public:
  EtcdConnection(std::shared_ptr<grpc::Channel> channel, bool serializable_reads)
      : stub_(etcdserverpb::KV::NewStub(std::move(channel))) {
    range_.set_serializable(serializable_reads);
    scan_.set_serializable(serializable_reads);
  }

  void Set(const std::string& key, const std::string& value, Done done) override {
    put_.set_key(key);
    put_.set_value(value);
    stub_->async()->Put(
        &context_.emplace(), &put_, &put_answer_,
        [done = std::move(done)](const grpc::Status& status) { done(FromGrpc(status)); });
  }

  void Get(const std::string& key, std::string* value, Done done) override {
    range_.set_key(key);
    stub_->async()->Range(&context_.emplace(), &range_, &range_answer_,
                          [this, value, done = std::move(done)](const grpc::Status& status) {
                            done(status.ok() ? Take(value) : FromGrpc(status));
                          });
  }

  void Scan(const std::string& begin, const std::string& end, std::uint32_t limit,
            ScanDone done) override {
    scan_.set_key(begin);
    scan_.set_range_end(end);
    scan_.set_limit(limit);
    stub_->async()->Range(&context_.emplace(), &scan_, &range_answer_,
                          [this, done = std::move(done)](const grpc::Status& status) {
                            if (!status.ok()) return done(FromGrpc(status));
                            done(static_cast<std::uint32_t>(range_answer_.kvs_size()));
                          });
  }

 private:
  Status Take(std::string* value) {
    if (range_answer_.kvs().empty()) return NotFoundError("no key " + range_.key());
    *value = std::move(*range_answer_.mutable_kvs(0)->mutable_value());
    return Status::Ok();
  }

  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
  std::optional<grpc::ClientContext> context_;  // of the call under way
  etcdserverpb::PutRequest put_;
  etcdserverpb::PutResponse put_answer_;
  etcdserverpb::RangeRequest range_;  // of one key
  etcdserverpb::RangeRequest scan_;
  etcdserverpb::RangeResponse range_answer_;
};

class EtcdDriver : public AsyncDriver {
 public:
  EtcdDriver(std::vector<Endpoint> endpoints, std::size_t channels, bool serializable_reads)
      : channels_(std::move(endpoints), channels), serializable_reads_(serializable_reads) {}

  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, channels_.Next());
    return std::unique_ptr<AsyncConnection>(
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
