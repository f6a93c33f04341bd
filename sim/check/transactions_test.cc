#include <gtest/gtest.h>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

using Reads = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;
using Appends = std::vector<std::pair<std::string, std::int64_t>>;

class TransactionsTest : public testing::Test {
 protected:
  // Transactions follow one another in real time unless they are given overlapping intervals.
  TransactionRecord& Add(Reads reads, Appends appends, Outcome outcome = Outcome::kOk) {
    TransactionRecord t;
    t.when.begin = ++now_;
    t.when.end = ++now_;
    t.reads = std::move(reads);
    t.appends = std::move(appends);
    t.outcome = outcome;
    history_.transactions.push_back(t);
    return history_.transactions.back();
  }
  // The same, all at once.
  void AddConcurrent(Reads reads, Appends appends, Outcome outcome = Outcome::kOk) {
    TransactionRecord& t = Add(std::move(reads), std::move(appends), outcome);
    t.when.begin = 0;
    t.when.end = 1'000'000;
  }
  void ExpectRight() { EXPECT_EQ(CheckTransactions(history_), ""); }
  void ExpectWrong(const std::string& what) {
    EXPECT_EQ(CheckTransactions(history_).substr(0, what.size()), what);
  }

  History history_;
  std::uint64_t now_ = 0;
};

TEST_F(TransactionsTest, ASerialHistoryIsRight) {
  Add({{"x", {}}, {"y", {}}}, {{"x", 1}});
  Add({{"x", {1}}}, {{"x", 2}, {"y", 3}});
  Add({{"x", {1, 2}}, {"y", {3}}}, {});
  ExpectRight();
}

TEST_F(TransactionsTest, AnAbortedReadIsG1a) {
  Add({}, {{"x", 1}}, Outcome::kFailed);
  Add({{"x", {1}}}, {});
  ExpectWrong("G1a");
}

TEST_F(TransactionsTest, AnUnknownTransactionMayBeSeen) {
  Add({}, {{"x", 1}}, Outcome::kUnknown);
  Add({{"x", {1}}}, {});
  ExpectRight();
}

TEST_F(TransactionsTest, AnIntermediateReadIsG1b) {
  AddConcurrent({}, {{"x", 1}, {"x", 2}});
  AddConcurrent({{"x", {1}}}, {});
  AddConcurrent({{"x", {1, 2}}}, {});
  ExpectWrong("G1b");
}

TEST_F(TransactionsTest, AWriteCycleIsG0) {
  AddConcurrent({}, {{"x", 1}, {"y", 1}});
  AddConcurrent({}, {{"x", 2}, {"y", 2}});
  AddConcurrent({{"x", {1, 2}}}, {});
  AddConcurrent({{"y", {2, 1}}}, {});
  ExpectWrong("G0 (");
}

TEST_F(TransactionsTest, CircularInformationFlowIsG1c) {
  AddConcurrent({{"y", {2}}}, {{"x", 1}});
  AddConcurrent({{"x", {1}}}, {{"y", 2}});
  ExpectWrong("G1c (");
}

TEST_F(TransactionsTest, HalfATransactionIsGSingle) {
  AddConcurrent({}, {{"x", 1}, {"y", 2}});
  AddConcurrent({{"x", {1}}, {"y", {}}}, {});
  AddConcurrent({{"y", {2}}}, {});
  ExpectWrong("G-single (");
}

TEST_F(TransactionsTest, ALostUpdateIsFound) {
  AddConcurrent({{"x", {}}}, {{"x", 1}});
  AddConcurrent({{"x", {}}}, {{"x", 2}});
  AddConcurrent({{"x", {1, 2}}}, {});
  ExpectWrong("G-single (");
}

TEST_F(TransactionsTest, WriteSkewIsG2) {
  AddConcurrent({{"x", {}}, {"y", {}}}, {{"x", 1}});
  AddConcurrent({{"x", {}}, {"y", {}}}, {{"y", 2}});
  AddConcurrent({{"x", {1}}, {"y", {2}}}, {});
  ExpectWrong("G2 (");
}

TEST_F(TransactionsTest, AStaleReadIsWrongInRealTimeOnly) {
  Add({}, {{"x", 1}});
  Add({{"x", {}}}, {});
  Add({{"x", {1}}}, {});
  ExpectWrong("G-single in real time");
  history_.transactions[1].strict = false;
  ExpectRight();
}

TEST_F(TransactionsTest, OneOfUnknownFateThatNobodySawMayHaveReadAnOldState) {
  Add({}, {{"x", 1}});
  Add({{"x", {}}}, {{"x", 2}}, Outcome::kUnknown);
  Add({{"x", {1}}}, {});
  ExpectRight();
  Add({{"x", {1, 2}}}, {});
  ExpectWrong("G-single (");
}

TEST_F(TransactionsTest, AnAcknowledgedAppendThatNobodySeesIsLost) {
  Add({}, {{"x", 1}});
  Add({}, {{"x", 2}});
  Add({{"x", {1}}}, {});
  ExpectWrong("G-single in real time");
}

TEST_F(TransactionsTest, OrdersThatDifferAreFound) {
  AddConcurrent({}, {{"x", 1}});
  AddConcurrent({}, {{"x", 2}});
  AddConcurrent({{"x", {1, 2}}}, {});
  AddConcurrent({{"x", {2, 1}}}, {});
  ExpectWrong("incompatible orders of x");
}

TEST_F(TransactionsTest, AnElementThatIsThereTwiceIsFound) {
  Add({}, {{"x", 1}});
  Add({{"x", {1, 1}}}, {});
  ExpectWrong("element 1 is twice in x");
}

TEST_F(TransactionsTest, AnElementFromNowhereIsFound) {
  Add({{"x", {7}}}, {});
  ExpectWrong("element 7 of x was appended by nobody");
}

}  // namespace
}  // namespace cairn::sim
