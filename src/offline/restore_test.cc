// From a state to a backup, to the data folder of a new node, and back to the same state.
#include "src/offline/restore.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "src/consensus/formation/record.h"
#include "src/consensus/journal/journal.h"
#include "src/data_folder/data_folder.h"
#include "src/offline/recover.h"
#include "src/replication/backup_source.h"
#include "src/replication/state_machine_executor.h"
#include "src/storage/memory/memory_engine.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::offline {
namespace {

using consensus::formation::Record;

Result<digest::StateDigest> DigestOfState(replication::StateMachineExecutor* executor) {
  CAIRN_ASSIGN_OR_RETURN(replication::StateCapture capture, executor->Capture());
  return DigestOf(std::move(capture), [] { return Status::Ok(); });
}

class RestoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "cairn-restore-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    scratch_ = name;
    place_ = {scratch_ + "/node_2", NodeId(2), GroupId(), true, "10.0.0.3:7092"};
    tools_.files = PosixFileSystem();
    tools_.random = &random_;
    tools_.open = [](const std::string& folder) -> Result<std::shared_ptr<storage::Engine>> {
      CAIRN_ASSIGN_OR_RETURN(auto engine,
                             storage::RocksDbEngine::Open(storage::RocksDbOptions(), folder));
      return std::shared_ptr<storage::Engine>(std::move(engine));
    };
    MakeState();
  }
  void TearDown() override { ASSERT_TRUE(tools_.files->RemoveTree(scratch_).ok()); }

  // Two families, of which another one was dropped between, a session, and many keys.
  void MakeState() {
    executor_ = *replication::StateMachineExecutor::Open(&engine_);
    for (const char* family : {"gone", "users"}) Apply(kv::CreateColumnFamily{family});
    Apply(kv::DropColumnFamily{"gone"});
    Apply(kv::OpenSession{});
    for (int i = 0; i < 3000; ++i) {
      Apply(kv::Set{"key" + std::to_string(i), std::string(100, 'v'), i % 3 == 0 ? "users" : ""});
    }
    Apply(kv::Delete{"key1", ""});
    file_.clear();
    backup::Header about;
    about.cluster = 77;
    about.software_version = "0.1.0";
    replication::BackupSource source(*executor_->Capture(), about, 10'000);
    while (true) {
      const Result<std::string> bytes = source.Next();
      ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
      if (bytes->empty()) break;
      file_ += *bytes;
    }
  }
  void Apply(const kv::KvOperation& operation) {
    ASSERT_TRUE(executor_->ApplyOperation(operation, WallTime{1'000'000}).ok());
  }

  Result<Restored> Run(const std::string& file) {
    backup::Reader reader(
        [&file, at = std::size_t{0}](char* to, std::size_t size) mutable -> Result<std::size_t> {
          const std::size_t got = std::min(size, file.size() - at);
          std::memcpy(to, file.data() + at, got);
          at += got;
          return got;
        });
    return Restore(&reader, place_, tools_, [](std::uint64_t) { return Status::Ok(); });
  }

  std::string scratch_;
  SeededRandom random_{5};
  Place place_;
  Tools tools_;
  storage::MemoryEngine engine_;
  std::unique_ptr<replication::StateMachineExecutor> executor_;
  std::string file_;
};

TEST_F(RestoreTest, TheSameStateUnderANewCluster) {
  const Result<Restored> restored = Run(file_);
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_EQ(restored->header.version, executor_->applied_version());
  EXPECT_EQ(restored->header.cluster, 77U);
  EXPECT_NE(restored->cluster.value(), 77U);
  const auto record = consensus::formation::DecodeRecord(
      *tools_.files->ReadFile(DataFolder::FormationPath(place_.folder)));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->stage, Record::Stage::kFormed);
  EXPECT_EQ(record->cluster, restored->cluster);
  ASSERT_EQ(record->first.members.size(), 1U);
  EXPECT_EQ(record->first.members[0].incarnation, restored->incarnation);
  EXPECT_EQ(record->first.members[0].endpoint, "10.0.0.3:7092");

  const auto engine = tools_.open(place_.folder + "/db");
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ((*engine)->Meta().membership, record->first.Encode());
  const auto executor = replication::StateMachineExecutor::Open(engine->get());
  ASSERT_TRUE(executor.ok());
  const Version after(executor_->applied_version().value() + kVersionsLeftOut);
  EXPECT_EQ((*executor)->watermark(), after);
  const auto here = DigestOfState(executor_.get());
  const auto there = DigestOfState(executor->get());
  ASSERT_TRUE(here.ok() && there.ok());
  for (const auto& difference : Compare(*here, *there, 10)) {
    EXPECT_EQ(difference.section, "meta");
  }
  // Nothing is given out twice: ids go on where they were, and versions beyond what was lost.
  const auto next = (*executor)->ApplyOperation(kv::CreateColumnFamily{"new"}, WallTime{2});
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->version, after.Next());
  EXPECT_EQ((*executor)->ColumnFamilyIds().back(), FamilyId(3));
}

TEST_F(RestoreTest, WhateverIsDamagedLeavesNothing) {
  for (std::size_t at = 0; at < file_.size(); at += 9001) {
    std::string damaged = file_;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_FALSE(Run(damaged).ok()) << at;
    EXPECT_FALSE(Run(file_.substr(0, at)).ok()) << at;
    EXPECT_TRUE(tools_.files->List(scratch_)->empty());
  }
  EXPECT_TRUE(Run(file_).ok());
  EXPECT_EQ(Run(file_).status().code(), StatusCode::kAlreadyExists);
}

TEST_F(RestoreTest, WhatAKilledRestoreLeftIsNoObstacle) {
  ASSERT_TRUE(tools_.files->CreateDirectories(place_.folder + ".restoring/db").ok());
  ASSERT_TRUE(tools_.files->CreateDirectories(place_.folder).ok());
  ASSERT_TRUE(Run(file_).ok());
  EXPECT_EQ(*tools_.files->List(scratch_), std::vector<std::string>{"node_2"});
}

TEST_F(RestoreTest, ABackupWithUnknownFeaturesIsRefused) {
  backup::Header header;
  header.features = std::uint64_t{1} << 63;
  backup::Writer writer;
  std::string file = backup::FileBegin() + writer.Add(header);
  file += writer.Finish();
  EXPECT_EQ(Run(file).status().code(), StatusCode::kUnimplemented);
  EXPECT_TRUE(tools_.files->List(scratch_)->empty());
}

TEST_F(RestoreTest, RecoveryMakesTheOnlyMemberOfAnotherCluster) {
  EXPECT_EQ(Survey(place_, tools_).status().code(), StatusCode::kNotFound);
  const Result<Restored> restored = Run(file_);
  ASSERT_TRUE(restored.ok());
  // Two more members joined it, and some entries were written under epoch 4.
  consensus::Membership three;
  for (std::uint32_t n = 1; n < 4; ++n) {
    const IncarnationId life = n == 2 ? restored->incarnation : IncarnationId(n);
    three.members.push_back({NodeId(n), life, true, false, false, "h:" + std::to_string(n)});
  }
  consensus::JournalOptions options;
  options.directory = place_.folder + "/journal";
  {
    const auto journal = *consensus::Journal::Open(options, tools_.files, &random_);
    consensus::Persist persist;
    persist.entries = {
        {Slot(2), Epoch(4), consensus::EntryKind::kMembership,
         std::make_shared<const std::string>(three.Encode())},
        {Slot(3), Epoch(4), consensus::EntryKind::kNoOp, std::make_shared<const std::string>()}};
    ASSERT_TRUE(journal->Append(persist).ok());
    ASSERT_TRUE(journal->Sync().ok());
  }
  const Result<Recovered> survey = Survey(place_, tools_);
  ASSERT_TRUE(survey.ok()) << survey.status().ToString();
  EXPECT_EQ(survey->before, three);
  EXPECT_EQ(survey->last_slot, Slot(3));
  EXPECT_EQ(survey->last_epoch, Epoch(4));
  EXPECT_EQ(survey->applied_slot, Slot(1));
  const Result<Recovered> recovered = Recover(place_, tools_);
  ASSERT_TRUE(recovered.ok()) << recovered.status().ToString();
  EXPECT_EQ(recovered->old_cluster, restored->cluster);
  const auto record = consensus::formation::DecodeRecord(
      *tools_.files->ReadFile(DataFolder::FormationPath(place_.folder)));
  EXPECT_EQ(record->cluster, recovered->cluster);
  EXPECT_NE(record->cluster, restored->cluster);
  const auto journal = *consensus::Journal::Open(options, tools_.files, &random_);
  const auto entries = *journal->ReadEntries(Slot(2), Slot(5), 1 << 20);
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[2].epoch, Epoch(4));
  const auto only = consensus::Membership::Decode(*entries[2].payload);
  ASSERT_TRUE(only.ok());
  ASSERT_EQ(only->members.size(), 1U);
  EXPECT_EQ(only->members[0].id(), (consensus::PeerId{NodeId(2), restored->incarnation}));
  EXPECT_EQ(only->removed.size(), 2U);
  EXPECT_EQ(record->first.members, only->members);
  // Versions that only the lost nodes gave out are given out no more.
  EXPECT_EQ(entries[3].epoch, Epoch(4));
  const auto commands = kv::SplitCommandBatch(*entries[3].payload);
  ASSERT_TRUE(commands.ok());
  ASSERT_EQ(commands->size(), 1U);
  EXPECT_EQ(kv::DecodeCommand(commands->front())->operation,
            kv::KvOperation(kv::SkipVersions{
                Version(restored->header.version.value() + 2 * kVersionsLeftOut)}));
  // A node that is no member has nothing that could be recovered.
  place_.node = NodeId(9);
  EXPECT_EQ(Survey(place_, tools_).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cairn::offline
