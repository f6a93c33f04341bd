// A simulated client: a few lanes, each doing one operation after another, on any node, at any read
// level. Writes go under a session that the lanes share (so several commands of it are under way at
// once) and are tried again under the same sequence until their fate is known; a few go without a
// session, once. What it learns goes into the History; what only it can know it checks itself.
//
// Thread safety: none.
#ifndef CAIRN_SIM_CLIENT_H_
#define CAIRN_SIM_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/check/history.h"
#include "sim/effects.h"
#include "sim/scheduler.h"
#include "sim/violation.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/replication/routing_manager.h"

namespace cairn::sim {

using Answer = Result<kv::OperationResult>;

// What a client sends. Deadlines are set by the node, `timeout` after it took the request.
struct Request {
  kv::KvOperation operation;
  replication::RequestContext context;
  Duration timeout = std::chrono::seconds(2);
};

// The way from clients to nodes.
class Door {
 public:
  virtual ~Door() = default;
  // Sends the request to `node`; `done` runs once: with the node's answer, or with kTimeout when
  // none came.
  virtual void Call(int client, NodeId node, Request request, std::function<void(Answer)> done) = 0;
  // A node to try, and the one that leads as far as this node's hint goes.
  [[nodiscard]] virtual std::uint32_t node_count() const = 0;
  [[nodiscard]] virtual std::optional<NodeId> NodeOfHint(const std::string& endpoint) const = 0;
  // The promise that local reads make in this world.
  [[nodiscard]] virtual std::optional<Duration> local_staleness() const = 0;
};

struct ClientOptions {
  int number = 0;
  std::uint64_t seed = 0;
  int lanes = 2;
  Duration think_most = std::chrono::milliseconds(400);
  // The numbers of the operations that it does, ascending; nothing: all. The others are passed over
  // in silence, and those that stay are what they would have been.
  std::optional<std::vector<std::uint64_t>> only;
  // Never opens a session: each write is sent once, and again only if it surely had no effect; some
  // appends are sent until they are acknowledged, and may be there as often as they were sent.
  bool bare = false;
  // Test-only faults of the client: the checks must find what is applied twice.
  bool retry_without_session = false;
};

class Client {
 public:
  // `order` is shared by all clients of a history.
  Client(const ClientOptions& options, Scheduler* scheduler, Door* door, History* history,
         std::uint64_t* order, Effects* effects,
         std::function<void(ViolationKind, const std::string&)> violation);

  // Sees the beginning and the end of each operation. May be empty.
  void SetTrace(std::function<void(const std::string&)> trace) { trace_ = std::move(trace); }

  void Start();
  // Begins no further operation.
  void Finish() { finishing_ = true; }
  // No operation is under way.
  [[nodiscard]] bool idle() const { return busy_ == 0; }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

 private:
  using Then = std::function<void(const Answer&)>;
  struct Write;

  // ---- Lanes
  void DrawPause(int lane);
  void Think(int lane);
  void Next(int lane);
  void End(int lane);
  void Begin(Interval* when);
  void Close(Interval* when);
  void OpenSession(int lane);
  void CloseSession(int lane);

  // ---- Sending
  // Sends a write until its fate is known; `then` gets the outcome and the answer, maybe_applied()
  // if it stays unknown.
  void SendWrite(kv::KvOperation operation, std::function<void(Outcome, const Answer&)> then);
  // The same without a session, again and again; `tries` becomes how often it may be applied.
  void InsistOnWrite(kv::KvOperation operation, std::uint64_t* tries,
                     std::function<void(Outcome, const Answer&)> then);
  void TryWrite(const std::shared_ptr<Write>& write);
  void OnWriteAnswer(const std::shared_ptr<Write>& write, const Answer& answer);
  void FinishWrite(const std::shared_ptr<Write>& write, const Answer& answer, bool settled);
  void AskAgain(const std::shared_ptr<Write>& write, const Answer& first);
  // Sends a read, to another node if one can't serve it, a few times.
  struct ReadPlan {
    Promise promise;
    replication::ReadLevel level = replication::ReadLevel::kLocal;
    Version min_version;
  };
  ReadPlan PlanRead();
  void SendRead(const ReadPlan& plan, kv::KvOperation operation, Then then, int attempt = 0);
  NodeId AnyNode();

  // ---- The workload
  void SetRegister(int lane);
  void DeleteRegister(int lane);
  void GetRegister(int lane);
  void SnapshotRegister(int lane);
  void SetSeveral(int lane);
  void ScanRegisters(int lane);
  void AskVersion(int lane);
  void AppendStamp(int lane);
  void StampValue(int lane);
  void RunTransaction(int lane);
  void ReadLists(int lane, const ReadPlan& plan, Version at);
  void CommitLists(int lane, const TransactionRecord& reads, Version at, bool by_range);
  void UseFamily(int lane);
  void EndRegisterWrite(int lane, std::vector<WriteRecord> records, Outcome outcome,
                        const Answer& answer);

  std::string Unique();
  std::string RegisterKey();
  Version PastVersion();
  void Learn(Version version);
  void Trace(const std::string& line) {
    if (trace_) trace_(line);
  }

  const ClientOptions options_;
  Scheduler* const scheduler_;
  Door* const door_;
  History* const history_;
  std::uint64_t* const order_;
  Effects* const effects_;
  const std::function<void(ViolationKind, const std::string&)> violation_;
  std::function<void(const std::string&)> trace_;
  SeededRandom random_;

  // When the next operation of a lane is due: a pause after the one before it was, however long
  // that took, if it is over by then. So those that are left out move no others.
  struct Timetable {
    MonotonicTime next{0};
    Duration pause{0};
  };
  std::vector<Timetable> timetable_;  // by lane

  SessionId session_;
  bool opening_session_ = false;
  std::uint64_t next_sequence_ = 1;
  std::set<std::uint64_t> outstanding_;  // sequences of session_ without a final answer
  std::uint64_t next_value_ = 1;
  std::uint64_t next_commit_ = 1;
  Version newest_;  // the highest version it was told of
  std::optional<NodeId> leader_;
  bool finishing_ = false;
  int busy_ = 0;
  std::uint64_t operations_ = 0;  // begun, or passed over

  // The family that only this client uses: whether it exists, and what it may hold.
  int families_ = 0;  // that it went on from
  bool family_made_ = false;
  bool family_busy_ = false;
  Value family_value_;
  std::set<std::string> family_given_up_;  // values of Sets whose outcome is unknown
  Version family_floor_;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_CLIENT_H_
