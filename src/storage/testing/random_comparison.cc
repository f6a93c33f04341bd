#include "src/storage/testing/random_comparison.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/sanitizers.h"
#include "src/storage/testing/model_state.h"

namespace cairn::storage {
namespace {

class Comparison {
 public:
  Comparison(EngineHarness& harness, std::uint64_t seed) : h_(harness), random_(seed) {}

  void Run(std::uint64_t operations) {
    while (operations_ < operations && !testing::Test::HasFatalFailure() &&
           !testing::Test::HasNonfatalFailure()) {
      Step();
    }
    CompareAll();
  }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }

 private:
  // A batch with the families that were made before it and dropped after it.
  struct Logged {
    WriteBatch batch;
    StateMeta meta;
    std::vector<FamilyId> created;
    std::vector<FamilyId> dropped;
  };

  void Step() {
    const std::uint64_t dice = random_.Below(1000);
    if (dice < 450) return WriteSome({}, {});
    if (dice < 700) return GetSome();
    if (dice < 800) return Walk();
    if (dice < 880) return Scan();
    if (dice < 930) return CompareHistory();
    if (dice < 960) return CompareSystem();
    if (dice < 972) return Flush();
    if (dice < 984) return RaiseWatermark();
    if (dice < 989) return CreateFamily();
    if (dice < 993) return DropFamily();
    if (dice < 996) return h_.CollectGarbage();
    Crash();
  }

  // ---- Random things

  // Few and short, of bytes that are hard on an order: keys collide and are prefixes of each other.
  std::string Key() {
    static constexpr char kBytes[] = {'\0', '\x01', 'a', 'b', '\xff'};
    std::string key(random_.Below(5), 'a');
    for (char& c : key) c = kBytes[random_.Below(sizeof(kBytes))];
    return key;
  }
  std::string SystemKey(SystemSpace space) {
    return space == SystemSpace::kState ? "s" + Key() : Key();
  }
  std::string Value() { return std::string(random_.Below(40), static_cast<char>(random_.Next())); }
  SystemSpace Space() {
    return random_.Below(2) == 0 ? SystemSpace::kState : SystemSpace::kVersionIndex;
  }
  FamilyId Family() {
    const auto families = model_.Families();
    return families[random_.Below(families.size())];
  }
  KeyRange Range() {
    KeyRange range;
    if (random_.OneIn(2, 3)) range.begin = Key();
    if (random_.OneIn(2, 3)) range.end = Key();
    return range;
  }
  // One that may be read: at or above the watermark, a little past the newest too.
  Version ReadVersion() {
    const std::uint64_t low = watermark_.value();
    const std::uint64_t high = model_.meta().version.value() + 2;
    if (random_.OneIn(1, 4)) return Version(std::max(low, high - 2));
    return Version(low + random_.Below(high - low + 1));
  }

  // ---- Changes

  void WriteSome(std::vector<FamilyId> created, std::vector<FamilyId> dropped,
                 Version watermark = Version(0)) {
    Logged logged{{}, model_.meta(), std::move(created), std::move(dropped)};
    std::uint64_t version = logged.meta.version.value();
    for (std::uint64_t n = random_.Below(30); n > 0; --n) {
      // Often many changes a version, as in a transaction; some versions are skipped.
      if (random_.OneIn(1, 4)) version += 1 + random_.Below(2);
      AddChange(&logged.batch, Version(std::max(version, logged.meta.version.value() + 1)));
      ++operations_;
    }
    logged.meta.applied_slot = logged.meta.applied_slot.Next();
    logged.meta.version = Version(version + 1);
    logged.meta.watermark = std::max(logged.meta.watermark, watermark);
    if (!logged.created.empty()) {
      logged.meta.next_family = logged.created.back().Next();
    }
    Apply(logged, &model_);
    for (const FamilyId family : logged.created) {
      ASSERT_EQ(h_.engine().CreateFamily(family), Status::Ok());
    }
    ASSERT_EQ(h_.engine().Write(logged.batch, logged.meta), Status::Ok());
    for (const FamilyId family : logged.dropped) {
      ASSERT_EQ(h_.engine().DropFamily(family), Status::Ok());
    }
    log_.push_back(std::move(logged));
    ASSERT_EQ(h_.engine().Meta(), model_.meta());
  }

  void AddChange(WriteBatch* batch, Version version) {
    const std::uint64_t dice = random_.Below(100);
    if (dice < 60) return batch->Put(Family(), Key(), Value(), version);
    if (dice < 85) return batch->Delete(Family(), Key(), version);
    const SystemSpace space = Space();
    if (dice < 93) return batch->SystemPut(space, SystemKey(space), Value());
    if (dice < 98) return batch->SystemDelete(space, SystemKey(space));
    batch->SystemDeleteRange(space, SystemKey(space), SystemKey(space));
  }

  static void Apply(const Logged& logged, ModelState* model) {
    for (const FamilyId family : logged.created) model->CreateFamily(family);
    model->Write(logged.batch, logged.meta);
    for (const FamilyId family : logged.dropped) model->DropFamily(family);
  }

  void CreateFamily() {
    if (model_.Families().size() >= 5) return;
    WriteSome({model_.meta().next_family}, {});
  }
  void DropFamily() {
    const FamilyId family = Family();
    if (family != FamilyId(0)) WriteSome({}, {family});
  }

  void RaiseWatermark() {
    const std::uint64_t room = model_.meta().version.value() - watermark_.value();
    const Version to(watermark_.value() + random_.Below(room + 1));
    WriteSome({}, {}, to);
    ASSERT_EQ(h_.engine().SetWatermark(to), Status::Ok());
    watermark_ = std::max(watermark_, to);
    model_.Prune(watermark_);
  }

  void Flush() {
    ASSERT_EQ(h_.engine().Flush(), Status::Ok());
    const auto flushed = h_.engine().FlushedMeta();
    ASSERT_TRUE(flushed.ok());
    ASSERT_EQ(*flushed, model_.meta());
    flushed_ = model_;
    log_.clear();
  }

  // The engine comes back at some batch since the last flush, and the test goes on from there.
  void Crash() {
    ++crashes_;
    const auto before = h_.engine().FlushedMeta();
    ASSERT_TRUE(before.ok());
    h_.Crash();
    const StateMeta meta = h_.engine().Meta();
    ASSERT_GE(meta.applied_slot, before->applied_slot);
    model_ = flushed_;
    for (auto logged = log_.begin(); model_.meta() != meta; ++logged) {
      ASSERT_NE(logged, log_.end()) << "no batch has slot " << meta.applied_slot.value();
      Apply(*logged, &model_);
    }
    flushed_ = model_;
    log_.clear();
    watermark_ = meta.watermark;
    ASSERT_EQ(h_.engine().ReconcileFamilies(model_.Families()), Status::Ok());
    CompareAll();
  }

  // ---- Reads

  void GetSome() {
    for (int n = 0; n < 10; ++n) {
      const FamilyId family = Family();
      const std::string key = Key();
      const Version at = ReadVersion();
      const auto [version, expected] = model_.Get(family, key, at);
      std::string value;
      const auto lookup = h_.engine().Get(family, key, at, &value);
      ASSERT_TRUE(lookup.ok()) << lookup.status().ToString();
      ASSERT_EQ(lookup->found, expected.has_value());
      if (expected.has_value()) {
        ASSERT_EQ(value, *expected);
      }
      // Below the watermark an engine may have forgotten which version it was.
      if (version >= watermark_ || lookup->version != Version(0)) {
        ASSERT_EQ(lookup->version, version);
      }
      ++operations_;
    }
  }

  void Scan() {
    const FamilyId family = Family();
    const KeyRange range = Range();
    const Version at = ReadVersion();
    KeyValues expected = model_.Visible(family, range, at);
    ASSERT_EQ(Forward(h_.engine(), family, range, at), expected);
    operations_ += expected.size();
    std::reverse(expected.begin(), expected.end());
    ASSERT_EQ(Backward(h_.engine(), family, range, at), expected);
    operations_ += expected.size();
  }

  // Seeks and steps in all directions.
  void Walk() {
    const FamilyId family = Family();
    const KeyRange range = Range();
    const Version at = ReadVersion();
    const KeyValues keys = model_.Visible(family, range, at);
    const auto made = h_.engine().NewIterator(family, range, at);
    ASSERT_TRUE(made.ok());
    ReadIterator& it = **made;
    // The index of the key that the iterator is on; keys.size() or -1 if it is not valid.
    auto place = static_cast<std::ptrdiff_t>(keys.size());
    const auto size = place;
    for (int n = 0; n < 12; ++n) {
      const std::uint64_t dice = random_.Below(10);
      const bool valid = place >= 0 && place < size;
      if (dice < 2 || !valid) {
        const std::string target = Key();
        const auto first = std::lower_bound(
            keys.begin(), keys.end(), target,
            [](const auto& entry, const std::string& key) { return entry.first < key; });
        if (random_.Below(2) == 0) {
          it.SeekGreaterOrEqual(target);
          place = first - keys.begin();
        } else {
          it.SeekLess(target);
          place = target.empty() ? size - 1 : first - keys.begin() - 1;
        }
      } else if (dice < 6) {
        it.Next();
        ++place;
      } else {
        it.Prev();
        --place;
      }
      ASSERT_EQ(it.Valid(), place >= 0 && place < size);
      ASSERT_EQ(it.status(), Status::Ok());
      if (it.Valid()) {
        ASSERT_EQ(it.key(), keys[place].first);
        ASSERT_EQ(it.value(), keys[place].second);
      }
      ++operations_;
    }
  }

  void CompareHistory() {
    const FamilyId family = Family();
    const KeyRange range = Range();
    // What is below the watermark may or may not be there.
    auto found = History(h_.engine(), family, range);
    operations_ += found.size();
    std::erase_if(found, [&](const HistoryEntry& entry) { return entry.version < watermark_; });
    ASSERT_EQ(found, model_.History(family, range, watermark_));
  }

  void CompareSystem() {
    const SystemSpace space = Space();
    const KeyRange range = Range();
    const KeyValues expected = model_.System(space, range);
    ASSERT_EQ(System(h_.engine(), space, range), expected);
    operations_ += expected.size();
    const std::string key = SystemKey(space);
    const KeyValues same = model_.System(space, {key, key + '\0'});
    const auto value = h_.engine().GetSystem(space, key);
    ASSERT_EQ(value.ok(), !same.empty());
    if (value.ok()) {
      ASSERT_EQ(*value, same.front().second);
    }
  }

  void CompareAll() {
    for (const FamilyId family : model_.Families()) {
      for (const Version at : {watermark_, model_.meta().version}) {
        ASSERT_EQ(Forward(h_.engine(), family, {}, at), model_.Visible(family, {}, at));
      }
    }
    for (const SystemSpace space : {SystemSpace::kState, SystemSpace::kVersionIndex}) {
      ASSERT_EQ(System(h_.engine(), space), model_.System(space, {}));
    }
  }

  EngineHarness& h_;
  SeededRandom random_;
  ModelState model_;
  ModelState flushed_;       // as of the last flush that was asked for
  std::vector<Logged> log_;  // since then
  Version watermark_;        // what the engine was told
  std::uint64_t operations_ = 0;
  std::uint64_t crashes_ = 0;
};

}  // namespace

void RunRandomComparison(EngineHarness& harness, std::uint64_t seed, std::uint64_t operations) {
  if (const char* given = std::getenv("CAIRN_TEST_SEED"); given != nullptr) {
    seed = std::strtoull(given, nullptr, 0);
  }
  std::cout << "seed " << seed << std::endl;
  SCOPED_TRACE("CAIRN_TEST_SEED=" + std::to_string(seed));
  Comparison comparison(harness, seed);
  comparison.Run(operations);
  std::cout << comparison.operations() << " operations, " << comparison.crashes() << " crashes"
            << std::endl;
}

std::uint64_t ScaledOperations(std::uint64_t operations) {
  return kSanitized ? operations / 20 : operations;
}

}  // namespace cairn::storage
