#include "apps/cairn/bench_target.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace cairn::cli {
namespace {

using bench::Operation;
using bench::OperationKind;
using bench::Outcome;
using DoneCallback = std::function<void(const Outcome&)>;

// A transaction that reads a record and sets it, and does so again as the client's own Run would.
// Keeps itself alive by the callbacks that wait for it.
class ReadAndSet : public std::enable_shared_from_this<ReadAndSet> {
 public:
  ReadAndSet(Client* client, const Operation& operation, std::string family, DoneCallback done)
      : operation_(operation),
        family_(std::move(family)),
        done_(std::move(done)),
        transaction_(client->Begin()) {}

  void Run() {
    transaction_.GetAsync(operation_.key, family_)
        .OnReady([self = shared_from_this()](const Result<GetResult>& read) { self->Write(read); });
  }

 private:
  void Write(const Result<GetResult>& read) {
    if (!read.ok()) return End(read.status());
    outcome_.found = read->found;
    transaction_.Set(operation_.key, operation_.value, family_);
    transaction_.CommitAsync().OnReady(
        [self = shared_from_this()](const Result<std::uint64_t>& version) {
          self->End(version.status());
        });
  }

  void End(const Status& status) {
    if (status.ok()) {
      outcome_.commits = 1;
      return done_(outcome_);
    }
    if (status.code() == StatusCode::kConflict) ++outcome_.conflicts;
    transaction_.OnErrorAsync(status).OnReady(
        [self = shared_from_this()](const Result<std::uint64_t>& tries) {
          if (tries.ok()) return self->Run();
          self->outcome_.status = tries.status();
          self->done_(self->outcome_);
        });
  }

  const Operation& operation_;
  const std::string family_;
  const DoneCallback done_;
  Outcome outcome_;
  Transaction transaction_;
};

class ClientTarget : public bench::Target {
 public:
  ClientTarget(const BenchSystem& system, std::vector<std::unique_ptr<Client>> clients)
      : clients_(std::move(clients)) {
    read_.read_level = system.read_level;
    read_.column_family = system.column_family;
    write_.column_family = system.column_family;
  }

  void Start(const Operation& operation, DoneCallback done) override {
    Client& client = *clients_[operation.lane % clients_.size()];
    switch (operation.kind) {
      case OperationKind::kRead:
        client.GetAsync(operation.key, read_)
            .OnReady([done = std::move(done)](const Result<GetResult>& read) {
              Outcome outcome;
              outcome.status = read.status();
              outcome.found = !read.ok() || read->found;
              done(outcome);
            });
        return;
      case OperationKind::kUpdate:
      case OperationKind::kInsert:
        client.SetAsync(operation.key, operation.value, write_).OnReady(Written(std::move(done)));
        return;
      case OperationKind::kDelete:
        client.DeleteAsync(operation.key, write_).OnReady(Written(std::move(done)));
        return;
      case OperationKind::kScan:
        return Scan(&client, operation, std::move(done));
      case OperationKind::kReadModifyWrite:
        return ReadModifyWrite(&client, operation, std::move(done));
      case OperationKind::kTransaction:
        std::make_shared<ReadAndSet>(&client, operation, write_.column_family, std::move(done))
            ->Run();
        return;
    }
  }

 private:
  static std::function<void(Result<std::uint64_t>)> Written(DoneCallback done) {
    return [done = std::move(done)](const Result<std::uint64_t>& version) {
      Outcome outcome;
      outcome.status = version.status();
      outcome.commits = version.ok() ? 1 : 0;
      done(outcome);
    };
  }

  // As YCSB has it: two operations, one after the other.
  void ReadModifyWrite(Client* client, const Operation& operation, DoneCallback done) {
    client->GetAsync(operation.key, read_)
        .OnReady([this, client, &operation,
                  done = std::move(done)](const Result<GetResult>& read) mutable {
          Outcome outcome;
          outcome.status = read.status();
          if (!read.ok()) return done(outcome);
          outcome.found = read->found;
          client->SetAsync(operation.key, operation.value, write_)
              .OnReady(
                  [outcome, done = std::move(done)](const Result<std::uint64_t>& version) mutable {
                    outcome.status = version.status();
                    outcome.commits = version.ok() ? 1 : 0;
                    done(outcome);
                  });
        });
  }

  void Scan(Client* client, const Operation& operation, DoneCallback done) {
    RangeRequest range = RangeRequest::Between(operation.key, "");
    range.limit = operation.scan_length;
    client->GetRangeAsync(range, read_)
        .OnReady([done = std::move(done)](const Result<RangeResult>& read) {
          Outcome outcome;
          outcome.status = read.status();
          if (read.ok()) outcome.pairs = static_cast<std::uint32_t>(read->key_values.size());
          outcome.found = outcome.pairs > 0;
          done(outcome);
        });
  }

  const std::vector<std::unique_ptr<Client>> clients_;
  ReadOptions read_;
  WriteOptions write_;
};

Result<std::unique_ptr<Client>> ConnectOne(const BenchSystem& system) {
  MultiNodeOptions options;
  options.timeout = options.connect_timeout = system.timeout;
  options.sessions = system.sessions;
  // What a read costs by itself is measured, not a wait for the client's own writes.
  options.read_your_writes = false;
  const std::size_t lanes = (system.lanes + system.clients - 1) / system.clients;
  options.max_connections = static_cast<std::uint32_t>(std::clamp<std::size_t>(lanes, 1, 4096));
  if (system.endpoints.size() == 1) {
    CAIRN_ASSIGN_OR_RETURN(auto client, NodeClient::Connect(system.endpoints.front(), options));
    return std::unique_ptr<Client>(std::move(client));
  }
  options.read_strategy = system.read_level == ReadLevel::kLeader ? ReadStrategy::kLeaderOnly
                                                                  : ReadStrategy::kRoundRobin;
  CAIRN_ASSIGN_OR_RETURN(auto client, MultiNodeClient::Connect(system.endpoints, options));
  return std::unique_ptr<Client>(std::move(client));
}

}  // namespace

Result<std::unique_ptr<bench::Target>> ConnectBenchTarget(const BenchSystem& system) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < system.clients; ++i) {
    CAIRN_ASSIGN_OR_RETURN(auto client, ConnectOne(system));
    clients.push_back(std::move(client));
  }
  return std::unique_ptr<bench::Target>(std::make_unique<ClientTarget>(system, std::move(clients)));
}

}  // namespace cairn::cli
