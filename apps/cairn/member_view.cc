#include "apps/cairn/member_view.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <utility>

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;
using v1::ListMembersResponse;
using v1::Member;

const char* NameOf(Member::Kind kind) {
  switch (kind) {
    case Member::KIND_VOTER:
      return "voter";
    case Member::KIND_LEARNER:
      return "learner";
    case Member::KIND_JOINING:
      return "joining";
    case Member::KIND_LEAVING:
      return "leaving";
    default:
      return "unknown";
  }
}

// Whether it is the node that answered, which speaks of itself.
bool IsSelf(const Member& member, const ListMembersResponse& all) {
  return member.node_id() == all.answered_by() && member.kind() != Member::KIND_LEAVING;
}

// Up to where the member holds the log, exact when the answer was made: a leader's peers have
// acknowledged it, and the node that answers knows its own. Nothing if nobody leads, of others, and
// of a member that has acknowledged nothing to this leader and is silent.
std::optional<std::uint64_t> LogOf(const Member& member, const ListMembersResponse& all) {
  if (IsSelf(member, all)) return all.last_slot();
  if (!member.has_match_slot() || (member.match_slot() == 0 && !member.answers())) {
    return std::nullopt;
  }
  return member.match_slot();
}

// Slots of the leader's log that the member lacks; nothing of itself, or if that is not known.
std::optional<std::uint64_t> LagOf(const Member& member, const ListMembersResponse& all) {
  const std::optional<std::uint64_t> log = LogOf(member, all);
  if (!member.has_match_slot() || !log) return std::nullopt;
  return all.last_slot() > *log ? all.last_slot() - *log : 0;
}

// How old the member's report is, on which all rests that the leader does not know by itself.
std::string ReportAge(const Member& member, const ListMembersResponse& all) {
  if (IsSelf(member, all)) return "now";
  if (!member.has_report_age_ms()) return "-";
  return fmt::format("{:.1f} s ago", static_cast<double>(member.report_age_ms()) / 1000);
}

ordered_json ToJson(const Member& member, const ListMembersResponse& all) {
  ordered_json document = {{"node_id", member.node_id()},
                           {"kind", NameOf(member.kind())},
                           {"is_leader", member.is_leader()},
                           {"peer_endpoint", member.peer_endpoint()},
                           {"thrift_endpoint", member.thrift_endpoint()},
                           {"grpc_endpoint", member.grpc_endpoint()},
                           {"incarnation", fmt::format("{:016x}", member.incarnation())}};
  if (member.has_answers()) document["answers"] = member.answers();
  if (member.has_match_slot()) document["match_slot"] = member.match_slot();
  if (const auto lag = LagOf(member, all)) document["lag_slots"] = *lag;
  if (member.has_last_contact_ms()) document["last_contact_ms"] = member.last_contact_ms();
  if (member.has_needs_snapshot()) document["needs_snapshot"] = member.needs_snapshot();
  if (member.has_honours_lease()) document["honours_lease"] = member.honours_lease();
  if (member.has_applied_slot()) document["applied_slot"] = member.applied_slot();
  if (member.has_applied_version()) document["applied_version"] = member.applied_version();
  if (member.has_report_age_ms()) document["report_age_ms"] = member.report_age_ms();
  if (!member.problem().empty()) document["problem"] = member.problem();
  if (IsSelf(member, all) || !member.has_report_age_ms()) return document;
  // The same once more, for the label: what is in here is as old as it says, all else is not.
  document["report"] = {{"age_ms", member.report_age_ms()},
                        {"applied_slot", member.applied_slot()},
                        {"applied_version", member.applied_version()},
                        {"problem", member.problem()}};
  return document;
}

// Without a leader only what the node that answers has heard of the member is known.
std::string RemarkWithoutLeader(const Member& member, const ListMembersResponse& all) {
  if (member.node_id() == all.answered_by()) {
    return member.problem().empty() ? "answers" : member.problem();
  }
  if (!member.has_report_age_ms()) {
    return fmt::format("silent: node {} has never heard of it", all.answered_by());
  }
  const double age = static_cast<double>(member.report_age_ms()) / 1000;
  if (age < 3 && !member.problem().empty()) return member.problem();
  // Nodes report about once a second.
  return fmt::format("{}node {} heard of it {:.1f} s ago",
                     age < 3 ? "" : "silent: ", all.answered_by(), age);
}

std::string Remark(const Member& member, const ListMembersResponse& all) {
  if (!all.has_leader_id()) return RemarkWithoutLeader(member, all);
  // What one that is silent said before counts no more.
  if (!member.problem().empty() && (!member.has_answers() || member.answers())) {
    return member.problem();
  }
  if (member.is_leader()) return "leads";
  if (!member.has_answers()) return "";
  const bool ever = member.has_applied_slot();
  if (!member.answers()) {
    return ever ? fmt::format("silent for {:.1f} s",
                              static_cast<double>(member.last_contact_ms()) / 1000)
                : "has not come yet";
  }
  if (member.needs_snapshot()) return "gets a snapshot";
  const std::string lag = fmt::format("{} slots behind", LagOf(member, all).value_or(0));
  const bool counts = member.kind() == Member::KIND_VOTER || member.kind() == Member::KIND_LEAVING;
  if (!counts || !member.has_honours_lease() || member.honours_lease()) return lag;
  return lag + ", and does not honour leases";
}

std::string OrDash(const std::optional<std::uint64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

}  // namespace

std::string MembersTable(const ListMembersResponse& all) {
  constexpr const char* kRow = "{:<5} {:<8} {:<22} {:>12} {:>12} {:>12}  {}\n";
  std::string table = fmt::format(fmt::runtime(kRow), "node", "kind", "peers", "log", "applied",
                                  "reported", "state");
  for (const Member& member : all.members()) {
    std::optional<std::uint64_t> applied;
    if (member.has_applied_slot()) applied = member.applied_slot();
    table += fmt::format(fmt::runtime(kRow), member.node_id(), NameOf(member.kind()),
                         member.peer_endpoint(), OrDash(LogOf(member, all)), OrDash(applied),
                         ReportAge(member, all), Remark(member, all));
  }
  if (!all.has_leader_id()) table += "nobody is known to lead\n";
  if (all.changing()) table += "a change of the voters is under way\n";
  return table;
}

ordered_json MembersJson(const ListMembersResponse& all) {
  ordered_json members = ordered_json::array();
  for (const Member& member : all.members()) members.push_back(ToJson(member, all));
  ordered_json document = {{"answered_by", all.answered_by()}};
  if (all.has_leader_id()) document["leader_id"] = all.leader_id();
  document["epoch"] = all.epoch();
  document["last_slot"] = all.last_slot();
  document["committed_slot"] = all.committed_slot();
  document["changing"] = all.changing();
  document["members"] = std::move(members);
  return document;
}

}  // namespace cairn::cli
