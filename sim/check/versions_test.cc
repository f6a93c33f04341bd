#include <gtest/gtest.h>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

using std::chrono::milliseconds;

class VersionsTest : public testing::Test {
 protected:
  // One after another, a second apart.
  Interval Next() {
    Interval when;
    when.begin = ++order_;
    when.end = ++order_;
    when.began_at = {static_cast<std::int64_t>(order_) * 500'000'000};
    when.ended_at = {when.began_at.ns + 1'000'000};
    return when;
  }
  WriteRecord& Write(Value value, std::uint64_t version, Outcome outcome = Outcome::kOk) {
    WriteRecord w;
    w.when = Next();
    w.key = "k";
    w.value = std::move(value);
    w.outcome = outcome;
    if (outcome == Outcome::kOk) w.version = Version(version);
    history_.writes.push_back(w);
    return history_.writes.back();
  }
  ReadRecord& Read(Value value, std::uint64_t version, std::uint64_t at = 0) {
    ReadRecord r;
    r.when = Next();
    r.key = "k";
    r.value = std::move(value);
    r.version = Version(version);
    r.at = Version(at);
    history_.reads.push_back(r);
    return history_.reads.back();
  }
  ScanRecord& Scan(std::vector<std::pair<std::string, std::string>> pairs, std::uint64_t at) {
    ScanRecord s;
    s.when = Next();
    s.begin = "a";
    s.end = "z";
    s.pairs = std::move(pairs);
    s.at = Version(at);
    history_.scans.push_back(s);
    return history_.scans.back();
  }
  VersionRecord& ReadVersion(std::uint64_t version) {
    VersionRecord v;
    v.when = Next();
    v.version = Version(version);
    history_.versions.push_back(v);
    return history_.versions.back();
  }
  static void ExpectWrong(const std::string& wrong, const std::string& part) {
    EXPECT_NE(wrong.find(part), std::string::npos) << "'" << wrong << "'";
  }

  History history_;
  std::uint64_t order_ = 0;
};

TEST_F(VersionsTest, GrowInRealTimeAndAreUnique) {
  Write("a", 5);
  Write("b", 6);
  EXPECT_EQ(CheckVersions(history_), "");
  Write("c", 6).when.begin = 1;
  ExpectWrong(CheckVersions(history_), "version 6 was given to");
  history_.writes.back().version = Version(4);
  history_.writes.back().when = Next();
  ExpectWrong(CheckVersions(history_), "got version 4, but version 6 was acknowledged before");
}

TEST_F(VersionsTest, WritesOfOneTransactionShareAVersion) {
  Write("a", 5).commit = 1;
  WriteRecord second = history_.writes.back();
  second.key = "k2";
  history_.writes.push_back(second);
  EXPECT_EQ(CheckVersions(history_), "");
}

TEST_F(VersionsTest, AReadVersionBelowAnAcknowledgedCommitIsWrong) {
  Write("a", 5);
  ReadVersion(4);
  EXPECT_EQ(CheckReads(history_), "") << "it promised nothing";
  history_.versions.back().promise.linearizable = true;
  ExpectWrong(CheckReads(history_), "was given version 4, below 5");
}

TEST_F(VersionsTest, ALocalReadMayBeAsStaleAsItsBound) {
  Write("a", 5);  // a second before the read
  ReadVersion(4).promise.max_staleness = milliseconds(1500);
  EXPECT_EQ(CheckReads(history_), "");
  history_.versions.back().promise.max_staleness = milliseconds(500);
  ExpectWrong(CheckReads(history_), "no staler than 500 ms");
}

TEST_F(VersionsTest, MinVersionMakesAReadSeeOwnWrites) {
  Write("a", 5);
  Write("b", 6);
  Read("a", 5).promise.min_version = Version(5);
  EXPECT_EQ(CheckReads(history_), "");
  history_.reads.back().promise.min_version = Version(6);
  ExpectWrong(CheckReads(history_), "version 6 of it, 'b', had to be visible");
}

TEST_F(VersionsTest, NothingIsAWrongAnswerAfterASet) {
  Write("a", 5);
  Read(std::nullopt, 0).promise.min_version = Version(5);
  ExpectWrong(CheckReads(history_), "version 5 of it, 'a', had to be visible");
  Write(std::nullopt, 0, Outcome::kUnknown).when.begin = 0;
  EXPECT_EQ(CheckReads(history_), "") << "the delete may have come between";
}

TEST_F(VersionsTest, ValuesComeFromWritesAtTheirVersion) {
  Write("a", 5);
  Read("a", 4);
  ExpectWrong(CheckReads(history_), "nobody wrote at that version");
  history_.reads.back().value = "b";
  history_.reads.back().version = Version(5);
  ExpectWrong(CheckReads(history_), "'a' was written at that version");
}

TEST_F(VersionsTest, FailedWritesAreNeverRead) {
  Write("a", 0, Outcome::kFailed);
  Read("a", 5);
  ExpectWrong(CheckReads(history_), "whose write failed");
}

TEST_F(VersionsTest, UnknownWritesMayBeRead) {
  Write("a", 0, Outcome::kUnknown);
  Read("a", 5);
  EXPECT_EQ(CheckReads(history_), "");
}

TEST_F(VersionsTest, ASnapshotReadReturnsTheNewestUpToItsVersion) {
  Write("a", 5);
  Write("b", 8);
  Read("a", 5, 7);
  EXPECT_EQ(CheckReads(history_), "");
  history_.reads.back().at = Version(8);
  ExpectWrong(CheckReads(history_), "'b' was written at version 8");
  history_.reads.back().value = std::nullopt;
  history_.reads.back().version = Version();
  ExpectWrong(CheckReads(history_), "'b' was written at version 8");
  history_.reads.back().value = "b";
  history_.reads.back().version = Version(8);
  history_.reads.back().at = Version(7);
  ExpectWrong(CheckReads(history_), "which is newer");
}

TEST_F(VersionsTest, AScanShowsEveryKeyAsOfItsVersion) {
  Write("a", 5);
  Write("b", 8);
  Scan({{"k", "a"}}, 7);
  EXPECT_EQ(CheckReads(history_), "");
  history_.scans.back().at = Version(8);
  ExpectWrong(CheckReads(history_), "found 'a' under k instead of 'b'");
  history_.scans.back().pairs.clear();
  ExpectWrong(CheckReads(history_), "found nothing under k instead of 'b'");
  history_.scans.back().pairs = {{"k", "b"}};
  EXPECT_EQ(CheckReads(history_), "");
  history_.scans.back().promise.min_version = Version(9);
  ExpectWrong(CheckReads(history_), "had to be at or above version 9");
}

TEST_F(VersionsTest, OneVersionHasOneAnswer) {
  Read("a", 5, 7);
  Read("a", 5, 7);
  Scan({{"k", "a"}}, 7);
  Scan({{"k", "a"}}, 7);
  EXPECT_EQ(CheckSnapshots(history_), "");
  Read("b", 6, 7);
  ExpectWrong(CheckSnapshots(history_), "two reads of k at version 7");
  history_.reads.pop_back();
  Scan({{"k", "b"}}, 7);
  ExpectWrong(CheckSnapshots(history_), "two scans of a to z at version 7 differ");
  history_.scans.pop_back();
  history_.scans.pop_back();
  history_.scans.back().pairs = {};
  ExpectWrong(CheckSnapshots(history_), "at version 7 a scan");
}

class StampsTest : public VersionsTest {
 protected:
  static std::string KeyOf(const std::string& token, char version) {
    return "log/" + token + "/" + std::string(7, '\0') + version + std::string(2, '\0');
  }
  void Append(const std::string& token, char version, Outcome outcome = Outcome::kOk) {
    StampRecord s;
    s.when = Next();
    s.token = token;
    s.outcome = outcome;
    s.version = Version(static_cast<std::uint64_t>(version));
    s.generated = KeyOf(token, version);
    history_.stamps.push_back(s);
  }
};

TEST_F(StampsTest, AcknowledgedAppendsAreThereOnce) {
  Append("a", 5);
  Append("b", 6, Outcome::kUnknown);
  history_.final_stamps = {KeyOf("a", 5)};
  EXPECT_EQ(CheckStamps(history_), "");
  history_.final_stamps = {KeyOf("a", 5), KeyOf("b", 6)};
  EXPECT_EQ(CheckStamps(history_), "");
  history_.final_stamps = {KeyOf("b", 6)};
  ExpectWrong(CheckStamps(history_), "was acknowledged, and is not there");
  history_.final_stamps = {KeyOf("a", 5), KeyOf("a", 7)};
  ExpectWrong(CheckStamps(history_), "was applied 2 times");
}

TEST_F(StampsTest, FailedAppendsAreNotThere) {
  Append("a", 5, Outcome::kFailed);
  history_.final_stamps = {KeyOf("a", 5)};
  ExpectWrong(CheckStamps(history_), "failed, and is there");
}

TEST_F(StampsTest, AppendsSentAgainMayBeThereAsOftenAsTheyWereSent) {
  Append("a", 7);
  history_.stamps.back().most = 2;
  history_.final_stamps = {KeyOf("a", 5), KeyOf("a", 7)};
  EXPECT_EQ(CheckStamps(history_), "");
  history_.final_stamps = {KeyOf("a", 5), KeyOf("a", 6)};
  ExpectWrong(CheckStamps(history_), "answered with another key");
  history_.final_stamps = {KeyOf("a", 5), KeyOf("a", 6), KeyOf("a", 7)};
  ExpectWrong(CheckStamps(history_), "was applied 3 times");
}

TEST_F(StampsTest, StampsAreTheVersionsOfTheirCommits) {
  Append("a", 5);
  history_.stamps.back().version = Version(6);
  history_.final_stamps = {KeyOf("a", 5)};
  ExpectWrong(CheckStamps(history_), "a stamp that is not its version 6");
  history_.final_stamps = {KeyOf("a", 6)};
  ExpectWrong(CheckStamps(history_), "answered with another key");
}

TEST_F(StampsTest, StampsAreUnique) {
  Append("a", 5);
  Append("b", 5, Outcome::kUnknown);
  history_.final_stamps = {KeyOf("a", 5), KeyOf("b", 5)};
  ExpectWrong(CheckStamps(history_), "one stamp");
}

}  // namespace
}  // namespace cairn::sim
