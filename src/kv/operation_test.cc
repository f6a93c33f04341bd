#include "src/kv/operation.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "src/kv/legacy_range.h"

namespace cairn::kv {
namespace {

TEST(Classification, ReadsNeedNoConsensusAndWritesDo) {
  const std::vector<KvOperation> reads = {Get{},
                                          GetRange{},
                                          SnapshotRead{},
                                          SnapshotGetRange{},
                                          GetReadVersion{},
                                          GetCommittedVersion{}};
  for (const KvOperation& op : reads) {
    EXPECT_TRUE(is_read_only(op)) << operation_name(op);
    EXPECT_FALSE(requires_consensus(op));
    EXPECT_EQ(operation_type(op), OperationType::kRead);
  }
  const std::vector<KvOperation> writes = {Set{},
                                           Delete{},
                                           AtomicCommit{},
                                           SetVersionstampedKey{},
                                           SetVersionstampedValue{},
                                           CreateColumnFamily{},
                                           DropColumnFamily{},
                                           OpenSession{},
                                           CloseSession{},
                                           ExpireSessions{},
                                           AdvanceWatermark{},
                                           EnableFeatures{},
                                           SkipVersions{}};
  for (const KvOperation& op : writes) {
    EXPECT_FALSE(is_read_only(op)) << operation_name(op);
    EXPECT_TRUE(requires_consensus(op));
    EXPECT_EQ(operation_type(op), OperationType::kWrite);
  }
  EXPECT_EQ(reads.size() + writes.size(), std::variant_size_v<KvOperation>);
}

TEST(Classification, NamesAreDistinct) {
  const auto& names = AllOperationNames();
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
  EXPECT_EQ(operation_name(KvOperation(AtomicCommit{})), "atomic_commit");
}

class ValidateTest : public testing::Test {
 protected:
  Limits limits_;
};

TEST_F(ValidateTest, EmptyKeysAreRefused) {
  for (const KvOperation& op :
       std::vector<KvOperation>{Get{}, SnapshotRead{}, Set{}, Delete{}, SetVersionstampedKey{},
                                SetVersionstampedValue{}, AtomicCommit{{}, {}, {}, {Mutation{}}}}) {
    const Status s = Validate(op, limits_);
    EXPECT_EQ(s.code(), StatusCode::kInvalidArgument) << operation_name(op);
    EXPECT_NE(s.message().find("key cannot be empty"), std::string::npos) << s.message();
  }
}

TEST_F(ValidateTest, LimitsAreInclusiveAndNamed) {
  EXPECT_TRUE(
      Validate(Set{std::string(limits_.key_bytes, 'k'), std::string(limits_.value_bytes, 'v'), ""},
               limits_)
          .ok());
  Status s = Validate(Get{std::string(limits_.key_bytes + 1, 'k'), ""}, limits_);
  EXPECT_EQ(s.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(s.message().find("key_bytes = 10240"), std::string::npos) << s.message();
  s = Validate(Set{"k", std::string(limits_.value_bytes + 1, 'v'), ""}, limits_);
  EXPECT_NE(s.message().find("value_bytes = 8388608"), std::string::npos) << s.message();
  s = Validate(Get{"k", std::string(256, 'f')}, limits_);
  EXPECT_NE(s.message().find("column_family_name_bytes"), std::string::npos) << s.message();
}

TEST_F(ValidateTest, TransactionsAreBoundedByBytesAndCounts) {
  limits_.transaction_bytes = 100;
  limits_.transaction_operations = 3;
  limits_.conflict_keys = 2;
  limits_.conflict_ranges = 1;
  AtomicCommit commit;
  commit.operations = {{MutationType::kSet, "k", std::string(99, 'v'), ""}};
  EXPECT_TRUE(Validate(commit, limits_).ok());
  commit.read_conflict_keys = {{"a", {}}};
  EXPECT_NE(Validate(commit, limits_).message().find("transaction_bytes = 100"), std::string::npos);
  commit = {};
  commit.operations.assign(4, Mutation{MutationType::kSet, "k", "", ""});
  EXPECT_NE(Validate(commit, limits_).message().find("transaction_operations = 3"),
            std::string::npos);
  commit = {};
  commit.read_conflict_keys.assign(3, ConflictKey{"a", {}});
  EXPECT_NE(Validate(commit, limits_).message().find("conflict_keys = 2"), std::string::npos);
  commit = {};
  commit.read_conflict_ranges = {{"swapped", "pair", ""}};
  const std::string swapped = Validate(commit, limits_).message();
  EXPECT_NE(swapped.find("swapped, behind its end pair"), std::string::npos) << swapped;
  for (const char* end : {"swapped", "to", ""}) {
    commit.read_conflict_ranges = {{"swapped", end, ""}};
    EXPECT_TRUE(Validate(commit, limits_).ok()) << end;
  }
  commit.read_conflict_ranges.assign(2, ConflictRange{"a", "b", ""});
  EXPECT_NE(Validate(commit, limits_).message().find("conflict_ranges = 1"), std::string::npos);
}

TEST_F(ValidateTest, AVersionstampNeedsTenBytes) {
  AtomicCommit commit;
  commit.operations = {{MutationType::kSet, "k", "v", ""},
                       {MutationType::kSetVersionstampedKey, std::string(9, 'k'), "v", ""}};
  Status s = Validate(commit, limits_);
  EXPECT_EQ(s.code(), StatusCode::kInvalidOperation);
  EXPECT_NE(s.message().find("operation 1"), std::string::npos) << s.message();
  commit.operations[1].key.push_back('k');
  EXPECT_TRUE(Validate(commit, limits_).ok());
  commit.operations[1] = {MutationType::kSetVersionstampedValue, "k", std::string(9, 'v'), ""};
  EXPECT_EQ(Validate(commit, limits_).code(), StatusCode::kInvalidOperation);
}

TEST_F(ValidateTest, TheDefaultFamilyCantBeDropped) {
  EXPECT_FALSE(Validate(DropColumnFamily{"default"}, limits_).ok());
  EXPECT_FALSE(Validate(DropColumnFamily{""}, limits_).ok());
  EXPECT_TRUE(Validate(DropColumnFamily{"users"}, limits_).ok());
  EXPECT_FALSE(Validate(CreateColumnFamily{""}, limits_).ok());
}

// ---- The old wire's ranges

TEST(LegacyRange, DefaultsAreEverythingBelow0xFF) {
  const RangeQuery query = ToRangeQuery({}, {});
  EXPECT_EQ(query.begin, (KeySelector{"", false, 1}));
  EXPECT_EQ(query.end, (KeySelector{"\xFF", false, 1}));
  EXPECT_EQ(query.limit, 1000u);
  EXPECT_EQ(query.max_bytes, Limits().legacy_range_answer_bytes);
  EXPECT_FALSE(query.reverse);
}

TEST(LegacyRange, FlagsAreInclusiveAndOffsetsMoveByKeys) {
  LegacyRange range;
  range.begin_key = "b";
  range.end_key = "e";
  range.begin_or_equal = false;
  range.end_or_equal = true;
  range.begin_offset = 2;
  range.end_offset = -1;
  const RangeQuery query = ToRangeQuery(range, {});
  EXPECT_EQ(query.begin, (KeySelector{"b", true, 3}));
  EXPECT_EQ(query.end, (KeySelector{"e", true, 0}));
}

TEST(LegacyRange, ExtremesDoNotOverflow) {
  LegacyRange range;
  range.begin_offset = -5;
  range.end_offset = INT32_MAX;
  range.limit = 0;
  RangeQuery query = ToRangeQuery(range, {});
  EXPECT_EQ(query.begin.offset, 1);
  EXPECT_EQ(query.end->offset, INT32_MAX);
  EXPECT_EQ(query.limit, 0u);
  range.begin_offset = INT32_MAX;
  range.end_offset = INT32_MIN;
  range.limit = -7;
  query = ToRangeQuery(range, {});
  EXPECT_EQ(query.begin.offset, INT32_MAX);
  EXPECT_EQ(query.end->offset, INT32_MIN + 1);
  EXPECT_EQ(query.limit, 0u);
}

}  // namespace
}  // namespace cairn::kv
