// The world of one history: nodes, network, clients, and the faults that strike them.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_WORLD_H_
#define CAIRN_SIM_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/check/history.h"
#include "sim/client.h"
#include "sim/effects.h"
#include "sim/group_watch.h"
#include "sim/invariants.h"
#include "sim/network.h"
#include "sim/plan.h"
#include "sim/scheduler.h"
#include "sim/sim_node.h"
#include "sim/simulation.h"

namespace cairn::sim {

class World final : public Door {
 public:
  World(const Plan& plan, const SimulationOptions& options);
  ~World() override = default;

  SimulationReport Run();

  // ---- Door
  void Call(int client, NodeId node, Request request, std::function<void(Answer)> done) override;
  [[nodiscard]] std::uint32_t node_count() const override { return plan_.nodes; }
  [[nodiscard]] std::optional<NodeId> NodeOfHint(const std::string& endpoint) const override;
  [[nodiscard]] std::optional<Duration> local_staleness() const override;

 private:
  struct Pending;  // a request on its way

  [[nodiscard]] SimNodeOptions NodeOptions(NodeId id);
  SimNode& node(NodeId id) { return *nodes_[id.value()]; }
  void Violation(ViolationKind kind, const std::string& what);
  [[nodiscard]] bool ok() const { return report_.violation.empty(); }
  void Tell(StoryLine::Kind kind, int node, const std::string& text);
  void TellCall(StoryLine::Kind kind, int client, NodeId node, const std::string& text);
  void SetUpStory();

  // ---- Requests
  void Arrive(const std::shared_ptr<Pending>& pending);
  void Serve(const std::shared_ptr<Pending>& pending);
  void Reply(const std::shared_ptr<Pending>& pending, Answer answer);
  void Finish(const std::shared_ptr<Pending>& pending, Answer answer);

  void StartClient(int number);
  void CompleteReport();

  // ---- Faults (faults.cc)
  void Strike(const Fault& fault);
  void StrikeNetwork(const Fault& fault, NodeId id);
  void StrikeDisk(const Fault& fault, SimNode& target);
  void Aim(const Fault& fault);
  void FallBehind(const Fault& fault, SimNode& target);
  void OnSnapshot(NodeId id, std::uint64_t* cut);
  void OnForward(NodeId from, NodeId to);
  void Pause(NodeId id, Duration lasts);
  void SetCut(const Fault& fault, NodeId id, bool cut);
  void Flap(const Fault& fault, NodeId id, MonotonicTime until, bool cut,
            std::uint64_t sent_before);
  void SetAllLinks(const LinkQuality& quality);
  [[nodiscard]] LinkQuality UsualLink() const;
  void SetLinksTo(NodeId id, const LinkQuality& quality);
  // ---- Members (member_faults.cc)
  void ReplaceDisk(NodeId id);
  [[nodiscard]] replication::Replica* LeadingReplica();
  void ChangeMembers(const consensus::Membership& target);
  [[nodiscard]] std::optional<consensus::Membership> SettledMembers() const;
  [[nodiscard]] bool AllFollow(const consensus::Membership& membership) const;
  void StrikeMembers(const Fault& fault, SimNode& target);
  void MakeVoter(NodeId id);
  void TakeIn();
  void GrowOrShrink(const Fault& fault, NodeId id);
  void AddMember(NodeId id, replication::Replica* leader);
  void Promote(NodeId id);
  static bool MayBeRemoved(const consensus::Membership& settled, NodeId id);
  void RemoveMember(NodeId id, replication::Replica* leader);
  void AwaitRemoval(NodeId id);
  // ---- Leaders (leader_faults.cc)
  void BeginChurn(const Fault& fault, NodeId id);
  void Churn(NodeId id, const consensus::Effects& effects);
  void StrikeLeader(const Fault& fault, NodeId id);
  void AskStaleLeader(NodeId id, MonotonicTime until);
  void ProbeRead(NodeId id);
  void ProbeWrite(NodeId id, std::size_t bytes);

  // Takes a node down and brings it back.
  void Down(NodeId id, CrashMode mode, Duration lasts);
  void Restart(NodeId id);
  // Starts again what ended itself.
  void Watchdog();
  void CompareStates(bool again);

  // ---- The end (world_end.cc)
  void Heal();
  void Await(Duration limit, const std::string& what, const std::function<bool()>& done);
  std::optional<Answer> AskFinal(NodeId id, kv::KvOperation operation);
  void AwaitMembers();
  void CheckProgress();
  void ReadEverything();
  void CheckStates();
  void CheckReplay();
  Result<std::uint64_t> Replay(Slot last, const std::function<void(Slot, std::uint64_t)>& visit);
  static std::string DifferingStates(Slot slot, NodeId id, std::uint64_t hash,
                                     std::uint64_t replayed);
  [[nodiscard]] std::uint64_t operations() const;

  const Plan plan_;
  const SimulationOptions options_;
  Scheduler scheduler_;
  SimulationReport report_;
  Network network_;
  GroupWatch group_;
  Invariants invariants_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  History history_;
  std::uint64_t order_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::pair<std::uint64_t, Slot>> states_seen_;  // by node: life and slot
  bool healing_ = false;
  // The next snapshot that arrives, or is installed, meets a power cut at so many file operations.
  std::uint64_t cut_next_transfer_ = 0;
  std::uint64_t cut_next_install_ = 0;
  MonotonicTime churn_until_{0};  // new leaders and voters are lost
  std::uint64_t probes_ = 0;      // writes of leader_faults.cc, and their keys: one a fault
  std::uint64_t probe_key_ = 0;
  bool probe_under_way_ = false;
  const Fault* forward_fate_ = nullptr;  // of the next write that is forwarded
  // The last message of each kind from one node to another, for those who tell the story.
  std::map<std::tuple<int, int, std::string>, std::string> last_messages_;
  MonotonicTime look_at_;          // when new lives are taken in next
  MonotonicTime members_changed_;  // when a change of members was last asked for
  std::set<consensus::PeerId> once_members_;
  std::uint64_t placeholders_ = 0;  // seats that were made for nodes that are no members
  std::vector<SimNode*> members_;   // at the end
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_WORLD_H_
