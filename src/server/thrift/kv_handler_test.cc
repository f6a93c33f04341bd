// The adapter over a real node in memory: what each request turns into, and what is answered. The
// meaning of the old fields is checked over the wire by tests/conformance/thrift_contract_test.py;
// here are our additions, the codes of failures, and what a Python client can't send.
#include "src/server/thrift/kv_handler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "src/server/testing/test_node.h"

namespace cairn::server {
namespace {

using testing::TestNode;
using testing::TestNodeOptions;

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class KvHandlerTest : public ::testing::Test {
 protected:
  explicit KvHandlerTest(const TestNodeOptions& options = {})
      : node_(options), handler_(&node_.service()) {}

  thrift_api::SetResponse Set(const std::string& key, const std::string& value,
                              const std::string& family = "") {
    thrift_api::SetRequest request;
    request.key = key;
    request.value = value;
    if (!family.empty()) request.__set_column_family(family);
    return Call(&KvHandler::setKey, request);
  }
  thrift_api::GetResponse Get(const std::string& key, const std::string& family = "") {
    thrift_api::GetRequest request;
    request.key = key;
    if (!family.empty()) request.__set_column_family(family);
    return Call(&KvHandler::get, request);
  }
  std::int64_t ReadVersion() {
    const auto response = Call(&KvHandler::getReadVersion, thrift_api::GetReadVersionRequest());
    EXPECT_TRUE(response.success);
    return response.read_version;
  }
  template <class Response, class Request>
  Response Call(void (KvHandler::*method)(Response&, const Request&), const Request& request) {
    Request own = request;  // Handlers take requests apart.
    Response response;
    (handler_.*method)(response, own);
    return response;
  }
  static thrift_api::Operation SetOperation(const std::string& key, const std::string& value) {
    thrift_api::Operation operation;
    operation.type = "set";
    operation.key = key;
    operation.__set_value(value);
    return operation;
  }
  static thrift_api::AtomicCommitRequest CommitOf(std::int64_t read_version,
                                                  const std::string& key) {
    thrift_api::AtomicCommitRequest request;
    request.read_version = read_version;
    request.operations.push_back(SetOperation(key, "v"));
    return request;
  }

  TestNode node_;
  KvHandler handler_;
};

// ---- Versions

TEST_F(KvHandlerTest, VersionsOfWritesReadsAndRangesAreTold) {
  const auto first = Set("a", "1");
  ASSERT_TRUE(first.success);
  const auto second = Set("a", "2");
  EXPECT_GT(second.version, first.version);
  const auto read = Get("a");
  EXPECT_TRUE(read.__isset.version);
  EXPECT_EQ(second.version, read.version);
  EXPECT_FALSE(Get("missing").__isset.version);

  const auto range = Call(&KvHandler::getRange, thrift_api::GetRangeRequest());
  EXPECT_EQ(second.version, range.version);
  ASSERT_EQ(1u, range.key_values.size());
}

TEST_F(KvHandlerTest, NegativeVersionsAreRefusedByName) {
  thrift_api::SnapshotReadRequest read;
  read.key = "a";
  read.read_version = -5;
  const auto answer = Call(&KvHandler::snapshotRead, read);
  EXPECT_FALSE(answer.found);
  EXPECT_EQ("INVALID_ARGUMENT", answer.error_code);
  EXPECT_TRUE(Contains(answer.error, "read_version")) << answer.error;
  EXPECT_TRUE(Contains(answer.error, "-5")) << answer.error;

  thrift_api::SnapshotGetRangeRequest range;
  range.read_version = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::snapshotGetRange, range).error_code);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::atomicCommit, CommitOf(-1, "a")).error_code);
}

// ---- The context of a request

TEST_F(KvHandlerTest, ReadLevelsAreTakenByName) {
  ASSERT_TRUE(Set("a", "1").success);
  thrift_api::GetRequest request;
  request.key = "a";
  for (const char* level : {"local", "leader", "read_index"}) {
    request.__set_read_level(level);
    EXPECT_EQ("1", Call(&KvHandler::get, request).value) << level;
  }
  request.__set_read_level("Leader");
  const auto answer = Call(&KvHandler::get, request);
  EXPECT_EQ("INVALID_ARGUMENT", answer.error_code);
  EXPECT_TRUE(Contains(answer.error, "'Leader'")) << answer.error;
}

TEST_F(KvHandlerTest, AMinimumVersionThatDoesNotComeEndsAtTheDeadline) {
  thrift_api::GetRequest request;
  request.key = "a";
  request.__set_min_version(1'000'000);
  request.__set_deadline_ms(500);
  const auto answer = Call(&KvHandler::get, request);
  EXPECT_TRUE(answer.__isset.error);
  EXPECT_TRUE(Contains(answer.error, "1000000")) << answer.error;
  request.__set_min_version(ReadVersion());
  request.__set_deadline_ms(60'000);
  EXPECT_FALSE(Call(&KvHandler::get, request).__isset.error);
}

TEST_F(KvHandlerTest, DeadlinesAreBoundsAndNeverOverflow) {
  thrift_api::SetRequest request;
  request.key = "a";
  request.__set_deadline_ms(0);
  EXPECT_EQ("TIMEOUT", Call(&KvHandler::setKey, request).error_code);
  request.__set_deadline_ms(-1);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::setKey, request).error_code);
  request.__set_deadline_ms(std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(Call(&KvHandler::setKey, request).success);

  thrift_api::AtomicCommitRequest commit = CommitOf(0, "a");
  commit.__set_timeout_seconds(0);
  EXPECT_EQ("TIMEOUT", Call(&KvHandler::atomicCommit, commit).error_code);
  commit.__set_timeout_seconds(-1);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::atomicCommit, commit).error_code);
  commit.__set_timeout_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(Call(&KvHandler::atomicCommit, commit).success);
  commit.__set_deadline_ms(0);
  EXPECT_EQ("TIMEOUT", Call(&KvHandler::atomicCommit, commit).error_code) << "the shorter one";
}

// ---- Transactions

TEST_F(KvHandlerTest, ConflictRangesAndScopedKeysConflict) {
  thrift_api::CreateColumnFamilyRequest create;
  create.name = "other";
  ASSERT_TRUE(Call(&KvHandler::createColumnFamily, create).success);
  const std::int64_t before = ReadVersion();
  ASSERT_TRUE(Set("m", "1", "other").success);

  thrift_api::AtomicCommitRequest ranged = CommitOf(before, "x");
  thrift_api::ConflictRange range;
  range.begin_key = "a";
  range.end_key = "z";
  ranged.__set_read_conflict_ranges({range});
  EXPECT_TRUE(Call(&KvHandler::atomicCommit, ranged).success) << "nothing in the default family";
  ranged.read_conflict_ranges[0].__set_column_family("other");
  EXPECT_EQ("CONFLICT", Call(&KvHandler::atomicCommit, ranged).error_code);
  ranged.read_conflict_ranges[0].end_key = "m";
  EXPECT_TRUE(Call(&KvHandler::atomicCommit, ranged).success) << "the end is exclusive";

  thrift_api::AtomicCommitRequest scoped = CommitOf(before, "y");
  thrift_api::ConflictKey key;
  key.key = "m";
  scoped.__set_scoped_read_conflict_keys({key});
  EXPECT_TRUE(Call(&KvHandler::atomicCommit, scoped).success) << "the default family's m";
  scoped.scoped_read_conflict_keys[0].__set_column_family("other");
  EXPECT_EQ("CONFLICT", Call(&KvHandler::atomicCommit, scoped).error_code);

  thrift_api::AtomicCommitRequest unscoped = CommitOf(before, "z");
  unscoped.read_conflict_keys = {"m"};
  EXPECT_EQ("CONFLICT", Call(&KvHandler::atomicCommit, unscoped).error_code) << "every family's m";
}

TEST_F(KvHandlerTest, OperationsThatAreNoneAreNamedAndNothingIsApplied) {
  struct Case {
    const char* type;
    bool has_value;
    const char* told;
  };
  for (const Case& c :
       {Case{"SET", true, "'SET'"}, Case{"", true, "''"}, Case{"set ", true, "'set '"},
        Case{"set", false, "needs a value"}, Case{"SET_VERSIONSTAMPED_KEY", false, "needs a value"},
        Case{"SET_VERSIONSTAMPED_VALUE", false, "needs a value"},
        Case{"set_versionstamped_key", true, "'set_versionstamped_key'"}}) {
    thrift_api::AtomicCommitRequest request = CommitOf(0, "applied");
    thrift_api::Operation operation;
    operation.type = c.type;
    operation.key = "0123456789";
    if (c.has_value) operation.__set_value("0123456789");
    request.operations.push_back(operation);
    const auto answer = Call(&KvHandler::atomicCommit, request);
    EXPECT_FALSE(answer.success);
    EXPECT_EQ("INVALID_OPERATION", answer.error_code) << c.type;
    EXPECT_TRUE(Contains(answer.error, "operation 1")) << answer.error;
    EXPECT_TRUE(Contains(answer.error, c.told)) << answer.error;
    EXPECT_FALSE(answer.__isset.committed_version);
    EXPECT_FALSE(Get("applied").found);
  }
}

TEST_F(KvHandlerTest, TransactionLimitsAreAnsweredInTheResponse) {
  thrift_api::AtomicCommitRequest request = CommitOf(0, "a");
  request.operations.resize(kv::Limits().transaction_operations + 1, request.operations[0]);
  const auto answer = Call(&KvHandler::atomicCommit, request);
  EXPECT_EQ("INVALID_ARGUMENT", answer.error_code);
  EXPECT_TRUE(Contains(answer.error, "transaction_operations")) << answer.error;
}

// ---- Sessions

TEST_F(KvHandlerTest, AWriteOfASessionIsAppliedOnce) {
  const auto opened = Call(&KvHandler::openSession, thrift_api::OpenSessionRequest());
  ASSERT_TRUE(opened.success) << opened.error;
  thrift_api::SetRequest request;
  request.key = "a";
  request.value = "first";
  request.__set_session_id(opened.session_id);
  request.__set_session_sequence(1);
  request.__set_session_first_outstanding(1);
  const auto first = Call(&KvHandler::setKey, request);
  ASSERT_TRUE(first.success) << first.error;
  ASSERT_TRUE(Set("a", "between").success);
  const auto again = Call(&KvHandler::setKey, request);
  EXPECT_TRUE(again.success) << again.error;
  EXPECT_EQ(first.version, again.version);
  EXPECT_EQ("between", Get("a").value);

  thrift_api::CloseSessionRequest close;
  close.session_id = opened.session_id;
  EXPECT_TRUE(Call(&KvHandler::closeSession, close).success);
  request.__set_session_sequence(2);
  EXPECT_EQ("SESSION_EXPIRED", Call(&KvHandler::setKey, request).error_code);
}

TEST_F(KvHandlerTest, HalfASessionIsRefused) {
  thrift_api::SetRequest request;
  request.key = "a";
  request.__set_session_id(1);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::setKey, request).error_code);
  request.__set_session_sequence(0);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::setKey, request).error_code);
  request.__set_session_sequence(-1);
  EXPECT_EQ("INVALID_ARGUMENT", Call(&KvHandler::setKey, request).error_code);
  request.__set_session_sequence(1);
  EXPECT_EQ("SESSION_EXPIRED", Call(&KvHandler::setKey, request).error_code) << "there is none";
  EXPECT_FALSE(Get("a").found);
}

// ---- Column families

TEST_F(KvHandlerTest, ColumnFamiliesLiveAndDie) {
  thrift_api::CreateColumnFamilyRequest create;
  create.name = "tags";
  ASSERT_TRUE(Call(&KvHandler::createColumnFamily, create).success);
  EXPECT_EQ((std::vector<std::string>{"default", "tags"}),
            Call(&KvHandler::listColumnFamilies, thrift_api::ListColumnFamiliesRequest()).names);
  ASSERT_TRUE(Set("a", "tagged", "tags").success);
  EXPECT_EQ("tagged", Get("a", "tags").value);
  EXPECT_FALSE(Get("a").found);
  EXPECT_FALSE(Get("a", "default").found) << "the default family has a name";

  thrift_api::DropColumnFamilyRequest drop;
  drop.name = "tags";
  ASSERT_TRUE(Call(&KvHandler::dropColumnFamily, drop).success);
  const auto gone = Get("a", "tags");
  EXPECT_EQ("NOT_FOUND", gone.error_code);
  EXPECT_TRUE(Contains(gone.error, "tags")) << gone.error;
}

// A drop that is sent again is answered as before; it does not drop what somebody else has made
// anew.
TEST_F(KvHandlerTest, ADropUnderASessionIsAppliedOnce) {
  thrift_api::CreateColumnFamilyRequest create;
  create.name = "tags";
  ASSERT_TRUE(Call(&KvHandler::createColumnFamily, create).success);
  thrift_api::DropColumnFamilyRequest drop;
  drop.name = "tags";
  drop.__set_session_id(Call(&KvHandler::openSession, thrift_api::OpenSessionRequest()).session_id);
  drop.__set_session_sequence(1);
  drop.__set_session_first_outstanding(1);
  const auto dropped = Call(&KvHandler::dropColumnFamily, drop);
  ASSERT_TRUE(dropped.success);
  ASSERT_TRUE(Call(&KvHandler::createColumnFamily, create).success);
  ASSERT_TRUE(Set("a", "new", "tags").success);
  const auto again = Call(&KvHandler::dropColumnFamily, drop);
  EXPECT_TRUE(again.success);
  EXPECT_EQ(again.version, dropped.version);
  EXPECT_EQ("new", Get("a", "tags").value);
}

// ---- Failures of the node

TEST_F(KvHandlerTest, AStoppedNodeAnswersInBand) {
  node_.StopReplica();
  const auto set = Set("a", "1");
  EXPECT_FALSE(set.success);
  EXPECT_EQ("UNAVAILABLE", set.error_code);
  EXPECT_FALSE(set.error.empty());
  EXPECT_EQ("UNAVAILABLE", Call(&KvHandler::atomicCommit, CommitOf(0, "a")).error_code);
}

TEST_F(KvHandlerTest, FaultInjectionIsRefusedUnlessAllowed) {
  thrift_api::FaultInjectionRequest request;
  request.fault_type = "X";
  request.__set_probability(1);
  const auto answer = Call(&KvHandler::setFaultInjection, request);
  EXPECT_FALSE(answer.success);
  EXPECT_EQ("PERMISSION_DENIED", answer.error_code);
  EXPECT_TRUE(Contains(answer.error, "--allow-fault-injection")) << answer.error;
  EXPECT_TRUE(Set("a", "1").success);
}

class KvHandlerFaultTest : public KvHandlerTest {
 protected:
  KvHandlerFaultTest() : KvHandlerTest({.allow_fault_injection = true, .limits = {}}) {}

  thrift_api::FaultInjectionResponse Arm(const std::string& type, double probability,
                                         const std::string& target = "", int duration_ms = 0) {
    thrift_api::FaultInjectionRequest request;
    request.fault_type = type;
    request.__set_probability(probability);
    if (!target.empty()) request.__set_target_operation(target);
    request.__set_duration_ms(duration_ms);
    return Call(&KvHandler::setFaultInjection, request);
  }
};

TEST_F(KvHandlerFaultTest, TheFaultIsTheErrorCode) {
  ASSERT_TRUE(Arm("My fault", 1.0).success);
  EXPECT_EQ("My fault", Set("a", "1").error_code);
  EXPECT_EQ("My fault", Get("a").error_code);
  EXPECT_TRUE(Get("a").__isset.error);
  EXPECT_EQ("My fault", Call(&KvHandler::atomicCommit, CommitOf(0, "a")).error_code);
  for (const double off : {0.0, -1.0}) {
    ASSERT_TRUE(Arm("My fault", 7.0).success) << "anything above 0 arms";
    EXPECT_FALSE(Set("a", "1").success);
    ASSERT_TRUE(Arm("My fault", off).success) << "anything else clears";
    EXPECT_TRUE(Set("a", "1").success);
  }
}

TEST_F(KvHandlerFaultTest, TargetsGoByTheMethodsNameToo) {
  struct Case {
    const char* target;
    bool set_fails;
    bool get_fails;
    bool commit_fails;
  };
  for (const Case& c : {Case{"setKey", true, false, false}, Case{"set", true, false, false},
                        Case{"get", false, true, false}, Case{"atomicCommit", false, false, true},
                        Case{"atomic_commit", false, false, true}}) {
    ASSERT_TRUE(Arm("F", 1.0, c.target).success);
    EXPECT_EQ(c.set_fails, !Set("a", "1").success) << c.target;
    EXPECT_EQ(c.get_fails, Get("a").__isset.error) << c.target;
    EXPECT_EQ(c.commit_fails, !Call(&KvHandler::atomicCommit, CommitOf(0, "a")).success)
        << c.target;
    ASSERT_TRUE(Arm("F", 0.0, c.target).success);
  }
  const auto unknown = Arm("F", 1.0, "setkey");
  EXPECT_EQ("INVALID_ARGUMENT", unknown.error_code);
  EXPECT_TRUE(Contains(unknown.error, "'setkey'")) << unknown.error;
}

TEST_F(KvHandlerFaultTest, TheFailureComesLater) {
  ASSERT_TRUE(Arm("LATE", 1.0, "get", 50).success);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ("LATE", Get("a").error_code);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(50));
}

// ---- Counted like reads and writes

TEST_F(KvHandlerTest, CallsThatAreNoOperationsAreCounted) {
  Call(&KvHandler::ping, thrift_api::PingRequest());
  Call(&KvHandler::ping, thrift_api::PingRequest());
  Call(&KvHandler::getClusterHealth, thrift_api::GetClusterHealthRequest());
  Call(&KvHandler::getDatabaseStats, thrift_api::GetDatabaseStatsRequest());
  Call(&KvHandler::getNodeInfo, thrift_api::GetNodeInfoRequest());
  thrift_api::GetNodeInfoRequest nobody;
  nobody.__set_node_id(77);
  Call(&KvHandler::getNodeInfo, nobody);
  Call(&KvHandler::listColumnFamilies, thrift_api::ListColumnFamiliesRequest());
  Call(&KvHandler::setFaultInjection, thrift_api::FaultInjectionRequest());
  metrics::Exposition page;
  node_.service().requests().Render(&page);
  const auto counted = [&page](const std::string& operation, const std::string& outcome,
                               int times) {
    return Contains(page.text(), R"(_count{wire="thrift",operation=")" + operation +
                                     R"(",outcome=")" + outcome + "\"} " + std::to_string(times) +
                                     "\n");
  };
  EXPECT_TRUE(counted("ping", "OK", 2)) << page.text();
  EXPECT_TRUE(counted("get_cluster_status", "OK", 1));
  EXPECT_TRUE(counted("get_statistics", "OK", 1));
  EXPECT_TRUE(counted("get_node_status", "OK", 1));
  EXPECT_TRUE(counted("get_node_status", "NOT_FOUND", 1));
  EXPECT_TRUE(counted("list_column_families", "OK", 1));
  EXPECT_TRUE(counted("set_fault", "PERMISSION_DENIED", 1));
  EXPECT_EQ(0, node_.service().Stats().reads) << "these are no reads of data";
}

// ---- The table of codes

TEST(WireErrorsTest, BrokenStorageHasTheOldCodes) {
  for (const Status& broken : {IoError("disk"), CorruptionError("block")}) {
    EXPECT_EQ("PUT_FAILED", WireErrorCode(broken, FailedCall::kSet));
    EXPECT_EQ("DELETE_FAILED", WireErrorCode(broken, FailedCall::kDelete));
    EXPECT_EQ("COMMIT_FAILED", WireErrorCode(broken, FailedCall::kCommit));
    EXPECT_EQ("OPERATION_FAILED", WireErrorCode(broken, FailedCall::kOther));
  }
}

TEST(WireErrorsTest, EverythingElseIsItsOwnName) {
  EXPECT_EQ("CONFLICT", WireErrorCode(ConflictError(""), FailedCall::kCommit));
  EXPECT_EQ("TIMEOUT", WireErrorCode(TimeoutError(""), FailedCall::kSet));
  EXPECT_EQ("INVALID_OPERATION", WireErrorCode(InvalidOperationError(""), FailedCall::kCommit));
  EXPECT_EQ("TRANSACTION_TOO_OLD", WireErrorCode(TransactionTooOldError(""), FailedCall::kCommit));
  EXPECT_EQ("RESOURCE_EXHAUSTED", WireErrorCode(ResourceExhaustedError(""), FailedCall::kSet));
  EXPECT_EQ("TIMEOUT", WireErrorText(TimeoutError(""))) << "a text is never empty";
}

TEST(WireErrorsTest, HintsAndDoubtsAreToldWhereThereIsAField) {
  thrift_api::SetResponse response;
  FillError(NotLeaderError("no").WithLeaderHint("10.0.0.1:9090"), FailedCall::kSet, &response);
  EXPECT_EQ("10.0.0.1:9090", response.leader_hint);
  EXPECT_FALSE(response.__isset.maybe_applied);
  thrift_api::SetResponse doubtful;
  FillError(TimeoutError("late").WithMaybeApplied(), FailedCall::kSet, &doubtful);
  EXPECT_TRUE(doubtful.maybe_applied);
  EXPECT_FALSE(doubtful.__isset.leader_hint);
}

}  // namespace
}  // namespace cairn::server
