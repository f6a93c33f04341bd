// From messages to operations, without a server.
#include "src/server/grpc/requests.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <variant>

#include "api/cairn.pb.h"

namespace cairn::server {
namespace {

using replication::RequestContext;

TEST(GrpcRequestsTest, ReadOptionsBecomeTheContext) {
  const struct {
    v1::ReadLevel wire;
    replication::ReadLevel level;
  } levels[] = {{v1::READ_LEVEL_LOCAL, replication::ReadLevel::kLocal},
                {v1::READ_LEVEL_LEADER, replication::ReadLevel::kLeader},
                {v1::READ_LEVEL_READ_INDEX, replication::ReadLevel::kReadIndex}};
  for (const auto& level : levels) {
    v1::ReadOptions options;
    options.set_level(level.wire);
    options.set_min_version(7);
    options.set_no_forwarding(true);
    RequestContext context;
    ASSERT_TRUE(ReadReadOptions(options, &context).ok());
    EXPECT_EQ(context.read_level, level.level);
    EXPECT_EQ(context.min_version, Version(7));
    EXPECT_FALSE(context.allow_forwarding);
  }
  // Unset: whatever the context says already, which is the node's own level.
  RequestContext context;
  context.read_level = replication::ReadLevel::kReadIndex;
  ASSERT_TRUE(ReadReadOptions(v1::ReadOptions(), &context).ok());
  EXPECT_EQ(context.read_level, replication::ReadLevel::kReadIndex);
  EXPECT_TRUE(context.allow_forwarding);
  EXPECT_EQ(context.min_version, Version(0));
}

TEST(GrpcRequestsTest, AReadLevelThatDoesNotExistIsNamed) {
  v1::ReadOptions options;
  options.set_level(static_cast<v1::ReadLevel>(17));
  RequestContext context;
  const Status status = ReadReadOptions(options, &context);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("17"), std::string::npos) << status.message();
}

TEST(GrpcRequestsTest, SessionsAreTakenWholeOrRefused) {
  v1::WriteOptions options;
  RequestContext context;
  ASSERT_TRUE(ReadWriteOptions(options, &context).ok());
  EXPECT_EQ(context.session, SessionId(0));
  EXPECT_TRUE(context.allow_forwarding);

  v1::SessionStamp* session = options.mutable_session();
  session->set_id(9);
  session->set_sequence(4);
  session->set_first_outstanding(3);
  options.set_no_forwarding(true);
  ASSERT_TRUE(ReadWriteOptions(options, &context).ok());
  EXPECT_EQ(context.session, SessionId(9));
  EXPECT_EQ(context.sequence, 4);
  EXPECT_EQ(context.first_outstanding, 3);
  EXPECT_FALSE(context.allow_forwarding);

  session->set_sequence(0);
  EXPECT_EQ(ReadWriteOptions(options, &context).code(), StatusCode::kInvalidArgument);
  session->set_sequence(4);
  session->set_id(0);
  EXPECT_EQ(ReadWriteOptions(options, &context).code(), StatusCode::kInvalidArgument);
}

TEST(GrpcRequestsTest, RangesKeepTheirSelectors) {
  v1::Range range;
  kv::RangeQuery query = TakeRange(range);
  EXPECT_EQ(query.begin, kv::KeySelector::FirstGreaterOrEqual(""));
  EXPECT_FALSE(query.end.has_value());
  range.mutable_begin()->set_key("a");
  range.mutable_begin()->set_offset(-3);
  range.mutable_end()->set_key("b");
  range.mutable_end()->set_or_equal(true);
  range.mutable_end()->set_offset(std::numeric_limits<std::int32_t>::max());
  range.set_reverse(true);
  range.set_keys_only(true);
  query = TakeRange(range);
  EXPECT_EQ(query.begin, (kv::KeySelector{"a", false, -3}));
  EXPECT_EQ(*query.end, (kv::KeySelector{"b", true, std::numeric_limits<std::int32_t>::max()}));
  EXPECT_TRUE(query.reverse);
  EXPECT_TRUE(query.keys_only);
}

TEST(GrpcRequestsTest, CommitsKeepEverything) {
  v1::CommitRequest request;
  request.set_read_version(11);
  const auto add = [&](v1::Mutation::Type type, const std::string& key) {
    v1::Mutation* mutation = request.add_mutations();
    mutation->set_type(type);
    mutation->set_key(key);
    mutation->set_value("value");
    mutation->set_column_family("family");
  };
  add(v1::Mutation::TYPE_SET, "a");
  add(v1::Mutation::TYPE_DELETE, "b");
  add(v1::Mutation::TYPE_SET_VERSIONSTAMPED_KEY, "c");
  add(v1::Mutation::TYPE_SET_VERSIONSTAMPED_VALUE, "d");
  request.add_read_conflict_keys()->set_key("e");
  v1::ConflictKey* everywhere = request.add_read_conflict_keys();
  everywhere->set_key("f");
  everywhere->set_column_family("is not used");
  everywhere->set_every_family(true);
  v1::ConflictRange* range = request.add_read_conflict_ranges();
  range->set_begin("g");
  range->set_end("h");
  range->set_column_family("family");

  const auto commit = TakeCommit(request);
  ASSERT_TRUE(commit.ok()) << commit.status().ToString();
  EXPECT_EQ(commit->read_version, Version(11));
  ASSERT_EQ(commit->operations.size(), 4);
  const kv::MutationType types[] = {kv::MutationType::kSet, kv::MutationType::kDelete,
                                    kv::MutationType::kSetVersionstampedKey,
                                    kv::MutationType::kSetVersionstampedValue};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(commit->operations[i].type, types[i]);
    EXPECT_EQ(commit->operations[i].key, std::string(1, static_cast<char>('a' + i)));
    EXPECT_EQ(commit->operations[i].value, i == 1 ? "" : "value");
    EXPECT_EQ(commit->operations[i].column_family, "family");
  }
  ASSERT_EQ(commit->read_conflict_keys.size(), 2);
  EXPECT_EQ(commit->read_conflict_keys[0].key, "e");
  EXPECT_EQ(commit->read_conflict_keys[0].column_family, "");
  EXPECT_EQ(commit->read_conflict_keys[1].key, "f");
  EXPECT_EQ(commit->read_conflict_keys[1].column_family, std::nullopt);
  ASSERT_EQ(commit->read_conflict_ranges.size(), 1);
  EXPECT_EQ(commit->read_conflict_ranges[0].begin, "g");
  EXPECT_EQ(commit->read_conflict_ranges[0].end, "h");
  EXPECT_EQ(commit->read_conflict_ranges[0].column_family, "family");
}

TEST(GrpcRequestsTest, AMutationWithoutATypeIsRefusedByItsNumber) {
  for (const int type : {0, 5, -1, 1 << 20}) {
    v1::CommitRequest request;
    request.add_mutations()->set_type(v1::Mutation::TYPE_SET);
    request.add_mutations()->set_type(static_cast<v1::Mutation::Type>(type));
    const auto commit = TakeCommit(request);
    ASSERT_FALSE(commit.ok()) << type;
    EXPECT_EQ(commit.status().code(), StatusCode::kInvalidOperation);
    EXPECT_NE(
        commit.status().message().find("operation 1: there is no type " + std::to_string(type)),
        std::string::npos)
        << commit.status().message();
  }
}

TEST(GrpcRequestsTest, AVersionMakesASnapshot) {
  EXPECT_TRUE(std::holds_alternative<kv::Get>(MakeGet("k", "f", Version(0))));
  const kv::KvOperation get = MakeGet("k", "f", Version(3));
  ASSERT_TRUE(std::holds_alternative<kv::SnapshotRead>(get));
  EXPECT_EQ(std::get<kv::SnapshotRead>(get).key, "k");
  EXPECT_EQ(std::get<kv::SnapshotRead>(get).column_family, "f");
  EXPECT_TRUE(std::holds_alternative<kv::GetRange>(MakeGetRange({}, "f", Version(0))));
  EXPECT_TRUE(std::holds_alternative<kv::SnapshotGetRange>(MakeGetRange({}, "f", Version(3))));
}

TEST(GrpcRequestsTest, ASelectorIsReadAsARangeOfOneKey) {
  SingleKeyQuery query = MakeSingleKeyQuery({"k", false, 1});
  EXPECT_TRUE(query.forward);
  EXPECT_EQ(query.range.limit, 1);
  EXPECT_TRUE(query.range.keys_only);
  EXPECT_FALSE(query.range.reverse);
  EXPECT_EQ(query.range.begin, (kv::KeySelector{"k", false, 1}));
  query = MakeSingleKeyQuery({"k", true, 0});
  EXPECT_FALSE(query.forward);
  EXPECT_TRUE(query.range.reverse);
  EXPECT_EQ(*query.range.end, (kv::KeySelector{"k", true, 1}));
  // The ends of the numbers do not overflow.
  EXPECT_FALSE(MakeSingleKeyQuery({"k", true, std::numeric_limits<std::int32_t>::min()}).forward);
  EXPECT_TRUE(MakeSingleKeyQuery({"k", true, std::numeric_limits<std::int32_t>::max()}).forward);
}

}  // namespace
}  // namespace cairn::server
