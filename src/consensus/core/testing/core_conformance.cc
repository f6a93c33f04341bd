#include "src/consensus/core/testing/core_conformance.h"

#include <gtest/gtest.h>

#include <utility>

#include "src/base/sanitizers.h"

namespace cairn::consensus {
namespace {

using Broken = std::optional<std::string>;

// `count` proposals to a core that leads.
std::vector<Slot> Propose(LoneVoter* voter, int count) {
  std::vector<Slot> slots;
  for (int i = 0; i < count; ++i) {
    const std::optional<Slot> slot = voter->Propose();
    voter->Expect(slot.has_value(), "the leader rejects a proposal");
    if (slot) slots.push_back(*slot);
  }
  return slots;
}

void ExpectCommitted(LoneVoter* voter, const std::vector<Slot>& slots) {
  for (const Slot slot : slots) {
    voter->Expect(slot <= voter->committed(), "slot " + ToString(slot) + " is not committed");
    voter->Expect(voter->HoldsTheProposalOf(slot), "slot " + ToString(slot) + " holds another");
  }
}

Broken LeadsAlone(const CoreFactory& factory) {
  LoneVoter voter(factory, 1);
  voter.Start();
  voter.Lead();
  for (int i = 0; i < 20; ++i) voter.Pass();
  voter.Expect(voter.leads(), "it leads no more, and nobody else is there");
  return voter.broken();
}

Broken CommitsWhatIsDurableInOrder(const CoreFactory& factory) {
  LoneVoter voter(factory, 2);
  voter.Start();
  voter.Lead();
  const Slot before = voter.committed();
  const std::vector<Slot> slots = Propose(&voter, 5);
  voter.Expect(voter.committed() == before, "something is committed before it is durable");
  while (voter.PersistOne()) {
  }
  ExpectCommitted(&voter, slots);
  for (std::size_t i = 1; i < slots.size(); ++i) {
    voter.Expect(slots[i] > slots[i - 1], "proposals change their order");
  }
  return voter.broken();
}

// Before it leads a core may reject a proposal, and then says so; what none can grant all reject.
Broken ARefusalIsReported(const CoreFactory& factory) {
  LoneVoter voter(factory, 3);
  voter.Start();
  voter.Propose();  // Checks that there is one answer.
  voter.Lead();
  voter.Expect(voter.AskForTheImpossible(), "a group without a voter was not refused");
  const std::vector<Slot> slots = Propose(&voter, 1);
  voter.PersistAll();
  ExpectCommitted(&voter, slots);
  return voter.broken();
}

Broken BarriersSeeWhatWasCommitted(const CoreFactory& factory) {
  LoneVoter voter(factory, 4);
  voter.Start();
  voter.Lead();
  for (int i = 0; i < 5; ++i) {
    Propose(&voter, 2);
    voter.PersistOne();
    const std::uint64_t early = voter.Barrier();
    voter.PersistAll();
    const std::uint64_t late = voter.Barrier();
    voter.Lead();
    voter.Expect(voter.IsOpen(early) && voter.IsOpen(late), "a barrier of the leader stays shut");
  }
  return voter.broken();
}

// What was acknowledged by a former run is seen by the next one's reads.
Broken BarriersSeeWhatAFormerRunCommitted(const CoreFactory& factory) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    LoneVoter voter(factory, seed);
    voter.Start();
    voter.Lead();
    Propose(&voter, 3);
    voter.PersistAll();
    voter.Crash();
    voter.Start();
    voter.Barrier();  // It may fail, or wait.
    while (voter.up() && !voter.leads() && !voter.broken()) {
      if (!voter.PersistOne()) voter.Pass();
      voter.Barrier();
    }
    const std::uint64_t barrier = voter.Barrier();
    voter.Lead();
    voter.Expect(voter.IsOpen(barrier), "a barrier of the leader stays shut after a restart");
    if (voter.broken()) return voter.broken();
  }
  return std::nullopt;
}

Broken ARestartResumes(const CoreFactory& factory) {
  LoneVoter voter(factory, 5);
  voter.Start();
  for (int run = 0; run < 5; ++run) {
    voter.Lead();
    const Epoch former = voter.accepted_epoch();
    const std::vector<Slot> slots = Propose(&voter, 4);
    voter.Expect(voter.accepted_epoch() > former, "a later run proposes under a former epoch");
    voter.PersistAll();
    ExpectCommitted(&voter, slots);
    const Slot before = voter.committed();
    voter.Crash();
    voter.Start();
    voter.Lead();
    voter.Expect(voter.committed() >= before, "what was committed is not known any more");
    ExpectCommitted(&voter, slots);
  }
  return voter.broken();
}

// A crash takes what was not durable; the slots are used again.
Broken ACrashTakesWhatWasNotDurable(const CoreFactory& factory) {
  for (std::size_t arrived = 0; arrived <= 6; ++arrived) {
    LoneVoter voter(factory, 6);
    voter.Start();
    voter.Lead();
    Propose(&voter, 6);
    voter.PersistOne();
    voter.Crash(arrived);
    voter.Start();
    voter.Lead();
    const std::vector<Slot> slots = Propose(&voter, 2);
    voter.PersistAll();
    ExpectCommitted(&voter, slots);
    if (voter.broken()) return voter.broken();
  }
  return std::nullopt;
}

Broken ARestartBehindASnapshotResumes(const CoreFactory& factory) {
  LoneVoter voter(factory, 7);
  voter.Start();
  for (int run = 0; run < 5; ++run) {
    voter.Lead();
    const std::vector<Slot> slots = Propose(&voter, 8);
    voter.PersistAll();
    // In turn: the last of them stays in the journal, or nothing at all does.
    voter.Compact(slots.empty() ? Slot() : run % 2 == 0 ? slots.back().Prev() : slots.back());
    voter.Crash();
    voter.Start();
    voter.Lead();
    const std::vector<Slot> next = Propose(&voter, 2);
    voter.Expect(!slots.empty() && !next.empty() && next.front() > slots.back(),
                 "slots of the snapshot are used again");
    voter.PersistAll();
    ExpectCommitted(&voter, next);
  }
  return voter.broken();
}

Broken RandomHistory(const CoreFactory& factory, std::uint64_t seed) {
  LoneVoter voter(factory, seed);
  Random& random = voter.random();
  voter.Start();
  for (int i = 0; i < 300 && !voter.broken(); ++i) {
    const std::uint64_t what = random.Below(20);
    if (!voter.up()) {
      voter.Start();
    } else if (what < 7) {
      voter.Propose();
    } else if (what < 14) {
      voter.PersistOne();
    } else if (what < 16) {
      voter.Barrier();
    } else if (what < 18) {
      voter.Pass();
    } else if (what < 19) {
      voter.Compact(Slot(random.Below(voter.committed().value() + 1)));
    } else {
      voter.Crash(random.Below(voter.writes_under_way() + 1));
    }
  }
  if (!voter.up()) voter.Start();
  voter.Lead();
  const std::vector<Slot> slots = Propose(&voter, 1);
  voter.PersistAll();
  ExpectCommitted(&voter, slots);
  return voter.broken();
}

Broken RandomHistoriesKeepThePromises(const CoreFactory& factory) {
  for (std::uint64_t seed = 1; seed <= (kSanitized ? 30 : 300); ++seed) {
    const Broken broken = RandomHistory(factory, seed);
    if (broken) return "seed " + std::to_string(seed) + ": " + *broken;
  }
  return std::nullopt;
}

class Case final : public testing::Test {
 public:
  Case(CoreFactory factory, CoreConformanceTest test) : factory_(std::move(factory)), test_(test) {}

 private:
  void TestBody() override {
    const Broken broken = test_.run(factory_);
    EXPECT_FALSE(broken.has_value()) << *broken;
  }

  const CoreFactory factory_;
  const CoreConformanceTest test_;
};

}  // namespace

const std::vector<CoreConformanceTest>& CoreConformanceTests() {
  static const std::vector<CoreConformanceTest> kTests = {
      {"LeadsAlone", LeadsAlone},
      {"CommitsWhatIsDurableInOrder", CommitsWhatIsDurableInOrder},
      {"ARefusalIsReported", ARefusalIsReported},
      {"BarriersSeeWhatWasCommitted", BarriersSeeWhatWasCommitted},
      {"BarriersSeeWhatAFormerRunCommitted", BarriersSeeWhatAFormerRunCommitted},
      {"ARestartResumes", ARestartResumes},
      {"ACrashTakesWhatWasNotDurable", ACrashTakesWhatWasNotDurable},
      {"ARestartBehindASnapshotResumes", ARestartBehindASnapshotResumes},
      {"RandomHistoriesKeepThePromises", RandomHistoriesKeepThePromises}};
  return kTests;
}

void RegisterCoreConformance(const std::string& suite, const CoreFactory& factory) {
  for (const CoreConformanceTest& test : CoreConformanceTests()) {
    testing::RegisterTest(suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
                          [=]() -> testing::Test* { return new Case(factory, test); });
  }
}

std::vector<std::string> FailedConformance(const CoreFactory& factory) {
  std::vector<std::string> failed;
  for (const CoreConformanceTest& test : CoreConformanceTests()) {
    const Broken broken = test.run(factory);
    if (broken) failed.push_back(std::string(test.name) + ": " + *broken);
  }
  return failed;
}

}  // namespace cairn::consensus
