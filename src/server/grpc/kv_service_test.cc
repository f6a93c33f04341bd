// cairn.v1.KV of a whole node, over a socket.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/sanitizers.h"
#include "src/server/grpc/grpc_test_util.h"

namespace cairn::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Stub = v1::KV::Stub;

v1::KeySelector Selector(const std::string& key, bool or_equal, int offset) {
  v1::KeySelector selector;
  selector.set_key(key);
  selector.set_or_equal(or_equal);
  selector.set_offset(offset);
  return selector;
}

class KvServiceTest : public GrpcTest {
 protected:
  grpc::Status TryGet(const v1::GetRequest& request) {
    v1::GetResponse response;
    return Try(kv_, &Stub::Get, request, &response);
  }
  grpc::Status TrySet(const v1::SetRequest& request, std::uint64_t* version = nullptr) {
    v1::WriteResponse response;
    const grpc::Status status = Try(kv_, &Stub::Set, request, &response);
    if (version != nullptr) *version = response.version();
    return status;
  }
  grpc::Status TryCommit(const v1::CommitRequest& request, std::uint64_t* version = nullptr) {
    v1::CommitResponse response;
    const grpc::Status status = Try(kv_, &Stub::Commit, request, &response);
    if (version != nullptr) *version = response.version();
    return status;
  }
};

TEST_F(KvServiceTest, WhatIsSetIsRead) {
  const std::string value("r\0d", 3);
  const std::uint64_t version = Set("fruit", value);
  v1::GetRequest request;
  request.set_key("fruit");
  v1::GetResponse response = Call(kv_, &Stub::Get, request);
  EXPECT_TRUE(response.found());
  EXPECT_EQ(response.value(), value);
  EXPECT_EQ(response.version(), version);
  v1::DeleteRequest remove;
  remove.set_key("fruit");
  EXPECT_EQ(Call(kv_, &Stub::Delete, remove).version(), version + 1);
  EXPECT_EQ(Get("fruit"), "(none)");
  EXPECT_EQ(Get("fruit", "", version), value);
  for (const auto level :
       {v1::READ_LEVEL_LOCAL, v1::READ_LEVEL_LEADER, v1::READ_LEVEL_READ_INDEX}) {
    v1::GetReadVersionRequest read;
    read.mutable_read()->set_level(level);
    EXPECT_EQ(Call(kv_, &Stub::GetReadVersion, read).version(), version + 1);
  }
  EXPECT_EQ(Call(kv_, &Stub::GetCommittedVersion, v1::GetCommittedVersionRequest()).version(),
            version + 1);
}

TEST_F(KvServiceTest, PingComesBack) {
  v1::PingRequest request;
  request.set_message(std::string("a\0b", 3));
  const v1::PingResponse response = Call(kv_, &Stub::Ping, request);
  EXPECT_EQ(response.message(), request.message());
  EXPECT_GT(response.server_time_us(), 1'600'000'000'000'000);
}

TEST_F(KvServiceTest, VersionstampsAreThoseOfTheCommit) {
  const std::string zeros(10, '\0');
  v1::SetVersionstampedKeyRequest key;
  key.set_key_template("log/" + zeros);
  key.set_value("entry");
  v1::VersionstampedResponse made = Call(kv_, &Stub::SetVersionstampedKey, key);
  std::string stamp(10, '\0');
  for (int i = 0; i < 8; ++i) stamp[i] = static_cast<char>(made.version() >> (56 - 8 * i));
  EXPECT_EQ(made.generated(), "log/" + stamp);
  EXPECT_EQ(Get("log/" + stamp), "entry");

  v1::SetVersionstampedValueRequest value;
  value.set_key("last");
  value.set_value_template(zeros);
  made = Call(kv_, &Stub::SetVersionstampedValue, value);
  EXPECT_EQ(Get("last"), made.generated());
  // What shows no place for the stamp is refused, and told what to use.
  const std::string refused = "3/REASON_INVALID_ARGUMENT";
  for (const std::string& wrong : {std::string("no zeros in these"), std::string(9, '\0'),
                                   "log/" + zeros + "x", std::string()}) {
    value.set_value_template(wrong);
    key.set_key_template(wrong);
    EXPECT_EQ(Show(Try(kv_, &Stub::SetVersionstampedKey, key, &made)), refused);
    const grpc::Status status = Try(kv_, &Stub::SetVersionstampedValue, value, &made);
    EXPECT_EQ(Show(status), refused);
    EXPECT_NE(status.error_message().find("value_template must end in 10 zero bytes"),
              std::string::npos)
        << status.error_message();
  }

  // In a transaction the order counts over all its mutations.
  v1::CommitRequest commit;
  const auto add = [&](v1::Mutation::Type type, const std::string& k, const std::string& v) {
    v1::Mutation* mutation = commit.add_mutations();
    mutation->set_type(type);
    mutation->set_key(k);
    mutation->set_value(v);
  };
  add(v1::Mutation::TYPE_SET, "a", "1");
  add(v1::Mutation::TYPE_SET_VERSIONSTAMPED_KEY, "log/" + zeros, "second");
  add(v1::Mutation::TYPE_SET_VERSIONSTAMPED_VALUE, "b", zeros);
  const std::uint64_t version = Call(kv_, &Stub::Commit, commit).version();
  for (int i = 0; i < 8; ++i) stamp[i] = static_cast<char>(version >> (56 - 8 * i));
  stamp[9] = 1;
  EXPECT_EQ(Get("log/" + stamp), "second");
  stamp[9] = 2;
  EXPECT_EQ(Get("b"), stamp);
  commit.mutable_mutations(1)->set_key("short");
  EXPECT_EQ(Show(TryCommit(commit)), "3/REASON_INVALID_OPERATION");
}

TEST_F(KvServiceTest, CommitsFailOnWhatChanged) {
  v1::CreateColumnFamilyRequest family;
  family.set_name("other");
  Call(admin_, &v1::Admin::Stub::CreateColumnFamily, family);
  const std::uint64_t before = Set("k", "1");
  Set("k", "2");
  const auto commit = [&](std::uint64_t read_version, const auto& conflicts) {
    v1::CommitRequest request;
    request.set_read_version(read_version);
    v1::Mutation* mutation = request.add_mutations();
    mutation->set_type(v1::Mutation::TYPE_SET);
    mutation->set_key("result");
    conflicts(&request);
    return Show(TryCommit(request));
  };
  const auto key = [](const std::string& k, const std::string& family, bool everywhere) {
    return [=](v1::CommitRequest* request) {
      v1::ConflictKey* conflict = request->add_read_conflict_keys();
      conflict->set_key(k);
      conflict->set_column_family(family);
      conflict->set_every_family(everywhere);
    };
  };
  const auto range = [](const std::string& begin, const std::string& end,
                        const std::string& family) {
    return [=](v1::CommitRequest* request) {
      v1::ConflictRange* conflict = request->add_read_conflict_ranges();
      conflict->set_begin(begin);
      conflict->set_end(end);
      conflict->set_column_family(family);
    };
  };
  const std::string conflict = "10/REASON_CONFLICT";
  EXPECT_EQ(commit(before, key("k", "", false)), conflict);
  EXPECT_EQ(commit(before, key("k", "other", false)), "OK");
  EXPECT_EQ(commit(before, key("k", "other", true)), conflict);
  EXPECT_EQ(commit(before, key("l", "", true)), "OK");
  EXPECT_EQ(commit(before + 1, key("k", "", false)), "OK");
  EXPECT_EQ(commit(before, range("a", "k", "")), "OK");
  EXPECT_EQ(commit(before, range("a", std::string("k\0", 2), "")), conflict);
  EXPECT_EQ(commit(before, range("k", "", "")), conflict);
  EXPECT_EQ(commit(before, range("k", "", "other")), "OK");
  EXPECT_EQ(commit(before, range("s", "", "")), "OK");
  EXPECT_EQ(commit(before, [](v1::CommitRequest*) {}), "OK");  // a blind write
  EXPECT_EQ(commit(1'000'000, key("k", "", false)), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(commit(before, key("k", "missing", false)), "5/REASON_NOT_FOUND");
  // All or nothing.
  v1::CommitRequest refused;
  for (const char* k : {"x", ""}) {
    v1::Mutation* mutation = refused.add_mutations();
    mutation->set_type(v1::Mutation::TYPE_SET);
    mutation->set_key(k);
  }
  EXPECT_EQ(Show(TryCommit(refused)), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(Get("x"), "(none)");
}

TEST_F(KvServiceTest, ASessionAppliesAWriteOnce) {
  const std::uint64_t session =
      Call(kv_, &Stub::OpenSession, v1::OpenSessionRequest()).session_id();
  v1::SetRequest request;
  request.set_key("k");
  request.set_value("1");
  v1::SessionStamp* stamp = request.mutable_write()->mutable_session();
  stamp->set_id(session);
  stamp->set_sequence(1);
  stamp->set_first_outstanding(1);
  std::uint64_t first = 0;
  ASSERT_TRUE(TrySet(request, &first).ok());
  const std::uint64_t between = Set("k", "2");
  std::uint64_t again = 0;
  ASSERT_TRUE(TrySet(request, &again).ok());
  EXPECT_EQ(again, first);
  EXPECT_GT(between, first);
  EXPECT_EQ(Get("k"), "2");
  // What the client declared received is not kept, and not applied either.
  stamp->set_sequence(2);
  stamp->set_first_outstanding(2);
  ASSERT_TRUE(TrySet(request).ok());
  stamp->set_sequence(1);
  stamp->set_first_outstanding(1);
  EXPECT_EQ(Show(TrySet(request)), "9/REASON_ALREADY_ANSWERED");

  v1::OpenSessionRequest nested;
  nested.mutable_write()->mutable_session()->set_id(session);
  v1::OpenSessionResponse opened;
  EXPECT_EQ(Show(Try(kv_, &Stub::OpenSession, nested, &opened)), "3/REASON_INVALID_ARGUMENT");
  v1::CloseSessionRequest close;
  close.set_session_id(session);
  Call(kv_, &Stub::CloseSession, close);
  stamp->set_sequence(3);
  EXPECT_EQ(Show(TrySet(request)), "9/REASON_SESSION_EXPIRED");
}

// FoundationDB's definition, word by word: the index of the last key < k (<= with or_equal), then
// `offset` onwards. Before the first: -1; after the last: the number of keys.
std::ptrdiff_t Resolve(const std::vector<std::string>& keys, const v1::KeySelector& selector) {
  std::ptrdiff_t last = -1;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] < selector.key() || (selector.or_equal() && keys[i] == selector.key())) {
      last = static_cast<std::ptrdiff_t>(i);
    }
  }
  return std::clamp<std::ptrdiff_t>(last + selector.offset(), -1,
                                    static_cast<std::ptrdiff_t>(keys.size()));
}

TEST_F(KvServiceTest, SelectorsMeanWhatFoundationDbSays) {
  const std::uint64_t seed = SystemEntropy();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  std::set<std::string> chosen;
  while (chosen.size() < 12) {
    std::string key;
    for (std::uint64_t n = 1 + random.Below(3); n > 0; --n) key += "ab\xFF"[random.Below(3)];
    chosen.insert(key);
  }
  const std::vector<std::string> keys(chosen.begin(), chosen.end());
  for (const std::string& key : keys) Set(key, "v" + key);
  const auto any = [&] {
    std::string key = keys[random.Below(keys.size())];
    if (random.Below(3) == 0) key += 'a';
    if (random.Below(10) == 0) key.clear();
    return Selector(key, random.Below(2) == 0, static_cast<int>(random.Below(17)) - 8);
  };
  for (int round = 0; round < (kSanitized ? 100 : 500); ++round) {
    v1::GetKeyRequest one;
    *one.mutable_selector() = any();
    const auto at = Resolve(keys, one.selector());
    SCOPED_TRACE(one.ShortDebugString());
    const v1::GetKeyResponse found = Call(kv_, &Stub::GetKey, one);
    if (at < 0) {
      EXPECT_EQ(found.position(), v1::GetKeyResponse::POSITION_BEFORE_FIRST);
    } else if (at == static_cast<std::ptrdiff_t>(keys.size())) {
      EXPECT_EQ(found.position(), v1::GetKeyResponse::POSITION_AFTER_LAST);
    } else {
      EXPECT_EQ(found.position(), v1::GetKeyResponse::POSITION_KEY);
      EXPECT_EQ(found.key(), keys[static_cast<std::size_t>(at)]);
    }

    // The keys from `begin` up to, but without, `end`, some of them.
    v1::GetRangeRequest many;
    *many.mutable_range()->mutable_begin() = any();
    if (random.Below(4) != 0) *many.mutable_range()->mutable_end() = any();
    many.mutable_range()->set_reverse(random.Below(2) == 0);
    many.set_limit(random.Below(5));
    SCOPED_TRACE(many.ShortDebugString());
    const auto from = std::max<std::ptrdiff_t>(Resolve(keys, many.range().begin()), 0);
    const auto to = many.range().has_end()
                        ? std::max<std::ptrdiff_t>(Resolve(keys, many.range().end()), 0)
                        : static_cast<std::ptrdiff_t>(keys.size());
    std::vector<std::string> expected;
    for (auto i = from; i < to; ++i) expected.push_back(keys[static_cast<std::size_t>(i)]);
    if (many.range().reverse()) std::reverse(expected.begin(), expected.end());
    const bool more = many.limit() != 0 && expected.size() > many.limit();
    if (more) expected.resize(many.limit());
    const v1::GetRangeResponse range = Call(kv_, &Stub::GetRange, many);
    std::vector<std::string> got;
    for (const v1::KeyValue& pair : range.pairs()) {
      EXPECT_EQ(pair.value(), "v" + pair.key());
      got.push_back(pair.key());
    }
    EXPECT_EQ(got, expected);
    EXPECT_EQ(range.has_more(), more);
    // A stream says the same, whatever the size of its batches.
    v1::ScanRequest scan;
    *scan.mutable_range() = many.range();
    scan.set_limit(many.limit());
    scan.set_batch_bytes(1 + random.Below(20));
    grpc::ClientContext context;
    const auto stream = kv_->Scan(&context, scan);
    v1::ScanResponse batch;
    got.clear();
    while (stream->Read(&batch)) {
      for (const v1::KeyValue& pair : batch.pairs()) got.push_back(pair.key());
      EXPECT_EQ(batch.has_more(), batch.last() && more);
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_EQ(got, expected);
    if (HasFailure()) return;
  }
}

TEST_F(KvServiceTest, ADeadlineIsAnsweredBeforeItPasses) {
  // A version that never comes: the node waits as long as it may.
  v1::GetRequest request;
  request.set_key("k");
  request.mutable_read()->set_min_version(1'000'000);
  grpc::ClientContext context;
  const auto begun = steady_clock::now();
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(300));
  v1::GetResponse response;
  const grpc::Status status = kv_->Get(&context, request, &response);
  // The node's own word, that it lacks the version, unless this machine was too busy for it: then
  // gRPC's.
  EXPECT_TRUE(DetailOf(status).reason() == v1::REASON_STALE ||
              status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      << Show(status);
  EXPECT_GE(steady_clock::now() - begun, milliseconds(200));
  // One that has passed already is not waited for at all, and nothing is written.
  v1::SetRequest late;
  late.set_key("late");
  grpc::ClientContext passed;
  passed.set_deadline(std::chrono::system_clock::now() - milliseconds(10));
  v1::WriteResponse written;
  EXPECT_EQ(kv_->Set(&passed, late, &written).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Get("late"), "(none)");
}

TEST_F(KvServiceTest, ACancelledCallEndsAndHoldsNothing) {
  v1::GetRequest request;
  request.set_key("k");
  request.mutable_read()->set_min_version(1'000'000);
  v1::GetResponse response;
  grpc::ClientContext context;
  std::promise<grpc::Status> ended;
  const std::uint64_t calls = server_->figures().calls;
  kv_->async()->Get(&context, &request, &response,
                    [&](grpc::Status status) { ended.set_value(std::move(status)); });
  // A second call on the same connection, so that the first one has come.
  Call(kv_, &Stub::Ping, v1::PingRequest());
  while (server_->figures().calls < calls + 2) Call(kv_, &Stub::Ping, v1::PingRequest());
  context.TryCancel();
  EXPECT_EQ(ended.get_future().get().error_code(), grpc::StatusCode::CANCELLED);
  // The connection goes on.
  Set("k", "1");
  EXPECT_EQ(Get("k"), "1");
}

TEST_F(KvServiceTest, OversizedRequestsAreRefusedByTheLimits) {
  TearDown();
  testing::TestNodeOptions node;
  node.limits.key_bytes = 100;
  node.limits.value_bytes = 1000;
  node.limits.transaction_bytes = 1500;
  node.limits.transaction_operations = 10;
  node.limits.conflict_keys = 3;
  node.limits.conflict_ranges = 3;
  node.limits.range_answer_bytes = 2000;
  node.limits.column_family_name_bytes = 10;
  GrpcServerOptions server;
  server.message_bytes = 10'000;
  Serve(node, server);
  const auto refusal = [](const grpc::Status& status, const std::string& limit) {
    EXPECT_EQ(Show(status), "3/REASON_INVALID_ARGUMENT");
    EXPECT_NE(status.error_message().find(limit), std::string::npos) << status.error_message();
  };
  v1::SetRequest set;
  set.set_key(std::string(100, 'k'));
  set.set_value(std::string(1000, 'v'));
  EXPECT_TRUE(TrySet(set).ok());
  set.set_key(std::string(101, 'k'));
  refusal(TrySet(set), "key_bytes");
  v1::GetRequest get;
  get.set_key(std::string(101, 'k'));
  refusal(TryGet(get), "key_bytes");
  set.set_key("k");
  set.set_value(std::string(1001, 'v'));
  refusal(TrySet(set), "value_bytes");

  const auto commit = [&](int mutations, std::size_t value, int keys, int ranges) {
    v1::CommitRequest request;
    for (int i = 0; i < mutations; ++i) {
      v1::Mutation* mutation = request.add_mutations();
      mutation->set_type(v1::Mutation::TYPE_SET);
      mutation->set_key("k" + std::to_string(i));
      mutation->set_value(std::string(value, 'v'));
    }
    for (int i = 0; i < keys; ++i) request.add_read_conflict_keys()->set_key("k");
    for (int i = 0; i < ranges; ++i) request.add_read_conflict_ranges()->set_begin("x");
    request.set_read_version(1);
    return TryCommit(request);
  };
  refusal(commit(11, 1, 0, 0), "transaction_operations");
  refusal(commit(2, 900, 0, 0), "transaction_bytes");
  refusal(commit(1, 1, 4, 0), "conflict_keys");
  refusal(commit(1, 1, 0, 4), "conflict_ranges");
  v1::CreateColumnFamilyRequest family;
  family.set_name("longer than ten");
  v1::WriteResponse written;
  refusal(Try(admin_, &v1::Admin::Stub::CreateColumnFamily, family, &written),
          "column_family_name_bytes");

  // gRPC itself refuses what is longer than a message may be, and goes on serving.
  set.set_value(std::string(20'000, 'v'));
  const grpc::Status oversized = TrySet(set);
  EXPECT_EQ(oversized.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  // An answer is bounded by its bytes.
  for (int i = 0; i < 5; ++i) Set("r" + std::to_string(i), std::string(900, 'v'));
  v1::GetRangeRequest range;
  *range.mutable_range()->mutable_begin() = Selector("r", false, 1);
  const v1::GetRangeResponse bounded = Call(kv_, &Stub::GetRange, range);
  EXPECT_EQ(bounded.pairs_size(), 2);
  EXPECT_TRUE(bounded.has_more());
  EXPECT_EQ(Get("r0"), std::string(900, 'v'));
}

TEST_F(KvServiceTest, WhatIsWrongIsNamed) {
  v1::GetRequest request;
  EXPECT_EQ(Show(TryGet(request)), "3/REASON_INVALID_ARGUMENT");  // no key
  request.set_key("k");
  request.set_column_family("missing");
  EXPECT_EQ(Show(TryGet(request)), "5/REASON_NOT_FOUND");
  request.clear_column_family();
  request.mutable_read()->set_level(static_cast<v1::ReadLevel>(9));
  EXPECT_EQ(Show(TryGet(request)), "3/REASON_INVALID_ARGUMENT");
  request.clear_read();
  request.mutable_read()->set_at_version(1'000'000);
  EXPECT_EQ(Show(TryGet(request)), "3/REASON_INVALID_ARGUMENT");
}

TEST_F(KvServiceTest, AWriteThatTheNodeLostSaysSo) {
  node_->StopReplica();
  v1::SetRequest request;
  request.set_key("k");
  const grpc::Status status = TrySet(request);
  EXPECT_EQ(Show(status), "14/REASON_UNAVAILABLE");
  // It never reached the log.
  EXPECT_FALSE(DetailOf(status).maybe_applied());
}

}  // namespace
}  // namespace cairn::server
