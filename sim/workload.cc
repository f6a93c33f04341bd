// What the lanes of a client do.
#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "sim/client.h"

namespace cairn::sim {
namespace {

constexpr std::uint64_t kRegisters = 6;
constexpr std::uint64_t kLists = 5;
constexpr char kRegisterBegin[] = "reg/";
constexpr char kRegisterEnd[] = "reg0";
constexpr char kLog[] = "log/";

kv::RangeQuery Between(const std::string& begin, const std::string& end) {
  kv::RangeQuery query;
  query.begin = kv::KeySelector::FirstGreaterOrEqual(begin);
  query.end = kv::KeySelector::FirstGreaterOrEqual(end);
  return query;
}

Version VersionOf(const Answer& answer) { return std::get<kv::VersionResult>(*answer).version; }

Version CommitOf(const Answer& answer) { return std::get<kv::WriteResult>(*answer).version; }

Value ValueOf(const Answer& answer) {
  const auto& get = std::get<kv::GetResult>(*answer);
  return get.found ? Value(get.value) : Value();
}

// Lists are stored as "1,2,3".
std::vector<std::int64_t> ParseList(std::string_view text) {
  std::vector<std::int64_t> list;
  while (!text.empty()) {
    std::int64_t element = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), element);
    list.push_back(error == std::errc() ? element : -1);
    const std::size_t comma = text.find(',');
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return list;
}

std::string ListText(const std::vector<std::int64_t>& list) {
  std::string text;
  for (const std::int64_t element : list) {
    if (!text.empty()) text += ',';
    text += std::to_string(element);
  }
  return text;
}

std::string_view NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kUnknown:
      return "unknown";
  }
  return "";
}

std::string Show(const Value& value) { return value ? "'" + *value + "'" : "nothing"; }

std::string Ending(Outcome outcome, const Answer& answer) {
  if (answer.ok()) return "ok, version " + ToString(CommitOf(answer));
  return std::string(NameOf(outcome)) + ": " + std::string(StatusCodeName(answer.status().code()));
}

}  // namespace

std::string Client::Unique() {
  return std::to_string(options_.number) + "." + std::to_string(next_value_++);
}

std::string Client::RegisterKey() {
  return kRegisterBegin + std::to_string(random_.Below(kRegisters));
}

// A version that most likely is still kept.
Version Client::PastVersion() {
  const std::uint64_t back = random_.Below(20);
  return Version(newest_.value() > back + 1 ? newest_.value() - back : newest_.value());
}

// ---- Registers

void Client::EndRegisterWrite(int lane, std::vector<WriteRecord> records, Outcome outcome,
                              const Answer& answer) {
  const std::uint64_t commit = (static_cast<std::uint64_t>(options_.number) << 32) | next_commit_++;
  for (WriteRecord& record : records) {
    Trace("set " + record.key + " = " + Show(record.value) + " ends " + Ending(outcome, answer));
    record.outcome = outcome;
    record.commit = commit;
    if (answer.ok()) record.version = CommitOf(answer);
    if (outcome != Outcome::kUnknown) Close(&record.when);
    history_->writes.push_back(std::move(record));
  }
  End(lane);
}

void Client::SetRegister(int lane) {
  WriteRecord record;
  record.key = RegisterKey();
  record.value = Unique();
  Begin(&record.when);
  Trace("set " + record.key + " = " + Show(record.value));
  kv::KvOperation operation = kv::Set{record.key, *record.value, {}};
  if (random_.OneIn(1, 4)) {
    kv::AtomicCommit commit;
    commit.operations = {{kv::MutationType::kSet, record.key, *record.value, {}}};
    operation = std::move(commit);
  }
  SendWrite(std::move(operation), [this, lane, record](Outcome outcome, const Answer& answer) {
    EndRegisterWrite(lane, {record}, outcome, answer);
  });
}

void Client::DeleteRegister(int lane) {
  WriteRecord record;
  record.key = RegisterKey();
  Begin(&record.when);
  Trace("delete " + record.key);
  SendWrite(kv::Delete{record.key, {}},
            [this, lane, record](Outcome outcome, const Answer& answer) {
              EndRegisterWrite(lane, {record}, outcome, answer);
            });
}

// Several registers at once: no scan may see some of them without the others.
void Client::SetSeveral(int lane) {
  std::vector<WriteRecord> records;
  kv::AtomicCommit commit;
  const std::uint64_t first = random_.Below(kRegisters);
  for (std::uint64_t i = 0; i < 3; ++i) {
    WriteRecord record;
    record.key = kRegisterBegin + std::to_string((first + i) % kRegisters);
    record.value = Unique();
    commit.operations.push_back({kv::MutationType::kSet, record.key, *record.value, {}});
    records.push_back(std::move(record));
  }
  Begin(&records[0].when);
  for (WriteRecord& record : records) record.when = records[0].when;
  Trace("set three from " + records[0].key + " = " + Show(records[0].value));
  SendWrite(std::move(commit), [this, lane, records](Outcome outcome, const Answer& answer) {
    EndRegisterWrite(lane, records, outcome, answer);
  });
}

void Client::GetRegister(int lane) {
  const ReadPlan plan = PlanRead();
  ReadRecord record;
  record.key = RegisterKey();
  record.promise = plan.promise;
  Begin(&record.when);
  SendRead(plan, kv::Get{record.key, {}}, [this, lane, record](const Answer& answer) mutable {
    if (answer.ok()) {
      Close(&record.when);
      record.value = ValueOf(answer);
      record.version = std::get<kv::GetResult>(*answer).version;
      Learn(record.version);
      Trace("get " + record.key + " = " + Show(record.value) + " of version " +
            ToString(record.version) + (record.promise.linearizable ? "" : ", local") + ", begun " +
            record.when.Describe());
      history_->reads.push_back(std::move(record));
    }
    End(lane);
  });
}

// The past, at a version that was seen: every node must say the same.
void Client::SnapshotRegister(int lane) {
  ReadPlan plan = PlanRead();
  plan.promise = Promise();  // the version says it all
  const Version at = PastVersion();
  if (at.value() == 0) return End(lane);
  if (random_.OneIn(1, 2)) {
    ScanRecord record;
    record.begin = kRegisterBegin;
    record.end = kRegisterEnd;
    Begin(&record.when);
    SendRead(plan, kv::SnapshotGetRange{Between(record.begin, record.end), at, {}},
             [this, lane, record](const Answer& answer) mutable {
               if (answer.ok()) {
                 Close(&record.when);
                 const auto& range = std::get<kv::RangeResult>(*answer);
                 record.at = range.read_version;
                 for (const auto& [key, value] : range.key_values)
                   record.pairs.emplace_back(key, value);
                 history_->scans.push_back(std::move(record));
               }
               End(lane);
             });
    return;
  }
  ReadRecord record;
  record.key = RegisterKey();
  record.at = at;
  Begin(&record.when);
  SendRead(plan, kv::SnapshotRead{record.key, at, {}},
           [this, lane, record](const Answer& answer) mutable {
             if (answer.ok()) {
               Close(&record.when);
               record.value = ValueOf(answer);
               record.version = std::get<kv::GetResult>(*answer).version;
               history_->reads.push_back(std::move(record));
             }
             End(lane);
           });
}

void Client::ScanRegisters(int lane) {
  const ReadPlan plan = PlanRead();
  ScanRecord record;
  record.begin = kRegisterBegin;
  record.end = kRegisterEnd;
  record.promise = plan.promise;
  const bool reverse = random_.OneIn(1, 2);
  kv::RangeQuery query = Between(record.begin, record.end);
  query.reverse = reverse;
  Begin(&record.when);
  SendRead(plan, kv::GetRange{std::move(query), {}},
           [this, lane, record, reverse](const Answer& answer) mutable {
             if (answer.ok()) {
               Close(&record.when);
               const auto& range = std::get<kv::RangeResult>(*answer);
               record.at = range.read_version;
               Learn(record.at);
               for (const auto& [key, value] : range.key_values)
                 record.pairs.emplace_back(key, value);
               if (reverse) std::reverse(record.pairs.begin(), record.pairs.end());
               if (!std::is_sorted(record.pairs.begin(), record.pairs.end())) {
                 violation_(ViolationKind::kWrongData, "a scan came out of order");
               }
               Trace("scan at version " + ToString(record.at) +
                     (record.promise.linearizable ? "" : ", local"));
               history_->scans.push_back(std::move(record));
             }
             End(lane);
           });
}

void Client::AskVersion(int lane) {
  const ReadPlan plan = PlanRead();
  VersionRecord record;
  record.promise = plan.promise;
  Begin(&record.when);
  kv::KvOperation operation = kv::GetReadVersion{};
  if (random_.OneIn(1, 3)) operation = kv::GetCommittedVersion{};
  SendRead(plan, std::move(operation), [this, lane, record](const Answer& answer) mutable {
    if (answer.ok()) {
      Close(&record.when);
      record.version = VersionOf(answer);
      Learn(record.version);
      Trace("given version " + ToString(record.version) +
            (record.promise.linearizable ? "" : ", local"));
      history_->versions.push_back(record);
    }
    End(lane);
  });
}

// ---- Versionstamps

// A versionstamped key: applied twice it leaves two keys.
void Client::AppendStamp(int lane) {
  StampRecord record;
  record.token = Unique();
  Begin(&record.when);
  Trace("append " + record.token);
  const std::string prefix = kLog + record.token + "/";
  kv::SetVersionstampedKey append{prefix + std::string(10, '\0'), "x", {}};
  const auto copies = std::make_shared<std::uint64_t>(1);
  auto then = [this, lane, record, copies](Outcome outcome, const Answer& answer) mutable {
    record.outcome = outcome;
    record.most = *copies;
    if (outcome != Outcome::kUnknown) Close(&record.when);
    if (answer.ok()) {
      record.version = CommitOf(answer);
      record.generated = std::get<kv::WriteResult>(*answer).generated;
    }
    Trace("append " + record.token + " ends " + Ending(outcome, answer));
    history_->stamps.push_back(std::move(record));
    End(lane);
  };
  if (options_.bare && random_.OneIn(1, 4)) {
    return InsistOnWrite(std::move(append), copies.get(), std::move(then));
  }
  SendWrite(std::move(append), std::move(then));
}

// A versionstamped value: the stamp must be the version that a read says it was written at.
void Client::StampValue(int lane) {
  const std::string key = "stamp/" + std::to_string(options_.number);
  SendWrite(kv::SetVersionstampedValue{key, "v" + std::string(10, '\0'), {}},
            [this, lane, key](Outcome outcome, const Answer& answer) {
              if (outcome != Outcome::kOk) return End(lane);
              ReadPlan plan;
              plan.min_version = CommitOf(answer);
              SendRead(plan, kv::Get{key, {}}, [this, lane, plan](const Answer& got) {
                if (got.ok()) {
                  const auto& get = std::get<kv::GetResult>(*got);
                  std::uint64_t stamp = 0;
                  for (std::size_t i = 1; i < 9 && i < get.value.size(); ++i) {
                    stamp = stamp << 8 | static_cast<unsigned char>(get.value[i]);
                  }
                  if (!get.found || get.value.size() != 11 || stamp != get.version.value() ||
                      get.version < plan.min_version) {
                    violation_(ViolationKind::kWrongData,
                               "a stamped value written at version " + ToString(plan.min_version) +
                                   " came back with stamp " + std::to_string(stamp) +
                                   " of version " + ToString(get.version));
                  }
                }
                End(lane);
              });
            });
}

// ---- Transactions over lists

// Reads some lists at one version, and then perhaps appends to one or two of them, on condition
// that what was read has not changed.
void Client::RunTransaction(int lane) {
  const ReadPlan plan = PlanRead();
  auto record = std::make_shared<TransactionRecord>();
  record->strict = plan.promise.linearizable;
  Begin(&record->when);
  SendRead(plan, kv::GetReadVersion{}, [this, lane, record](const Answer& given) {
    if (!given.ok()) return End(lane);
    const Version at = VersionOf(given);
    // A range of lists by one scan, or single ones. Lists stay short: new ones every while.
    const auto era = scheduler_->now().ns / 20'000'000'000;
    const std::string prefix = "list/" + std::to_string(era) + "/";
    const std::string end = "list/" + std::to_string(era) + "0";
    ReadPlan at_version = PlanRead();
    at_version.min_version = Version();
    SendRead(at_version, kv::SnapshotGetRange{Between(prefix, end), at, {}},
             [this, lane, record, prefix, at](const Answer& scan) {
               if (!scan.ok()) return End(lane);
               std::map<std::string, std::vector<std::int64_t>> lists;
               for (std::uint64_t i = 0; i < kLists; ++i) lists[prefix + std::to_string(i)];
               for (const auto& [key, value] : std::get<kv::RangeResult>(*scan).key_values) {
                 lists[key] = ParseList(value);
               }
               // Either all of them (a conflict range covers them) or two.
               const bool by_range = random_.OneIn(1, 4);
               const std::uint64_t one = random_.Below(kLists);
               const std::uint64_t other = random_.Below(kLists);
               for (const auto& [key, list] : lists) {
                 const bool wanted = by_range || key == prefix + std::to_string(one) ||
                                     key == prefix + std::to_string(other);
                 if (wanted) record->reads.emplace_back(key, list);
               }
               Close(&record->when);
               record->outcome = Outcome::kOk;
               history_->transactions.push_back(*record);  // what was read, as one that only reads
               if (random_.OneIn(1, 4)) return End(lane);
               CommitLists(lane, *record, at, by_range);
             });
  });
}

void Client::CommitLists(int lane, const TransactionRecord& reads, Version at, bool by_range) {
  TransactionRecord record = reads;
  record.outcome = Outcome::kUnknown;
  record.strict = true;  // that it commits shows that nothing it read had changed
  kv::AtomicCommit commit;
  commit.read_version = at;
  if (by_range) {
    const std::string& first = record.reads.front().first;
    const std::string prefix = first.substr(0, first.size() - 1);
    commit.read_conflict_ranges = {{prefix, prefix + "\xff", {}}};
  }
  const std::size_t appends = 1 + random_.Below(2);
  for (std::size_t i = 0; i < record.reads.size(); ++i) {
    const auto& [key, list] = record.reads[i];
    if (!by_range) commit.read_conflict_keys.push_back({key, std::nullopt});
    if (record.appends.size() >= appends) continue;
    if (by_range && random_.OneIn(1, 2) && i + appends < record.reads.size()) continue;
    std::vector<std::int64_t> longer = list;
    // Sometimes two elements at once: nobody may see the first without the second.
    for (std::uint64_t n = 1 + random_.Below(2); n > 0; --n) {
      const auto element = static_cast<std::int64_t>(next_value_++ * 1000 +
                                                     static_cast<std::uint64_t>(options_.number));
      longer.push_back(element);
      record.appends.emplace_back(key, element);
    }
    commit.operations.push_back({kv::MutationType::kSet, key, ListText(longer), {}});
  }
  const std::string what = record.appends.front().first +
                           " += " + std::to_string(record.appends.front().second) +
                           " read at version " + ToString(at);
  Trace("transaction " + what);
  // The commit is what takes effect: in real time it follows its own reads.
  SendWrite(std::move(commit),
            [this, lane, record, what](Outcome outcome, const Answer& answer) mutable {
              record.outcome = outcome;
              record.when.end = Interval::kNever;
              if (outcome != Outcome::kUnknown) Close(&record.when);
              if (answer.ok()) record.version = CommitOf(answer);
              Trace("transaction " + what + " ends " + Ending(outcome, answer));
              history_->transactions.push_back(std::move(record));
              End(lane);
            });
}

// ---- Column families

// A family of its own: made, used, dropped and made again. What is read must be what this client
// put there since it was made, or a value whose Set it gave up: that message may lie in a queue and
// be applied later. After a make or a drop that it gave up it goes on with another family.
void Client::UseFamily(int lane) {
  if (family_busy_) return GetRegister(lane);
  family_busy_ = true;
  const std::string name = absl::StrCat("family", options_.number, ".", families_);
  const auto done = [this, lane] {
    family_busy_ = false;
    End(lane);
  };
  const std::uint64_t dice = random_.Below(10);
  if (!family_made_ || dice == 0) {
    const bool make = !family_made_;
    kv::KvOperation operation = kv::DropColumnFamily{name};
    if (make) operation = kv::CreateColumnFamily{name};
    Trace((make ? "makes " : "drops ") + name);
    SendWrite(std::move(operation), [this, make, done](Outcome outcome, const Answer& answer) {
      if (answer.ok()) {
        family_made_ = make;
        family_value_.reset();
        family_floor_ = CommitOf(answer);
      } else if (outcome == Outcome::kUnknown) {
        ++families_;
        family_made_ = false;
        family_value_.reset();
        family_given_up_.clear();
      }
      done();
    });
    return;
  }
  if (dice < 5) {
    const std::string value = Unique();
    SendWrite(kv::Set{"key", value, name},
              [this, value, done](Outcome outcome, const Answer& answer) {
                if (answer.ok()) {
                  family_value_ = value;
                  family_floor_ = CommitOf(answer);
                } else if (outcome == Outcome::kUnknown) {
                  family_given_up_.insert(value);
                } else if (answer.status().code() == StatusCode::kNotFound) {
                  violation_(ViolationKind::kWrongData,
                             "a family that exists was not found: " + answer.status().ToString());
                }
                done();
              });
    return;
  }
  ReadPlan plan = PlanRead();
  plan.min_version = std::max(plan.min_version, family_floor_);
  SendRead(plan, kv::Get{"key", name}, [this, name, done](const Answer& answer) {
    if (answer.ok()) {
      const Value value = ValueOf(answer);
      if (value != family_value_ && !(value && family_given_up_.contains(*value))) {
        violation_(ViolationKind::kWrongData,
                   name + " holds " + Show(value) + " instead of " + Show(family_value_));
      }
    } else if (answer.status().code() == StatusCode::kNotFound) {
      violation_(ViolationKind::kWrongData,
                 "a family that exists was not found: " + answer.status().ToString());
    }
    done();
  });
}

}  // namespace cairn::sim
