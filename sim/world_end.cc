// The end of a history: everything heals, and what must hold then.
#include <algorithm>
#include <utility>
#include <variant>

#include "sim/world.h"

namespace cairn::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

void World::Heal() {
  healing_ = true;
  Tell(StoryLine::Kind::kNode, -1, "every fault ends, every node is there again");
  network_.Heal();
  for (auto& n : nodes_) {
    n->disk()->SetCapacity(std::nullopt);
    n->engines()->SetCapacity(std::nullopt);
    n->Resume();
    n->UsualDisk();
    // Disarms what was still to come; else those that run go on.
    ReplaceDisk(n->id());
    const bool doomed = n->failed() || n->disk()->PoweredOff();
    n->disk()->PowerOffAt(0);
    n->disk()->FailNth(FileOperation::kSync, 0, Status::Ok());
    if (plan_.heal_by_restart || doomed) n->Crash(CrashMode::kRandom);
    if (!n->running()) Restart(n->id());
  }
}

// Runs until `done` holds. A violation if it does not within `limit`.
void World::Await(Duration limit, const std::string& what, const std::function<bool()>& done) {
  const MonotonicTime end = scheduler_.now() + limit;
  while (ok() && !done()) {
    if (scheduler_.now() >= end)
      return Violation(ViolationKind::kNoProgress, "no progress after healing: " + what);
    scheduler_.RunUntil(scheduler_.now() + milliseconds(10));
    Watchdog();
  }
}

void World::CheckProgress() {
  Await(seconds(20), "every node serves", [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->serving(); });
  });
  scheduler_.RunUntil(scheduler_.now() + seconds(3));  // Work goes on for a while.
  for (const auto& client : clients_) client->Finish();
  Await(seconds(60), "clients finish", [this] {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->idle(); });
  });
  // A write through every node.
  for (auto& n : nodes_) {
    if (!ok()) return;
    WriteRecord record;
    record.key = "reg/final";
    record.value = "final" + ToString(n->id());
    record.when.client = -1;
    record.when.begin = ++order_;
    record.when.began_at = scheduler_.now();
    const auto answer = AskFinal(n->id(), kv::Set{record.key, *record.value, {}});
    if (!answer) return;
    record.outcome = Outcome::kOk;
    record.version = std::get<kv::WriteResult>(**answer).version;
    record.when.end = ++order_;
    record.when.ended_at = scheduler_.now();
    history_.writes.push_back(record);
  }
}

// Asks until it is answered well.
std::optional<Answer> World::AskFinal(NodeId id, kv::KvOperation operation) {
  std::optional<Answer> answer;
  Await(seconds(20),
        "a final " + std::string(kv::operation_name(operation)) + " at node " + ToString(id),
        [&, asked = false]() mutable {
          if (answer && answer->ok()) return true;
          if (answer) {
            if (answer->status().code() == StatusCode::kNotLeader) {
              id = NodeId((id.value() + 1) % plan_.nodes);
            }
            answer.reset();
            asked = false;
          }
          if (!std::exchange(asked, true)) {
            Request request{operation, {}};
            request.context.read_level = replication::ReadLevel::kReadIndex;
            // Writes that are tried again must be harmless: those of here set one value.
            Call(-1, id, std::move(request), [&answer](Answer a) { answer = std::move(a); });
          }
          return false;
        });
  return answer;
}

void World::ReadEverything() {
  std::vector<std::string> keys = {"reg/final"};
  for (int i = 0; i < 6; ++i) keys.push_back("reg/" + std::to_string(i));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ReadRecord record;
    record.key = keys[i];
    record.promise.linearizable = true;
    record.when.client = -1;
    record.when.begin = ++order_;
    record.when.began_at = scheduler_.now();
    const auto answer = AskFinal(nodes_[i % nodes_.size()]->id(), kv::Get{record.key, {}});
    if (!answer || !ok()) return;
    const auto& get = std::get<kv::GetResult>(**answer);
    if (get.found) record.value = get.value;
    record.version = get.version;
    record.when.end = ++order_;
    record.when.ended_at = scheduler_.now();
    history_.reads.push_back(record);
  }
  kv::RangeQuery log;
  log.begin = kv::KeySelector::FirstGreaterOrEqual("log/");
  log.end = kv::KeySelector::FirstGreaterOrEqual("log0");
  const auto stamps = AskFinal(nodes_.back()->id(), kv::GetRange{log, {}});
  if (!stamps || !ok()) return;
  history_.final_stamps.emplace();
  for (const auto& [key, value] : std::get<kv::RangeResult>(**stamps).key_values) {
    history_.final_stamps->push_back(key);
  }
}

void World::CheckStates() {
  Await(seconds(20), "every node applies everything", [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [this](const auto& n) {
      return n->serving() && n->executor()->applied_slot() >= invariants_.highest_committed();
    });
  });
  if (ok()) CompareStates();
}

// The state must be a function of the log: a fresh state machine that applies all that was ever
// committed ends up with the state of those that crashed and replayed their way through.
void World::CheckReplay() {
  const SimNode& first = *nodes_.front();
  storage::MemoryEngine engine;
  auto executor = replication::StateMachineExecutor::Open(&engine);
  if (!executor.ok()) return Violation(ViolationKind::kStatesDiffer, executor.status().ToString());
  const Slot applied = nodes_.front()->executor()->applied_slot();
  Slot next(1);
  for (const auto& [slot, chosen] : invariants_.chosen()) {
    if (slot > applied) break;
    if (slot != next || !chosen.entry.payload) return;  // committed before anybody looked
    next = next.Next();
    std::vector<replication::ApplyOutcome> outcomes;
    if (Status s = (*executor)->ApplyEntry(chosen.entry, &outcomes); !s.ok()) {
      return Violation(ViolationKind::kStatesDiffer,
                       "replay: slot " + ToString(slot) + ": " + s.ToString());
    }
  }
  const Result<std::uint64_t> again = (*executor)->StateHash();
  const Result<std::uint64_t> hash = nodes_.front()->executor()->StateHash();
  if (!hash.ok() || !again.ok()) return Violation(ViolationKind::kStatesDiffer, "no state hash");
  report_.fingerprint = *hash;
  if (*again != *hash) {
    Violation(ViolationKind::kStatesDiffer,
              "a fresh state machine that applied the whole log has another state than node " +
                  ToString(first.id()));
  }
}

}  // namespace cairn::sim
