#include "apps/cairn/member_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace cairn::cli {
namespace {

using ::testing::HasSubstr;
using v1::ListMembersResponse;
using v1::Member;

// Node 0 answers, and leads if `led`; its log ends at slot 90. Nodes 1 to 3 vote.
ListMembersResponse Answer(bool led) {
  ListMembersResponse all;
  all.set_answered_by(0);
  all.set_last_slot(90);
  all.set_committed_slot(88);
  if (led) all.set_leader_id(0);
  for (std::uint32_t node = 0; node < 4; ++node) {
    Member* const member = all.add_members();
    member->set_node_id(node);
    member->set_kind(Member::KIND_VOTER);
    member->set_peer_endpoint("host" + std::to_string(node) + ":1");
  }
  Member* const self = all.mutable_members(0);
  self->set_is_leader(led);
  self->set_applied_slot(88);
  self->set_applied_version(70);
  self->set_report_age_ms(0);
  return all;
}

void Reported(Member* member, std::uint64_t applied, std::uint64_t version, std::uint64_t age_ms) {
  member->set_applied_slot(applied);
  member->set_applied_version(version);
  member->set_report_age_ms(age_ms);
}

void Progress(Member* member, std::uint64_t match, bool answers) {
  member->set_match_slot(match);
  member->set_answers(answers);
  member->set_last_contact_ms(answers ? 10 : 7300);
}

// The words of a row of the table.
std::vector<std::string> Row(const std::string& table, std::size_t row) {
  std::istringstream lines(table);
  std::string line;
  for (std::size_t i = 0; i <= row; ++i) std::getline(lines, line);
  std::istringstream words(line);
  std::vector<std::string> all;
  for (std::string word; words >> word;) all.push_back(word);
  return all;
}

using Words = std::vector<std::string>;

// Node 1 holds all, and reported a while ago; node 2 lacks 5; node 3 has said nothing to this
// leader.
ListMembersResponse Led() {
  ListMembersResponse all = Answer(true);
  Reported(all.mutable_members(1), 40, 30, 640);
  Progress(all.mutable_members(1), 90, true);
  Progress(all.mutable_members(2), 85, true);
  Reported(all.mutable_members(3), 60, 50, 7210);
  Progress(all.mutable_members(3), 0, false);
  return all;
}

TEST(MemberViewTest, TheTableTellsWhatIsExactFromWhatWasReportedAndWhen) {
  const std::string table = MembersTable(Led());
  EXPECT_EQ(Row(table, 0), (Words{"node", "kind", "peers", "log", "applied", "reported", "state"}));
  EXPECT_EQ(Row(table, 1), (Words{"0", "voter", "host0:1", "90", "88", "now", "leads"}));
  EXPECT_EQ(Row(table, 2), (Words{"1", "voter", "host1:1", "90", "40", "0.6", "s", "ago", "0",
                                  "slots", "behind"}));
  EXPECT_EQ(Row(table, 3),
            (Words{"2", "voter", "host2:1", "85", "-", "-", "5", "slots", "behind"}));
  EXPECT_EQ(Row(table, 4), (Words{"3", "voter", "host3:1", "-", "60", "7.2", "s", "ago", "silent",
                                  "for", "7.3", "s"}));
}

TEST(MemberViewTest, JsonKeepsItsFieldsAndLabelsTheReport) {
  const auto members = MembersJson(Led())["members"];
  EXPECT_EQ(90, members[1]["match_slot"]);
  EXPECT_EQ(0, members[1]["lag_slots"]);
  EXPECT_EQ(40, members[1]["applied_slot"]);
  EXPECT_EQ(30, members[1]["applied_version"]);
  EXPECT_EQ(640, members[1]["report_age_ms"]);
  const nlohmann::ordered_json report = {
      {"age_ms", 640}, {"applied_slot", 40}, {"applied_version", 30}, {"problem", ""}};
  EXPECT_EQ(report, members[1]["report"]);
  EXPECT_EQ(5, members[2]["lag_slots"]);
  EXPECT_FALSE(members[2].contains("report"));
  // It speaks of itself.
  EXPECT_EQ(88, members[0]["applied_slot"]);
  EXPECT_EQ(0, members[0]["report_age_ms"]);
  EXPECT_FALSE(members[0].contains("report"));
  EXPECT_FALSE(members[0].contains("lag_slots"));
  // That node 3 lacks the whole log was not measured.
  EXPECT_FALSE(members[3].contains("lag_slots"));
}

TEST(MemberViewTest, WithoutALeaderNobodysLagIsKnown) {
  ListMembersResponse all = Answer(false);
  Reported(all.mutable_members(1), 40, 30, 640);
  const std::string table = MembersTable(all);
  EXPECT_EQ(Row(table, 1), (Words{"0", "voter", "host0:1", "90", "88", "now", "answers"}));
  EXPECT_EQ(Row(table, 2), (Words{"1", "voter", "host1:1", "-", "40", "0.6", "s", "ago", "node",
                                  "0", "heard", "of", "it", "0.6", "s", "ago"}));
  EXPECT_THAT(table, HasSubstr("nobody is known to lead"));
  EXPECT_FALSE(MembersJson(all)["members"][1].contains("lag_slots"));
}

}  // namespace
}  // namespace cairn::cli
