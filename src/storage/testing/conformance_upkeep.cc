// The watermark, checkpoints and figures.
#include <gtest/gtest.h>

#include "src/storage/testing/engine_conformance.h"

namespace cairn::storage {
namespace {

constexpr FamilyId kDefault{0};

// "k" put at 10, 20, 30; "d" put at 10 and deleted at 20; "gone" put at 10, deleted at 30.
void WriteVersions(EngineHarness& h) {
  WriteBatch batch;
  for (const char* key : {"k", "d", "gone"}) batch.Put(kDefault, key, "10", Version(10));
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 10)), Status::Ok());
  batch.Clear();
  batch.Put(kDefault, "k", "20", Version(20));
  batch.Delete(kDefault, "d", Version(20));
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(2, 20)), Status::Ok());
  batch.Clear();
  batch.Put(kDefault, "k", "30", Version(30));
  batch.Delete(kDefault, "gone", Version(30));
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(3, 30)), Status::Ok());
}

void ReadsBelowTheWatermarkAreTooOld(EngineHarness& h) {
  WriteVersions(h);
  const auto open = h.engine().NewIterator(kDefault, {}, Version(24));
  ASSERT_TRUE(open.ok());
  (*open)->SeekGreaterOrEqual("");
  ASSERT_TRUE((*open)->Valid());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 31, 25)), Status::Ok());
  ASSERT_EQ(h.engine().SetWatermark(Version(25)), Status::Ok());
  std::string value;
  EXPECT_EQ(h.engine().Get(kDefault, "k", Version(24), &value).status().code(),
            StatusCode::kTransactionTooOld);
  EXPECT_EQ(h.engine().NewIterator(kDefault, {}, Version(24)).status().code(),
            StatusCode::kTransactionTooOld);
  (*open)->Next();  // overtaken
  EXPECT_FALSE((*open)->Valid());
  EXPECT_EQ((*open)->status().code(), StatusCode::kTransactionTooOld);
  (*open)->SeekLess("");
  EXPECT_FALSE((*open)->Valid());
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(25)), "20");
  // It only grows.
  ASSERT_EQ(h.engine().SetWatermark(Version(5)), Status::Ok());
  EXPECT_EQ(h.engine().Get(kDefault, "k", Version(24), &value).status().code(),
            StatusCode::kTransactionTooOld);
}

void VersionsBelowTheWatermarkGo(EngineHarness& h) {
  WriteVersions(h);
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 31, 25)), Status::Ok());
  ASSERT_EQ(h.engine().SetWatermark(Version(25)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  ASSERT_EQ(h.engine().Write({}, MakeMeta(5, 32, 25)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.CollectGarbage();
  // Of "k", the one that is visible at 25 stays, though an engine may forget its version; of "d",
  // nothing is left to hide; the delete of "gone" is above.
  const Version kept = h.ForgetsOldVersions() ? Version(0) : Version(20);
  const Version kept_gone = h.ForgetsOldVersions() ? Version(0) : Version(10);
  EXPECT_EQ(History(h.engine(), kDefault), (std::vector<HistoryEntry>{{"gone", Version(30), true},
                                                                      {"gone", kept_gone, false},
                                                                      {"k", Version(30), false},
                                                                      {"k", kept, false}}));
  for (const std::uint64_t at : {25, 29}) {
    EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(at)),
              (KeyValues{{"gone", "10"}, {"k", "20"}}));
    EXPECT_EQ(Backward(h.engine(), kDefault, {}, Version(at)),
              (KeyValues{{"k", "20"}, {"gone", "10"}}));
    EXPECT_EQ(ValueAt(h.engine(), kDefault, "d", Version(at)), "(none)");
  }
  EXPECT_EQ(Forward(h.engine(), kDefault, {}, Version(30)), (KeyValues{{"k", "30"}}));

  // All the way up: only what is alive stays.
  ASSERT_EQ(h.engine().Write({}, MakeMeta(6, 40, 40)), Status::Ok());
  ASSERT_EQ(h.engine().SetWatermark(Version(40)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.CollectGarbage();
  const auto history = History(h.engine(), kDefault);
  ASSERT_EQ(history.size(), 1U);
  EXPECT_EQ(history[0].key, "k");
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(40)), "30");
}

// What a crash brings back promises its own watermark, so nothing may have been dropped above it.
void NothingIsDroppedAboveTheFlushedWatermark(EngineHarness& h) {
  WriteVersions(h);
  ASSERT_EQ(h.engine().SetWatermark(Version(40)), Status::Ok());
  EXPECT_EQ(h.engine().Get(kDefault, "k", Version(39), nullptr).status().code(),
            StatusCode::kTransactionTooOld);
  ASSERT_EQ(h.engine().Flush(), Status::Ok());  // a state at version 30 with watermark 0
  h.CollectGarbage();
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 50, 40)), Status::Ok());
  h.Crash();
  ASSERT_EQ(h.engine().Meta(), MakeMeta(3, 30));
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(10)), "10");
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "gone", Version(29)), "10");
  EXPECT_EQ(History(h.engine(), kDefault), (std::vector<HistoryEntry>{{"d", Version(20), true},
                                                                      {"d", Version(10), false},
                                                                      {"gone", Version(30), true},
                                                                      {"gone", Version(10), false},
                                                                      {"k", Version(30), false},
                                                                      {"k", Version(20), false},
                                                                      {"k", Version(10), false}}));
}

void TheWatermarkOfTheStateCountsAfterACrash(EngineHarness& h) {
  WriteVersions(h);
  ASSERT_EQ(h.engine().Write({}, MakeMeta(4, 31, 25)), Status::Ok());
  ASSERT_EQ(h.engine().SetWatermark(Version(25)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.Crash();
  EXPECT_EQ(h.engine().Get(kDefault, "k", Version(24), nullptr).status().code(),
            StatusCode::kTransactionTooOld);
  EXPECT_EQ(ValueAt(h.engine(), kDefault, "k", Version(25)), "20");
}

void ACheckpointIsACopyOfItsOwn(EngineHarness& h) {
  ASSERT_EQ(h.engine().CreateFamily(FamilyId(1)), Status::Ok());
  WriteVersions(h);
  WriteBatch batch;
  batch.Put(FamilyId(1), "f", "1", Version(31));
  batch.SystemPut(SystemSpace::kState, "s", "1");
  batch.SystemPut(SystemSpace::kVersionIndex, "i", "1");
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(4, 31, 5)), Status::Ok());
  const std::string directory = h.NewDirectory();
  const auto meta = h.engine().Checkpoint(directory);
  ASSERT_TRUE(meta.ok()) << meta.status().ToString();
  EXPECT_EQ(*meta, MakeMeta(4, 31, 5));
  EXPECT_EQ(h.engine().Checkpoint(directory).status().code(), StatusCode::kAlreadyExists);

  // The original goes on.
  WriteBatch later;
  later.Put(kDefault, "k", "later", Version(32));
  later.SystemDelete(SystemSpace::kState, "s");
  ASSERT_EQ(h.engine().Write(later, MakeMeta(5, 32, 32)), Status::Ok());
  ASSERT_EQ(h.engine().SetWatermark(Version(32)), Status::Ok());
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  h.CollectGarbage();

  const std::unique_ptr<EngineHarness> copy = h.OpenCopy(directory);
  Engine& engine = copy->engine();
  EXPECT_EQ(engine.Meta(), *meta);
  EXPECT_EQ(*engine.FlushedMeta(), *meta);
  ASSERT_EQ(engine.ReconcileFamilies({FamilyId(1)}), Status::Ok());
  EXPECT_EQ(ValueAt(engine, kDefault, "k", Version(29)), "20");
  EXPECT_EQ(ValueAt(engine, kDefault, "k", Version::Max()), "30");
  EXPECT_EQ(History(engine, kDefault).size(), 7U);
  EXPECT_EQ(ValueAt(engine, FamilyId(1), "f", Version::Max()), "1");
  EXPECT_EQ(System(engine, SystemSpace::kState), (KeyValues{{"s", "1"}}));
  EXPECT_EQ(System(engine, SystemSpace::kVersionIndex), (KeyValues{{"i", "1"}}));
  // The copy takes writes, and garbage of the time before goes there too.
  ASSERT_EQ(engine.Write({}, MakeMeta(5, 40, 40)), Status::Ok());
  ASSERT_EQ(engine.SetWatermark(Version(40)), Status::Ok());
  ASSERT_EQ(engine.Flush(), Status::Ok());
  copy->CollectGarbage();
  EXPECT_EQ(History(engine, kDefault).size(), 1U);
}

void CheckpointOfAnEmptyEngine(EngineHarness& h) {
  const std::string directory = h.NewDirectory();
  const auto meta = h.engine().Checkpoint(directory);
  ASSERT_TRUE(meta.ok()) << meta.status().ToString();
  EXPECT_EQ(*meta, StateMeta());
  const std::unique_ptr<EngineHarness> copy = h.OpenCopy(directory);
  EXPECT_EQ(copy->engine().Meta(), StateMeta());
  EXPECT_EQ(copy->engine().Write({}, MakeMeta(1, 1)), Status::Ok());
}

void FiguresAreMeasured(EngineHarness& h) {
  const auto before = h.engine().Figures();
  WriteBatch batch;
  for (int i = 0; i < 1000; ++i) {
    batch.Put(kDefault, "key" + std::to_string(i), std::string(100, 'v'), Version(2));
  }
  ASSERT_EQ(h.engine().Write(batch, MakeMeta(1, 2)), Status::Ok());
  const auto written = h.engine().Figures();
  ASSERT_TRUE(written.unflushed_bytes.has_value());
  EXPECT_GE(*written.unflushed_bytes, before.unflushed_bytes.value_or(0) + 100000);
  ASSERT_EQ(h.engine().Flush(), Status::Ok());
  const auto flushed = h.engine().Figures();
  EXPECT_LT(*flushed.unflushed_bytes, *written.unflushed_bytes);
  if (flushed.estimated_keys.has_value()) {
    EXPECT_NEAR(static_cast<double>(*flushed.estimated_keys), 1000, 20);
  }
  if (flushed.bytes_on_disk.has_value()) {
    EXPECT_GT(*flushed.bytes_on_disk, 1000U);
  }
}

}  // namespace

std::vector<ConformanceTest> UpkeepTests() {
  return {
      {"ReadsBelowTheWatermarkAreTooOld", ReadsBelowTheWatermarkAreTooOld},
      {"VersionsBelowTheWatermarkGo", VersionsBelowTheWatermarkGo},
      {"NothingIsDroppedAboveTheFlushedWatermark", NothingIsDroppedAboveTheFlushedWatermark},
      {"TheWatermarkOfTheStateCountsAfterACrash", TheWatermarkOfTheStateCountsAfterACrash},
      {"ACheckpointIsACopyOfItsOwn", ACheckpointIsACopyOfItsOwn},
      {"CheckpointOfAnEmptyEngine", CheckpointOfAnEmptyEngine},
      {"FiguresAreMeasured", FiguresAreMeasured},
  };
}

}  // namespace cairn::storage
