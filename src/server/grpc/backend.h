// What the services of the gRPC port share: the node, threads for long reads, and the count of what
// is running.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_GRPC_BACKEND_H_
#define CAIRN_SRC_SERVER_GRPC_BACKEND_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/executor.h"
#include "src/base/mutex.h"
#include "src/kv/operation.h"
#include "src/replication/routing_manager.h"
#include "src/server/answers.h"
#include "src/server/grpc/grpc_server.h"
#include "src/server/node_service.h"

namespace cairn::server {

class Backend;

// A call that is no operation on data, from here on until it is counted.
class NodeCallRun {
 public:
  NodeCallRun(Backend* backend, NodeCall call);
  // Counts it. `outcome`: none for a stream that was cut off since its client took nothing.
  void End(std::optional<StatusCode> outcome) const;

 private:
  Backend* const backend_;
  const NodeCall call_;
  const MonotonicTime begun_;
};

class Backend {
 public:
  Backend(const GrpcServerOptions& options, NodeService* node);
  // Waits for operations that are running.
  ~Backend();

  [[nodiscard]] NodeService& node() const { return *node_; }
  [[nodiscard]] const GrpcServerOptions& options() const { return options_; }

  // Answers that clients have not taken yet.
  [[nodiscard]] AnswerTable& answers() { return answers_; }
  [[nodiscard]] const AnswerTable& answers() const { return answers_; }

  // One of the threads for what takes longer than a point read: gRPC's own must not be held up.
  [[nodiscard]] SerialExecutor* Worker();

  // Runs `operation`, counted as running until `done` has returned. `done` runs on some thread,
  // possibly inside the call. Point reads that need no waiting are served inside the call, ranges
  // never.
  void Execute(replication::RequestContext context, kv::KvOperation operation,
               replication::OperationCallback done, CountAs as = CountAs::kItself);

  // True if nothing is running, or will be soon: waits for `grace` at most.
  bool AwaitIdle(Duration grace);

  // A status as this wire tells it: the leader by its gRPC endpoint.
  [[nodiscard]] Status Translate(Status status) const;

  void CountCall() { calls_.Add(); }
  [[nodiscard]] std::uint64_t calls() const { return calls_.Value(); }

  // Of an operation that Execute does not run: counted as running from Began to Ended.
  void Began() { running_.fetch_add(1); }
  void Ended();

  // Room for one more backup, held until EndBackup; false: there are kMaxBackups already.
  static constexpr int kMaxBackups = 2;
  [[nodiscard]] bool BeginBackup();
  void EndBackup() { backups_.fetch_sub(1); }

 private:
  const GrpcServerOptions options_;
  NodeService* const node_;
  AnswerTable answers_;
  std::vector<std::unique_ptr<ThreadExecutor>> workers_;
  std::atomic<std::uint32_t> next_worker_{0};
  metrics::Counter calls_;
  // Operations running. The mutex is for waiting alone.
  std::atomic<std::int64_t> running_{0};
  std::atomic<int> backups_{0};
  Mutex mutex_;
  CondVar idle_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_BACKEND_H_
