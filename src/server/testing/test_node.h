// A whole standalone node for the tests of adapters: replica, routing and node service over the
// memory engine and a file system in memory, on real threads.
//
// Thread safety: made and destroyed by one thread; what the accessors give says for itself.
#ifndef CAIRN_SRC_SERVER_TESTING_TEST_NODE_H_
#define CAIRN_SRC_SERVER_TESTING_TEST_NODE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/replication/fault_injector.h"
#include "src/replication/replica.h"
#include "src/replication/routing_manager.h"
#include "src/replication/state_machine_executor.h"
#include "src/server/node_service.h"
#include "src/storage/memory/memory_engine.h"

namespace cairn::server::testing {

struct TestNodeOptions {
  bool allow_fault_injection = false;
  kv::Limits limits;
  bool recover = true;  // false: the test calls Recover
  // What the node knows of others, which are not there.
  std::function<std::vector<PeerSight>()> peers = {};
  Duration progress_bound = std::chrono::seconds(30);  // of NodeServiceOptions
};

// Every failure while it is made is a bug, and ends the process.
class TestNode {
 public:
  explicit TestNode(const TestNodeOptions& options = {});
  ~TestNode();

  [[nodiscard]] NodeService& service() { return *service_; }
  [[nodiscard]] storage::MemoryEngine& engine() { return engine_; }
  [[nodiscard]] FaultFileSystem& files() { return files_; }
  [[nodiscard]] replication::Replica& replica() { return *replica_; }
  [[nodiscard]] consensus::Journal& journal() { return *journal_; }

  // The node is ready from here on.
  void Recover();

  // Everyone who waits is answered with kUnavailable from here on.
  void StopReplica() { replica_->Stop(); }

 private:
  SystemClock clock_;
  SeededRandom random_{1};
  FaultFileSystem files_;
  storage::MemoryEngine engine_;
  std::unique_ptr<consensus::Journal> journal_;
  std::unique_ptr<replication::StateMachineExecutor> state_machine_;
  ThreadExecutor core_{"test-core", &clock_};
  ThreadExecutor journal_thread_{"test-journal", &clock_};
  ThreadExecutor apply_{"test-apply", &clock_};
  ThreadExecutor upkeep_{"test-upkeep", &clock_};
  replication::FaultInjector faults_;
  std::shared_ptr<replication::Replica> replica_;
  std::unique_ptr<replication::RoutingManager> routing_;
  std::unique_ptr<NodeService> service_;
};

}  // namespace cairn::server::testing

#endif  // CAIRN_SRC_SERVER_TESTING_TEST_NODE_H_
