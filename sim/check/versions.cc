// What versions promise: their order, what reads at them return, and stamps made of them.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

std::string Show(const Value& value) { return value ? "'" + *value + "'" : "nothing"; }

// Acknowledged commits by the order of their acknowledgement, to ask for the highest version that
// was acknowledged before something.
class Acknowledged {
 public:
  explicit Acknowledged(const History& history) {
    for (const WriteRecord& w : history.writes) Add(w.when, w.outcome, w.version);
    for (const StampRecord& s : history.stamps) Add(s.when, s.outcome, s.version);
    for (const TransactionRecord& t : history.transactions) {
      if (!t.appends.empty()) Add(t.when, t.outcome, t.version);
    }
    std::sort(by_end_.begin(), by_end_.end(),
              [](const One& a, const One& b) { return a.end < b.end; });
    Version highest;
    for (One& one : by_end_) highest = one.highest = std::max(highest, one.version);
  }

  // The highest version acknowledged before event `order`.
  [[nodiscard]] Version Before(std::uint64_t order) const {
    const auto it = std::lower_bound(by_end_.begin(), by_end_.end(), order,
                                     [](const One& a, std::uint64_t b) { return a.end < b; });
    return it == by_end_.begin() ? Version() : std::prev(it)->highest;
  }
  // The highest version acknowledged before a time.
  [[nodiscard]] Version Before(MonotonicTime time) const {
    const auto it = std::lower_bound(by_end_.begin(), by_end_.end(), time,
                                     [](const One& a, MonotonicTime b) { return a.ended_at < b; });
    return it == by_end_.begin() ? Version() : std::prev(it)->highest;
  }

 private:
  struct One {
    std::uint64_t end;
    MonotonicTime ended_at;
    Version version;
    Version highest;  // of all up to this one
  };
  void Add(const Interval& when, Outcome outcome, Version version) {
    if (outcome == Outcome::kOk) by_end_.push_back({when.end, when.ended_at, version, {}});
  }
  std::vector<One> by_end_;
};

// The version that the state behind an answer must at least have.
Version FloorOf(const Interval& when, const Promise& promise, const Acknowledged& acknowledged) {
  Version floor = promise.min_version;
  if (promise.linearizable) floor = std::max(floor, acknowledged.Before(when.begin));
  if (promise.max_staleness) {
    const MonotonicTime then{when.began_at.ns - promise.max_staleness->count()};
    floor = std::max(floor, acknowledged.Before(then));
  }
  return floor;
}

std::string NameOf(const Promise& promise) {
  std::string name = promise.linearizable ? "a linearizable read" : "a local read";
  if (promise.max_staleness) {
    name += " no staler than " + std::to_string(promise.max_staleness->count() / 1'000'000) + " ms";
  }
  if (promise.min_version.value() != 0) {
    name += " with min_version " + ToString(promise.min_version);
  }
  return name;
}

// What is known of one key: its acknowledged writes by version, and those whose fate is open.
struct Key {
  std::map<Version, Value> known;
  std::vector<const WriteRecord*> open;
  std::set<std::string> failed;

  // A write of unknown fate that could have made the key `value` before `end`.
  [[nodiscard]] bool MayBe(const Value& value, std::uint64_t end) const {
    return std::any_of(open.begin(), open.end(), [&](const WriteRecord* w) {
      return w->value == value && w->when.begin < end;
    });
  }
};

class ReadChecker {
 public:
  explicit ReadChecker(const History& history) : history_(history), acknowledged_(history) {
    for (const WriteRecord& w : history.writes) {
      Key& key = keys_[w.key];
      if (w.outcome == Outcome::kOk) {
        key.known[w.version] = w.value;
      } else if (w.outcome == Outcome::kUnknown) {
        key.open.push_back(&w);
      } else if (w.value) {
        key.failed.insert(*w.value);
      }
    }
  }

  std::string Run() {
    for (const VersionRecord& v : history_.versions) {
      const Version floor = FloorOf(v.when, v.promise, acknowledged_);
      if (v.version < floor) {
        return NameOf(v.promise) + " (" + v.when.Describe() + ") was given version " +
               ToString(v.version) + ", below " + ToString(floor);
      }
    }
    for (const ReadRecord& read : history_.reads) {
      if (std::string wrong = CheckRead(read); !wrong.empty()) return wrong;
    }
    for (const ScanRecord& scan : history_.scans) {
      if (std::string wrong = CheckScan(scan); !wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  std::string CheckRead(const ReadRecord& read) {
    const Key& key = keys_[read.key];
    const std::string name = NameOf(read.promise) + " of " + read.key + " (" +
                             read.when.Describe() + ") returned " + Show(read.value) +
                             " of version " + ToString(read.version);
    if (read.at.value() != 0) return CheckValueAt(key, read.value, read.version, read, name);
    if (std::string wrong = CheckExists(key, read.value, read.version, read.when, name);
        !wrong.empty()) {
      return wrong;
    }
    const Version floor = FloorOf(read.when, read.promise, acknowledged_);
    const auto after = key.known.upper_bound(floor);
    if (after == key.known.begin()) return {};
    const auto& [newest, value] = *std::prev(after);
    if (read.value && read.version < newest) {
      return name + ", but version " + ToString(newest) + " of it, " + Show(value) +
             ", had to be visible";
    }
    // Nothing there: that write was a delete, or a later one was.
    if (!read.value && value) {
      const bool deleted_later =
          std::any_of(after, key.known.end(), [](const auto& w) { return !w.second; });
      if (!deleted_later && !key.MayBe(std::nullopt, read.when.end)) {
        return name + ", but version " + ToString(newest) + " of it, " + Show(value) +
               ", had to be visible";
      }
    }
    return {};
  }

  // Somebody wrote this value, and at this version if that is known.
  static std::string CheckExists(const Key& key, const Value& value, Version version,
                                 const Interval& when, const std::string& name) {
    if (!value) return {};
    if (key.failed.count(*value) != 0) return name + ", whose write failed";
    if (const auto known = key.known.find(version); known != key.known.end()) {
      return known->second == value
                 ? std::string()
                 : name + ", but " + Show(known->second) + " was written at that version";
    }
    return key.MayBe(value, when.end) ? std::string()
                                      : name + ", which nobody wrote at that version";
  }

  // A read at a version: it returned the newest write up to it, unless one of unknown fate was.
  static std::string CheckValueAt(const Key& key, const Value& value, Version version,
                                  const ReadRecord& read, const std::string& name) {
    const std::string at = name + " at version " + ToString(read.at);
    if (version > read.at) return at + ", which is newer";
    if (std::string wrong = CheckExists(key, value, version, read.when, at); !wrong.empty()) {
      return wrong;
    }
    const auto after = key.known.upper_bound(read.at);
    if (after == key.known.begin()) return {};
    const auto& [newest, written] = *std::prev(after);
    const bool missed =
        value ? version < newest : written.has_value() && !key.MayBe(std::nullopt, read.when.end);
    return missed ? at + ", but " + Show(written) + " was written at version " + ToString(newest)
                  : std::string();
  }

  std::string CheckScan(const ScanRecord& scan) {
    const std::string name = "a scan of " + scan.begin + " to " + scan.end + " at version " +
                             ToString(scan.at) + ", " + NameOf(scan.promise) + " (" +
                             scan.when.Describe() + ")";
    const Version floor = FloorOf(scan.when, scan.promise, acknowledged_);
    if (scan.at < floor) return name + ", had to be at or above version " + ToString(floor);
    std::map<std::string, std::string> found(scan.pairs.begin(), scan.pairs.end());
    for (auto it = keys_.lower_bound(scan.begin); it != keys_.end() && it->first < scan.end; ++it) {
      const auto& [key_name, key] = *it;
      const auto pair = found.find(key_name);
      const Value value = pair == found.end() ? Value() : Value(pair->second);
      const auto after = key.known.upper_bound(scan.at);
      const Value newest = after == key.known.begin() ? Value() : std::prev(after)->second;
      if (value == newest || key.MayBe(value, scan.when.end)) continue;
      return name + ", found " + Show(value) + " under " + key_name + " instead of " + Show(newest);
    }
    return {};
  }

  const History& history_;
  const Acknowledged acknowledged_;
  std::map<std::string, Key> keys_;
};

// Big-endian version, then the order within the commit.
std::optional<Version> VersionOfStamp(const std::string& stamp) {
  if (stamp.size() != 10) return std::nullopt;
  std::uint64_t version = 0;
  for (int i = 0; i < 8; ++i) version = version << 8 | static_cast<unsigned char>(stamp[i]);
  return Version(version);
}

}  // namespace

std::string CheckVersions(const History& history) {
  const Acknowledged acknowledged(history);
  std::map<Version, std::pair<std::uint64_t, std::string>> owners;
  const auto check = [&](const Interval& when, Version version, std::uint64_t commit,
                         const std::string& what) -> std::string {
    const std::string name = what + " (" + when.Describe() + ")";
    const Version before = acknowledged.Before(when.begin);
    if (version <= before) {
      return name + " got version " + ToString(version) + ", but version " + ToString(before) +
             " was acknowledged before it began";
    }
    const auto [it, first] = owners.emplace(version, std::pair(commit, name));
    if (!first && (commit == 0 || it->second.first != commit)) {
      return "version " + ToString(version) + " was given to " + it->second.second + " and to " +
             name;
    }
    return {};
  };
  for (const WriteRecord& w : history.writes) {
    if (w.outcome != Outcome::kOk) continue;
    const std::string wrong =
        check(w.when, w.version, w.commit, "a write of " + w.key + " = " + Show(w.value));
    if (!wrong.empty()) return wrong;
  }
  for (const StampRecord& s : history.stamps) {
    if (s.outcome != Outcome::kOk) continue;
    const std::string wrong = check(s.when, s.version, 0, "an append of " + s.token);
    if (!wrong.empty()) return wrong;
  }
  for (const TransactionRecord& t : history.transactions) {
    if (t.outcome != Outcome::kOk || t.appends.empty()) continue;
    const std::string wrong = check(t.when, t.version, 0, "a transaction");
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string CheckReads(const History& history) { return ReadChecker(history).Run(); }

std::string CheckSnapshots(const History& history) {
  std::map<std::pair<std::string, Version>, const ReadRecord*> reads;
  for (const ReadRecord& read : history.reads) {
    if (read.at.value() == 0) continue;
    const auto [it, first] = reads.emplace(std::pair(read.key, read.at), &read);
    if (first || it->second->value == read.value) continue;
    return "two reads of " + read.key + " at version " + ToString(read.at) + " returned " +
           Show(it->second->value) + " (" + it->second->when.Describe() + ") and " +
           Show(read.value) + " (" + read.when.Describe() + ")";
  }
  std::map<std::tuple<std::string, std::string, Version>, const ScanRecord*> scans;
  for (const ScanRecord& scan : history.scans) {
    const auto [it, first] = scans.emplace(std::tuple(scan.begin, scan.end, scan.at), &scan);
    if (!first && it->second->pairs != scan.pairs) {
      return "two scans of " + scan.begin + " to " + scan.end + " at version " + ToString(scan.at) +
             " differ (" + it->second->when.Describe() + " and " + scan.when.Describe() + ")";
    }
    for (auto it2 = reads.lower_bound({scan.begin, Version()});
         it2 != reads.end() && it2->first.first < scan.end; ++it2) {
      if (it2->first.second != scan.at) continue;
      const auto pair = std::find_if(scan.pairs.begin(), scan.pairs.end(),
                                     [&](const auto& p) { return p.first == it2->first.first; });
      const Value value = pair == scan.pairs.end() ? Value() : Value(pair->second);
      if (value == it2->second->value) continue;
      return "at version " + ToString(scan.at) + " a scan (" + scan.when.Describe() + ") found " +
             Show(value) + " under " + it2->first.first + ", a read (" +
             it2->second->when.Describe() + ") " + Show(it2->second->value);
    }
  }
  return {};
}

std::string CheckStamps(const History& history) {
  if (!history.final_stamps) return {};
  // Keys are prefix, token, '/', stamp.
  std::map<std::string, std::vector<std::string>> found;
  std::set<std::string> stamps;
  for (const std::string& key : *history.final_stamps) {
    if (key.size() < 11) return "a key of the stamp log is too short: " + key;
    const std::string stamp = key.substr(key.size() - 10);
    const std::string rest = key.substr(0, key.size() - 11);
    found[rest.substr(rest.rfind('/') + 1)].push_back(key);
    if (!stamps.insert(stamp).second) return "two keys of the stamp log have one stamp";
  }
  for (const StampRecord& s : history.stamps) {
    const auto it = found.find(s.token);
    const std::size_t count = it == found.end() ? 0 : it->second.size();
    const std::string name = "the append of " + s.token + " (" + s.when.Describe() + ")";
    if (count > s.most) return name + " was applied " + std::to_string(count) + " times";
    if (s.outcome == Outcome::kFailed && count != 0) return name + " failed, and is there";
    if (s.outcome != Outcome::kOk) continue;
    if (count == 0) return name + " was acknowledged, and is not there";
    const std::vector<std::string>& keys = it->second;
    if (std::find(keys.begin(), keys.end(), s.generated) == keys.end()) {
      return name + " was answered with another key than is there";
    }
    if (VersionOfStamp(s.generated.substr(s.generated.size() - 10)) != s.version) {
      return name + " has a stamp that is not its version " + ToString(s.version);
    }
  }
  return {};
}

std::string CheckHistory(const History& history, std::uint64_t* given_up) {
  for (const HistoryChecker& checker : kCheckers) {
    if (std::string wrong = checker.check(history, given_up); !wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace cairn::sim
