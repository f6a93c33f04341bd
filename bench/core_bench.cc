// Proposals a second through three Raft cores in one thread: what the core itself costs. Messages
// are encoded, decoded and delivered at once; disks are done as soon as they are asked. Batches of
// one proposal and of many, payloads of 256 bytes.
//
//   core_bench --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/clock.h"
#include "src/consensus/raft/raft_core.h"

namespace cairn::consensus::raft {
namespace {

constexpr std::uint32_t kNodes = 3;

class Group {
 public:
  Group() {
    Membership membership;
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      membership.members.push_back({NodeId(n), IncarnationId(n + 1), true});
    }
    for (std::uint32_t n = 0; n < kNodes; ++n) {
      RaftOptions options;
      options.self = NodeId(n);
      options.incarnation = IncarnationId(n + 1);
      cores_.push_back(std::make_unique<RaftCore>(options, &random_));
    }
    for (std::uint32_t n = 0; n < kNodes; ++n) Step(n, Recovered{{}, {}, {}, membership, {}, {}});
    now_ = now_ + std::chrono::seconds(30);  // Longer than any election timeout.
    Step(0, Tick{});
    Settle();
    CAIRN_CHECK(cores_[0]->role() == Role::kLeader, "node 0 was not elected");
  }

  void ProposeBatch(std::int64_t count, const std::shared_ptr<const std::string>& payload) {
    for (std::int64_t i = 0; i < count; ++i) {
      Step(0, Propose{ProposalId(++proposals_), EntryKind::kCommands, payload});
    }
    Settle();
    CAIRN_CHECK(cores_[0]->committed() == cores_[0]->log().last_slot(), "not all is committed");
  }

  // Cuts all logs, as a driver does when the state machine has flushed.
  void Compact() {
    for (std::uint32_t n = 0; n < kNodes; ++n) Step(n, Compacted{cores_[n]->committed()});
  }

 private:
  template <typename What>
  void Step(std::uint32_t node, What what) {
    Effects effects = cores_[node]->Step(Event{now_, std::move(what)});
    if (effects.persist) persisted_.emplace_back(node, effects.persist->token);
    for (Message& message : effects.messages) messages_.emplace_back(node, std::move(message));
  }

  // The disks come first, so whatever a message has to wait for is done when it is delivered.
  void Settle() {
    while (!persisted_.empty() || !messages_.empty()) {
      if (!persisted_.empty()) {
        const auto [node, token] = persisted_.front();
        persisted_.pop_front();
        Step(node, Persisted{token});
        continue;
      }
      auto [from, message] = std::move(messages_.front());
      messages_.pop_front();
      Step(message.to.value(), MessageReceived{NodeId(from), std::move(message.body)});
    }
  }

  SeededRandom random_{1};
  MonotonicTime now_{1'000'000'000};
  std::uint64_t proposals_ = 0;
  std::vector<std::unique_ptr<RaftCore>> cores_;
  std::deque<std::pair<std::uint32_t, PersistToken>> persisted_;
  std::deque<std::pair<std::uint32_t, Message>> messages_;
};

void ThreeCores(benchmark::State& state) {
  const auto payload = std::make_shared<const std::string>(256, 'x');
  Group group;
  std::int64_t since_cut = 0;
  for (auto _ : state) {
    group.ProposeBatch(state.range(0), payload);
    since_cut += state.range(0);
    if (since_cut < 10'000) continue;
    since_cut = 0;
    group.Compact();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ThreeCores)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace cairn::consensus::raft

BENCHMARK_MAIN();
