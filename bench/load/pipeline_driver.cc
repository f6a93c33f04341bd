// Cairn over gRPC as a program does it that uses the C++ client: asynchronous operations, which
// share the client's pipeline. Without sessions, which the other drivers have not either.
#include <utility>

#include "bench/load/driver.h"
#include "cairn/client.h"
#include "src/base/mutex.h"

namespace cairn::bench {
namespace {

class PipelineConnection : public AsyncConnection {
 public:
  PipelineConnection(std::shared_ptr<NodeClient> client, ReadLevel level)
      : client_(std::move(client)) {
    read_.read_level = level;
  }

  void Set(const std::string& key, const std::string& value, Done done) override {
    client_->SetAsync(key, value).OnReady([done = std::move(done)](const auto& answer) {
      done(answer.status());
    });
  }

  void Get(const std::string& key, std::string* value, Done done) override {
    client_->GetAsync(key, read_)
        .OnReady([key, value, done = std::move(done)](Result<GetResult> answer) {
          if (!answer.ok()) return done(answer.status());
          if (!answer->found) return done(NotFoundError("no key " + key));
          *value = std::move(answer->value);
          done(Status::Ok());
        });
  }

 private:
  const std::shared_ptr<NodeClient> client_;
  ReadOptions read_;
};

class PipelineDriver : public AsyncDriver {
 public:
  PipelineDriver(std::vector<Endpoint> endpoints, std::size_t clients, ReadLevel level)
      : endpoints_(std::move(endpoints)), shared_(clients), level_(level) {}

  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    MutexLock lock(&mutex_);
    const std::size_t number = shared_ == 0 ? next_ : next_ % shared_;
    ++next_;
    if (number == clients_.size()) {
      ClientOptions options;
      options.sessions = false;
      options.read_your_writes = false;
      const Endpoint& endpoint = endpoints_[number % endpoints_.size()];
      CAIRN_ASSIGN_OR_RETURN(auto client,
                             NodeClient::Connect("grpc://" + endpoint.ToString(), options));
      clients_.push_back(std::move(client));
    }
    return std::unique_ptr<AsyncConnection>(
        std::make_unique<PipelineConnection>(clients_[number], level_));
  }

 private:
  const std::vector<Endpoint> endpoints_;
  const std::size_t shared_;
  const ReadLevel level_;
  Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<NodeClient>> clients_ ABSL_GUARDED_BY(mutex_);
};

ReadLevel LevelOf(std::string_view name) {
  if (name == "local") return ReadLevel::kLocal;
  if (name == "leader") return ReadLevel::kLeader;
  if (name == "read_index") return ReadLevel::kReadIndex;
  return ReadLevel::kDefault;
}

}  // namespace

std::unique_ptr<Driver> MakePipelineDriver(std::vector<Endpoint> endpoints, std::size_t clients,
                                           std::string_view read_level) {
  return std::make_unique<PipelineDriver>(std::move(endpoints), clients, LevelOf(read_level));
}

}  // namespace cairn::bench
