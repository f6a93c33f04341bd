// Cairn as a program uses it that has the C++ client: asynchronous operations, which share the
// client's pipeline over gRPC, or its connections over Thrift.
#include <utility>

#include "bench/load/driver.h"
#include "cairn/client.h"
#include "src/base/mutex.h"

namespace cairn::bench {
namespace {

class ClientConnection : public AsyncConnection {
 public:
  ClientConnection(std::shared_ptr<NodeClient> client, ReadLevel level)
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

  void Scan(const std::string& begin, const std::string& end, std::uint32_t limit,
            ScanDone done) override {
    RangeRequest range = RangeRequest::Between(begin, end);
    range.limit = limit;
    client_->GetRangeAsync(range, read_)
        .OnReady([done = std::move(done)](const Result<RangeResult>& answer) {
          if (!answer.ok()) return done(answer.status());
          done(static_cast<std::uint32_t>(answer->key_values.size()));
        });
  }

 private:
  const std::shared_ptr<NodeClient> client_;
  ReadOptions read_;
};

ReadLevel LevelOf(std::string_view name) {
  if (name == "local") return ReadLevel::kLocal;
  if (name == "leader") return ReadLevel::kLeader;
  if (name == "read_index") return ReadLevel::kReadIndex;
  return ReadLevel::kDefault;
}

class ClientDriver : public AsyncDriver {
 public:
  explicit ClientDriver(const ClientDriverOptions& options)
      : endpoints_(options.endpoints),
        scheme_(options.grpc ? "grpc://" : ""),
        shared_(options.clients),
        connections_(options.connections),
        level_(LevelOf(options.read_level)),
        sessions_(options.sessions) {}

  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    MutexLock lock(&mutex_);
    const std::size_t number = shared_ == 0 ? next_ : next_ % shared_;
    ++next_;
    if (number == clients_.size()) {
      ClientOptions options;
      options.sessions = sessions_;
      options.read_your_writes = sessions_;
      options.max_connections = static_cast<std::uint32_t>(connections_);
      const Endpoint& endpoint = endpoints_[number % endpoints_.size()];
      CAIRN_ASSIGN_OR_RETURN(auto client,
                             NodeClient::Connect(scheme_ + endpoint.ToString(), options));
      clients_.push_back(std::move(client));
    }
    return std::unique_ptr<AsyncConnection>(
        std::make_unique<ClientConnection>(clients_[number], level_));
  }

 private:
  const std::vector<Endpoint> endpoints_;
  const std::string scheme_;
  const std::size_t shared_;
  const std::size_t connections_;
  const ReadLevel level_;
  const bool sessions_;
  Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<NodeClient>> clients_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Driver> MakeClientDriver(const ClientDriverOptions& options) {
  return std::make_unique<ClientDriver>(options);
}

}  // namespace cairn::bench
