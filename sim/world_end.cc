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
    scheduler_.RunUntil(scheduler_.now() + milliseconds(10), [this] { CompareStates(false); });
    Watchdog();
  }
}

// Who must hold everything, and serve it.
void World::AwaitMembers() {
  if (plan_.nodes == plan_.founders) {
    for (const auto& n : nodes_) members_.push_back(n.get());
    return;
  }
  std::optional<consensus::Membership> settled;
  Await(seconds(60), "changes of members come to their end",
        [&] { return (settled = SettledMembers()).has_value(); });
  if (!ok()) return;
  for (const auto& member : settled->members) members_.push_back(&node(member.node));
}

void World::CheckProgress() {
  Await(seconds(20), "every node serves", [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& n) { return n->serving(); });
  });
  AwaitMembers();
  scheduler_.RunUntil(scheduler_.now() + seconds(3),
                      [this] { CompareStates(false); });  // Work goes on for a while.
  for (const auto& client : clients_) client->Finish();
  Await(seconds(60), "clients finish", [this] {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->idle(); });
  });
  // A write through every node.
  for (const SimNode* n : members_) {
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
    const auto answer = AskFinal(members_[i % members_.size()]->id(), kv::Get{record.key, {}});
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
  const auto stamps = AskFinal(members_.back()->id(), kv::GetRange{log, {}});
  if (!stamps || !ok()) return;
  history_.final_stamps.emplace();
  for (const auto& [key, value] : std::get<kv::RangeResult>(**stamps).key_values) {
    history_.final_stamps->push_back(key);
  }
}

void World::CheckStates() {
  Await(seconds(20), "every node applies everything", [this] {
    return std::all_of(members_.begin(), members_.end(), [this](SimNode* n) {
      return n->serving() && n->executor()->applied_slot() >= invariants_.highest_committed();
    });
  });
  if (ok()) CompareStates(true);
}

// The state must be a function of the log: a fresh state machine that applies all that was ever
// committed ends up with the state of those that crashed and replayed their way through.
void World::CheckReplay() {
  const NodeId first = members_.front()->id();
  const Slot applied = members_.front()->executor()->applied_slot();
  const Result<std::uint64_t> hash = members_.front()->executor()->StateHash();
  // Every state that was looked at on the way, whoever held it, and the first one that differs.
  std::string text;
  std::uint64_t looked_at = 0;
  const Result<std::uint64_t> again = Replay(applied, [&](Slot slot, std::uint64_t replayed) {
    const auto* const seen = invariants_.HashAt(slot);
    ++looked_at;
    if (seen->first != replayed && text.empty()) {
      text = DifferingStates(slot, seen->second, seen->first, replayed);
    }
  });
  if (!ok()) return;
  if (!hash.ok() || !again.ok()) {
    return Violation(ViolationKind::kStatesDiffer,
                     "the state after slot " + ToString(applied) + " can't be hashed: " +
                         (hash.ok() ? again.status() : hash.status()).ToString());
  }
  report_.fingerprint = *hash;
  report_.replayed = applied;
  report_.states_compared = looked_at;
  if (text.empty() && *again == *hash) return;
  const std::string last =
      *again == *hash ? "they are alike" : DifferingStates(applied, first, *hash, *again);
  Violation(ViolationKind::kStatesDiffer,
            text + (text.empty() ? "" : "; ") + "at the end, " + last);
}

std::string World::DifferingStates(Slot slot, NodeId id, std::uint64_t hash,
                                   std::uint64_t replayed) {
  return "the state of node " + ToString(id) + " after slot " + ToString(slot) + " has hash " +
         HashText(hash) + ", that of a fresh state machine that applied the whole log has " +
         HashText(replayed);
}

// Applies what was committed up to `last` to a fresh state machine. `visit` sees the state at every
// slot whose hash some node had. The hash of the last state.
Result<std::uint64_t> World::Replay(Slot last,
                                    const std::function<void(Slot, std::uint64_t)>& visit) {
  storage::MemoryEngine engine;
  CAIRN_ASSIGN_OR_RETURN(auto executor, replication::StateMachineExecutor::Open(&engine));
  Slot next(1);
  bool blinked = false;
  const auto wrong = [&](const std::string& what) -> Status {
    const std::string text = "the log can't be replayed: slot " + ToString(next) + " " + what;
    Violation(ViolationKind::kStatesDiffer, text);
    return CorruptionError(text);
  };
  for (const auto& [slot, chosen] : invariants_.chosen()) {
    if (slot > last) break;
    if (slot != next) return wrong("was committed by nobody, slot " + ToString(slot) + " was");
    if (!chosen.entry.payload) return wrong("was committed by nobody who had its payload");
    next = next.Next();
    consensus::Entry entry = chosen.entry;
    if (options_.world_bug == WorldBug::kReplayLosesEntries && slot.value() * 2 > last.value()) {
      entry.kind = consensus::EntryKind::kNoOp;
      entry.payload = std::make_shared<std::string>();
    }
    std::vector<replication::ApplyOutcome> outcomes;
    CAIRN_RETURN_IF_ERROR(executor->ApplyEntry(entry, &outcomes));
    if (invariants_.HashAt(slot) == nullptr) continue;
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t hash, executor->StateHash());
    const bool blinks = options_.world_bug == WorldBug::kReplayBlinks &&
                        slot.value() * 2 > last.value() && !std::exchange(blinked, true);
    visit(slot, blinks ? hash + 1 : hash);
  }
  if (next != last.Next()) return wrong("was committed by nobody, and yet applied");
  return executor->StateHash();
}

}  // namespace cairn::sim
