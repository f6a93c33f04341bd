#include <gtest/gtest.h>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

Interval From(std::uint64_t begin, std::uint64_t end) {
  Interval when;
  when.begin = begin;
  when.end = end;
  return when;
}

class LinearizableTest : public testing::Test {
 protected:
  void Write(Value value, std::uint64_t begin, std::uint64_t end, Outcome outcome = Outcome::kOk) {
    WriteRecord write;
    write.when = From(begin, end);
    write.key = "k";
    write.value = std::move(value);
    write.outcome = outcome;
    history_.writes.push_back(write);
  }
  void Read(Value value, std::uint64_t begin, std::uint64_t end, bool linearizable = true) {
    ReadRecord read;
    read.when = From(begin, end);
    read.key = "k";
    read.value = std::move(value);
    read.promise.linearizable = linearizable;
    history_.reads.push_back(read);
  }
  void ExpectRight() { EXPECT_EQ(CheckLinearizable(history_), ""); }
  void ExpectWrong() {
    EXPECT_NE(CheckLinearizable(history_).find("not linearizable: key k"), std::string::npos);
  }

  History history_;
};

TEST_F(LinearizableTest, ReadsOfTheLastWriteAreRight) {
  Read(std::nullopt, 1, 2);
  Write("a", 3, 4);
  Read("a", 5, 6);
  Write(std::nullopt, 7, 8);
  Read(std::nullopt, 9, 10);
  ExpectRight();
}

TEST_F(LinearizableTest, AStaleReadIsWrong) {
  Write("a", 1, 2);
  Write("b", 3, 4);
  Read("a", 5, 6);
  ExpectWrong();
}

TEST_F(LinearizableTest, ALostWriteIsWrong) {
  Write("a", 1, 2);
  Read(std::nullopt, 3, 4);
  ExpectWrong();
}

TEST_F(LinearizableTest, ConcurrentReadsMaySeeEither) {
  Write("a", 1, 2);
  Write("b", 3, 10);
  Read("a", 4, 5);
  Read("b", 6, 7);
  ExpectRight();
}

TEST_F(LinearizableTest, ConcurrentReadsMayNotGoBack) {
  Write("a", 1, 2);
  Write("b", 3, 10);
  Read("b", 4, 5);
  Read("a", 6, 7);
  ExpectWrong();
}

TEST_F(LinearizableTest, TwoReadersMustAgreeOnTheOrderOfConcurrentWrites) {
  Write("a", 1, 10);
  Write("b", 2, 11);
  Read("a", 12, 13);
  Read("b", 14, 15);
  ExpectWrong();
}

TEST_F(LinearizableTest, AnUnknownWriteMayAppearLateOrNever) {
  Write("a", 1, 2);
  Write("b", 3, Interval::kNever, Outcome::kUnknown);
  Write("c", 4, Interval::kNever, Outcome::kUnknown);
  Read("a", 5, 6);
  Read("a", 7, 8);
  Read("b", 9, 10);
  ExpectRight();
}

TEST_F(LinearizableTest, AnUnknownWriteTakesEffectOnce) {
  Write("a", 1, 2);
  Write("b", 3, Interval::kNever, Outcome::kUnknown);
  Read("b", 5, 6);
  Write("c", 7, 8);
  Read("b", 9, 10);
  ExpectWrong();
}

TEST_F(LinearizableTest, AnUnknownDeleteMayBeWhatAReadSaw) {
  Write("a", 1, 2);
  Write(std::nullopt, 3, Interval::kNever, Outcome::kUnknown);
  Read(std::nullopt, 5, 6);
  Read(std::nullopt, 7, 8);
  ExpectRight();
}

TEST_F(LinearizableTest, AnUnknownWriteIsNotReadBeforeItBegan) {
  Read("b", 1, 2);
  Write("b", 3, Interval::kNever, Outcome::kUnknown);
  ExpectWrong();
}

TEST_F(LinearizableTest, AFailedWriteIsNeverRead) {
  Write("a", 1, 2, Outcome::kFailed);
  Read("a", 3, 4);
  ExpectWrong();
}

TEST_F(LinearizableTest, LocalReadsAreNotJudgedHere) {
  Write("a", 1, 2);
  Read(std::nullopt, 3, 4, false);
  ExpectRight();
}

TEST_F(LinearizableTest, ManyConcurrentWritesAreSearchedQuickly) {
  for (std::uint64_t i = 0; i < 40; ++i) {
    Write(std::to_string(i), 1 + i, 1000 + i, Outcome::kUnknown);
  }
  for (std::uint64_t i = 0; i < 40; ++i) Read(std::to_string(39 - i), 100 + 2 * i, 101 + 2 * i);
  ExpectRight();
}

// A search that ends at its bound says so.
TEST_F(LinearizableTest, ASearchThatIsGivenUpIsCounted) {
  Write("a", 1, 2);
  Write("b", 3, 4);
  Read("a", 5, 6);
  std::uint64_t given_up = 0;
  EXPECT_EQ(CheckLinearizable(history_, &given_up, 1), "");
  EXPECT_EQ(given_up, 1u);
  EXPECT_NE(CheckLinearizable(history_, &given_up), "");
  EXPECT_EQ(given_up, 1u);
}

}  // namespace
}  // namespace cairn::sim
