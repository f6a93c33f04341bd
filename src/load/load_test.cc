// Mixes, sources, loops against targets that answer by themselves, and the drawing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <thread>

#include "src/base/mutex.h"
#include "src/load/mix.h"
#include "src/load/plot.h"
#include "src/load/report_json.h"
#include "src/load/runner.h"
#include "src/load/sources.h"

namespace cairn::bench {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(Mix, IsReadAndWritten) {
  const auto mix = ParseMix("update=5,read=95");
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(ToText(*mix), "read=95,update=5");
  EXPECT_EQ(mix->KindOf(94), OperationKind::kRead);
  EXPECT_EQ(mix->KindOf(95), OperationKind::kUpdate);
  for (const char* bad : {"", "read", "read=", "read=x", "read=-1", "nonsense=1", "read=0",
                          "read=1,", "read=1000001"}) {
    EXPECT_FALSE(ParseMix(bad).ok()) << bad;
  }
  EXPECT_THAT(ParseMix("raed=1").status().message(), HasSubstr("raed=1"));
}

TEST(Mix, TheWorkloadsAreThoseOfYcsb) {
  const std::map<std::string, std::string> expected = {
      {"a", "read=50,update=50"}, {"b", "read=95,update=5"}, {"c", "read=100"},
      {"d", "read=95,insert=5"},  {"e", "insert=5,scan=95"}, {"f", "read=50,rmw=50"},
      {"f-txn", "read=50,txn=50"}};
  for (const auto& [name, mix] : expected) EXPECT_EQ(ToText(FindWorkload(name)->mix), mix);
  EXPECT_EQ(FindWorkload("d")->distribution, Distribution::kLatest);
  EXPECT_EQ(FindWorkload("scan")->distribution, Distribution::kUniform);
  EXPECT_EQ(FindWorkload("g"), nullptr);
}

TEST(InsertLedger, CountsWhatIsThereWithoutGaps) {
  InsertLedger ledger(10);
  EXPECT_EQ(ledger.Take(), 10u);
  EXPECT_EQ(ledger.Take(), 11u);
  EXPECT_EQ(ledger.Take(), 12u);
  ledger.Ended(12);
  EXPECT_EQ(ledger.there(), 10u);
  ledger.Ended(10);
  EXPECT_EQ(ledger.there(), 11u);
  ledger.Ended(11);
  EXPECT_EQ(ledger.there(), 13u);
}

MixSource::Options OptionsOf(const std::string& workload) {
  MixSource::Options options;
  options.records = {.key_prefix = "k", .records = 1000, .value_bytes = 32, .seed = 9};
  options.mix = FindWorkload(workload)->mix;
  options.distribution = FindWorkload(workload)->distribution;
  return options;
}

TEST(MixSource, KeepsTheSharesAndRepeatsWithItsSeed) {
  MixSource source(OptionsOf("b"), 2);
  MixSource twin(OptionsOf("b"), 2);
  std::array<int, kOperationKinds> seen = {};
  for (int i = 0; i < 10'000; ++i) {
    Operation one;
    Operation other;
    ASSERT_TRUE(source.Next(1, &one));
    ASSERT_TRUE(twin.Next(1, &other));
    ASSERT_EQ(one.key, other.key);
    ASSERT_EQ(one.value, other.value);
    ASSERT_EQ(one.value.size(), 32u);
    ASSERT_LT(one.record, 1000u);
    ++seen[static_cast<std::size_t>(one.kind)];
  }
  EXPECT_NEAR(seen[0], 9'500, 100);
  EXPECT_NEAR(seen[1], 500, 100);
}

TEST(MixSource, LatestReadsWhatWasInsertedLast) {
  MixSource source(OptionsOf("d"), 1);
  std::uint64_t of_the_run = 0;
  for (int i = 0; i < 20'000; ++i) {
    Operation operation;
    ASSERT_TRUE(source.Next(0, &operation));
    if (operation.kind == OperationKind::kInsert) {
      source.Ended(operation, {});
    } else {
      ASSERT_LT(operation.record, source.records());
      of_the_run += operation.record >= 1000 ? 1 : 0;
    }
  }
  EXPECT_GT(source.records(), 1'500u);
  EXPECT_GT(of_the_run, 8'000u);
}

// Answers at once, on the caller's thread; counts what it got.
class InlineTarget : public Target {
 public:
  void Start(const Operation& operation, std::function<void(const Outcome&)> done) override {
    Outcome outcome;
    if (operation.record == 13) outcome.status = UnavailableError("unlucky");
    outcome.found = operation.record != 14;
    outcome.commits = 1;
    ++started_[operation.record];
    done(outcome);
  }
  std::map<std::uint64_t, int> started_;
};

TEST(RunLoop, APassTouchesEveryRecordOnce) {
  InlineTarget target;
  PassSource source({.key_prefix = "k", .records = 20'000, .value_bytes = 8},
                    OperationKind::kInsert, 4);
  const LoopReport report = RunLoop(&target, &source, {.lanes = 4});
  EXPECT_EQ(target.started_.size(), 20'000u);
  EXPECT_EQ(report.operations(), 19'999u);
  EXPECT_EQ(report.failed, 1u);
  EXPECT_EQ(report.commits, 20'000u);
  EXPECT_THAT(report.first_error, HasSubstr("unlucky"));
  const OperationFigures& inserts = report.kinds[static_cast<std::size_t>(OperationKind::kInsert)];
  EXPECT_EQ(inserts.not_found, 1u);
  EXPECT_EQ(inserts.failed, 1u);
  EXPECT_EQ(inserts.service.count(), 19'999u);
}

// Answers in order on a thread of its own, each after a time; the n-th one stalls, and finds
// nothing.
class SlowTarget : public Target {
 public:
  SlowTarget(milliseconds each, std::uint64_t stalls_at, milliseconds stall)
      : each_(each), stalls_at_(stalls_at), stall_(stall), thread_([this] { Serve(); }) {}
  ~SlowTarget() override {
    {
      MutexLock lock(&mutex_);
      stopped_ = true;
      changed_.SignalAll();
    }
    thread_.join();
  }
  void Start(const Operation&, std::function<void(const Outcome&)> done) override {
    MutexLock lock(&mutex_);
    waiting_.push_back(std::move(done));
    changed_.SignalAll();
  }

 private:
  void Serve() {
    for (std::uint64_t number = 0;; ++number) {
      std::function<void(const Outcome&)> done;
      {
        MutexLock lock(&mutex_);
        while (waiting_.empty() && !stopped_) changed_.Wait(&mutex_);
        if (waiting_.empty()) return;
        done = std::move(waiting_.front());
        waiting_.pop_front();
        const auto until =
            std::chrono::steady_clock::now() + (number == stalls_at_ ? stall_ : each_);
        while (std::chrono::steady_clock::now() < until) changed_.WaitUntil(&mutex_, until);
      }
      Outcome outcome;
      outcome.found = number != stalls_at_;
      done(outcome);
    }
  }

  const milliseconds each_;
  const std::uint64_t stalls_at_;
  const milliseconds stall_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void(const Outcome&)>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

double Ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

// A system that takes 1 ms for an operation, and once 400 ms. One of a few hundred operations was
// slow, so the times from sending say that most were fast. (On a machine that stalls as well a few
// more are slow.) Those who wanted to be served at the
// rate of 250 a second waited half of the time, as 400 ms are half of the run.
TEST(RunLoop, AnOpenLoopCountsTheWaitsThatAStallCauses) {
  SlowTarget target(milliseconds(1), 20, milliseconds(400));
  MixSource source(OptionsOf("read"), 1);
  const LoopReport report =
      RunLoop(&target, &source, {.lanes = 1, .rate = 250, .measured = milliseconds(800)});
  EXPECT_EQ(report.operations(), 200u);
  EXPECT_EQ(report.kinds[0].expected_interval_ns, 0u);
  EXPECT_LT(Ms(report.Service().Percentile(75)), 100);
  EXPECT_GT(Ms(report.Latency().Percentile(75)), 100);
  EXPECT_GT(Ms(report.Latency().Percentile(99)), 350);
  EXPECT_GE(Ms(report.Latency().max_ns()), 399);
}

TEST(RunLoop, AClosedLoopIsCorrected) {
  SlowTarget target(milliseconds(1), 20, milliseconds(400));
  MixSource source(OptionsOf("read"), 1);
  const LoopReport report = RunLoop(&target, &source, {.lanes = 1, .measured = milliseconds(800)});
  EXPECT_GT(report.kinds[0].expected_interval_ns, 900'000u);
  // 20 operations came before the stall, also if there is time for few after it.
  EXPECT_LT(Ms(report.Service().Percentile(50)), 100);
  EXPECT_GT(Ms(report.Latency().Percentile(95)), 200);
  EXPECT_GT(report.Latency().count(), report.Service().count());
  EXPECT_GT(report.seconds, 0.7);
}

TEST(RunLoop, TheWarmUpIsNotMeasured) {
  SlowTarget target(milliseconds(1), 0, milliseconds(300));
  MixSource source(OptionsOf("read"), 2);
  const LoopReport report = RunLoop(
      &target, &source, {.lanes = 2, .warmup = milliseconds(100), .measured = milliseconds(500)});
  EXPECT_GT(report.operations(), 10u);
  EXPECT_EQ(report.kinds[0].not_found, 0u) << "the operation that stalled";
  EXPECT_EQ(report.slot, milliseconds(100));
  EXPECT_EQ(report.ended.size(), 5u);
}

TEST(RunLoop, PoissonGapsAreOfTheSameRate) {
  InlineTarget target;
  MixSource source(OptionsOf("read"), 4);
  const LoopReport report = RunLoop(
      &target, &source,
      {.lanes = 4, .rate = 5'000, .poisson = true, .seed = 3, .measured = milliseconds(400)});
  // 2000 expected, with a standard deviation of 45.
  EXPECT_NEAR(static_cast<double>(report.operations() + report.failed), 2'000, 200);
}

TEST(ReportJson, HasTheKindsOfTheMixAndWhatWasAsked) {
  InlineTarget target;
  const MixSource::Options options = OptionsOf("b");
  MixSource source(options, 1);
  const LoopReport report = RunLoop(&target, &source, {.lanes = 1, .measured = milliseconds(200)});
  const auto kinds = KindsJson(options.mix, report);
  ASSERT_EQ(kinds.size(), 2u);
  EXPECT_EQ(kinds["read"]["service_time"]["count"], report.kinds[0].service.count());
  EXPECT_EQ(kinds["read"]["not_found"], report.kinds[0].not_found);
  EXPECT_EQ(kinds["update"]["failed"], report.kinds[1].failed);
  const auto workload = WorkloadJson("b", options);
  EXPECT_EQ(workload["mix"].dump(), R"({"read":95,"update":5})");
  EXPECT_EQ(workload["distribution"], "zipf");
  EXPECT_EQ(workload["records"], 1000);
  EXPECT_GT(Rate(report), 0);
  EXPECT_EQ(Rate(LoopReport()), 0);
}

TEST(PlotSvg, DrawsBothDistributionsAndTheirTimes) {
  InlineTarget target;
  MixSource source(OptionsOf("a"), 1);
  const LoopReport report =
      RunLoop(&target, &source, {.lanes = 1, .rate = 1'000, .measured = milliseconds(300)});
  const std::string svg = PlotSvg(report, "a < b");
  EXPECT_THAT(svg, HasSubstr("<svg "));
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr("99.9 %"));
  std::size_t lines = 0;
  for (std::size_t at = svg.find("<polyline"); at != svg.npos; at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 4u);
  EXPECT_EQ(svg.find("nan"), svg.npos);
  EXPECT_EQ(svg.find("inf"), svg.npos);
}

}  // namespace
}  // namespace cairn::bench
