// What the clients of one history saw: every operation with the interval in which it happened, in
// a form that checkers (beside this file) can judge afterwards. Nothing in here knows where the
// history came from.
//
// Thread safety: plain values.
#ifndef CAIRN_SIM_CHECK_HISTORY_H_
#define CAIRN_SIM_CHECK_HISTORY_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/ids.h"

namespace cairn::sim {

// When an operation was under way. `begin` and `end` are drawn from one counter that all clients
// share, so that "a ended before b began" is a.end < b.begin; the times are for bounds in time and
// for people.
struct Interval {
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  int client = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = kNever;  // kNever: no answer came
  MonotonicTime began_at;
  MonotonicTime ended_at = MonotonicTime::Max();

  // "client 2, 1.234567..1.300000".
  [[nodiscard]] std::string Describe() const;
};

enum class Outcome : std::uint8_t {
  kOk,
  kFailed,   // surely without effect
  kUnknown,  // may have taken effect, or may still
};

using Value = std::optional<std::string>;  // nothing: the key does not exist

// A write of one key, alone or as part of a transaction. Values of sets are unique in a history.
struct WriteRecord {
  Interval when;
  std::string key;
  Value value;  // nothing: a delete
  Outcome outcome = Outcome::kUnknown;
  Version version;           // kOk
  std::uint64_t commit = 0;  // equal for the writes of one transaction
};

// What a read promised.
struct Promise {
  bool linearizable = false;
  // Of a local read that refuses to be staler than this; nothing: no promise.
  std::optional<Duration> max_staleness;
  Version min_version;  // 0: none was asked for
};

// A read of one key that was answered.
struct ReadRecord {
  Interval when;
  std::string key;
  Value value;
  Version version;  // when the value was written; 0: the key does not exist, or not known
  Promise promise;
  Version at;  // of a snapshot read: the version asked for; 0: the newest
};

// A read of all keys of a range, at one version.
struct ScanRecord {
  Interval when;
  std::string begin;
  std::string end;
  std::vector<std::pair<std::string, std::string>> pairs;
  Version at;  // the version that it was read at
  Promise promise;
};

// A read version that was given out.
struct VersionRecord {
  Interval when;
  Version version;
  Promise promise;
};

// A transaction over lists: each read returns a whole list, each append adds a unique number to the
// end of one (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
// Observations", 2020).
struct TransactionRecord {
  Interval when;
  Outcome outcome = Outcome::kUnknown;
  // False: it may have read an old state; it must be serializable but not in real time.
  bool strict = true;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> reads;
  std::vector<std::pair<std::string, std::int64_t>> appends;  // in order
  Version version;  // of the commit, if kOk and it appended
};

// An append to the log of versionstamped keys: `token` is unique, and one key with it must exist
// if the append was acknowledged, none if it failed, one at most otherwise. One that was sent again
// without a session, though earlier tries may have been applied, may be there `most` times.
struct StampRecord {
  Interval when;
  std::string token;
  Outcome outcome = Outcome::kUnknown;
  Version version;        // kOk
  std::string generated;  // kOk: the key that was made
  std::uint64_t most = 1;
};

struct History {
  std::vector<WriteRecord> writes;
  std::vector<ReadRecord> reads;
  std::vector<ScanRecord> scans;
  std::vector<VersionRecord> versions;
  std::vector<TransactionRecord> transactions;
  std::vector<StampRecord> stamps;
  // The keys of the stamp log at the end.
  std::optional<std::vector<std::string>> final_stamps;
};

// Each checker returns what is wrong, in one line; empty if nothing is.

// Per key, writes and linearizable reads in some order that agrees with real time (Wing and Gong,
// 1993, with the memory of Lowe, 2017). Writes of unknown outcome may take effect at any time after
// they began, or never. `max_steps` bounds the search for each key. A key whose search was given up
// there is not known to be wrong and says nothing here; `given_up`, if there, is raised by one for
// each of them.
std::string CheckLinearizable(const History& history, std::uint64_t* given_up = nullptr,
                              std::uint64_t max_steps = 2'000'000);

// Transactions serializable, and in real time where they are strict: no aborted or intermediate
// reads, no element twice, no cycle of dependencies (Adya, 1999: G0, G1c, G-single, G2).
std::string CheckTransactions(const History& history);

// Versions of commits are unique and grow in real time.
std::string CheckVersions(const History& history);

// Reads keep their promise: linearizable ones and read versions are at or above everything
// acknowledged before, local ones no staler than they may be, all of them at or above min_version;
// every value read was written, at the version that the read names, and nothing newer was visible.
std::string CheckReads(const History& history);

// Snapshot reads and scans of one key at one version give one answer, whoever serves them.
std::string CheckSnapshots(const History& history);

// Appends happened exactly once, under the stamp of the version that was acknowledged.
std::string CheckStamps(const History& history);

// What a checker looks at.
enum class Aspect : std::uint8_t {
  kVersions,
  kReads,
  kSnapshots,
  kStamps,
  kTransactions,
  kLinearizability
};
struct HistoryChecker {
  Aspect aspect;
  // What is wrong; counts searches that were given up.
  std::string (*check)(const History& history, std::uint64_t* given_up);
};
// All of the above, in the order of their cost.
inline constexpr HistoryChecker kCheckers[] = {
    {Aspect::kVersions, [](const History& h, std::uint64_t*) { return CheckVersions(h); }},
    {Aspect::kReads, [](const History& h, std::uint64_t*) { return CheckReads(h); }},
    {Aspect::kSnapshots, [](const History& h, std::uint64_t*) { return CheckSnapshots(h); }},
    {Aspect::kStamps, [](const History& h, std::uint64_t*) { return CheckStamps(h); }},
    {Aspect::kTransactions, [](const History& h, std::uint64_t*) { return CheckTransactions(h); }},
    {Aspect::kLinearizability,
     [](const History& h, std::uint64_t* given_up) { return CheckLinearizable(h, given_up); }},
};
// What the first of them says that finds something; for what was recorded outside of the simulator.
// `given_up` as for CheckLinearizable.
std::string CheckHistory(const History& history, std::uint64_t* given_up = nullptr);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_CHECK_HISTORY_H_
