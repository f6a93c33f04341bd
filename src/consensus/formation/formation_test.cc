#include "src/consensus/formation/formation.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "src/base/sanitizers.h"

namespace cairn::consensus::formation {
namespace {

// Nodes with folders and a network that loses, doubles and reorders, one event at a time.
class World {
 public:
  struct Node {
    IncarnationId incarnation;
    std::string record;  // on disk
    std::unique_ptr<Formation> machine;
    std::optional<std::string> writing;
    std::optional<Formed> formed;  // in this life of the folder
    std::vector<JoinRequest> requests;
    std::optional<Status> problem;
  };

  World(std::uint32_t nodes, std::uint64_t seed) : random_(seed) {
    std::vector<std::uint32_t> all;
    for (std::uint32_t n = 0; n < nodes; ++n) all.push_back(n);
    Configure(all);
    for (std::uint32_t n = 0; n < nodes; ++n) {
      nodes_.emplace_back().incarnation = IncarnationId(n + 1);
    }
    for (std::uint32_t n = 0; n < nodes; ++n) Start(n);
  }

  // The list of members that nodes are started with from now on.
  void Configure(const std::vector<std::uint32_t>& nodes) {
    configured_.clear();
    for (const std::uint32_t n : nodes) {
      configured_.push_back({NodeId(n), "host:" + std::to_string(n)});
    }
  }
  void Start(std::uint32_t n) {
    Node& node = nodes_[n];
    node.writing.reset();
    FormationOptions options;
    options.self = {NodeId(n), node.incarnation};
    options.members = configured_;
    node.machine = std::make_unique<Formation>(options, &random_);
    Step(n, Started{node.record});
  }
  void Crash(std::uint32_t n, bool written) {
    Node& node = nodes_[n];
    if (node.machine && node.writing && written) node.record = *node.writing;
    node.machine.reset();
  }
  void Wipe(std::uint32_t n) {
    Crash(n, false);
    nodes_[n] = Node();
    nodes_[n].incarnation = IncarnationId(++incarnations_);
  }
  void Persist(std::uint32_t n) {
    Node& node = nodes_[n];
    if (!node.machine || !node.writing) return;
    node.record = *std::exchange(node.writing, std::nullopt);
    Step(n, RecordPersisted{});
  }
  void Deliver(std::size_t i, bool keep) {
    const auto [from, message] = network_[i];
    if (!keep) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(i));
    Step(message.to.value(), MessageReceived{NodeId(from), message.body});
  }
  template <class What>
  void Step(std::uint32_t n, What what) {
    Node& node = nodes_[n];
    if (!node.machine) return;
    FormationEffects effects = node.machine->Step({now_, std::move(what)});
    if (effects.persist) node.writing = effects.persist;
    for (Message& message : effects.messages) network_.emplace_back(n, std::move(message));
    for (JoinRequest& request : effects.join_requests) node.requests.push_back(std::move(request));
    if (effects.problem) node.problem = effects.problem;
    if (!effects.formed) return;
    // Nobody starts its core before the record is durable, and nobody changes its mind.
    const Result<Record> record = DecodeRecord(node.record);
    ASSERT_TRUE(record.ok());
    ASSERT_EQ(record->stage, Record::Stage::kFormed);
    ASSERT_EQ(record->cluster, effects.formed->cluster);
    if (node.formed) {
      ASSERT_EQ(node.formed->cluster, effects.formed->cluster);
    }
    node.formed = effects.formed;
    CheckOneCluster();
  }

  // Everyone whose folder lives and who formed is in one cluster, with one first membership.
  void CheckOneCluster() {
    const Formed* seen = nullptr;
    for (const Node& node : nodes_) {
      if (!node.formed) continue;
      if (seen != nullptr) {
        ASSERT_EQ(seen->cluster, node.formed->cluster);
        ASSERT_EQ(seen->first, node.formed->first);
      }
      seen = &*node.formed;
    }
  }

  // Everything that is on its way arrives, but for what `held` says; disks write at once.
  void Flow(const std::function<bool(std::uint32_t from, const Message&)>& held) {
    for (std::size_t i = 0; i < network_.size();) {
      if (held(network_[i].first, network_[i].second)) {
        ++i;
        continue;
      }
      Deliver(i, false);
      for (std::uint32_t n = 0; n < nodes_.size(); ++n) Persist(n);
      i = 0;
    }
  }
  void Pass(Duration by) {
    now_ = now_ + by;
    for (std::uint32_t n = 0; n < nodes_.size(); ++n) Step(n, Tick{});
  }

  void Settle() {
    for (int round = 0; round < 40; ++round) {
      for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
        if (!nodes_[n].machine) Start(n);
        Step(n, Tick{});
      }
      for (int i = 0; i < 10'000 && !network_.empty(); ++i) {
        Deliver(0, false);
        for (std::uint32_t n = 0; n < nodes_.size(); ++n) Persist(n);
      }
      for (std::uint32_t n = 0; n < nodes_.size(); ++n) Persist(n);
      now_ = now_ + std::chrono::seconds(1);
    }
  }

  void RandomStep(bool wipes) {
    const auto n = static_cast<std::uint32_t>(random_.Below(nodes_.size()));
    const std::uint64_t what = random_.Below(40);
    if (what == 0) return Crash(n, random_.OneIn(1, 2));
    if (what <= 2 && !nodes_[n].machine) return Start(n);
    if (what == 3 && wipes && random_.OneIn(1, 6)) return Wipe(n);
    if (what <= 6) {
      now_ = now_ + std::chrono::milliseconds(200);
      return Step(n, Tick{});
    }
    if (what <= 14) return Persist(n);
    if (network_.empty()) return;
    const std::size_t i = random_.Below(network_.size());
    if (random_.OneIn(1, 10)) {
      network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      Deliver(i, random_.OneIn(1, 10));
    }
  }

  std::vector<Node>& nodes() { return nodes_; }

 private:
  SeededRandom random_;
  std::vector<FormationOptions::Configured> configured_;
  std::vector<Node> nodes_;
  std::deque<std::pair<std::uint32_t, Message>> network_;
  std::uint64_t incarnations_ = 100;
  MonotonicTime now_{1'000'000'000};
};

TEST(Formation, AllMembersAreNeededAndThenTheClusterExists) {
  World world(3, 1);
  world.Crash(2, false);
  for (int i = 0; i < 500; ++i) {
    if (world.nodes()[2].machine) world.Crash(2, false);
    world.RandomStep(false);
  }
  if (world.nodes()[2].machine) world.Crash(2, false);
  EXPECT_FALSE(world.nodes()[0].formed || world.nodes()[1].formed);
  world.Settle();
  for (const auto& node : world.nodes()) {
    ASSERT_TRUE(node.formed.has_value());
    EXPECT_EQ(node.formed->first.Voters().size(), 3u);
    EXPECT_EQ(node.formed->first.members[1].endpoint, "host:1");
  }
}

TEST(Formation, AnEmptiedNodeAsksToBeTakenIn) {
  World world(3, 2);
  world.Settle();
  const ClusterId cluster = world.nodes()[0].formed->cluster;
  const Membership first = world.nodes()[0].formed->first;
  world.Wipe(0);  // The coordinator, even.
  world.Start(0);
  for (std::uint32_t n = 1; n < 3; ++n) world.Step(n, MembershipInForce{first});
  world.Settle();
  ASSERT_TRUE(world.nodes()[0].formed.has_value());
  EXPECT_EQ(world.nodes()[0].formed->cluster, cluster);
  ASSERT_FALSE(world.nodes()[1].requests.empty());
  const JoinRequest request = world.nodes()[1].requests.back();
  EXPECT_EQ(request.peer, (PeerId{NodeId(0), world.nodes()[0].incarnation}));
  EXPECT_EQ(request.verdict, JoinVerdict::kReplace);
}

// Node 1 accepts a cluster of 0, 1 and 2, is restarted with another list before that is known, and
// its acceptance arrives after all.
TEST(Formation, ANodeThatAcceptedAClusterMakesNoOtherWithAnotherList) {
  World world(4, 1);
  world.Crash(3, false);
  world.Configure({0, 1, 2});
  for (std::uint32_t n = 0; n < 3; ++n) {
    world.Crash(n, false);
    world.Start(n);
  }
  const auto acceptance = [](std::uint32_t from, const Message& message) {
    const Result<Framed> framed = DecodeMessage(message.body);
    return from == 1 && framed.ok() && std::holds_alternative<Prepared>(framed->message);
  };
  world.Flow(acceptance);
  ASSERT_FALSE(world.nodes()[1].record.empty());
  ASSERT_FALSE(world.nodes()[0].formed.has_value());

  world.Crash(1, false);
  world.Configure({1, 3});
  world.Start(1);
  world.Start(3);
  for (int i = 0; i < 5; ++i) {
    world.Pass(std::chrono::seconds(1));
    world.Flow(acceptance);
  }
  EXPECT_FALSE(world.nodes()[3].formed.has_value());
  ASSERT_TRUE(world.nodes()[1].problem.has_value());

  world.Flow([](auto, const auto&) { return false; });
  EXPECT_TRUE(world.nodes()[0].formed.has_value());
  EXPECT_FALSE(HasFatalFailure());
  // It learns that the cluster exists, whatever its list says.
  for (int i = 0; i < 5; ++i) {
    world.Pass(std::chrono::seconds(1));
    world.Flow([](auto, const auto&) { return false; });
  }
  ASSERT_TRUE(world.nodes()[1].formed.has_value());
  EXPECT_EQ(world.nodes()[1].formed->cluster, world.nodes()[0].formed->cluster);
}

TEST(Formation, RandomHistoriesMakeOneCluster) {
  const std::uint64_t seeds = kSanitized ? 60 : 600;
  for (std::uint64_t seed = 1; seed <= seeds && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed % 2 == 0 ? 3 : 4, seed);
    for (int i = 0; i < 400 && !HasFatalFailure(); ++i) world.RandomStep(seed % 3 != 0);
    world.Settle();
    for (const auto& node : world.nodes()) {
      ASSERT_TRUE(node.formed.has_value()) << node.machine->Describe();
    }
  }
}

TEST(Formation, RecordsDecodeAndDamageDoesNot) {
  SeededRandom random(3);
  Record record{Record::Stage::kFormed, 7, ClusterId(9), {}};
  record.first.members = {{NodeId(1), IncarnationId(4), true}, {NodeId(2), IncarnationId(5), true}};
  const std::string bytes = Encode(record);
  const Result<Record> decoded = DecodeRecord(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, record);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(DecodeRecord(std::string_view(bytes).substr(0, i)).ok());
    std::string damaged = bytes;
    damaged[i] ^= static_cast<char>(1u << random.Below(8));
    EXPECT_FALSE(DecodeRecord(damaged).ok());
  }
}

}  // namespace
}  // namespace cairn::consensus::formation
