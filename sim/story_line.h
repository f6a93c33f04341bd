// A step of the story of a history, as the world tells it while it runs.
//
// Thread safety: plain values.
#ifndef CAIRN_SIM_STORY_LINE_H_
#define CAIRN_SIM_STORY_LINE_H_

#include <cstdint>
#include <string>

#include "src/base/clock.h"

namespace cairn::sim {

struct StoryLine {
  enum class Kind : std::uint8_t {
    kFault,
    kNode,     // starts, ends, changes its role
    kMessage,  // between cores, when it arrives
    kDisk,     // something was synced, cut off or installed
    kCommit,   // a core learns that something is committed
    kApply,
    kCall,    // a client asks a node
    kAnswer,  // and is answered
    kClient,  // what a client makes of it
    kTrouble  // the violation
  };

  Kind kind = Kind::kNode;
  MonotonicTime at;
  int from = -1;    // node: kMessage, kAnswer
  int to = -1;      // node: all but kAnswer, kClient and kTrouble
  int client = -1;  // kCall, kAnswer, kClient; -1 there: whoever looks at everything at the end
  // Says nothing that the line before of its kind did not say: a heartbeat and its answer.
  bool routine = false;
  std::string text;

  friend bool operator==(const StoryLine&, const StoryLine&) = default;
};

// "c2"; "x" for whoever looks at everything at the end.
std::string ClientName(int client);
// "    4.123456  n0 -> n1  Append e3 prev 7/2 commit 6 round 4 [8/3]", without a line break.
std::string ToString(const StoryLine& line);

}  // namespace cairn::sim

#endif  // CAIRN_SIM_STORY_LINE_H_
