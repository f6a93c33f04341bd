// How many appends a leader needs to find where a follower's log parts from its own: both sides
// skip whole epochs, so it is a matter of epochs, not of slots (end of section 5.3 of the paper).
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/base/clock.h"
#include "src/base/planted_bug.h"
#include "src/base/sanitizers.h"
#include "src/base/testing/plant_bug.h"
#include "src/consensus/raft/testing/random_history.h"

namespace cairn::consensus::raft {
namespace {

using std::chrono::milliseconds;

using LogOfEpochs = std::vector<Epoch>;

LogOfEpochs Epochs(const std::vector<std::uint64_t>& numbers) {
  LogOfEpochs log;
  for (const std::uint64_t number : numbers) log.emplace_back(number);
  return log;
}

// Node 0 takes the lead over followers with these logs; by node, the appends that were refused
// until all logs were equal.
std::map<NodeId, int> RefusedAppends(const std::vector<LogOfEpochs>& logs, Epoch epoch) {
  const auto nodes = static_cast<std::uint32_t>(logs.size());
  Cluster cluster({nodes, nodes, 0, FastRaft()}, 1);
  for (std::uint32_t n = 0; n < nodes; ++n) cluster.Rewrite(NodeId(n), epoch, logs[n]);
  std::map<NodeId, int> refused;
  cluster.on_message = [&](const Cluster::InFlight& sent, const std::string&) {
    const RaftMessage message = Decode(sent.message.body)->message;
    const auto* answer = std::get_if<AppendResponse>(&message);
    refused[sent.from] += answer != nullptr && !answer->ok;
  };
  cluster.Advance(milliseconds(250));
  cluster.Tick(NodeId(0));
  cluster.Settle();
  EXPECT_FALSE(cluster.broken().has_value()) << *cluster.broken();
  const Log& leader = cluster.node(NodeId(0)).core->log();
  EXPECT_EQ(leader.last_slot(), Slot(logs[0].size() + 1));  // Its own entry, and nothing else.
  for (const auto& [id, node] : cluster.nodes()) {
    EXPECT_EQ(node.core->log().last_slot(), leader.last_slot()) << ToString(id);
    for (Slot slot(1); slot <= leader.last_slot(); slot = slot.Next()) {
      EXPECT_EQ(node.core->log().EpochAt(slot), leader.EpochAt(slot)) << ToString(id);
    }
  }
  return refused;
}

// Node 0 is the leader of figure 7, nodes 1 to 6 are its followers (a) to (f).
std::map<NodeId, int> RefusedInFigure7() {
  return RefusedAppends(
      {Epochs({1, 1, 1, 4, 4, 5, 5, 6, 6, 6}), Epochs({1, 1, 1, 4, 4, 5, 5, 6, 6}),
       Epochs({1, 1, 1, 4}), Epochs({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}),
       Epochs({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}), Epochs({1, 1, 1, 4, 4, 4, 4}),
       Epochs({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3})},
      Epoch(7));
}

TEST(RaftBackUp, Figure7TakesFewAppends) {
  std::map<NodeId, int> refused = RefusedInFigure7();
  EXPECT_EQ(refused[NodeId(1)], 1);  // (a) ends one slot early.
  EXPECT_EQ(refused[NodeId(2)], 1);  // (b) names its end.
  EXPECT_EQ(refused[NodeId(3)], 0);  // (c) and (d) hold all and more.
  EXPECT_EQ(refused[NodeId(4)], 0);
  EXPECT_EQ(refused[NodeId(5)], 1);  // (e) has too much of epoch 4: both go to the last that fits.
  EXPECT_EQ(refused[NodeId(6)], 1);  // (f) has nothing above epoch 3: the leader goes to epoch 1.
  const PlantBug planted(PlantedBug::kBackUpOneByOne);
  EXPECT_EQ(RefusedInFigure7()[NodeId(6)], 7);
}

// Appends a run of up to `most` slots for each of up to `epochs` epochs, each above the last one
// and odd or even.
int AppendTail(Random& random, std::uint64_t epochs, std::uint64_t most, bool odd,
               LogOfEpochs* log) {
  const std::uint64_t runs = random.Below(epochs + 1);
  std::uint64_t epoch = log->empty() ? 2 : (log->back().value() / 2 + 1) * 2;
  for (std::uint64_t run = 0; run < runs; ++run) {
    epoch += 2 * random.Below(3);
    const std::uint64_t slots = 1 + random.Below(most);
    for (std::uint64_t i = 0; i < slots; ++i) log->emplace_back(epoch + (odd ? 1 : 0));
    epoch += 2;
  }
  return static_cast<int>(runs);
}

// A follower that shares a beginning with the leader and then went another way, through other
// epochs: at most one refusal for each epoch of either that the other lacks, and one for the guess
// with which the leader begins.
TEST(RaftBackUp, IsBoundedByEpochsNotBySlots) {
  SeededRandom random(7);
  const int rounds = kSanitized ? 30 : 300;
  int most_slots = 0;
  for (int i = 0; i < rounds; ++i) {
    LogOfEpochs leader;
    AppendTail(random, 4, 20, random.OneIn(1, 2), &leader);
    LogOfEpochs follower = leader;
    const int own = AppendTail(random, 5, 30, false, &leader);
    const int others = AppendTail(random, 5, 30, true, &follower);
    const auto refused = RefusedAppends({leader, follower, leader}, Epoch(100));
    ASSERT_LE(refused.at(NodeId(1)), own + others + 1) << "round " << i;
    ASSERT_LE(refused.at(NodeId(2)), 1) << "round " << i;
    most_slots = std::max(most_slots, static_cast<int>(follower.size()));
  }
  EXPECT_GE(most_slots, 80);  // So the bound says something.
}

}  // namespace
}  // namespace cairn::consensus::raft
