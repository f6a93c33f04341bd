// One simulated machine: a disk and an engine that survive crashes, and a node process that does
// not: the production journal, state machine, replica and routing over virtual threads.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_SIM_NODE_H_
#define CAIRN_SIM_SIM_NODE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "sim/scheduler.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/replication/state_machine_executor.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::sim {

struct SimNodeOptions {
  replication::ReplicaOptions replica;
  std::uint64_t segment_bytes = 64 << 10;
  Pace cpu;
  Pace disk{std::chrono::microseconds(30), std::chrono::microseconds(300), 50,
            std::chrono::milliseconds(50)};
  // A test-only fault: the disk says that it synced and does not. The checks must find it.
  bool disk_lies = false;
};

class SimNode {
 public:
  SimNode(Scheduler* scheduler, const SimNodeOptions& options);
  ~SimNode();

  // Starts the process. Errors are those of the journal and the replica: after a crash there must
  // be none.
  Status Start();
  // Cuts the power: the process, if there is one, is gone; the disk and the engine keep what was
  // durable.
  void Crash();
  // True from the time that Start's replay ended until the process is gone.
  [[nodiscard]] bool serving() const { return process_ != nullptr && process_->serving; }
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  // Set when the process ended itself (a failed sync); the owner then calls Crash and Start.
  [[nodiscard]] bool failed() const { return failed_; }

  replication::RoutingManager* routing() { return process_->routing.get(); }
  replication::Replica* replica() { return process_->replica.get(); }
  replication::StateMachineExecutor* executor() { return process_->executor.get(); }
  consensus::Journal* journal() { return process_->journal.get(); }
  FaultFileSystem* disk() { return &disk_; }
  storage::MemoryEngine* engine() { return &engine_; }
  SimClock* clock() { return &clock_; }

 private:
  class LyingFileSystem;

  // Everything that a process holds.
  struct Process {
    Process(Scheduler* scheduler, const SimNodeOptions& options);
    SimExecutor core;
    SimExecutor journal_thread;
    SimExecutor apply;
    SimExecutor upkeep;
    std::unique_ptr<consensus::Journal> journal;
    std::unique_ptr<replication::StateMachineExecutor> executor;
    std::shared_ptr<replication::Replica> replica;
    std::unique_ptr<replication::RoutingManager> routing;
    bool serving = false;
  };

  Scheduler* const scheduler_;
  const SimNodeOptions options_;
  SimClock clock_;
  FaultFileSystem disk_;
  std::unique_ptr<FileSystem> lying_disk_;
  storage::MemoryEngine engine_;
  std::unique_ptr<Process> process_;
  bool failed_ = false;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_SIM_NODE_H_
