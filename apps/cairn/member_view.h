// What `cairn cluster members` shows of a node's answer. Two kinds of figures stand side by side:
// those of the moment (how far a peer's log reaches, as it has acknowledged to the leader, and what
// the node that answers says of itself), and those of a member's last report, which are as old as
// that is. Both forms of output tell them apart.
//
// Thread safety: pure functions.
#ifndef CAIRN_APPS_CAIRN_MEMBER_VIEW_H_
#define CAIRN_APPS_CAIRN_MEMBER_VIEW_H_

#include <nlohmann/json.hpp>
#include <string>

#include "api/cairn.pb.h"

namespace cairn::cli {

// For people: a row a member. Column "log" is of the moment and "-" if it is not known; "applied",
// and a problem in "state", are as old as "reported" says.
[[nodiscard]] std::string MembersTable(const v1::ListMembersResponse& all);

// For programs: docs/command_line.md. What a member reported stands in its `report`, with its age.
[[nodiscard]] nlohmann::ordered_json MembersJson(const v1::ListMembersResponse& all);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_MEMBER_VIEW_H_
