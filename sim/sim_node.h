// One simulated machine: a disk, an engine and clocks that survive crashes, and a node process that
// does not: the production journal, state machine, replica and routing over virtual threads.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_SIM_NODE_H_
#define CAIRN_SIM_SIM_NODE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sim/effects.h"
#include "sim/group_watch.h"
#include "sim/invariants.h"
#include "sim/network.h"
#include "sim/scheduler.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/raft/raft_core.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/replication/state_machine_executor.h"
#include "src/storage/memory/engine_shelf.h"
#include "src/storage/swap_engine.h"
#include "src/transport/peer_transport.h"

namespace cairn::sim {

struct SimNodeOptions {
  replication::ReplicaOptions replica;
  replication::RoutingOptions routing;
  consensus::raft::RaftOptions raft;
  std::uint64_t segment_bytes = 64 << 10;
  std::int64_t clock_start_ns = 0;
  std::int64_t clock_drift_ppm = 0;
  Pace cpu;
  Pace disk{std::chrono::microseconds(30), std::chrono::microseconds(300), 50,
            std::chrono::milliseconds(50)};
  // A test-only fault: the disk says that it synced and does not. The checks must find it.
  bool disk_lies = false;
};

// What all nodes of a world share; outlives them.
struct SimWorld {
  Scheduler* scheduler = nullptr;
  Network* network = nullptr;
  Invariants* invariants = nullptr;
  GroupWatch* group = nullptr;
  Effects* effects = nullptr;
};

class SimNode {
 public:
  SimNode(const SimWorld& world, const SimNodeOptions& options);
  ~SimNode();

  // Starts the process. Errors are those of the journal and the replica: after a crash there must
  // be none but those of the disk.
  Status Start();
  // Ends the process at once; `mode` says what becomes of what was not synced. The engine forgets
  // what it had not flushed in any case.
  void Crash(CrashMode mode);
  // Ends it in order: who waits is answered first.
  void Stop();
  // The disk of a node that is down is replaced by an empty one: it comes back as somebody new.
  void Wipe();

  // ---- Sights
  // True from the time that Start's replay ended until the process is gone.
  [[nodiscard]] bool serving() const { return process_ != nullptr && process_->serving; }
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  [[nodiscard]] bool paused() const { return process_ != nullptr && process_->threads.paused(); }
  // Set when the process ended itself (a failed sync); the owner then calls Crash and Start.
  [[nodiscard]] bool failed() const { return failed_; }
  // Counts starts: answers of an earlier process mean nothing.
  [[nodiscard]] std::uint64_t life() const { return life_; }
  [[nodiscard]] NodeId id() const { return options_.replica.node; }
  [[nodiscard]] IncarnationId incarnation() const { return options_.replica.incarnation; }

  // A snapshot is arriving from another node.
  [[nodiscard]] bool receiving() const { return process_ != nullptr && process_->receiving; }

  // ---- The process, if running
  void Pause();
  void Resume() {
    if (process_ != nullptr) process_->threads.Resume();
  }
  // Counts an engine that has become full.
  void LookAtEngine();
  // Runs `task` on the process's server thread.
  void Post(Task task) { process_->server.Post(std::move(task)); }
  replication::RoutingManager* routing() { return process_->routing.get(); }
  replication::Replica* replica() { return process_->replica.get(); }
  replication::StateMachineExecutor* executor() { return process_->executor.get(); }

  // ---- The machine
  // The disk is that slow until UsualDisk, whatever processes come and go.
  void SlowDisk(const Pace& pace);
  void UsualDisk();
  // Runs when the process begins to install a snapshot, or takes the first bytes of one. May be
  // empty.
  void OnInstall(std::function<void()> hook) { on_install_ = std::move(hook); }
  void OnTransfer(std::function<void()> hook) { on_transfer_ = std::move(hook); }
  // Runs when the process has sent a write to the node that leads. May be empty.
  void OnForward(std::function<void(NodeId to)> hook) { on_forward_ = std::move(hook); }
  FaultFileSystem* disk() { return &disk_; }
  storage::EngineShelf* engines() { return &engines_; }
  // The one that the process runs on, or ran on last; null before the first start.
  storage::MemoryEngine* engine() { return engines_.newest(); }
  SimClock* clock() { return &clock_; }

 private:
  class LyingFileSystem;
  class Transport;

  // A write that was sent to a leader, until it is answered or given up.
  struct Forward {
    Epoch epoch;  // of the leadership
    std::uint64_t digest = 0;
    MonotonicTime deadline;
  };

  // Everything that a process holds.
  struct Process {
    Process(Scheduler* scheduler, const SimClock* clock, const SimNodeOptions& options,
            const Pace& disk);
    SimProcess threads;
    SimExecutor core;
    SimExecutor journal_thread;
    SimExecutor apply;
    SimExecutor upkeep;
    SimExecutor net;
    SimExecutor server;
    std::unique_ptr<transport::PeerTransport> transport;
    std::unique_ptr<consensus::Journal> journal;
    std::unique_ptr<storage::SwapEngine> engine;
    std::unique_ptr<replication::StateMachineExecutor> executor;
    std::shared_ptr<replication::Replica> replica;
    std::unique_ptr<replication::RoutingManager> routing;
    bool serving = false;
    bool receiving = false;
    std::uint64_t installs = 0;  // begun
    bool engine_full = false;
    std::map<std::uint64_t, Forward> forwards;  // by id
  };

  replication::ReplicaEnvironment EnvironmentOf(Process* process);
  Result<std::unique_ptr<Process>> MakeProcess();
  // The process is about to be gone.
  void CountEnd();
  // It told a peer how far a snapshot has arrived.
  void OnSnapshotAck(std::string_view body);
  void OnForwardRequest(NodeId to, std::string_view body);
  void OnForwardResponse(std::string_view body);
  // Looks at what the process sends, and at what arrives for it.
  void Watch(NodeId peer, const std::string& frame);

  const SimWorld world_;
  SimNodeOptions options_;  // constant but for the incarnation
  SimClock clock_;
  FaultFileSystem disk_;
  std::unique_ptr<FileSystem> lying_disk_;
  storage::EngineShelf engines_;
  std::optional<Pace> slow_disk_;
  std::function<void()> on_install_;
  std::function<void()> on_transfer_;
  std::function<void(NodeId to)> on_forward_;
  std::unique_ptr<Process> process_;
  bool failed_ = false;
  std::uint64_t life_ = 0;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SIM_NODE_H_
