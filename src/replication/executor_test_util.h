// Test fixture: a state machine over the memory engine, fed entry by entry.
#ifndef CAIRN_SRC_REPLICATION_EXECUTOR_TEST_UTIL_H_
#define CAIRN_SRC_REPLICATION_EXECUTOR_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/replication/state_machine_executor.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::replication {

class FixedClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return {0}; }
  [[nodiscard]] WallTime Wall() const override { return {0}; }
};

class ExecutorTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    auto opened = StateMachineExecutor::Open(&engine_, known_features_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    executor_ = *std::move(opened);
  }

  // Loses what was not flushed, as a crash does.
  void Crash() {
    executor_.reset();
    engine_.Crash();
    Reopen();
  }

  kv::Command Plain(kv::KvOperation operation) {
    kv::Command command;
    command.proposed_at = now_;
    command.operation = std::move(operation);
    return command;
  }

  kv::Command InSession(SessionId session, std::uint64_t sequence, std::uint64_t first_outstanding,
                        kv::KvOperation operation) {
    kv::Command command = Plain(std::move(operation));
    command.session = session;
    command.sequence = sequence;
    command.first_outstanding = first_outstanding;
    return command;
  }

  consensus::Entry EntryOf(const std::vector<kv::Command>& commands) {
    kv::CommandBatchBuilder batch;
    for (const kv::Command& command : commands) {
      std::string encoded;
      EncodeCommand(command, &encoded);
      batch.Add(encoded);
    }
    return {executor_->applied_slot().Next(), Epoch(1), consensus::EntryKind::kCommands,
            std::make_shared<const std::string>(batch.Finish())};
  }

  std::vector<ApplyOutcome> Apply(const std::vector<kv::Command>& commands) {
    std::vector<ApplyOutcome> outcomes;
    const Status s = executor_->ApplyEntry(EntryOf(commands), &outcomes);
    EXPECT_TRUE(s.ok()) << s.ToString();
    EXPECT_EQ(outcomes.size(), commands.size());
    return outcomes;
  }

  ApplyOutcome Apply(const kv::Command& command) { return Apply(std::vector{command}).at(0); }
  ApplyOutcome Apply(kv::KvOperation operation) { return Apply(Plain(std::move(operation))); }

  Version MustApply(kv::KvOperation operation) {
    const ApplyOutcome outcome = Apply(std::move(operation));
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.ToString();
    return outcome.result.version;
  }

  Result<kv::OperationResult> Read(const kv::KvOperation& operation) {
    return executor_->Read(operation, limits_, MonotonicTime::Max(), clock_);
  }

  // "-" if not found.
  std::string Get(const std::string& key, const std::string& family = "") {
    const auto result = Read(kv::Get{key, family});
    if (!result.ok()) return result.status().ToString();
    const auto& get = std::get<kv::GetResult>(*result);
    return get.found ? get.value : "-";
  }

  std::string GetAt(const std::string& key, Version at) {
    const auto result = Read(kv::SnapshotRead{key, at, ""});
    if (!result.ok()) return std::string(StatusCodeName(result.status().code()));
    const auto& get = std::get<kv::GetResult>(*result);
    return get.found ? get.value : "-";
  }

  static kv::AtomicCommit Commit(Version read_version, std::vector<std::string> keys,
                                 std::vector<kv::Mutation> operations) {
    kv::AtomicCommit commit;
    commit.read_version = read_version;
    for (std::string& key : keys) commit.read_conflict_keys.push_back({std::move(key), {}});
    commit.operations = std::move(operations);
    return commit;
  }

  WallTime now_{1'000'000'000};
  kv::Limits limits_;
  std::uint64_t known_features_ = kv::kKnownFeatures;
  FixedClock clock_;
  FaultFileSystem files_;  // for checkpoints
  storage::MemoryEngine engine_{{.file_system = &files_}};
  std::unique_ptr<StateMachineExecutor> executor_;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_EXECUTOR_TEST_UTIL_H_
