#include "sim/simulation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "sim/client.h"
#include "sim/history.h"
#include "sim/scheduler.h"
#include "sim/sim_node.h"

namespace cairn::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options), scheduler_(options.seed), node_(&scheduler_, NodeOptions()) {}

  SimulationReport Run();

 private:
  SimNodeOptions NodeOptions();
  void Trace(const std::string& line) {
    if (options_.trace) options_.trace(scheduler_.now(), line);
  }

  // Faults.
  void ScheduleFault();
  void InjectFault();
  void PowerCut(const std::string& why);
  void Restart();
  void Heal();

  // Runs until `done` holds. A violation if it does not within `limit`.
  void Await(Duration limit, const std::string& what, const std::function<bool()>& done);
  void CheckFinalState();
  void CheckReplay();
  Result<kv::OperationResult> ReadFinal(kv::KvOperation operation);

  const SimulationOptions options_;
  Scheduler scheduler_;
  bool keeps_journal_ = false;  // never compacted: the whole log can be replayed at the end
  SimNode node_;
  History history_;
  std::vector<std::unique_ptr<Client>> clients_;
  bool healing_ = false;
  SimulationReport report_;
};

SimNodeOptions Simulation::NodeOptions() {
  Random& random = scheduler_.random();
  SimNodeOptions node;
  node.replica.node = NodeId(0);
  node.segment_bytes = 16 << 10;
  keeps_journal_ = random.OneIn(1, 3);
  node.replica.max_journal_bytes = keeps_journal_ ? UINT64_MAX : (8 << 10) << random.Below(5);
  node.replica.max_batch_size = static_cast<std::uint32_t>(1 + random.Below(20));
  node.replica.max_outstanding_proposals = 100;
  node.replica.limits.entry_bytes = 4 << 10;
  node.replica.limits.transaction_bytes = 4 << 10;
  node.replica.mvcc_window = seconds(static_cast<int>(5 + random.Below(20)));
  node.replica.session_idle = seconds(static_cast<int>(10 + random.Below(30)));
  node.disk_lies = options_.bug == PlantedBug::kDiskLies;
  return node;
}

// ---- Faults

void Simulation::ScheduleFault() {
  scheduler_.After(scheduler_.Between(milliseconds(200), seconds(5)), [this] {
    if (healing_) return;
    InjectFault();
    ScheduleFault();
  });
}

void Simulation::InjectFault() {
  ++report_.faults;
  Random& random = scheduler_.random();
  switch (random.Below(7)) {
    case 0:
    case 1:
      return PowerCut("power cut");
    case 2: {
      // The power goes in the middle of one of the next file operations.
      const std::uint64_t nth = 1 + random.Below(30);
      Trace("power will go at file operation " + std::to_string(nth));
      node_.disk()->PowerOffAt(nth);
      return;
    }
    case 3:
      Trace("the next sync fails");
      node_.disk()->FailNth(FileOperation::kSync, 1, IoError("injected sync failure"));
      return;
    case 4: {
      const std::uint64_t room = random.Below(64 << 10);
      Trace("the disk has " + std::to_string(room) + " bytes left");
      node_.disk()->SetCapacity(node_.disk()->UsedBytes() + room);
      scheduler_.After(scheduler_.Between(milliseconds(100), seconds(4)), [this] {
        Trace("the disk has room again");
        node_.disk()->SetCapacity(std::nullopt);
      });
      return;
    }
    case 5:
      Trace("the engine is full");
      node_.engine()->SetCapacity(0);
      scheduler_.After(scheduler_.Between(milliseconds(100), seconds(2)), [this] {
        Trace("the engine has room again");
        node_.engine()->SetCapacity(std::nullopt);
      });
      return;
    default: {
      const Duration step = scheduler_.Between(-seconds(20), seconds(20));
      Trace("the wall clock steps by " + std::to_string(step.count() / 1'000'000) + " ms");
      node_.clock()->StepWall(step);
      return;
    }
  }
}

void Simulation::PowerCut(const std::string& why) {
  Trace(why);
  node_.Crash();
  scheduler_.After(scheduler_.Between(milliseconds(1), milliseconds(300)), [this] {
    if (!node_.running()) Restart();
  });
}

void Simulation::Restart() {
  ++report_.restarts;
  const Status started = node_.Start();
  if (started.ok()) {
    Trace("started");
    return;
  }
  Trace("did not start: " + started.ToString());
  // The power may go again while the node starts, a sync may fail, the disk may be full. Nothing
  // else may keep a node from starting.
  const bool excused = node_.disk()->PoweredOff() || started.code() == StatusCode::kIoError ||
                       started.code() == StatusCode::kResourceExhausted;
  if (!excused) history_.Violation("the node does not start again: " + started.ToString());
  PowerCut("stays down");
}

void Simulation::Heal() {
  healing_ = true;
  Trace("healing");
  node_.disk()->SetCapacity(std::nullopt);
  node_.engine()->SetCapacity(std::nullopt);
  node_.Crash();  // Disarms what was still to come.
  Restart();
}

// ---- Running

void Simulation::Await(Duration limit, const std::string& what, const std::function<bool()>& done) {
  const MonotonicTime end = scheduler_.now() + limit;
  while (!done()) {
    if (scheduler_.now() >= end) {
      history_.Violation("no progress after healing: " + what);
      return;
    }
    scheduler_.RunUntil(scheduler_.now() + milliseconds(10));
  }
}

SimulationReport Simulation::Run() {
  Restart();
  for (int i = 0; i < options_.clients; ++i) {
    ClientOptions client;
    client.number = i;
    client.retry_without_session = options_.bug == PlantedBug::kRetryWithoutSession;
    clients_.push_back(std::make_unique<Client>(client, &scheduler_, &node_, &history_));
    clients_.back()->Start();
  }
  ScheduleFault();
  const MonotonicTime end = scheduler_.now() + options_.duration;
  while (scheduler_.now() < end && history_.violation().empty()) {
    scheduler_.RunUntil(scheduler_.now() + milliseconds(5));
    // A process that ended itself, or whose disk lost power under it, is started again.
    if (node_.failed() || (node_.running() && node_.disk()->PoweredOff())) {
      PowerCut("the process ended");
    }
  }
  if (history_.violation().empty()) {
    Heal();
    Await(seconds(10), "the node serves", [this] { return node_.serving(); });
    scheduler_.RunUntil(scheduler_.now() + seconds(5));  // Work goes on for a while.
    for (const auto& client : clients_) client->Finish();
    Await(seconds(30), "clients finish", [this] {
      return std::all_of(clients_.begin(), clients_.end(),
                         [](const auto& client) { return client->idle(); });
    });
  }
  if (history_.violation().empty()) CheckFinalState();
  if (history_.violation().empty()) CheckReplay();
  for (const auto& client : clients_) report_.operations += client->operations();
  report_.violation = history_.violation();
  report_.simulated = scheduler_.now() - MonotonicTime{0};
  report_.fingerprint ^= scheduler_.tasks_run() * 0x9E3779B97F4A7C15ULL;
  return report_;
}

// ---- Checks at the end

Result<kv::OperationResult> Simulation::ReadFinal(kv::KvOperation operation) {
  std::optional<Result<kv::OperationResult>> answer;
  replication::RequestContext context;
  context.read_level = replication::ReadLevel::kReadIndex;
  node_.routing()->Execute(context, std::move(operation),
                           [&](Result<kv::OperationResult> result) { answer = std::move(result); });
  Await(seconds(10), "a final read", [&] { return answer.has_value(); });
  if (!answer) return TimeoutError("a final read was not answered");
  return *std::move(answer);
}

void Simulation::CheckFinalState() {
  for (const std::string& key : history_.Keys()) {
    const History::ReadToken read = history_.BeginRead(key);
    const Result<kv::OperationResult> got = ReadFinal(kv::Get{key, {}});
    if (!got.ok()) return history_.Violation("final read: " + got.status().ToString());
    const auto& get = std::get<kv::GetResult>(*got);
    history_.ReadDone(read, get.found ? std::optional(get.value) : std::nullopt, get.version);
  }
  std::uint64_t increments = 0;
  std::uint64_t maybe_increments = 0;
  std::uint64_t appends = 0;
  std::uint64_t maybe_appends = 0;
  for (const auto& client : clients_) {
    increments += client->increments();
    maybe_increments += client->maybe_increments();
    appends += client->appends();
    maybe_appends += client->maybe_appends();
  }
  const Result<kv::OperationResult> counter = ReadFinal(kv::Get{"counter", {}});
  if (!counter.ok()) return history_.Violation("final read: " + counter.status().ToString());
  const auto& get = std::get<kv::GetResult>(*counter);
  const std::uint64_t count = get.found ? std::stoull(get.value) : 0;
  if (count < increments || count > increments + maybe_increments) {
    history_.Violation("the counter is " + std::to_string(count) + " after " +
                       std::to_string(increments) + " acknowledged increments and " +
                       std::to_string(maybe_increments) + " of unknown fate");
  }
  kv::RangeQuery log;
  log.begin = kv::KeySelector::FirstGreaterOrEqual("log/");
  log.end = kv::KeySelector::FirstGreaterOrEqual("log0");
  const Result<kv::OperationResult> entries = ReadFinal(kv::GetRange{log, {}});
  if (!entries.ok()) return history_.Violation("final read: " + entries.status().ToString());
  const std::size_t found = std::get<kv::RangeResult>(*entries).key_values.size();
  if (found < appends || found > appends + maybe_appends) {
    history_.Violation("the log has " + std::to_string(found) + " entries after " +
                       std::to_string(appends) + " acknowledged appends and " +
                       std::to_string(maybe_appends) + " of unknown fate");
  }
}

// The state must be a function of the log: a fresh state machine that applies the whole journal
// ends up with the same state as the one that crashed and replayed its way through.
void Simulation::CheckReplay() {
  const Result<std::uint64_t> hash = node_.executor()->StateHash();
  if (!hash.ok()) return history_.Violation("no state hash: " + hash.status().ToString());
  report_.fingerprint = *hash;
  if (!keeps_journal_) return;
  const Slot last = node_.executor()->applied_slot();
  storage::MemoryEngine engine;
  auto executor = replication::StateMachineExecutor::Open(&engine);
  if (!executor.ok()) return history_.Violation(executor.status().ToString());
  // A flushed state may have been compacted away only if the journal was.
  if (node_.journal()->Contents().compacted_slot.value() != 0) return;
  const auto entries = node_.journal()->ReadEntries(Slot(1), last, UINT64_MAX);
  if (!entries.ok()) return history_.Violation("replay: " + entries.status().ToString());
  for (const consensus::Entry& entry : *entries) {
    std::vector<replication::ApplyOutcome> outcomes;
    if (Status s = (*executor)->ApplyEntry(entry, &outcomes); !s.ok()) {
      return history_.Violation("replay: " + s.ToString());
    }
  }
  const Result<std::uint64_t> again = (*executor)->StateHash();
  if (!again.ok() || *again != *hash) {
    history_.Violation("a fresh state machine that applied the whole log has another state");
  }
}

}  // namespace

SimulationReport RunSeed(const SimulationOptions& options) { return Simulation(options).Run(); }

}  // namespace cairn::sim
