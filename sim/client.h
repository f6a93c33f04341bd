// A simulated client: one operation after another against a node that crashes under it, under a
// session, retrying what it got no answer to. Everything it learns goes to the History; what only
// this client can know it checks itself.
//
// Thread safety: none.
#ifndef CAIRN_SIM_CLIENT_H_
#define CAIRN_SIM_CLIENT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/history.h"
#include "sim/scheduler.h"
#include "sim/sim_node.h"

namespace cairn::sim {

struct ClientOptions {
  int number = 0;
  Duration think_most = std::chrono::milliseconds(120);
  // A test-only fault: retries without a session. The checks must find what is applied twice.
  bool retry_without_session = false;
};

class Client {
 public:
  Client(const ClientOptions& options, Scheduler* scheduler, SimNode* node, History* history);

  void Start();
  // Begins no further operation.
  void Finish() { finishing_ = true; }
  // No operation is under way.
  [[nodiscard]] bool idle() const { return idle_; }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

  // Transactions of this client that added 1 to the counter: acknowledged, and of unknown fate.
  [[nodiscard]] std::uint64_t increments() const { return increments_; }
  [[nodiscard]] std::uint64_t maybe_increments() const { return maybe_increments_; }
  // Entries appended to the log keys, likewise.
  [[nodiscard]] std::uint64_t appends() const { return appends_; }
  [[nodiscard]] std::uint64_t maybe_appends() const { return maybe_appends_; }

 private:
  using Answer = Result<kv::OperationResult>;
  using Then = std::function<void(const Answer&)>;

  void Think();
  void Next();
  void OpenSession();

  // Tells the history how the write ended, and goes on.
  void EndWrite(const History::WriteToken& write, const Answer& answer);

  // The operations of the workload.
  void SetRegister();
  void DeleteRegister();
  void GetRegister();
  void SetPair();
  void ReadPair();
  void Increment();
  void Append();
  void CountLog();
  void ReadVersion();
  void ScanRegisters();

  // Sends a write until it is answered for sure, each time under the same sequence; `then` gets the
  // last answer (maybe_applied() if even that is unknown).
  void Write(kv::KvOperation operation, Then then);
  void TryWrite(std::shared_ptr<const kv::KvOperation> operation, std::uint64_t sequence,
                int attempt, bool open, Then then);
  // Sends a read until a node answers it.
  void Read(kv::KvOperation operation, Then then);

  std::string Unique();
  std::string RegisterKey();
  replication::ReadLevel AnyLevel();

  const ClientOptions options_;
  Scheduler* const scheduler_;
  SimNode* const node_;
  History* const history_;
  SessionId session_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_value_ = 1;
  bool finishing_ = false;
  bool idle_ = true;
  std::uint64_t operations_ = 0;
  std::uint64_t increments_ = 0;
  std::uint64_t maybe_increments_ = 0;
  std::uint64_t appends_ = 0;
  std::uint64_t maybe_appends_ = 0;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_CLIENT_H_
