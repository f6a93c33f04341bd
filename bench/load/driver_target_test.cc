// What the loader's drivers are asked, and what of it is counted.
#include "bench/load/driver_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "src/load/keys.h"
#include "src/load/mix.h"
#include "src/load/runner.h"
#include "src/load/sources.h"

namespace cairn::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A store in a map, which answers inside the call, and what it was asked.
struct Store {
  std::map<std::string, std::string> records;
  std::vector<std::string> asked;
  int connections = 0;
  Status answer;  // to writes
};

class StoreConnection : public AsyncConnection {
 public:
  explicit StoreConnection(Store* store) : store_(*store) {}

  void Set(const std::string& key, const std::string& value, Done done) override {
    store_.asked.push_back("set " + key);
    if (store_.answer.ok()) store_.records[key] = value;
    done(store_.answer);
  }
  void Get(const std::string& key, std::string* value, Done done) override {
    store_.asked.push_back("get " + key);
    const auto found = store_.records.find(key);
    if (found == store_.records.end()) return done(NotFoundError(key));
    *value = found->second;
    done(Status::Ok());
  }

 protected:
  Store& store_;
};

class OrderedConnection : public StoreConnection {
 public:
  using StoreConnection::StoreConnection;
  void Scan(const std::string& begin, const std::string& end, std::uint32_t limit,
            ScanDone done) override {
    store_.asked.push_back("scan " + begin + " to " + end + " of " + std::to_string(limit));
    std::uint32_t pairs = 0;
    for (auto at = store_.records.lower_bound(begin); at != store_.records.lower_bound(end); ++at) {
      if (pairs == limit) break;
      ++pairs;
    }
    done(pairs);
  }
};

template <class Made>
class StoreDriver : public AsyncDriver {
 public:
  explicit StoreDriver(Store* store) : store_(*store) {}
  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    ++store_.connections;
    return std::unique_ptr<AsyncConnection>(std::make_unique<Made>(&store_));
  }

 private:
  Store& store_;
};

class DriverTargetTest : public ::testing::Test {
 protected:
  Outcome Do(OperationKind kind, const std::string& key) {
    Operation operation;
    operation.kind = kind;
    operation.key = key;
    operation.value = "new";
    return Do(operation);
  }
  Outcome Scan(std::uint64_t record, std::uint32_t pairs) {
    Operation operation;
    operation.kind = OperationKind::kScan;
    operation.record = record;
    operation.key = RecordKey("k", record);
    operation.scan_length = pairs;
    return Do(operation);
  }
  Outcome Do(const Operation& operation) {
    Outcome ended;
    int times = 0;
    target_->Start(operation, [&](const Outcome& outcome) {
      ended = outcome;
      ++times;
    });
    EXPECT_EQ(times, 1);
    return ended;
  }

  Store store_;
  StoreDriver<OrderedConnection> driver_{&store_};
  std::unique_ptr<Target> target_ = *ConnectTarget(&driver_, 2);
};

TEST_F(DriverTargetTest, ALaneHasAConnectionOfItsOwn) { EXPECT_EQ(store_.connections, 2); }

TEST_F(DriverTargetTest, AReadOfNothingIsNoError) {
  const Outcome missing = Do(OperationKind::kRead, "a");
  EXPECT_TRUE(missing.status.ok());
  EXPECT_FALSE(missing.found);
  store_.records["a"] = "1";
  EXPECT_TRUE(Do(OperationKind::kRead, "a").found);
  EXPECT_EQ(Do(OperationKind::kRead, "a").commits, 0u);
}

TEST_F(DriverTargetTest, AWriteIsCountedOnceItIsAnswered) {
  EXPECT_EQ(Do(OperationKind::kInsert, "a").commits, 1u);
  EXPECT_EQ(store_.records["a"], "new");
  store_.answer = UnavailableError("full");
  const Outcome refused = Do(OperationKind::kUpdate, "a");
  EXPECT_EQ(refused.commits, 0u);
  EXPECT_THAT(refused.status.message(), HasSubstr("full"));
}

TEST_F(DriverTargetTest, AReadModifyWriteIsAGetAndThenASet) {
  store_.records["a"] = "1";
  const Outcome outcome = Do(OperationKind::kReadModifyWrite, "a");
  EXPECT_THAT(store_.asked, ElementsAre("get a", "set a"));
  EXPECT_EQ(outcome.commits, 1u);
  EXPECT_TRUE(outcome.found);
  EXPECT_EQ(store_.records["a"], "new");
  EXPECT_FALSE(Do(OperationKind::kReadModifyWrite, "b").found);
}

TEST_F(DriverTargetTest, AScanEndsWhereItsLimitEndsIt) {
  for (int number = 0; number < 12; ++number) store_.records[RecordKey("k", number)] = "1";
  EXPECT_EQ(Scan(8, 3).pairs, 3u);
  EXPECT_THAT(store_.asked, ElementsAre("scan k0000000000000008 to k0000000000000011 of 3"));
  EXPECT_EQ(Scan(8, 100).pairs, 4u);
  EXPECT_FALSE(Scan(12, 100).found);
}

TEST_F(DriverTargetTest, WhatADriverHasNotFails) {
  EXPECT_EQ(Do(OperationKind::kTransaction, "a").status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Do(OperationKind::kDelete, "a").status.code(), StatusCode::kInvalidArgument);
  StoreDriver<StoreConnection> unordered(&store_);
  target_ = *ConnectTarget(&unordered, 1);
  EXPECT_EQ(Scan(0, 1).status.code(), StatusCode::kInvalidArgument);
}

TEST_F(DriverTargetTest, AWorkloadFindsTheRecordsThatItsFillWrote) {
  MixSource::Options options;
  options.records = {.key_prefix = "k", .records = 500, .value_bytes = 16, .seed = 3};
  PassSource fill(options.records, OperationKind::kInsert, 2);
  EXPECT_EQ(RunLoop(target_.get(), &fill, {.lanes = 2}).operations(), 500u);
  EXPECT_THAT(store_.records, SizeIs(500));
  for (const char* name : {"a", "d", "e", "f"}) {
    const Workload& workload = *FindWorkload(name);
    options.mix = workload.mix;
    options.distribution = workload.distribution;
    MixSource source(options, 2);
    const LoopReport report =
        RunLoop(target_.get(), &source, {.lanes = 2, .measured = std::chrono::milliseconds(200)});
    EXPECT_GT(report.operations(), 0u) << name;
    EXPECT_EQ(report.failed, 0u) << report.first_error;
    for (const OperationFigures& kind : report.kinds) EXPECT_EQ(kind.not_found, 0u) << name;
  }
}

}  // namespace
}  // namespace cairn::bench
