// Random histories of a journal over a disk that loses power, fills up and fails: whatever was
// synced is there afterwards, the rest is a prefix of what was written, and nothing else appears.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/testing/fault_file_system.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_twin_for_test.h"

namespace cairn::consensus::journal {
namespace {

// A journal and what it may contain. `base_` was seen at the last open; of `steps_` taken since, at
// least the first `synced_` survive a crash, and then any number of those that follow.
class Machine {
 public:
  Machine(std::uint64_t seed, std::uint64_t segment_bytes) : random_(seed), salts_(seed + 1) {
    options_.directory = "/data/journal";
    options_.group = GroupId(7);
    options_.segment_bytes = segment_bytes;
    options_.prewrite_bytes = random_.Below(3) * 500;
  }

  FaultFileSystem& files() { return files_; }
  Random& random() { return random_; }
  Journal& journal() { return *journal_; }
  [[nodiscard]] bool is_open() const { return journal_ != nullptr; }
  [[nodiscard]] const Status& last_error() const { return last_error_; }

  // Opens the journal; checks what it holds. False if a fault got in the way.
  bool Open() {
    journal_.reset();
    Result<std::unique_ptr<Journal>> opened = Journal::Open(options_, &files_, &salts_);
    if (!opened.ok()) {
      last_error_ = opened.status();
      return false;
    }
    journal_ = std::move(*opened);
    const Result<TwinState> seen = Observe(*journal_);
    EXPECT_TRUE(seen.ok()) << seen.status().ToString();
    if (!seen.ok()) return false;
    Match(*seen);
    return true;
  }

  void Crash(CrashMode mode) {
    journal_.reset();
    files_.Crash(mode, &random_);
  }
  void CrashRandomly() {
    const std::uint64_t pick = random_.Below(8);
    Crash(pick == 0 ? CrashMode::kDropUnsynced
                    : (pick == 1 ? CrashMode::kKeepUnsynced : CrashMode::kRandom));
  }

  // One random operation. False if the journal returned an error other than a full disk.
  bool Step() {
    switch (random_.Below(20)) {
      case 0:
      case 1:
        return Take([&] { return Compact(); });
      case 2:
        return random_.OneIn(1, 4) ? Take([&] { return Reset(); }) : true;
      case 3:
      case 4:
      case 5:
      case 6:
        return Take([&] { return Sync(); });
      default:
        return Take([&] { return Append(RandomBatch()); });
    }
  }

  Status Append(const Persist& batch) {
    const std::size_t before = steps_.size();
    for (TwinStep& step : StepsOf(batch)) steps_.push_back(std::move(step));
    Status appended = journal_->Append(batch);
    if (appended.code() == StatusCode::kResourceExhausted) steps_.resize(before);
    return appended;
  }

  Status Sync() {
    Status synced = journal_->Sync();
    if (synced.ok()) synced_ = steps_.size();
    return synced;
  }

  // The journal holds exactly what was written, whether synced or not.
  void CheckLive() {
    const Result<TwinState> seen = Observe(*journal_);
    ASSERT_TRUE(seen.ok()) << seen.status().ToString();
    ASSERT_EQ(seen->ToString(), Now().ToString());
    ASSERT_TRUE(*seen == Now());
  }

  Persist RandomBatch() {
    const TwinState now = Now();
    const std::uint64_t last = now.entries.empty() ? now.mark_slot : now.entries.rbegin()->first;
    Persist batch;
    if (random_.OneIn(1, 8)) {
      batch.truncate_from = Slot(std::max<std::uint64_t>(1, last - std::min(last, Below(6))));
    }
    if (random_.OneIn(1, 6)) batch.hard_state = "vote " + std::to_string(++counter_);
    const std::uint64_t count = Below(4);
    if (random_.OneIn(3, 4)) {
      std::uint64_t slot =
          batch.truncate_from.has_value() ? batch.truncate_from->value() : last + 1;
      for (std::uint64_t i = 0; i < count; ++i) batch.entries.push_back(RandomEntry(slot++));
    } else {
      for (std::uint64_t i = 0; i < count; ++i) {
        batch.entries.push_back(RandomEntry(1 + last - std::min(last, Below(8)) + Below(12)));
      }
    }
    return batch;
  }

 private:
  std::uint64_t Below(std::uint64_t bound) { return random_.Below(bound); }

  Entry RandomEntry(std::uint64_t slot) {
    std::string payload = "p" + std::to_string(++counter_) + ".";
    std::uint64_t more = Below(60);
    if (random_.OneIn(1, 12)) more = Below(700);
    if (random_.OneIn(1, 40)) more = options_.segment_bytes + Below(2000);
    // Runs of zeros and of one letter make torn sectors look like others.
    payload.append(more, random_.OneIn(1, 3) ? '\0' : 'x');
    return MakeEntry(slot, 1 + Below(5), std::move(payload),
                     random_.OneIn(1, 10) ? EntryKind::kNoOp : EntryKind::kCommands);
  }

  Status Compact() {
    const TwinState now = Now();
    const std::uint64_t last = now.entries.empty() ? now.mark_slot : now.entries.rbegin()->first;
    const std::uint64_t slot = now.mark_slot + Below(last - now.mark_slot + 2);
    const std::size_t before = steps_.size();
    if (slot > now.mark_slot) steps_.emplace_back().mark = {slot, 3};
    Status compacted = journal_->Compact(Slot(slot), Epoch(3));
    if (compacted.code() == StatusCode::kResourceExhausted) steps_.resize(before);
    return compacted;
  }

  Status Reset() {
    const std::uint64_t slot = Now().mark_slot + Below(30);
    const std::size_t before = steps_.size();
    steps_.emplace_back().reset = {slot, 4};
    Status reset = journal_->ResetTo(Slot(slot), Epoch(4));
    if (reset.ok()) synced_ = steps_.size();
    if (reset.code() == StatusCode::kResourceExhausted) steps_.resize(before);
    return reset;
  }

  bool Take(const std::function<Status()>& operation) {
    last_error_ = operation();
    return last_error_.ok() || last_error_.code() == StatusCode::kResourceExhausted;
  }

  TwinState Now() const {
    TwinState state = base_;
    for (const TwinStep& step : steps_) step.ApplyTo(&state);
    return state;
  }

  // Finds the number of steps that survived; from here on they are the truth.
  void Match(const TwinState& seen) {
    TwinState state = base_;
    for (std::size_t i = 0; i < synced_; ++i) steps_[i].ApplyTo(&state);
    std::string tried = state.ToString();
    for (std::size_t kept = synced_;; ++kept) {
      if (state == seen) {
        base_ = seen;
        steps_.clear();
        synced_ = 0;
        return;
      }
      if (kept == steps_.size()) break;
      steps_[kept].ApplyTo(&state);
      tried += "\n  " + state.ToString();
    }
    ADD_FAILURE() << "found\n  " << seen.ToString() << "\nbut expected one of\n  " << tried;
    base_ = seen;
    steps_.clear();
    synced_ = 0;
  }

  FaultFileSystem files_;
  SeededRandom random_;
  SeededRandom salts_;
  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
  Status last_error_;
  TwinState base_;
  std::vector<TwinStep> steps_;
  std::size_t synced_ = 0;
  std::uint64_t counter_ = 0;
};

// Reopens until no fault is in the way; the last opening checks the contents. Some of the openings
// lose power themselves.
void Reopen(Machine* machine) {
  for (std::uint64_t attempt = 0; attempt < 3 && machine->random().OneIn(1, 2); ++attempt) {
    machine->files().PowerOffAt(1 + machine->random().Below(12));
    if (machine->Open() && machine->random().OneIn(1, 2)) machine->files().PowerOffAt(0);
    machine->CrashRandomly();
  }
  ASSERT_TRUE(machine->Open()) << machine->last_error().ToString();
}

TEST(JournalCrashTest, LiveViewIsTheTwin) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Machine machine(seed, seed % 2 == 0 ? 1024 : 4096);
    ASSERT_TRUE(machine.Open());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(machine.Step()) << machine.last_error().ToString();
      ASSERT_NO_FATAL_FAILURE(machine.CheckLive());
    }
    machine.Crash(CrashMode::kKeepUnsynced);
    ASSERT_TRUE(machine.Open()) << machine.last_error().ToString();
    if (testing::Test::HasFailure()) return;
  }
}

// The same history again and again, losing power at the first operation, the second, and so on.
TEST(JournalCrashTest, PowerLossAtEveryOperation) {
  constexpr int kSteps = 40;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    const std::uint64_t segment_bytes = seed % 3 == 0 ? 4096 : 1024;
    std::uint64_t operations = 0;
    {
      Machine machine(seed, segment_bytes);
      ASSERT_TRUE(machine.Open());
      for (int i = 0; i < kSteps; ++i) ASSERT_TRUE(machine.Step());
      operations = machine.files().Operations();
    }
    for (std::uint64_t nth = 1; nth <= operations; ++nth) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " operation " + std::to_string(nth));
      Machine machine(seed, segment_bytes);
      machine.files().PowerOffAt(nth);
      if (machine.Open()) {
        for (int i = 0; i < kSteps && machine.Step(); ++i) {
        }
      }
      ASSERT_TRUE(machine.files().PoweredOff());
      for (int cycle = 0; cycle < 3; ++cycle) {
        machine.CrashRandomly();
        ASSERT_NO_FATAL_FAILURE(Reopen(&machine));
        for (int i = 0; i < 6; ++i) ASSERT_TRUE(machine.Step()) << machine.last_error().ToString();
        ASSERT_NO_FATAL_FAILURE(machine.CheckLive());
      }
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(JournalCrashTest, LongHistoriesOfCrashes) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Machine machine(seed * 1000, seed % 2 == 0 ? 1024 : 8192);
    for (int cycle = 0; cycle < 20; ++cycle) {
      ASSERT_NO_FATAL_FAILURE(Reopen(&machine));
      machine.files().PowerOffAt(1 + machine.random().Below(80));
      for (int i = 0; i < 40 && machine.Step(); ++i) {
      }
      machine.CrashRandomly();
      if (testing::Test::HasFailure()) return;
    }
  }
}

// A disk that is often full: refused batches leave no trace, now or after a crash.
TEST(JournalCrashTest, FullDiskAndCrashes) {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Machine machine(seed * 77, 4096);
    machine.files().SetCapacity(16384);
    for (int cycle = 0; cycle < 6; ++cycle) {
      ASSERT_NO_FATAL_FAILURE(Reopen(&machine));
      for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(machine.Step()) << machine.last_error().ToString();
        if (!machine.last_error().ok()) ++refused;
        ASSERT_NO_FATAL_FAILURE(machine.CheckLive());
      }
      machine.CrashRandomly();
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(refused, 100u);
}

// A process that ends between the renaming of the segment that begins anew and the sync of the
// folder leaves a name that is not durable; the next one must not remove the old segments before it
// is.
TEST(JournalCrashTest, AnEndWithinAResetAndThenAPowerLoss) {
  int within = 0;
  for (std::uint64_t kill = 1; kill < 12; ++kill) {
    for (std::uint64_t cut = 1; cut < 16; ++cut) {
      for (std::uint64_t seed = 1; seed <= 39; ++seed) {
        SCOPED_TRACE("kill " + std::to_string(kill) + ", power loss " + std::to_string(cut) +
                     ", seed " + std::to_string(seed));
        FaultFileSystem files;
        SeededRandom random(seed);
        JournalOptions options;
        options.directory = "/data/journal";
        options.group = GroupId(1);
        options.segment_bytes = 4096;
        auto journal = Journal::Open(options, &files, &random);
        ASSERT_TRUE(journal.ok());
        Persist persist;
        persist.hard_state = "vote 7";
        persist.entries.push_back(
            {Slot(1), Epoch(1), EntryKind::kCommands, std::make_shared<const std::string>("x")});
        ASSERT_TRUE((*journal)->Append(persist).ok());
        ASSERT_TRUE((*journal)->Sync().ok());
        files.PowerOffAt(kill);
        if ((*journal)->ResetTo(Slot(10), Epoch(2)).ok()) continue;
        ++within;
        journal->reset();
        files.Crash(CrashMode::kKeepUnsynced, &random);  // the process alone
        files.PowerOffAt(cut);
        (void)Journal::Open(options, &files, &random);
        files.Crash(CrashMode::kRandom, &random);
        journal = Journal::Open(options, &files, &random);
        ASSERT_TRUE(journal.ok()) << journal.status().ToString();
        ASSERT_EQ((*journal)->Contents().hard_state, "vote 7");
      }
    }
  }
  EXPECT_GT(within, 100);
}

// After a failed fdatasync the page cache shows bytes that are not on the disk. A process that
// starts again on the same machine may believe them only if it writes them once more.
TEST(JournalCrashTest, ProcessRestartAfterFailedSyncMakesWhatItFindsDurable) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Machine machine(seed, 8192);
    ASSERT_TRUE(machine.Open());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(machine.Step());
    ASSERT_TRUE(machine.Sync().ok());
    machine.files().FailNth(FileOperation::kSync, 1 + machine.random().Below(3), IoError("EIO"));
    for (int i = 0; i < 1000 && machine.Step(); ++i) {
    }
    ASSERT_FALSE(machine.last_error().ok());
    EXPECT_EQ(machine.Sync().code(), StatusCode::kIoError);
    machine.Crash(CrashMode::kKeepUnsynced);  // the process dies, the machine does not
    ASSERT_TRUE(machine.Open()) << machine.last_error().ToString();
    machine.Crash(CrashMode::kDropUnsynced);
    ASSERT_TRUE(machine.Open()) << machine.last_error().ToString();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace cairn::consensus::journal
