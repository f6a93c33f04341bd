#include "src/consensus/solo/solo_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <variant>

#include "src/base/testing/check_failure.h"
#include "src/consensus/core/testing/core_conformance.h"

namespace cairn::consensus {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<Core> MakeSolo(const PeerId& self, Random*) {
  return std::make_unique<SoloCore>(self.node);
}

const bool registered = (RegisterCoreConformance("SoloCoreConformance", MakeSolo), true);

// ---- Where it differs from other cores

const MonotonicTime kNow{1};

Entry At(std::uint64_t slot, std::uint64_t epoch) {
  return {Slot(slot), Epoch(epoch), EntryKind::kCommands, std::make_shared<const std::string>("x")};
}

Recovered With(std::vector<Entry> entries, std::string hard_state = {}) {
  return {std::move(hard_state), Slot(), Epoch(), Membership{}, std::move(entries), Slot()};
}

TEST(SoloCore, LeadsAtOnceAndAcceptsBehindItsEpoch) {
  SoloCore core(NodeId(3));
  const Effects first = core.Step({kNow, With({})});
  EXPECT_EQ(first.leadership, (Leadership{Role::kLeader, Epoch(1), NodeId(3)}));
  ASSERT_TRUE(first.persist && first.persist->hard_state);
  // A proposal need not wait until the epoch is durable: its own write comes after it.
  const Effects second = core.Step({kNow, Propose{ProposalId(7), EntryKind::kCommands,
                                                  std::make_shared<const std::string>("a")}});
  ASSERT_EQ(second.accepted.size(), 1u);
  EXPECT_EQ(second.accepted[0].slot, Slot(1));
  EXPECT_EQ(second.accepted[0].epoch, Epoch(1));
  ASSERT_TRUE(second.persist);
  EXPECT_GT(second.persist->token, first.persist->token);
}

TEST(SoloCore, TakesWhatTheJournalHoldsForCommitted) {
  SoloCore core(NodeId(0));
  EXPECT_EQ(core.Step({kNow, With({At(1, 4), At(2, 6)})}).committed, Slot(2));
  // A barrier asks nobody, and does not wait.
  const Effects effects = core.Step({kNow, ReadBarrier{BarrierId(1)}});
  ASSERT_EQ(effects.open_barriers.size(), 1u);
  EXPECT_EQ(effects.open_barriers[0].slot, Slot(2));
}

TEST(SoloCore, ItsEpochIsAboveEveryEntryAndEveryFormerRun) {
  SoloCore first(NodeId(0));
  const Effects begun = first.Step({kNow, With({At(1, 4), At(2, 6)})});
  EXPECT_EQ(begun.leadership->epoch, Epoch(7));
  SoloCore second(NodeId(0));
  EXPECT_EQ(second.Step({kNow, With({At(1, 4)}, *begun.persist->hard_state)}).leadership->epoch,
            Epoch(8));
  SoloCore third(NodeId(0));
  Recovered behind_a_snapshot = With({});
  behind_a_snapshot.snapshot_slot = Slot(5);
  behind_a_snapshot.snapshot_epoch = Epoch(9);
  const Effects effects = third.Step({kNow, behind_a_snapshot});
  EXPECT_EQ(effects.leadership->epoch, Epoch(10));
  EXPECT_EQ(effects.committed, Slot(5));
}

TEST(SoloCore, OneTokenStandsForThoseBeforeIt) {
  SoloCore core(NodeId(0));
  core.Step({kNow, With({})});
  PersistToken last;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    last = core.Step({kNow, Propose{ProposalId(i), EntryKind::kCommands,
                                    std::make_shared<const std::string>("a")}})
               .persist->token;
  }
  EXPECT_EQ(core.Step({kNow, Persisted{last.Prev()}}).committed, Slot(2));
  EXPECT_EQ(core.Step({kNow, Persisted{last}}).committed, Slot(3));
}

TEST(SoloCore, HasNoMembersToChangeAndNobodyToHearFrom) {
  SoloCore core(NodeId(0));
  core.Step({kNow, With({})});
  Membership target;
  target.members.push_back({NodeId(1), IncarnationId(1), true});
  const Effects refused = core.Step({kNow, ChangeMembership{ProposalId(1), target}});
  ASSERT_EQ(refused.rejected.size(), 1u);
  EXPECT_EQ(refused.rejected[0].status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.rejected[0].status.message()), HasSubstr("standalone"));
  const Effects nothing = core.Step({kNow, MessageReceived{NodeId(1), "hello"}});
  EXPECT_FALSE(nothing.persist || nothing.committed || nothing.leadership);
  EXPECT_FALSE(core.Step({kNow, TransferLeadership{NodeId(1)}}).leadership);
}

TEST(SoloCore, AHoleOrASecondRecoveryIsABug) {
  const ChecksThrow checks_throw;
  SoloCore core(NodeId(0));
  EXPECT_THROW(core.Step({kNow, With({At(1, 1), At(3, 1)})}), CheckFailure);
  SoloCore other(NodeId(0));
  other.Step({kNow, With({})});
  EXPECT_THROW(other.Step({kNow, With({})}), CheckFailure);
  SoloCore third(NodeId(0));
  EXPECT_THROW(third.Step({kNow, With({}, "\x02garbage")}), CheckFailure);
}

// ---- The suite finds what is wrong with a core

// The core with its effects, or the event before it, bent.
struct Bend {
  const char* name;
  std::function<void(const Event&, Effects*)> effects;
  std::function<void(Event*)> event = [](Event*) {};
  friend std::ostream& operator<<(std::ostream& out, const Bend& bend) { return out << bend.name; }
};

class BentCore final : public Core {
 public:
  BentCore(NodeId self, const Bend& bend) : core_(self), bend_(bend) {}
  Effects Step(const Event& event) override {
    Event bent = event;
    bend_.event(&bent);
    Effects effects = core_.Step(bent);
    bend_.effects(event, &effects);
    return effects;
  }

 private:
  SoloCore core_;
  const Bend bend_;
};

template <class E>
const E* If(const Event& event) {
  return std::get_if<E>(&event.what);
}

const Bend kBends[] = {
    {"CommitsAtOnce",
     [](const Event&, Effects* effects) {
       if (!effects->accepted.empty()) effects->committed = effects->accepted.back().slot;
     }},
    {"NeverCommits",
     [](const Event& event, Effects* effects) {
       if (If<Persisted>(event)) effects->committed.reset();
     }},
    {"ForgetsItsEpoch",
     [](const Event&, Effects* effects) {
       if (effects->persist) effects->persist->hard_state.reset();
     },
     [](Event* event) {
       if (auto* recovered = std::get_if<Recovered>(&event->what)) {
         for (Entry& entry : recovered->entries) entry.epoch = Epoch();
         recovered->snapshot_epoch = Epoch();
       }
     }},
    {"ForgetsItsLog", [](const Event&, Effects*) {},
     [](Event* event) {
       if (auto* recovered = std::get_if<Recovered>(&event->what)) recovered->entries.clear();
     }},
    {"ForgetsItsSnapshot", [](const Event&, Effects*) {},
     [](Event* event) {
       auto* recovered = std::get_if<Recovered>(&event->what);
       if (recovered != nullptr && recovered->entries.empty()) recovered->snapshot_slot = Slot();
     }},
    {"DropsARefusal", [](const Event&, Effects* effects) { effects->rejected.clear(); }},
    {"AnswersTwice",
     [](const Event&, Effects* effects) {
       if (!effects->accepted.empty()) effects->accepted.push_back(effects->accepted.back());
     }},
    {"RejectsAndWrites",
     [](const Event&, Effects* effects) {
       for (const AcceptedProposal& accepted : std::exchange(effects->accepted, {})) {
         effects->rejected.push_back({accepted.id, UnavailableError("no")});
       }
     }},
    {"OldReads",
     [](const Event&, Effects* effects) {
       for (OpenBarrier& open : effects->open_barriers) open.slot = open.slot.Prev();
     }},
    {"ShutBarriers", [](const Event&, Effects* effects) { effects->open_barriers.clear(); }},
    {"OtherPayload",
     [](const Event&, Effects* effects) {
       if (!effects->persist) return;
       for (Entry& entry : effects->persist->entries) {
         entry.payload = std::make_shared<const std::string>("else");
       }
     }},
    {"DoesNotWrite",
     [](const Event&, Effects* effects) {
       if (effects->persist) effects->persist->entries.clear();
     }},
    {"TokensWithAGap", [](const Event&, Effects* effects) {
       if (effects->persist && !effects->accepted.empty()) {
         effects->persist->token = effects->persist->token.Next();
       }
     }}};

class SuiteTest : public testing::TestWithParam<Bend> {};

TEST_P(SuiteTest, FindsIt) {
  const CoreFactory factory = [](const PeerId& self, Random*) {
    return std::make_unique<BentCore>(self.node, GetParam());
  };
  EXPECT_THAT(FailedConformance(factory), testing::Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(BentCore, SuiteTest, testing::ValuesIn(kBends),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace cairn::consensus
