// Cairn over its own gRPC service, in the same way as the driver of etcd.
#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "api/cairn.grpc.pb.h"
#include "bench/load/driver.h"
#include "bench/load/grpc_connection.h"

namespace cairn::bench {
namespace {

class GrpcConnection : public AsyncConnection {
 public:
  GrpcConnection(std::shared_ptr<grpc::Channel> channel, v1::ReadLevel level, bool ping)
      : stub_(v1::KV::NewStub(std::move(channel))), ping_(ping) {
    get_.mutable_read()->set_level(level);
  }

  void Set(const std::string& key, const std::string& value, Done done) override {
    if (ping_) return Ping(value, std::move(done));
    set_.set_key(key);
    set_.set_value(value);
    stub_->async()->Set(
        &context_.emplace(), &set_, &set_answer_,
        [done = std::move(done)](const grpc::Status& status) { done(FromGrpc(status)); });
  }

  void Get(const std::string& key, std::string* value, Done done) override {
    get_.set_key(key);
    stub_->async()->Get(&context_.emplace(), &get_, &get_answer_,
                        [this, value, done = std::move(done)](const grpc::Status& status) {
                          done(status.ok() ? Take(value) : FromGrpc(status));
                        });
  }

 private:
  Status Take(std::string* value) {
    if (!get_answer_.found()) return NotFoundError("no key " + get_.key());
    *value = std::move(*get_answer_.mutable_value());
    return Status::Ok();
  }

  // What a Set costs gRPC alone: the value comes back, and no store sees it.
  void Ping(const std::string& value, Done done) {
    echo_.set_message(value);
    stub_->async()->Ping(
        &context_.emplace(), &echo_, &echo_answer_,
        [done = std::move(done)](const grpc::Status& status) { done(FromGrpc(status)); });
  }

  const std::unique_ptr<v1::KV::Stub> stub_;
  const bool ping_;
  std::optional<grpc::ClientContext> context_;  // of the call under way
  v1::SetRequest set_;
  v1::WriteResponse set_answer_;
  v1::GetRequest get_;
  v1::GetResponse get_answer_;
  v1::PingRequest echo_;
  v1::PingResponse echo_answer_;
};

class GrpcDriver : public AsyncDriver {
 public:
  GrpcDriver(std::vector<Endpoint> endpoints, std::size_t channels, v1::ReadLevel level, bool ping)
      : channels_(std::move(endpoints), channels), level_(level), ping_(ping) {}

  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, channels_.Next());
    return std::unique_ptr<AsyncConnection>(
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
