#include "sim/client.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/check.h"

namespace cairn::sim {
namespace {

constexpr int kRegisters = 8;
constexpr int kAttempts = 40;
constexpr char kPairA[] = "pair/a";
constexpr char kPairB[] = "pair/b";
constexpr char kCounter[] = "counter";
constexpr char kLogBegin[] = "log/";
constexpr char kLogEnd[] = "log0";
constexpr char kCount[] = "count";

kv::RangeQuery Between(const std::string& begin, const std::string& end) {
  kv::RangeQuery query;
  query.begin = kv::KeySelector::FirstGreaterOrEqual(begin);
  query.end = kv::KeySelector::FirstGreaterOrEqual(end);
  return query;
}

kv::Mutation SetMutation(const std::string& key, std::string value) {
  return {kv::MutationType::kSet, key, std::move(value), {}};
}

Version VersionOf(const kv::OperationResult& result) {
  return std::get<kv::VersionResult>(result).version;
}

std::optional<std::string> ValueOf(const kv::OperationResult& result) {
  const auto& get = std::get<kv::GetResult>(result);
  return get.found ? std::optional(get.value) : std::nullopt;
}

}  // namespace

Client::Client(const ClientOptions& options, Scheduler* scheduler, SimNode* node, History* history)
    : options_(options), scheduler_(scheduler), node_(node), history_(history) {}

void Client::Start() { Think(); }

void Client::Think() {
  idle_ = true;
  scheduler_->After(scheduler_->Between(Duration(1000), options_.think_most), [this] { Next(); });
}

void Client::Next() {
  if (finishing_) return;
  idle_ = false;
  if (!node_->serving()) {
    Think();
    return;
  }
  if (session_.value() == 0 && !options_.retry_without_session) {
    OpenSession();
    return;
  }
  ++operations_;
  switch (scheduler_->random().Below(16)) {
    case 0:
    case 1:
    case 2:
      return SetRegister();
    case 3:
      return DeleteRegister();
    case 4:
    case 5:
    case 6:
      return GetRegister();
    case 7:
    case 8:
      return SetPair();
    case 9:
      return ReadPair();
    case 10:
    case 11:
      return Increment();
    case 12:
      return Append();
    case 13:
      return CountLog();
    case 14:
      return ReadVersion();
    default:
      return ScanRegisters();
  }
}

std::string Client::Unique() {
  return std::to_string(options_.number) + ":" + std::to_string(next_value_++);
}

std::string Client::RegisterKey() {
  return "reg/" + std::to_string(scheduler_->random().Below(kRegisters));
}

replication::ReadLevel Client::AnyLevel() {
  switch (scheduler_->random().Below(3)) {
    case 0:
      return replication::ReadLevel::kLocal;
    case 1:
      return replication::ReadLevel::kLeader;
    default:
      return replication::ReadLevel::kReadIndex;
  }
}

// ---- Sending

void Client::OpenSession() {
  // Opened without a session: if the answer is lost, an unused session is left to expire.
  replication::RequestContext context;
  node_->routing()->Execute(context, kv::OpenSession{}, [this](const Answer& answer) {
    if (answer.ok()) {
      session_ = SessionId(std::get<kv::WriteResult>(*answer).version.value());
      next_sequence_ = 1;
    }
    Think();
  });
}

void Client::Write(kv::KvOperation operation, Then then) {
  TryWrite(std::make_shared<const kv::KvOperation>(std::move(operation)), next_sequence_++, 0,
           false, std::move(then));
}

void Client::TryWrite(std::shared_ptr<const kv::KvOperation> operation, std::uint64_t sequence,
                      int attempt, bool open, Then then) {
  if (!node_->serving()) {
    if (attempt >= kAttempts) {
      then(UnavailableError("gave up").WithMaybeApplied());
      return;
    }
    scheduler_->After(std::chrono::milliseconds(20),
                      [=, this] { TryWrite(operation, sequence, attempt + 1, open, then); });
    return;
  }
  replication::RequestContext context;
  context.deadline = scheduler_->now() + std::chrono::seconds(2);
  if (!options_.retry_without_session) {
    context.session = session_;
    context.sequence = sequence;
    context.first_outstanding = sequence;
  }
  node_->routing()->Execute(context, *operation, [=, this](Answer answer) {
    const StatusCode code = answer.ok() ? StatusCode::kOk : answer.status().code();
    const bool retry = code == StatusCode::kTimeout || code == StatusCode::kUnavailable ||
                       code == StatusCode::kResourceExhausted;
    const bool now_open = open || (!answer.ok() && answer.status().maybe_applied());
    if (retry && attempt < kAttempts) {
      scheduler_->After(std::chrono::milliseconds(20),
                        [=, this] { TryWrite(operation, sequence, attempt + 1, now_open, then); });
      return;
    }
    if (code == StatusCode::kSessionExpired) session_ = SessionId();
    // A definite answer settles the earlier tries; without one, or when the session is gone,
    // an earlier try may have been applied.
    if (now_open && (retry || code == StatusCode::kSessionExpired)) {
      then(Status(answer.status()).WithMaybeApplied());
    } else {
      then(answer);
    }
  });
}

void Client::Read(kv::KvOperation operation, Then then) {
  if (!node_->serving()) {
    then(UnavailableError("down"));
    return;
  }
  replication::RequestContext context;
  context.read_level = AnyLevel();
  context.deadline = scheduler_->now() + std::chrono::seconds(2);
  node_->routing()->Execute(context, std::move(operation),
                            [then = std::move(then)](const Answer& answer) { then(answer); });
}

// ---- The workload

void Client::EndWrite(const History::WriteToken& write, const Answer& answer) {
  if (answer.ok()) {
    history_->WriteDone(write, std::get<kv::WriteResult>(*answer).version);
  } else if (answer.status().maybe_applied()) {
    history_->WriteUnknown(write);
  } else {
    history_->WriteFailed(write);
  }
  Think();
}

void Client::SetRegister() {
  const History::WriteToken write = history_->BeginWrite(RegisterKey(), Unique());
  Write(kv::Set{write.key, *write.value, {}},
        [this, write](const Answer& answer) { EndWrite(write, answer); });
}

void Client::DeleteRegister() {
  const History::WriteToken write = history_->BeginWrite(RegisterKey(), std::nullopt);
  Write(kv::Delete{write.key, {}},
        [this, write](const Answer& answer) { EndWrite(write, answer); });
}

void Client::GetRegister() {
  const History::ReadToken read = history_->BeginRead(RegisterKey());
  Read(kv::Get{read.key, {}}, [this, read](const Answer& answer) {
    if (answer.ok()) {
      history_->ReadDone(read, ValueOf(*answer), std::get<kv::GetResult>(*answer).version);
    }
    Think();
  });
}

void Client::SetPair() {
  kv::AtomicCommit commit;
  const std::string value = Unique();
  commit.operations = {SetMutation(kPairA, value), SetMutation(kPairB, value)};
  const History::WriteToken write = history_->BeginWrite(kPairA, value);
  Write(std::move(commit), [this, write](const Answer& answer) { EndWrite(write, answer); });
}

// Both keys of a pair are only written together: any scan must find them alike.
void Client::ReadPair() {
  Read(kv::GetRange{Between("pair/", "pair0"), {}}, [this](const Answer& answer) {
    if (answer.ok()) {
      const auto& range = std::get<kv::RangeResult>(*answer);
      const bool whole =
          range.key_values.size() == 2 && range.key_values[0].value == range.key_values[1].value;
      if (!range.key_values.empty() && !whole) {
        history_->Violation("a scan at version " + ToString(range.read_version) +
                            " saw half a transaction: " + std::to_string(range.key_values.size()) +
                            " of the pair, or two that differ");
      }
    }
    Think();
  });
}

// Read, add one, commit if nobody else did: in the end the counter must be the number of commits.
void Client::Increment() {
  Read(kv::GetReadVersion{}, [this](const Answer& given) {
    if (!given.ok()) return Think();
    const Version at = VersionOf(*given);
    Read(kv::SnapshotRead{kCounter, at, {}}, [this, at](const Answer& read) {
      if (!read.ok()) return Think();
      const std::uint64_t before = std::stoull(ValueOf(*read).value_or("0"));
      kv::AtomicCommit commit;
      commit.read_version = at;
      commit.read_conflict_keys = {{kCounter, std::nullopt}};
      commit.operations = {SetMutation(kCounter, std::to_string(before + 1))};
      Write(std::move(commit), [this](const Answer& answer) {
        if (answer.ok()) ++increments_;
        if (!answer.ok() && answer.status().maybe_applied()) ++maybe_increments_;
        Think();
      });
    });
  });
}

// A versionstamped key: applied twice it would leave two keys.
void Client::Append() {
  const std::string prefix = std::string(kLogBegin) + Unique() + "/";
  Write(kv::SetVersionstampedKey{prefix + std::string(10, '\0'), "x", {}},
        [this](const Answer& answer) {
          if (answer.ok()) ++appends_;
          if (!answer.ok() && answer.status().maybe_applied()) ++maybe_appends_;
          Think();
        });
}

// Counts the log and writes the count down, on condition that the log did not change: when that
// commits at version V, the log as of V must have just that many entries.
void Client::CountLog() {
  Read(kv::GetReadVersion{}, [this](const Answer& given) {
    if (!given.ok()) return Think();
    const Version at = VersionOf(*given);
    Read(kv::SnapshotGetRange{Between(kLogBegin, kLogEnd), at, {}}, [this, at](const Answer& scan) {
      if (!scan.ok()) return Think();
      const std::size_t count = std::get<kv::RangeResult>(*scan).key_values.size();
      kv::AtomicCommit commit;
      commit.read_version = at;
      commit.read_conflict_ranges = {{kLogBegin, kLogEnd, {}}};
      commit.operations = {SetMutation(kCount, std::to_string(count))};
      Write(std::move(commit), [this, count](const Answer& answer) {
        if (!answer.ok()) return Think();
        const Version committed = std::get<kv::WriteResult>(*answer).version;
        Read(kv::SnapshotGetRange{Between(kLogBegin, kLogEnd), committed, {}},
             [this, count, committed](const Answer& check) {
               if (check.ok() && std::get<kv::RangeResult>(*check).key_values.size() != count) {
                 history_->Violation(
                     "a commit at version " + ToString(committed) + " counted " +
                     std::to_string(count) + " log entries, the log held " +
                     std::to_string(std::get<kv::RangeResult>(*check).key_values.size()));
               }
               Think();
             });
      });
    });
  });
}

void Client::ReadVersion() {
  const Version floor = history_->newest();
  Read(kv::GetReadVersion{}, [this, floor](const Answer& answer) {
    if (answer.ok()) history_->ReadVersionGiven(VersionOf(*answer), floor);
    Think();
  });
}

void Client::ScanRegisters() {
  const bool reverse = scheduler_->random().OneIn(1, 2);
  kv::RangeQuery query = Between("reg/", "reg0");
  query.reverse = reverse;
  Read(kv::GetRange{std::move(query), {}}, [this, reverse](const Answer& answer) {
    if (answer.ok()) {
      const auto& pairs = std::get<kv::RangeResult>(*answer).key_values;
      const bool sorted =
          std::is_sorted(pairs.begin(), pairs.end(), [reverse](const auto& a, const auto& b) {
            return reverse ? a.key > b.key : a.key < b.key;
          });
      if (!sorted) history_->Violation("a scan came out of order");
    }
    Think();
  });
}

}  // namespace cairn::sim
