// Each kind of wrong history is told as that kind.
#include "sim/judge.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace cairn::sim {
namespace {

using std::chrono::seconds;

// From `begin` to `end`, in order and in seconds.
Interval From(std::uint64_t begin, std::uint64_t end) {
  Interval when;
  when.begin = begin;
  when.end = end;
  when.began_at = MonotonicTime{0} + seconds(begin);
  when.ended_at = MonotonicTime{0} + seconds(end);
  return when;
}

WriteRecord Written(const std::string& value, std::uint64_t begin, std::uint64_t version) {
  WriteRecord write;
  write.when = From(begin, begin + 1);
  write.key = "k";
  write.value = value;
  write.outcome = Outcome::kOk;
  write.version = Version(version);
  write.commit = version;
  return write;
}

ReadRecord Read(const Value& value, std::uint64_t begin, std::uint64_t version) {
  ReadRecord read;
  read.when = From(begin, begin + 1);
  read.key = "k";
  read.value = value;
  read.version = Version(version);
  return read;
}

TransactionRecord Appended(std::uint64_t begin, std::int64_t element,
                           std::vector<std::int64_t> seen) {
  TransactionRecord transaction;
  transaction.when = From(begin, begin + 1);
  transaction.outcome = Outcome::kOk;
  transaction.reads = {{"l", std::move(seen)}};
  transaction.appends = {{"l", element}};
  transaction.version = Version(begin * 10);
  return transaction;
}

TEST(Judge, ARightHistoryIsRight) {
  History history;
  history.writes = {Written("a", 1, 10), Written("b", 3, 20)};
  history.reads = {Read("b", 5, 20)};
  history.transactions = {Appended(7, 1, {}), Appended(9, 2, {1})};
  const Verdict verdict = Judge(history);
  EXPECT_EQ(verdict.kind, ViolationKind::kNone) << verdict.text;
  EXPECT_EQ(verdict.searches_given_up, 0u);
}

TEST(Judge, VersionsThatFall) {
  History history;
  history.writes = {Written("a", 1, 20), Written("b", 3, 10)};
  const Verdict verdict = Judge(history);
  EXPECT_EQ(verdict.kind, ViolationKind::kVersionsOutOfOrder) << verdict.text;
  EXPECT_EQ(verdict.wrong_at, From(3, 4).ended_at);
}

TEST(Judge, AReadOfWhatNobodyWrote) {
  History history;
  history.writes = {Written("a", 1, 10)};
  history.reads = {Read("b", 3, 20)};
  EXPECT_EQ(Judge(history).kind, ViolationKind::kBrokenPromise);
}

TEST(Judge, OneVersionTwoAnswers) {
  History history;
  ScanRecord scan;
  scan.begin = "a";
  scan.end = "z";
  scan.at = Version(10);
  scan.when = From(1, 2);
  history.scans = {scan, scan};
  history.scans[1].when = From(3, 4);
  history.scans[1].pairs = {{"k", "a"}};
  WriteRecord open = Written("a", 5, 0);
  open.when = From(0, 9);
  open.outcome = Outcome::kUnknown;
  open.version = Version();
  history.writes = {open};
  EXPECT_EQ(Judge(history).kind, ViolationKind::kSnapshotsDiffer);
}

TEST(Judge, AnAppendThatIsMissing) {
  History history;
  StampRecord stamp;
  stamp.when = From(1, 2);
  stamp.token = "t";
  stamp.outcome = Outcome::kOk;
  stamp.version = Version(10);
  history.stamps = {stamp};
  history.final_stamps.emplace();
  EXPECT_EQ(Judge(history).kind, ViolationKind::kStampsWrong);
}

TEST(Judge, AnAppendThatIsOverwritten) {
  History history;
  history.transactions = {Appended(1, 1, {}), Appended(3, 2, {})};
  EXPECT_EQ(Judge(history).kind, ViolationKind::kNotSerializable);
}

TEST(Judge, AnOrderThatCannotBe) {
  // Writes of unknown versions: nothing but the order of their reads shows it.
  History history;
  WriteRecord a = Written("a", 1, 0);
  WriteRecord b = Written("b", 2, 0);
  for (WriteRecord* write : {&a, &b}) {
    write->when = From(write->when.begin, 30);
    write->outcome = Outcome::kUnknown;
    write->version = Version();
  }
  history.writes = {a, b};
  for (const auto& [value, begin] : {std::pair("a", 10), {"b", 12}, {"a", 14}}) {
    history.reads.push_back(Read(value, static_cast<std::uint64_t>(begin), 0));
    history.reads.back().promise.linearizable = true;
  }
  const Verdict verdict = Judge(history);
  EXPECT_EQ(verdict.kind, ViolationKind::kNotLinearizable) << verdict.text;
  EXPECT_EQ(verdict.wrong_at, From(14, 15).ended_at);
}

}  // namespace
}  // namespace cairn::sim
