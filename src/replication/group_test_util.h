// Test fixture: a group of replicas over Raft cores, the real journal and memory engines, in
// virtual time, on a network and disks that misbehave when told to.
#ifndef CAIRN_SRC_REPLICATION_GROUP_TEST_UTIL_H_
#define CAIRN_SRC_REPLICATION_GROUP_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "src/base/testing/fault_file_system.h"
#include "src/base/testing/virtual_time.h"
#include "src/consensus/raft/raft_core.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/storage/memory/engine_shelf.h"
#include "src/storage/swap_engine.h"
#include "src/transport/in_process/in_process.h"

namespace cairn::replication {

// An answer that may not be there yet.
template <class T>
using Later = std::shared_ptr<std::optional<T>>;

class Group {
 public:
  using Answer = Result<kv::OperationResult>;

  // What of a node survives a crash.
  struct Machine {
    FaultFileSystem disk;
    storage::EngineShelf engines{&disk};
    IncarnationId incarnation;
  };
  // And what does not.
  struct Process {
    explicit Process(VirtualTime* time)
        : core(time),
          journal_thread(time, std::chrono::microseconds(300)),
          apply(time),
          upkeep(time) {}
    VirtualExecutor core;
    VirtualExecutor journal_thread;
    VirtualExecutor apply;
    VirtualExecutor upkeep;
    std::unique_ptr<transport::PeerTransport> transport;
    std::unique_ptr<consensus::Journal> journal;
    std::unique_ptr<storage::SwapEngine> engine;
    std::unique_ptr<StateMachineExecutor> executor;
    std::shared_ptr<Replica> replica;
    std::unique_ptr<RoutingManager> routing;
    Status started;
    bool recovered = false;
    Status fatal;
  };

  explicit Group(std::uint32_t nodes, std::uint64_t seed = 1) : random_(seed), network_(seed) {
    raft.election_timeout = std::chrono::milliseconds(200);
    raft.heartbeat_interval = std::chrono::milliseconds(50);
    options.disk_retry = std::chrono::milliseconds(10);
    for (std::uint32_t n = 0; n < nodes; ++n) {
      auto machine = std::make_unique<Machine>();
      machine->incarnation = IncarnationId(100 + n);
      options.initial_membership.members.push_back({NodeId(n), machine->incarnation, true});
      machines_.emplace(NodeId(n), std::move(machine));
    }
  }
  ~Group() {
    for (auto& [id, process] : processes_) process->replica->Stop();
  }

  void StartAll() {
    for (auto& [id, machine] : machines_) Start(id);
  }

  void Start(NodeId id) {
    Machine& m = machine(id);
    auto process = std::make_unique<Process>(&time);
    Process* const raw = process.get();
    consensus::JournalOptions journal;
    journal.directory = "/journal";
    journal.segment_bytes = 64 << 10;
    auto opened = consensus::Journal::Open(journal, &m.disk, &random_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    raw->journal = *std::move(opened);
    auto engine = storage::SwapEngine::Open(
        {&m.disk, "/data", [&m](const std::string& folder) { return m.engines.Open(folder); }});
    ASSERT_TRUE(engine.ok()) << engine.status().ToString();
    raw->engine = *std::move(engine);
    auto executor = StateMachineExecutor::Open(raw->engine.get());
    ASSERT_TRUE(executor.ok()) << executor.status().ToString();
    raw->executor = *std::move(executor);
    raw->transport = network_.Attach(id, &raw->core);
    ReplicaEnvironment environment;
    environment.clock = &time;
    environment.core = &raw->core;
    environment.journal = &raw->journal_thread;
    environment.apply = &raw->apply;
    environment.upkeep = &raw->upkeep;
    environment.transport = raw->transport.get();
    environment.files = &m.disk;
    environment.snapshot_directory = "/data/snapshots";
    environment.install_snapshot = [raw](const std::string& folder, const storage::StateMeta& meta,
                                         const auto& prepare) {
      return raw->engine->Install(folder, meta, prepare);
    };
    environment.fatal = [raw](const Status& why) { raw->fatal = why; };
    consensus::raft::RaftOptions raft_options = raft;
    raft_options.self = id;
    raft_options.incarnation = m.incarnation;
    ReplicaOptions replica = options;
    replica.node = id;
    replica.incarnation = m.incarnation;
    replica.boot = random_.Next();
    if (const auto installed = raw->engine->installed()) {
      replica.installed_slot = installed->slot;
      replica.installed_epoch = installed->epoch;
    }
    raw->replica = Replica::Create(
        replica, environment, std::make_unique<consensus::raft::RaftCore>(raft_options, &random_),
        raw->journal.get(), raw->executor.get(), raw->engine.get());
    raw->routing = std::make_unique<RoutingManager>(routing, raw->executor.get(),
                                                    raw->replica.get(), &time, nullptr);
    processes_[id] = std::move(process);
    raw->started = raw->replica->Start([raw](const Status& s) { raw->recovered = s.ok(); });
  }

  // The process is gone, with everything that was not synced or flushed.
  void Crash(NodeId id, CrashMode mode = CrashMode::kDropUnsynced) {
    Kill(id);
    machine(id).disk.Crash(mode, &random_);
    machine(id).engines.Crash();
  }
  // The process is gone; disk and engine keep what was written.
  void Kill(NodeId id) {
    const auto it = processes_.find(id);
    if (it == processes_.end()) return;
    it->second->replica->Stop();
    processes_.erase(it);
  }

  // The process is gone, and its disk is an empty one.
  void Wipe(NodeId id) {
    Kill(id);
    auto machine = std::make_unique<Machine>();
    machine->incarnation = IncarnationId(machines_.at(id)->incarnation.value() + 1000);
    machines_[id] = std::move(machine);
  }

  // ---- Sights

  [[nodiscard]] bool running(NodeId id) const { return processes_.count(id) != 0; }
  Process& node(NodeId id) { return *processes_.at(id); }
  Machine& machine(NodeId id) { return *machines_.at(id); }
  Replica* replica(NodeId id) { return node(id).replica.get(); }
  transport::InProcessNetwork& network() { return network_; }

  // A running node that leads in the highest epoch and has committed in it, if there is one.
  std::optional<NodeId> Leader() {
    std::optional<NodeId> leader;
    Epoch highest;
    for (auto& [id, process] : processes_) {
      const ReplicaStatus status = process->replica->status();
      if (status.leadership.role == consensus::Role::kLeader && status.leadership.epoch > highest) {
        highest = status.leadership.epoch;
        leader = id;
      }
    }
    return leader;
  }
  NodeId AwaitLeader() {
    const bool found = time.RunUntil([this] { return Leader().has_value(); });
    EXPECT_TRUE(found) << "nobody leads";
    return Leader().value_or(NodeId());
  }
  // Everybody who runs knows the same leader.
  NodeId AwaitAgreement() {
    const auto agreed = [this] {
      const std::optional<NodeId> leader = Leader();
      if (!leader) return false;
      for (auto& [id, process] : processes_) {
        if (process->replica->status().leadership.leader != leader) return false;
      }
      return true;
    };
    EXPECT_TRUE(time.RunUntil(agreed)) << "no agreement on a leader";
    return Leader().value_or(NodeId());
  }
  NodeId Other(NodeId not_this) {
    for (auto& [id, process] : processes_) {
      if (id != not_this) return id;
    }
    return not_this;
  }
  // Everybody who runs has applied what the leader has committed.
  bool AwaitApplied() {
    return time.RunUntil([this] {
      const std::optional<NodeId> leader = Leader();
      if (!leader) return false;
      const Slot committed = replica(*leader)->status().committed_slot;
      for (auto& [id, process] : processes_) {
        if (process->replica->status().applied_slot < committed) return false;
      }
      return true;
    });
  }

  // ---- Work

  Later<Answer> Begin(NodeId at, kv::KvOperation operation, RequestContext context = {}) {
    auto later = std::make_shared<std::optional<Answer>>();
    if (context.deadline == MonotonicTime::Max()) {
      context.deadline = time.Now() + std::chrono::seconds(20);
    }
    node(at).routing->Execute(context, std::move(operation),
                              [later](Answer answer) { later->emplace(std::move(answer)); });
    return later;
  }
  Answer Await(const Later<Answer>& later) {
    if (!time.RunUntil([&] { return later->has_value(); })) {
      return Status(StatusCode::kCancelled, "never answered");
    }
    return **later;
  }
  Answer Execute(NodeId at, kv::KvOperation operation, RequestContext context = {}) {
    return Await(Begin(at, std::move(operation), std::move(context)));
  }
  Status Set(NodeId at, const std::string& key, const std::string& value) {
    return Execute(at, kv::Set{key, value, ""}).status();
  }
  // "-" if not found, the error's text if it fails.
  std::string Get(NodeId at, const std::string& key, ReadLevel level) {
    RequestContext context;
    context.read_level = level;
    const Answer answer = Execute(at, kv::Get{key, ""}, context);
    if (!answer.ok()) return answer.status().ToString();
    const auto& get = std::get<kv::GetResult>(*answer);
    return get.found ? get.value : "-";
  }
  // The states of all running nodes at the same slot are the same.
  void ExpectSameStates() {
    ASSERT_TRUE(AwaitApplied());
    std::optional<std::uint64_t> first;
    for (auto& [id, process] : processes_) {
      const auto hash = process->executor->StateHash();
      ASSERT_TRUE(hash.ok());
      if (!first) first = *hash;
      EXPECT_EQ(*hash, *first) << "node " << id.value() << " differs";
    }
  }

  VirtualTime time;
  ReplicaOptions options;
  RoutingOptions routing;
  consensus::raft::RaftOptions raft;

 private:
  SeededRandom random_;
  transport::InProcessNetwork network_;
  std::map<NodeId, std::unique_ptr<Machine>> machines_;
  std::map<NodeId, std::unique_ptr<Process>> processes_;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_GROUP_TEST_UTIL_H_
