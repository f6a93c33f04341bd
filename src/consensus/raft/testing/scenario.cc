#include "src/consensus/raft/testing/scenario.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;

constexpr int kNoLimit = std::numeric_limits<int>::max();

class Scenario {
 public:
  using Args = std::vector<std::string>;

  Scenario() { AddCommands(); }

  // The output of one command, each line ending in a line feed.
  std::string Run(const std::string& line) {
    out_.clear();
    std::istringstream in(line);
    std::string name;
    in >> name;
    Args args;
    for (std::string arg; in >> arg;) args.push_back(arg);
    const auto command = commands_.find(name);
    if (command == commands_.end()) throw std::invalid_argument("there is no command " + name);
    if (!cluster_ && name != "cluster") throw std::invalid_argument("begin with: cluster nodes=3");
    command->second(args);
    if (cluster_->broken()) throw std::logic_error("broken promise: " + *cluster_->broken());
    return out_;
  }

 private:
  void AddCommands() {
    // cluster nodes=3 voters=3 learners=0 leases=0 seed=1: begins anew; what is not named is so.
    commands_["cluster"] = [this](const Args& a) { MakeCluster(a); };
    // elect 1: 250 ms without a word of a leader pass, then node 1 campaigns and all settles.
    // elect 1 quietly: the same, but all messages except votes are lost.
    commands_["elect"] = [this](const Args& a) { Elect(Node(a, 0), a.size() > 1); };
    // pass 500: so many milliseconds, in steps of 10: disks, network and timers at once.
    commands_["pass"] = [this](const Args& a) { Pass(Number(a, 0)); };
    // advance 20: the clock alone.
    commands_["advance"] = [this](const Args& a) { cluster_->Advance(milliseconds(Number(a, 0))); };
    // tick 0: the timer of node 0.
    commands_["tick"] = [this](const Args& a) { cluster_->Tick(Node(a, 0)); };
    // settle: until nothing is on its way. settle 12: at most so many messages.
    commands_["settle"] = [this](const Args& a) { Settle(a.empty() ? kNoLimit : Number(a, 0)); };
    // deliver 0 2: the oldest message from node 0 to node 2, shown; and 2 writes what it has to.
    commands_["deliver"] = [this](const Args& a) { DeliverOldest(Node(a, 0), Node(a, 1)); };
    // propose 0 20: twenty proposals to node 0; without a number, one.
    commands_["propose"] = [this](const Args& a) {
      for (int i = a.size() > 1 ? Number(a, 1) : 1; i > 0; --i) cluster_->Propose(Node(a, 0));
    };
    // fill 0: one proposal so large that an append holds nothing beside it.
    commands_["fill"] = [this](const Args& a) {
      cluster_->Propose(Node(a, 0), std::string(40, 'x'));
    };
    // read 0: a read barrier.
    commands_["read"] = [this](const Args& a) { cluster_->Barrier(Node(a, 0)); };
    // change 0 1 2 3l: asks node 0 for the voters 1 and 2 and the learner 3.
    commands_["change"] = [this](const Args& a) { Change(a); };
    // replace 0 2: asks node 0 to put the present incarnation of 2 in the place of its former one.
    commands_["replace"] = [this](const Args& a) {
      const Membership& now = cluster_->node(Node(a, 0)).core->membership();
      cluster_->Step(Node(a, 0), ChangeMembership{ProposalId(1'000'000),
                                                  now.WithReplaced(cluster_->peer(Node(a, 1)))});
    };
    // transfer 0 1: leadership.
    commands_["transfer"] = [this](const Args& a) {
      cluster_->Step(Node(a, 0), TransferLeadership{Node(a, 1)});
    };
    // compact 0 9: node 0 holds slots up to 9 in its state machine alone.
    commands_["compact"] = [this](const Args& a) {
      cluster_->Compact(Node(a, 0), Slot(static_cast<std::uint64_t>(Number(a, 1))));
    };
    // status: every node.
    commands_["status"] = [this](const Args&) { Status(); };
    // on-the-way 0 2: how many appends with entries are on their way from 0 to 2.
    commands_["on-the-way"] = [this](const Args& a) { OnTheWay(Node(a, 0), Node(a, 1)); };
    AddFaults();
  }

  void AddFaults() {
    // cut 0 1: what 0 sends to 1 is lost; not the other way round.
    commands_["cut"] = [this](const Args& a) { cluster_->Cut(Node(a, 0), Node(a, 1)); };
    // isolate 0: both ways, from all.
    commands_["isolate"] = [this](const Args& a) {
      for (const auto& [id, node] : cluster_->nodes()) {
        cluster_->Cut(id, Node(a, 0));
        cluster_->Cut(Node(a, 0), id);
      }
    };
    // heal: all links.
    commands_["heal"] = [this](const Args&) { cluster_->Heal(); };
    // lose: everything that is on its way.
    commands_["lose"] = [this](const Args&) {
      while (!cluster_->network().empty()) cluster_->Drop(0);
    };
    // crash 0: what is not durable is lost. start 0: comes back.
    // crash 0 installing: it has not taken the snapshot that it installs. crash 0 installed: it
    // has.
    commands_["crash"] = [this](const Args& a) {
      if (a.size() > 1 && a[1] != "installing" && a[1] != "installed") {
        throw std::invalid_argument("crash does not know " + a[1]);
      }
      std::optional<bool> installed;
      if (a.size() > 1) installed = a[1] == "installed";
      cluster_->Crash(Node(a, 0), 0, installed);
    };
    commands_["start"] = [this](const Args& a) { cluster_->Start(Node(a, 0)); };
    // wipe 0: crashes, and comes back with an empty folder as a new incarnation.
    commands_["wipe"] = [this](const Args& a) {
      cluster_->Wipe(Node(a, 0));
      cluster_->Start(Node(a, 0));
    };
    // hang 0: its disk finishes nothing. unhang 0.
    commands_["hang"] = [this](const Args& a) { hung_.insert(Node(a, 0)); };
    commands_["unhang"] = [this](const Args& a) { hung_.erase(Node(a, 0)); };
    // stop 0: the process stands still, and what is sent to it waits. continue 0.
    commands_["stop"] = [this](const Args& a) { stopped_.insert(Node(a, 0)); };
    commands_["continue"] = [this](const Args& a) { stopped_.erase(Node(a, 0)); };
    // hold-installs: installations of snapshots don't finish. release-installs: they do.
    commands_["hold-installs"] = [this](const Args&) { hold_installs_ = true; };
    commands_["release-installs"] = [this](const Args&) { hold_installs_ = false; };
    // disk 0 7 1 1 4: node 0 crashed in epoch 7 with a log of the epochs 1 1 4, and comes back.
    commands_["disk"] = [this](const Args& a) { SetDisk(a); };
  }

  static int Number(const Args& args, std::size_t i) {
    if (i >= args.size()) throw std::invalid_argument("an argument is missing");
    return std::stoi(args[i]);
  }

  NodeId Node(const Args& args, std::size_t i) const {
    const NodeId id(static_cast<std::uint32_t>(Number(args, i)));
    if (cluster_->nodes().count(id) == 0) {
      throw std::invalid_argument("there is no node " + ToString(id));
    }
    return id;
  }

  void MakeCluster(const Args& args) {
    std::map<std::string, std::uint32_t> given = {
        {"nodes", 3}, {"voters", 3}, {"learners", 0}, {"leases", 0}, {"seed", 1}};
    for (const std::string& arg : args) {
      const std::size_t equals = arg.find('=');
      if (equals == std::string::npos || given.count(arg.substr(0, equals)) == 0) {
        throw std::invalid_argument("cluster does not know " + arg);
      }
      given[arg.substr(0, equals)] = static_cast<std::uint32_t>(std::stoul(arg.substr(equals + 1)));
    }
    Cluster::Options options{given["nodes"], given["voters"], given["learners"], FastRaft()};
    options.raft.leases = given["leases"] != 0;
    hung_.clear();
    stopped_.clear();
    hold_installs_ = false;
    cluster_ = std::make_unique<Cluster>(options, given["seed"]);
    cluster_->on_effects = [this](NodeId id, const Effects& effects) { Show(id, effects); };
  }

  // ---- What happens

  void Settle(int messages, bool votes_only = false) {
    for (bool busy = true; busy && !cluster_->broken();) {
      busy = false;
      for (auto& [id, node] : cluster_->nodes()) {
        if (hung_.count(id) != 0 || stopped_.count(id) != 0) continue;
        busy = cluster_->PersistOne(id) || busy;
        if (!hold_installs_) busy = cluster_->FinishInstall(id) || busy;
      }
      if (messages > 0 && DeliverNext(votes_only)) {
        --messages;
        busy = true;
      }
      if (!cluster_->snapshots().empty()) {
        cluster_->DeliverSnapshot(0);
        busy = true;
      }
    }
  }

  bool DeliverNext(bool votes_only) {
    const auto& network = cluster_->network();
    const auto next = std::find_if(network.begin(), network.end(), [this](const auto& sent) {
      return stopped_.count(sent.message.to) == 0;
    });
    if (next == network.end()) return false;
    const auto position = static_cast<std::size_t>(next - network.begin());
    const RaftMessage message = Decode(next->message.body)->message;
    if (votes_only && !std::holds_alternative<VoteRequest>(message) &&
        !std::holds_alternative<VoteResponse>(message)) {
      cluster_->Drop(position);
    } else {
      cluster_->Deliver(position);
    }
    return true;
  }

  void DeliverOldest(NodeId from, NodeId to) {
    const auto& network = cluster_->network();
    const auto next = std::find_if(network.begin(), network.end(), [&](const auto& sent) {
      return sent.from == from && sent.message.to == to;
    });
    if (next == network.end()) throw std::invalid_argument("nothing is on its way");
    Say(ToString(from) + " -> " + ToString(to) + " " +
        Describe(Decode(next->message.body)->message));
    cluster_->Deliver(static_cast<std::size_t>(next - network.begin()));
    if (hung_.count(to) == 0) cluster_->PersistAll(to);
  }

  void Elect(NodeId id, bool quietly) {
    cluster_->Advance(milliseconds(250));
    cluster_->Tick(id);
    Settle(kNoLimit, quietly);
  }

  void Pass(int ms) {
    for (int passed = 0; passed < ms && !cluster_->broken(); passed += 10) {
      Settle(kNoLimit);
      cluster_->Advance(milliseconds(10));
      for (auto& [id, node] : cluster_->nodes()) {
        if (stopped_.count(id) == 0) cluster_->Tick(id);
      }
    }
    Settle(kNoLimit);
  }

  void Change(const Args& args) {
    Membership target;
    for (std::size_t i = 1; i < args.size(); ++i) {
      const PeerId peer = cluster_->peer(Node(args, i));
      target.members.push_back({peer.node, peer.incarnation, args[i].back() != 'l'});
    }
    cluster_->Step(Node(args, 0), ChangeMembership{ProposalId(1'000'000), target});
  }

  void SetDisk(const Args& args) {
    std::vector<Epoch> log;
    for (std::size_t i = 2; i < args.size(); ++i) {
      log.emplace_back(static_cast<std::uint64_t>(Number(args, i)));
    }
    cluster_->Rewrite(Node(args, 0), Epoch(static_cast<std::uint64_t>(Number(args, 1))), log);
  }

  // ---- What is shown

  void Say(const std::string& line) { out_ += "  " + line + "\n"; }

  static std::string Text(const Membership& membership) {
    std::string text = "members";
    for (const Membership::Member& member : membership.members) {
      text += " " + ToString(member.id()) + (member.voter ? "" : " learns") +
              (member.joining ? " joins" : "") + (member.leaving ? " leaves" : "") + ",";
    }
    text.pop_back();
    if (membership.IsJoint()) text += "; outgoing voters";
    for (const PeerId& voter : membership.outgoing_voters) text += " " + ToString(voter);
    if (!membership.removed.empty()) text += "; removed";
    for (const PeerId& peer : membership.removed) text += " " + ToString(peer);
    return text;
  }

  void Show(NodeId id, const Effects& effects) {
    const std::string me = ToString(id) + " ";
    if (effects.leadership) Say(me + Text(*effects.leadership));
    for (const AcceptedProposal& accepted : effects.accepted) {
      Say(me + "accepts at " + ToString(accepted.slot) + "/" + ToString(accepted.epoch));
    }
    for (const RejectedProposal& rejected : effects.rejected) {
      Say(me + "rejects: " + std::string(rejected.status.message()));
    }
    if (effects.membership) Say(me + Text(*effects.membership));
    if (effects.committed) Say(me + "commits up to " + ToString(*effects.committed));
    for (const OpenBarrier& open : effects.open_barriers) {
      Say(me + "may read at " + ToString(open.slot));
    }
    for (const FailedBarrier& failed : effects.failed_barriers) {
      Say(me + "fails a read: " + std::string(failed.status.message()));
    }
    for (const PeerId& peer : effects.snapshots) Say(me + "sends a snapshot to " + ToString(peer));
    if (effects.install_snapshot) {
      Say(me + "installs a snapshot of slot " + ToString(*effects.install_snapshot));
    }
    if (effects.removed) Say(me + "was removed for good");
  }

  static std::string Text(const Leadership& leadership) {
    const std::string epoch = " in epoch " + ToString(leadership.epoch);
    if (leadership.role == Role::kLeader) return "leads" + epoch;
    if (leadership.role == Role::kCandidate) return "is a candidate" + epoch;
    const std::string verb = leadership.role == Role::kLearner ? "learns from " : "follows ";
    return verb + (leadership.leader ? ToString(*leadership.leader) : "nobody") + epoch;
  }

  void Status() {
    for (auto& [id, node] : cluster_->nodes()) {
      if (!node.core) {
        Say(ToString(id) + " is down");
        continue;
      }
      static const std::map<Role, std::string> kRoles = {{Role::kFollower, "follower"},
                                                         {Role::kCandidate, "candidate"},
                                                         {Role::kLeader, "leader"},
                                                         {Role::kLearner, "learner"}};
      const Log& log = node.core->log();
      std::string text = ToString(id) + " " + kRoles.at(node.core->role()) + ", epoch " +
                         ToString(node.core->epoch()) + ", committed " +
                         ToString(node.core->committed()) + ", log behind " +
                         ToString(log.base_slot()) + ":";
      for (Slot slot = log.base_slot().Next(); slot <= log.last_slot();) {
        const Epoch epoch = *log.EpochAt(slot);
        Slot last = slot;
        while (last < log.last_slot() && log.EpochAt(last.Next()) == epoch) last = last.Next();
        text += " " + ToString(slot) + (last > slot ? ".." + ToString(last) : "") + "/" +
                ToString(epoch);
        slot = last.Next();
      }
      Say(text);
    }
  }

  void OnTheWay(NodeId from, NodeId to) {
    int count = 0;
    for (const Cluster::InFlight& sent : cluster_->network()) {
      if (sent.from != from || sent.message.to != to) continue;
      const RaftMessage message = Decode(sent.message.body)->message;
      const auto* append = std::get_if<AppendRequest>(&message);
      count += append != nullptr && !append->entries.empty();
    }
    Say(std::to_string(count) + " appends with entries");
  }

  std::map<std::string, std::function<void(const Args&)>> commands_;
  std::unique_ptr<Cluster> cluster_;
  std::set<NodeId> hung_;
  std::set<NodeId> stopped_;
  bool hold_installs_ = false;
  std::string out_;
};

}  // namespace

ScenarioRun RunScenario(const std::string& text) {
  ScenarioRun run;
  Scenario scenario;
  std::istringstream in(text);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty() && line[0] == ' ') continue;
    run.text += line + "\n";
    if (line.empty() || line[0] == '#' || run.error) continue;
    try {
      run.text += scenario.Run(line);
    } catch (const std::exception& e) {
      run.error = "line " + std::to_string(number) + ", " + line + ": " + e.what();
    }
  }
  return run;
}

}  // namespace cairn::consensus::raft
