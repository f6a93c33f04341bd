#include "sim/judge.h"

#include <algorithm>
#include <vector>

namespace cairn::sim {
namespace {

ViolationKind KindOf(Aspect aspect) {
  switch (aspect) {
    case Aspect::kVersions:
      return ViolationKind::kVersionsOutOfOrder;
    case Aspect::kReads:
      return ViolationKind::kBrokenPromise;
    case Aspect::kSnapshots:
      return ViolationKind::kSnapshotsDiffer;
    case Aspect::kStamps:
      return ViolationKind::kStampsWrong;
    case Aspect::kTransactions:
      return ViolationKind::kNotSerializable;
    case Aspect::kLinearizability:
      break;
  }
  return ViolationKind::kNotLinearizable;
}

// Answers that are awaited (`open` says what to do with the record) and those that came.
template <class Record, class Open>
std::vector<Record> Before(const std::vector<Record>& records, MonotonicTime time, Open open) {
  std::vector<Record> kept;
  for (const Record& record : records) {
    if (record.when.began_at > time) continue;
    kept.push_back(record);
    const bool ended = record.when.end != Interval::kNever && record.when.ended_at <= time;
    if (!ended && !open(&kept.back())) kept.pop_back();
  }
  return kept;
}

// A write without an answer may have taken effect; a read without one says nothing.
template <class Record>
bool LeaveOpen(Record* record) {
  record->when.end = Interval::kNever;
  record->when.ended_at = MonotonicTime::Max();
  record->outcome = Outcome::kUnknown;
  record->version = Version();
  return true;
}

template <class Record>
bool Drop(Record*) {
  return false;
}

}  // namespace

History Until(const History& history, MonotonicTime time) {
  History part;
  part.writes = Before(history.writes, time, LeaveOpen<WriteRecord>);
  part.stamps = Before(history.stamps, time, LeaveOpen<StampRecord>);
  part.transactions = Before(history.transactions, time, [](TransactionRecord* t) {
    return t->appends.empty() ? false : LeaveOpen(t);
  });
  part.reads = Before(history.reads, time, Drop<ReadRecord>);
  part.scans = Before(history.scans, time, Drop<ScanRecord>);
  part.versions = Before(history.versions, time, Drop<VersionRecord>);
  return part;  // without the final stamps: they were read at the very end
}

Verdict Judge(const History& history) {
  Verdict verdict;
  for (const HistoryChecker& checker : kCheckers) {
    verdict.text = checker.check(history, &verdict.searches_given_up);
    if (verdict.text.empty()) continue;
    verdict.kind = KindOf(checker.aspect);
    const auto wrong = [&](const History& part) { return checker.check(part, nullptr); };
    std::vector<MonotonicTime> ends;
    const auto add = [&ends](const auto& records) {
      for (const auto& record : records) {
        if (record.when.end != Interval::kNever) ends.push_back(record.when.ended_at);
      }
    };
    add(history.writes);
    add(history.reads);
    add(history.scans);
    add(history.versions);
    add(history.transactions);
    add(history.stamps);
    std::sort(ends.begin(), ends.end());
    if (ends.empty()) return verdict;
    // The first end by which it was wrong already; what only the very end shows stays there.
    const auto first = std::partition_point(ends.begin(), ends.end(), [&](MonotonicTime time) {
      return wrong(Until(history, time)).empty();
    });
    verdict.wrong_at = first == ends.end() ? ends.back() : *first;
    if (first != ends.end()) verdict.text = wrong(Until(history, *first));
    return verdict;
  }
  return verdict;
}

}  // namespace cairn::sim
