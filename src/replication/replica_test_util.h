// Test fixture: a replica on real threads, over the real journal on a disk that can fill up, fail
// and crash.
#ifndef CAIRN_SRC_REPLICATION_REPLICA_TEST_UTIL_H_
#define CAIRN_SRC_REPLICATION_REPLICA_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "src/base/testing/fault_file_system.h"
#include "src/consensus/solo/solo_core.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {

// One process: everything between a disk and a RoutingManager.
class Process {
 public:
  Process(FaultFileSystem* disk, storage::MemoryEngine* engine, const ReplicaOptions& options,
          const RoutingOptions& routing_options, FaultInjector* faults = nullptr)
      : core_("core", &clock_),
        journal_thread_("journal", &clock_),
        apply_("apply", &clock_),
        upkeep_("upkeep", &clock_) {
    consensus::JournalOptions journal;
    journal.directory = "/journal";
    journal.segment_bytes = 256 << 10;
    auto opened = consensus::Journal::Open(journal, disk, &random_);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    journal_ = *std::move(opened);
    auto executor = StateMachineExecutor::Open(engine);
    EXPECT_TRUE(executor.ok()) << executor.status().ToString();
    executor_ = *std::move(executor);
    ReplicaEnvironment environment;
    environment.clock = &clock_;
    environment.core = &core_;
    environment.journal = &journal_thread_;
    environment.apply = &apply_;
    environment.upkeep = &upkeep_;
    environment.fatal = [this](const Status& why) { fatal_.set_value(why); };
    replica_ =
        Replica::Create(options, environment, std::make_unique<consensus::SoloCore>(NodeId(0)),
                        journal_.get(), executor_.get(), engine);
    routing_ = std::make_unique<RoutingManager>(routing_options, executor_.get(), replica_.get(),
                                                &clock_, faults);
  }

  ~Process() {
    replica_->Stop();
    core_.Stop();
    journal_thread_.Stop();
    apply_.Stop();
    upkeep_.Stop();
  }

  Status StartAndRecover() {
    std::promise<Status> recovered;
    CAIRN_RETURN_IF_ERROR(
        replica_->Start([&](const Status& status) { recovered.set_value(status); }));
    return recovered.get_future().get();
  }

  Result<kv::OperationResult> Execute(kv::KvOperation operation, RequestContext context = {}) {
    return ExecuteAndWait(routing_.get(), context, std::move(operation));
  }

  std::string Get(const std::string& key) {
    const auto result = Execute(kv::Get{key, ""});
    if (!result.ok()) return result.status().ToString();
    const auto& get = std::get<kv::GetResult>(*result);
    return get.found ? get.value : "-";
  }

  Replica* replica() { return replica_.get(); }
  RoutingManager* routing() { return routing_.get(); }
  const Clock& clock() { return clock_; }
  std::future<Status> fatal() { return fatal_.get_future(); }

 private:
  SystemClock clock_;
  SeededRandom random_{1};
  std::promise<Status> fatal_;
  ThreadExecutor core_;
  ThreadExecutor journal_thread_;
  ThreadExecutor apply_;
  ThreadExecutor upkeep_;
  std::unique_ptr<consensus::Journal> journal_;
  std::unique_ptr<StateMachineExecutor> executor_;
  std::shared_ptr<Replica> replica_;
  std::unique_ptr<RoutingManager> routing_;
};

class ReplicaTest : public testing::Test {
 protected:
  void Start(FaultInjector* faults = nullptr) {
    process_ = std::make_unique<Process>(&disk_, &engine_, options_, routing_, faults);
    const Status s = process_->StartAndRecover();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  void Crash() {
    process_.reset();
    disk_.Crash(CrashMode::kDropUnsynced, nullptr);
    engine_.Crash();
  }

  ReplicaOptions options_;
  RoutingOptions routing_;
  FaultFileSystem disk_;
  storage::MemoryEngine engine_;
  std::unique_ptr<Process> process_;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_REPLICA_TEST_UTIL_H_
