// Recorded histories: what is read from each kind of line, and what is refused.
#include "sim/check/history_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

History Parsed(std::string_view text) {
  Result<History> history = ParseHistory(text, "h");
  EXPECT_TRUE(history.ok()) << history.status().ToString();
  return history.ok() ? *std::move(history) : History{};
}

std::string Refused(std::string_view text) {
  const Result<History> history = ParseHistory(text, "h");
  EXPECT_FALSE(history.ok()) << text;
  return history.status().message();
}

TEST(HistoryFile, EveryKindOfLineIsRead) {
  const History history = Parsed(
      R"({"kind":"write","client":1,"begin":1,"end":2,"began_us":5,"ended_us":7,"key":"k","value":"v","outcome":"ok","version":9,"commit":3})"
      "\n"
      R"({"kind":"write","client":1,"begin":3,"key":"k","value":null,"outcome":"unknown","commit":4})"
      "\n\n"
      R"({"kind":"read","client":2,"begin":4,"end":5,"key":"k","value":"v","version":9,"at":10,"linearizable":true,"min_version":8,"max_staleness_us":50})"
      "\n"
      R"({"kind":"scan","client":2,"begin":6,"end":7,"from":"a","to":"z","pairs":[["k","v"]],"at":10})"
      "\n"
      R"({"kind":"version","client":2,"begin":8,"end":9,"version":10,"linearizable":true})"
      "\n"
      R"({"kind":"transaction","client":3,"begin":10,"end":11,"outcome":"ok","reads":[["l",[1,2]]],"appends":[["l",3]],"version":11})"
      "\n"
      R"({"kind":"stamp","client":3,"begin":12,"end":13,"token":"t","outcome":"ok","version":12,"generated":"7fff"})"
      "\n"
      R"({"kind":"final_stamps","keys":["7fff"]})");
  ASSERT_EQ(history.writes.size(), 2U);
  EXPECT_EQ(history.writes[0].when.end, 2U);
  EXPECT_EQ(history.writes[0].when.began_at.ns, 5000);
  EXPECT_EQ(history.writes[0].when.ended_at.ns, 7000);
  EXPECT_EQ(history.writes[0].value, "v");
  EXPECT_EQ(history.writes[0].version, Version(9));
  EXPECT_EQ(history.writes[1].when.end, Interval::kNever);
  EXPECT_EQ(history.writes[1].value, std::nullopt);
  EXPECT_EQ(history.writes[1].outcome, Outcome::kUnknown);
  ASSERT_EQ(history.reads.size(), 1U);
  EXPECT_TRUE(history.reads[0].promise.linearizable);
  EXPECT_EQ(history.reads[0].promise.min_version, Version(8));
  EXPECT_EQ(history.reads[0].promise.max_staleness, std::chrono::microseconds(50));
  EXPECT_EQ(history.reads[0].at, Version(10));
  ASSERT_EQ(history.scans.size(), 1U);
  EXPECT_THAT(history.scans[0].pairs, ElementsAre(Pair("k", "v")));
  ASSERT_EQ(history.versions.size(), 1U);
  EXPECT_EQ(history.versions[0].version, Version(10));
  ASSERT_EQ(history.transactions.size(), 1U);
  EXPECT_TRUE(history.transactions[0].strict);
  EXPECT_THAT(history.transactions[0].reads, ElementsAre(Pair("l", ElementsAre(1, 2))));
  EXPECT_THAT(history.transactions[0].appends, ElementsAre(Pair("l", 3)));
  ASSERT_EQ(history.stamps.size(), 1U);
  EXPECT_EQ(history.stamps[0].generated, "\x7f\xff");
  EXPECT_THAT(*history.final_stamps, ElementsAre("\x7f\xff"));
}

TEST(HistoryFile, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_THAT(Refused("\n{"), HasSubstr("h:2: it is not JSON"));
  EXPECT_THAT(Refused("[]"), HasSubstr("h:1: it is no object"));
  EXPECT_THAT(Refused("{}"), HasSubstr("'kind' is missing"));
  EXPECT_THAT(Refused(R"({"kind":"wish"})"), HasSubstr("the kind 'wish' is not known"));
  EXPECT_THAT(Refused(R"({"kind":"version","client":"one"})"),
              HasSubstr("'client' is of the wrong type"));
  EXPECT_THAT(Refused(R"({"kind":"version","client":1,"begin":-1})"),
              HasSubstr("'begin' is no count"));
  EXPECT_THAT(Refused(R"({"kind":"version","client":1,"begin":3,"end":2})"),
              HasSubstr("ends before it begins"));
  EXPECT_THAT(Refused(R"({"kind":"version","client":1,"begin":1,"end":2,"verison":3})"),
              HasSubstr("a field that is not known"));
  EXPECT_THAT(Refused(R"({"kind":"final_stamps","keys":["7"]})"), HasSubstr("odd length"));
  EXPECT_THAT(Refused(R"({"kind":"final_stamps","keys":["7G"]})"), HasSubstr("'G'"));
}

TEST(HistoryFile, AMissingFileIsNamed) {
  EXPECT_THAT(LoadHistory("/nowhere/h").status().message(), HasSubstr("/nowhere/h"));
}

TEST(HistoryFile, AStaleReadOfARecordedHistoryIsFound) {
  const std::string writes =
      R"({"kind":"write","client":1,"begin":1,"end":2,"key":"k","value":"a","outcome":"ok","version":5,"commit":1})"
      "\n"
      R"({"kind":"write","client":1,"begin":3,"end":4,"key":"k","value":"b","outcome":"ok","version":6,"commit":2})"
      "\n";
  const auto read = [&](const std::string& value) {
    return CheckHistory(Parsed(
        writes +
        R"({"kind":"read","client":2,"begin":5,"end":6,"key":"k","linearizable":true,"value":")" +
        value + "\"}"));
  };
  EXPECT_EQ(read("b"), "");
  EXPECT_NE(read("a"), "");
}

}  // namespace
}  // namespace cairn::sim
