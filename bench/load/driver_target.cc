#include "bench/load/driver_target.h"

#include <string>
#include <utility>
#include <vector>

#include "src/load/keys.h"

namespace cairn::bench {
namespace {

using DoneCallback = std::function<void(const Outcome&)>;

// One operation of a lane is under way at a time, and keeps here what its calls need.
struct Lane {
  std::unique_ptr<AsyncConnection> connection;
  std::string read;
  std::string written;
};

Outcome OfRead(const Status& status) {
  Outcome outcome;
  outcome.found = status.code() != StatusCode::kNotFound;
  if (outcome.found) outcome.status = status;
  return outcome;
}

// Where a scan ends, as no number between two records is left out. The limit says the same, but
// etcd 3.4 collects all that its range has before it looks at the limit.
std::string EndOf(const Operation& scan) {
  const std::size_t digits = RecordKey("", scan.record).size();
  return RecordKey(scan.key.substr(0, scan.key.size() - digits), scan.record + scan.scan_length);
}

class DriverTarget : public Target {
 public:
  explicit DriverTarget(std::vector<Lane> lanes) : lanes_(std::move(lanes)) {}

  void Start(const Operation& operation, DoneCallback done) override {
    Lane& lane = lanes_[operation.lane];
    switch (operation.kind) {
      case OperationKind::kRead:
        return lane.connection->Get(
            operation.key, &lane.read,
            [done = std::move(done)](const Status& status) { done(OfRead(status)); });
      case OperationKind::kUpdate:
      case OperationKind::kInsert:
        return Write(&lane, operation, Outcome(), std::move(done));
      case OperationKind::kScan:
        return Scan(&lane, operation, std::move(done));
      case OperationKind::kReadModifyWrite:
        return lane.connection->Get(
            operation.key, &lane.read,
            [&lane, &operation, done = std::move(done)](const Status& status) {
              const Outcome outcome = OfRead(status);
              if (!outcome.status.ok()) return done(outcome);
              Write(&lane, operation, outcome, done);
            });
      case OperationKind::kDelete:
      case OperationKind::kTransaction:
        break;
    }
    Outcome outcome;
    outcome.status = InvalidArgumentError("the loader's drivers have no deletes or transactions");
    done(outcome);
  }

 private:
  static void Write(Lane* lane, const Operation& operation, Outcome outcome, DoneCallback done) {
    lane->written.assign(operation.value);
    lane->connection->Set(
        operation.key, lane->written,
        [outcome = std::move(outcome), done = std::move(done)](Status status) mutable {
          outcome.commits = status.ok() ? 1 : 0;
          outcome.status = std::move(status);
          done(outcome);
        });
  }

  static void Scan(Lane* lane, const Operation& operation, DoneCallback done) {
    lane->connection->Scan(operation.key, EndOf(operation), operation.scan_length,
                           [done = std::move(done)](const Result<std::uint32_t>& pairs) {
                             Outcome outcome;
                             outcome.status = pairs.status();
                             outcome.pairs = pairs.ok() ? *pairs : 0;
                             outcome.found = outcome.pairs > 0;
                             done(outcome);
                           });
  }

  std::vector<Lane> lanes_;
};

}  // namespace

Result<std::unique_ptr<Target>> ConnectTarget(Driver* driver, std::size_t lanes) {
  std::vector<Lane> connected;
  for (std::size_t i = 0; i < lanes; ++i) {
    CAIRN_ASSIGN_OR_RETURN(auto connection, driver->ConnectAsync());
    connected.push_back({std::move(connection), {}, {}});
  }
  return std::unique_ptr<Target>(std::make_unique<DriverTarget>(std::move(connected)));
}

}  // namespace cairn::bench
