#include "src/storage/testing/swap_conformance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/clock.h"

namespace cairn::storage {
namespace {

constexpr char kData[] = "/data";
constexpr char kArrived[] = "/data/snapshots/in.1";
constexpr FamilyId kDefault{0};
constexpr FamilyId kOldFamily{1};
constexpr FamilyId kNewFamily{2};
constexpr int kKeys = 20;

std::string Key(int i) { return "key" + std::to_string(10 + i); }

// All keys of the default family say which state they are of.
void WriteState(Engine& engine, FamilyId family, const std::string& tag, const StateMeta& meta) {
  ASSERT_EQ(engine.CreateFamily(family), Status::Ok());
  WriteBatch batch;
  for (int i = 0; i < kKeys; ++i) batch.Put(kDefault, Key(i), tag, meta.version);
  batch.Put(family, "family", tag, meta.version);
  batch.SystemPut(SystemSpace::kState, "tag", tag);
  ASSERT_EQ(engine.Write(batch, meta), Status::Ok());
}

StateMeta OldMeta() { return MakeMeta(10, 100); }

StateMeta NewMeta() {
  StateMeta meta = MakeMeta(50, 500, 300);
  meta.applied_epoch = Epoch(7);
  meta.membership = "members";
  meta.features = 4;
  return meta;
}

void ExpectState(const Engine& engine, FamilyId family, const std::string& tag,
                 const StateMeta& meta) {
  EXPECT_EQ(engine.Meta(), meta);
  EXPECT_EQ(*engine.FlushedMeta(), meta);
  KeyValues all;
  for (int i = 0; i < kKeys; ++i) all.emplace_back(Key(i), tag);
  EXPECT_EQ(Forward(engine, kDefault, {}, meta.version), all);
  EXPECT_EQ(ValueAt(engine, family, "family", meta.version), tag);
  EXPECT_EQ(*engine.GetSystem(SystemSpace::kState, "tag"), tag);
}

void ExpectOld(const Engine& engine) { ExpectState(engine, kOldFamily, "old", OldMeta()); }
void ExpectNew(const Engine& engine) { ExpectState(engine, kNewFamily, "new", NewMeta()); }

// A complete snapshot of the new state in `kArrived`, as another machine would have sent it.
void MakeArrived(SwapMachine& machine) {
  auto other = machine.OpenEngine("/other");
  ASSERT_TRUE(other.ok()) << other.status().ToString();
  WriteState(**other, kNewFamily, "new", NewMeta());
  ASSERT_EQ((*other)->SetWatermark(NewMeta().watermark), Status::Ok());
  const auto meta = (*other)->Checkpoint(kArrived);
  ASSERT_TRUE(meta.ok()) << meta.status().ToString();
  ASSERT_EQ(*meta, NewMeta());
}

// The engine with the old state, flushed.
std::unique_ptr<SwapEngine> OpenOld(SwapMachine& machine) {
  auto opened = machine.OpenSwap();
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  if (!opened.ok()) return nullptr;
  WriteState(**opened, kOldFamily, "old", OldMeta());
  EXPECT_EQ((*opened)->Flush(), Status::Ok());
  return *std::move(opened);
}

std::vector<std::string> DatabaseFolders(SwapMachine& machine) {
  std::vector<std::string> found = *machine.files().List(kData);
  std::erase_if(found, [](const std::string& name) { return !IsDatabaseFolder(name); });
  return found;
}

// ---- The tests

void InstallingReplacesTheState(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  EXPECT_FALSE(engine->installed().has_value());
  ExpectOld(*engine);
  ASSERT_EQ(engine->Install(kArrived, NewMeta()), Status::Ok());
  ExpectNew(*engine);
  EXPECT_EQ(engine->Get(kOldFamily, "family", Version(500), nullptr).status().code(),
            StatusCode::kNotFound);
  // What the snapshot's watermark forbids is forbidden here.
  EXPECT_EQ(engine->Get(kDefault, Key(0), Version(299), nullptr).status().code(),
            StatusCode::kTransactionTooOld);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db.50.7"});
  EXPECT_FALSE(machine.files().Exists(kArrived));
  const DatabasePointer expected{"db.50.7", Slot(50), Epoch(7)};
  EXPECT_EQ(engine->installed(), expected);

  // It goes on from there, and a restart finds that.
  ASSERT_EQ(engine->ReconcileFamilies({kNewFamily}), Status::Ok());
  StateMeta later = NewMeta();
  later.applied_slot = Slot(51);
  later.version = Version(501);
  WriteBatch batch;
  batch.Put(kDefault, "later", "1", later.version);
  ASSERT_EQ(engine->Write(batch, later), Status::Ok());
  ASSERT_EQ(engine->Flush(), Status::Ok());
  engine.reset();
  machine.Crash(CrashMode::kDropUnsynced, nullptr);
  auto again = machine.OpenSwap();
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ((*again)->Meta(), later);
  EXPECT_EQ(ValueAt(**again, kDefault, "later", later.version), "1");
  EXPECT_EQ((*again)->installed(), expected);
}

// The caller reads the new engine before anybody else does, and can refuse it.
void PrepareSeesTheNewStateFirst(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  const Status refused = engine->Install(kArrived, NewMeta(), [&](Engine* next) {
    ExpectNew(*next);
    ExpectOld(*engine);
    return FailedPreconditionError("not this one");
  });
  EXPECT_EQ(refused, FailedPreconditionError("not this one"));
  ExpectOld(*engine);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db"});
  auto other = machine.OpenEngine("/other2");
  ASSERT_TRUE(other.ok());
  WriteState(**other, kNewFamily, "new", NewMeta());
  ASSERT_TRUE((*other)->Checkpoint(kArrived).ok());
  EXPECT_EQ(engine->Install(kArrived, NewMeta(),
                            [](Engine* next) { return next->ReconcileFamilies({kNewFamily}); }),
            Status::Ok());
  ExpectNew(*engine);
}

void ASecondSnapshotReplacesTheFirst(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  ASSERT_EQ(engine->Install(kArrived, NewMeta()), Status::Ok());
  auto other = machine.OpenEngine("/other2");
  ASSERT_TRUE(other.ok());
  WriteState(**other, kNewFamily, "newer", MakeMeta(60, 600));
  ASSERT_TRUE((*other)->Checkpoint(kArrived).ok());
  ASSERT_EQ(engine->Install(kArrived, MakeMeta(60, 600)), Status::Ok());
  ExpectState(*engine, kNewFamily, "newer", MakeMeta(60, 600));
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db.60.1"});
}

void IteratorsInFlightStayInTheirState(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  auto forward = engine->NewIterator(kDefault, {}, Version(100));
  auto history = engine->NewHistoryIterator(kDefault, {});
  auto system = engine->NewSystemIterator(SystemSpace::kState, {});
  ASSERT_TRUE(forward.ok() && history.ok() && system.ok());
  (*forward)->SeekGreaterOrEqual("");
  ASSERT_TRUE((*forward)->Valid());
  (*forward)->Next();
  ASSERT_EQ(engine->Install(kArrived, NewMeta()), Status::Ok());

  int seen = 1;
  for (; (*forward)->Valid(); (*forward)->Next(), ++seen) EXPECT_EQ((*forward)->value(), "old");
  EXPECT_EQ((*forward)->status(), Status::Ok());
  EXPECT_EQ(seen, kKeys);
  for (seen = 0; (*history)->Valid(); (*history)->Next(), ++seen) {
    EXPECT_EQ((*history)->version(), Version(100));
  }
  EXPECT_EQ(seen, kKeys);
  EXPECT_EQ((*system)->value(), "old");
  ExpectNew(*engine);
  // The old state's folder goes with its last reader.
  EXPECT_EQ(DatabaseFolders(machine), (std::vector<std::string>{"db", "db.50.7"}));
  forward->reset();
  history->reset();
  EXPECT_EQ(DatabaseFolders(machine).size(), 2U);
  system->reset();
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db.50.7"});
}

void ADamagedOrOtherSnapshotChangesNothing(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  StateMeta other = NewMeta();
  other.version = Version(501);
  EXPECT_EQ(engine->Install(kArrived, other).code(), StatusCode::kCorruption);
  ExpectOld(*engine);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db"});
  EXPECT_FALSE(engine->installed().has_value());
  // One that was cut off: each file in turn is emptied.
  const auto fresh = machine.OpenEngine("/other3");
  ASSERT_TRUE(fresh.ok());
  WriteState(**fresh, kNewFamily, "new", NewMeta());
  const std::string copy = "/data/snapshots/in.2";
  ASSERT_TRUE((*fresh)->Checkpoint(copy).ok());
  const std::vector<std::string> names = *machine.files().List(copy);
  for (const std::string& name : names) {
    auto file = machine.files().Open(copy + "/" + name, OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Truncate(0), Status::Ok());
  }
  const Status refused = engine->Install(copy, NewMeta());
  EXPECT_FALSE(refused.ok());
  ExpectOld(*engine);
  engine.reset();
  const auto again = machine.OpenSwap();
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ExpectOld(**again);
}

// Readers on other threads while a snapshot is installed: each read of the keys is of one state.
// The state of a snapshot without the file that says so: nothing is removed.
void AStateWithoutItsPointerIsRefusedAndKept(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  ASSERT_EQ(engine->Install(kArrived, NewMeta()), Status::Ok());
  engine.reset();
  const std::string pointer = kData + std::string("/DATABASE");
  const std::string content = *machine.files().ReadFile(pointer);
  machine.files().FailNth(FileOperation::kRead, 1, IoError("EIO"));
  EXPECT_EQ(machine.OpenSwap().status().code(), StatusCode::kIoError);
  ASSERT_EQ(machine.files().Remove(pointer), Status::Ok());
  const Status refused = machine.OpenSwap().status();
  EXPECT_EQ(refused.code(), StatusCode::kCorruption);
  EXPECT_NE(refused.message().find("/db.50.7' holds a database"), std::string::npos);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db.50.7"});
  ASSERT_EQ(machine.files().WriteFileAtomically(pointer, content), Status::Ok());
  auto again = machine.OpenSwap();
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ExpectNew(**again);
}

// What an operator put beside the state stays; what an installation left goes.
void OnlyFoldersOfStatesAreRemoved(SwapMachine& machine) {
  ASSERT_NE(OpenOld(machine), nullptr);
  const std::string data = kData;
  for (const char* name : {"/db.bak", "/db.9.1", "/db.9", "/db.9.x"}) {
    ASSERT_EQ(machine.files().CreateDirectories(data + name), Status::Ok());
  }
  for (const char* name : {"/db.tar", "/db.8.1"}) {
    ASSERT_EQ(machine.files().WriteFileAtomically(data + name, "x"), Status::Ok());
  }
  ASSERT_TRUE(machine.OpenSwap().ok());
  for (const char* name : {"/db.bak", "/db.9", "/db.9.x", "/db.tar", "/db.8.1"}) {
    EXPECT_TRUE(machine.files().Exists(data + name)) << name;
  }
  EXPECT_FALSE(machine.files().Exists(data + "/db.9.1"));
}

void ReadersSeeOldOrNew(SwapMachine& machine) {
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  ASSERT_NE(engine, nullptr);
  constexpr int kReaders = 3;
  std::atomic<int> reading{0};
  std::atomic<bool> installed{false};
  std::atomic<int> old_seen{0};
  std::atomic<int> new_seen{0};
  std::vector<std::thread> readers;
  readers.reserve(kReaders);
  for (int r = 0; r < kReaders; ++r) {
    readers.emplace_back([&] {
      bool counted = false;
      bool last = false;
      while (!last) {
        last = installed.load();  // One more round, which must see the new state.
        auto it = engine->NewIterator(kDefault, {}, Version::Max());
        ASSERT_TRUE(it.ok()) << it.status().ToString();
        std::vector<std::string> values;
        for ((*it)->SeekGreaterOrEqual(""); (*it)->Valid(); (*it)->Next()) {
          values.emplace_back((*it)->value());
        }
        ASSERT_EQ(values.size(), static_cast<std::size_t>(kKeys));
        EXPECT_EQ(std::count(values.begin(), values.end(), values.front()), kKeys);
        EXPECT_TRUE(!last || values.front() == "new");
        ++(values.front() == "old" ? old_seen : new_seen);
        if (!std::exchange(counted, true)) ++reading;
      }
    });
  }
  while (reading.load() < kReaders) std::this_thread::yield();
  EXPECT_EQ(engine->Install(kArrived, NewMeta()), Status::Ok());
  installed.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_GE(old_seen.load(), kReaders);
  EXPECT_GE(new_seen.load(), kReaders);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{"db.50.7"});
}

// One installation with the power cut at the `nth` change of the disk; false once that is behind
// the end of the installation.
bool InstallWithCutAt(SwapMachine& machine, std::uint64_t nth, bool* became_new) {
  SeededRandom random(nth);
  const auto crash = [&] {
    const std::uint64_t kind = random.Below(machine.StandsRandomCrashes() ? 3 : 2);
    machine.Crash(kind == 0   ? CrashMode::kDropUnsynced
                  : kind == 1 ? CrashMode::kKeepUnsynced
                              : CrashMode::kRandom,
                  &random);
  };
  MakeArrived(machine);
  std::unique_ptr<SwapEngine> engine = OpenOld(machine);
  if (engine == nullptr) return false;
  machine.files().PowerOffAt(nth);
  const Status installed = engine->Install(kArrived, NewMeta());
  const bool struck = machine.files().PoweredOff();
  EXPECT_TRUE(installed.ok() || struck) << installed.ToString();
  engine.reset();
  crash();
  // The start after it may be cut short, too.
  machine.files().PowerOffAt(1 + random.Below(40));
  (void)machine.OpenSwap();
  crash();

  // What arrived and counts no more is cleared away at a start: not what became the state.
  EXPECT_EQ(machine.files().RemoveTree("/data/snapshots"), Status::Ok());
  auto opened = machine.OpenSwap();
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  if (!opened.ok()) return false;
  *became_new = (*opened)->installed().has_value();
  // Once the caller was told so, it is the new state.
  EXPECT_TRUE(*became_new || !installed.ok());
  *became_new ? ExpectNew(**opened) : ExpectOld(**opened);
  EXPECT_EQ(DatabaseFolders(machine), std::vector<std::string>{*became_new ? "db.50.7" : "db"});
  // And a later snapshot can be installed.
  auto other = machine.OpenEngine("/later");
  EXPECT_TRUE(other.ok());
  if (!other.ok()) return false;
  WriteState(**other, kNewFamily, "newer", MakeMeta(60, 600));
  EXPECT_TRUE((*other)->Checkpoint("/data/snapshots/in.9").ok());
  EXPECT_EQ((*opened)->Install("/data/snapshots/in.9", MakeMeta(60, 600)), Status::Ok());
  ExpectState(**opened, kNewFamily, "newer", MakeMeta(60, 600));
  return struck;
}

struct SwapTest {
  const char* name;
  void (*run)(SwapMachine&);
};

class SwapCase final : public testing::Test {
 public:
  SwapCase(SwapMachineFactory factory, SwapTest test) : factory_(std::move(factory)), test_(test) {}

 private:
  void TestBody() override { test_.run(*factory_()); }

  const SwapMachineFactory factory_;
  const SwapTest test_;
};

class CrashCase final : public testing::Test {
 public:
  explicit CrashCase(SwapMachineFactory factory) : factory_(std::move(factory)) {}

 private:
  void TestBody() override {
    int old_states = 0;
    int new_states = 0;
    for (std::uint64_t nth = 1; !HasFailure(); ++nth) {
      SCOPED_TRACE("power cut at change " + std::to_string(nth));
      bool became_new = false;
      const bool struck = InstallWithCutAt(*factory_(), nth, &became_new);
      ++(became_new ? new_states : old_states);
      if (!struck) break;
    }
    std::cout << old_states << " times the old state, " << new_states << " times the new one"
              << std::endl;
    EXPECT_GT(old_states, 2);
    EXPECT_GT(new_states, 1);
  }

  const SwapMachineFactory factory_;
};

}  // namespace

Result<std::unique_ptr<SwapEngine>> SwapMachine::OpenSwap() {
  return SwapEngine::Open({.files = &files_, .directory = kData, .open = [this](const auto& path) {
                             return OpenEngine(path);
                           }});
}

void RegisterSwapConformance(const std::string& suite, const SwapMachineFactory& factory) {
  static constexpr SwapTest kTests[] = {
      {"InstallingReplacesTheState", InstallingReplacesTheState},
      {"PrepareSeesTheNewStateFirst", PrepareSeesTheNewStateFirst},
      {"ASecondSnapshotReplacesTheFirst", ASecondSnapshotReplacesTheFirst},
      {"IteratorsInFlightStayInTheirState", IteratorsInFlightStayInTheirState},
      {"ADamagedOrOtherSnapshotChangesNothing", ADamagedOrOtherSnapshotChangesNothing},
      {"AStateWithoutItsPointerIsRefusedAndKept", AStateWithoutItsPointerIsRefusedAndKept},
      {"OnlyFoldersOfStatesAreRemoved", OnlyFoldersOfStatesAreRemoved},
      {"ReadersSeeOldOrNew", ReadersSeeOldOrNew},
  };
  for (const SwapTest& test : kTests) {
    testing::RegisterTest(suite.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
                          [=]() -> testing::Test* { return new SwapCase(factory, test); });
  }
  testing::RegisterTest(suite.c_str(), "ACrashAtEachPointLeavesOldOrNew", nullptr, nullptr,
                        __FILE__, __LINE__,
                        [=]() -> testing::Test* { return new CrashCase(factory); });
}

}  // namespace cairn::storage
