// The leader's memory of forwarded writes: every copy of a request gets the same answer, however
// often the network doubles it. Sessions keep a command from being applied twice; this table keeps
// a refusal true: a copy that is refused while another one is in the log would make the client
// believe that nothing was applied.
//
// Bounded: by the floor that each process names, by kMaxOpen requests of one process, and by the
// processes of a node that are remembered. What the bounds do not allow is dropped, not refused.
//
// Thread safety: owned by the core executor.
#ifndef CAIRN_SRC_REPLICATION_FORWARD_TABLE_H_
#define CAIRN_SRC_REPLICATION_FORWARD_TABLE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/replication/forward_messages.h"

namespace cairn::replication {

class ForwardTable {
 public:
  static constexpr std::size_t kMaxOpen = 8192;
  static constexpr std::size_t kProcessesOfANode = 4;

  enum class Verdict : std::uint8_t {
    kNew,       // handle it, then call Answered
    kDrop,      // a copy of one that is being handled, or of one nobody waits for
    kAnswered,  // `status` and `version` were its answer
  };
  struct Seen {
    Verdict verdict = Verdict::kNew;
    Status status;
    Version version;
  };

  Seen Look(NodeId from, const ForwardRequest& request) {
    Process* const process = Find(from, request.boot);
    process->floor = std::max(process->floor, request.floor);
    process->open.erase(process->open.begin(), process->open.lower_bound(process->floor));
    if (request.id < process->floor) return {Verdict::kDrop, {}, {}};
    const auto it = process->open.find(request.id);
    if (it != process->open.end()) {
      if (!it->second) return {Verdict::kDrop, {}, {}};
      return {Verdict::kAnswered, it->second->first, it->second->second};
    }
    if (process->open.size() >= kMaxOpen) return {Verdict::kDrop, {}, {}};
    process->open.emplace(request.id, std::nullopt);
    return {};
  }

  // The answer, without what the operation generated: that is made again from the copy.
  void Answered(NodeId from, const ForwardResponse& response) {
    for (Process& process : nodes_[from]) {
      if (process.boot != response.boot) continue;
      const auto it = process.open.find(response.id);
      if (it != process.open.end()) it->second = {response.status, response.result.version};
      return;
    }
  }

 private:
  struct Process {
    std::uint64_t boot = 0;
    std::uint64_t floor = 0;
    // Nothing: being handled.
    std::map<std::uint64_t, std::optional<std::pair<Status, Version>>> open;
  };

  Process* Find(NodeId from, std::uint64_t boot) {
    std::deque<Process>& processes = nodes_[from];
    for (Process& process : processes) {
      if (process.boot == boot) return &process;
    }
    if (processes.size() >= kProcessesOfANode) processes.pop_front();
    processes.emplace_back();
    processes.back().boot = boot;
    return &processes.back();
  }

  std::map<NodeId, std::deque<Process>> nodes_;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FORWARD_TABLE_H_
