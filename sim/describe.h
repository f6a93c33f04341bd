// What is said in a history, in a few words, for its story.
//
// Thread safety: pure functions.
#ifndef CAIRN_SIM_DESCRIBE_H_
#define CAIRN_SIM_DESCRIBE_H_

#include <string>
#include <string_view>

#include "sim/client.h"

namespace cairn::sim {

// "set reg/3 = '0.4', session 2 sequence 5", "get reg/3 at the leader".
std::string Describe(const Request& request);
// "version 17", "'0.4' of version 17", "NOT_LEADER: ...".
std::string Describe(const Answer& answer);

// A message of a core: "Append e3 prev 7/2 commit 6 round 4 [8/3]".
std::string DescribeMessage(std::string_view body);
// The same without what tells one heartbeat, or one barrier, from the next.
std::string GistOf(const std::string& text);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_DESCRIBE_H_
