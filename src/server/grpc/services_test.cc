// cairn.v1.Admin, kvstore.KVStore, and the standard services of the gRPC port.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/server/grpc/grpc_test_util.h"

namespace cairn::server {
namespace {

class AdminServiceTest : public GrpcTest {
 protected:
  // Sends `method`, which is no stream, an empty request.
  void Send(const std::string& method) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    const grpc::Slice nothing;
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    std::promise<void> ended;
    stub.UnaryCall(&context, method, {}, &request, &response,
                   [&](const grpc::Status&) { ended.set_value(); });
    ended.get_future().wait();
  }
  // How many requests the node has counted under this name, whatever came of them.
  [[nodiscard]] int Counted(const std::string& operation) const {
    metrics::Exposition page;
    node_->service().requests().Render(&page);
    const std::string sample =
        R"(cairn_request_duration_seconds_count{wire="grpc",operation=")" + operation + "\"";
    int sum = 0;
    for (std::size_t at = 0; (at = page.text().find(sample, at)) != std::string::npos; ++at) {
      sum += std::stoi(page.text().substr(page.text().find("} ", at) + 2));
    }
    return sum;
  }
};

// "GetNodeStatus" as "get_node_status".
std::string SnakeCase(const std::string& name) {
  std::string snake;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z' && !snake.empty()) snake += '_';
    snake += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return snake;
}

TEST_F(AdminServiceTest, EveryCallIsCountedUnderItsName) {
  const auto* const admin =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("cairn.v1.Admin");
  ASSERT_NE(admin, nullptr);
  for (int i = 0; i < admin->method_count(); ++i) {
    const std::string name = admin->method(i)->name();
    EXPECT_EQ(Counted(SnakeCase(name)), 0) << name;
    if (admin->method(i)->server_streaming()) {
      ASSERT_EQ(name, "Backup");
      grpc::ClientContext context;
      const auto chunks = admin_->Backup(&context, v1::BackupRequest());
      v1::BackupChunk chunk;
      while (chunks->Read(&chunk)) {
      }
      EXPECT_TRUE(chunks->Finish().ok());
    } else {
      Send("/cairn.v1.Admin/" + name);
    }
    EXPECT_EQ(Counted(SnakeCase(name)), 1) << name;
  }
  Send("/cairn.v1.KV/Ping");
  EXPECT_EQ(Counted("ping"), 1);
  Send("/kvstore.KVStore/Ping");
  EXPECT_EQ(Counted("ping"), 2);
  const auto statistics = Call(admin_, &v1::Admin::Stub::GetStatistics, v1::GetStatisticsRequest());
  EXPECT_EQ(statistics.reads(), 0) << "these are no reads of data";
}

TEST_F(AdminServiceTest, ColumnFamiliesComeAndGo) {
  using Stub = v1::Admin::Stub;
  v1::CreateColumnFamilyRequest create;
  create.set_name("b");
  const std::uint64_t version = Call(admin_, &Stub::CreateColumnFamily, create).version();
  EXPECT_GT(version, 0);
  create.set_name("a");
  Call(admin_, &Stub::CreateColumnFamily, create);
  Call(admin_, &Stub::CreateColumnFamily, create);  // fine
  const auto names = [this] {
    const auto list = Call(admin_, &Stub::ListColumnFamilies, v1::ListColumnFamiliesRequest());
    std::string text;
    for (const std::string& name : list.names()) text += name + " ";
    return text;
  };
  EXPECT_EQ(names(), "default a b ");
  Set("k", "in b", "b");
  EXPECT_EQ(Get("k", "b"), "in b");
  EXPECT_EQ(Get("k"), "(none)");
  v1::DropColumnFamilyRequest drop;
  drop.set_name("b");
  Call(admin_, &Stub::DropColumnFamily, drop);
  EXPECT_EQ(names(), "default a ");
  drop.set_name("default");
  v1::WriteResponse response;
  EXPECT_EQ(Show(Try(admin_, &Stub::DropColumnFamily, drop, &response)),
            "3/REASON_INVALID_ARGUMENT");
}

// One that arrives again under its session's number is answered, not applied.
TEST_F(AdminServiceTest, AColumnFamilyIsDroppedOnceUnderASession) {
  using Stub = v1::Admin::Stub;
  v1::CreateColumnFamilyRequest create;
  create.set_name("f");
  Call(admin_, &Stub::CreateColumnFamily, create);
  v1::DropColumnFamilyRequest drop;
  drop.set_name("f");
  v1::SessionStamp* stamp = drop.mutable_write()->mutable_session();
  stamp->set_id(Call(kv_, &v1::KV::Stub::OpenSession, v1::OpenSessionRequest()).session_id());
  stamp->set_sequence(1);
  stamp->set_first_outstanding(1);
  const std::uint64_t version = Call(admin_, &Stub::DropColumnFamily, drop).version();
  Call(admin_, &Stub::CreateColumnFamily, create);
  Set("k", "new", "f");
  EXPECT_EQ(Call(admin_, &Stub::DropColumnFamily, drop).version(), version);
  EXPECT_EQ(Get("k", "f"), "new");
}

TEST_F(AdminServiceTest, ConnectionsAreCounted) {
  Set("k", "1");
  EXPECT_EQ(server_->connections_open(), 1);
  {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto second =
        grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
    Call(v1::KV::NewStub(second), &v1::KV::Stub::Ping, v1::PingRequest());
    EXPECT_EQ(server_->connections_open(), 2);
  }
  while (server_->connections_open() != 1) std::this_thread::yield();
}

TEST_F(AdminServiceTest, ANodeTellsOfItself) {
  using Stub = v1::Admin::Stub;
  const std::uint64_t version = Set("k", "1");
  const auto node = Call(admin_, &Stub::GetNodeStatus, v1::GetNodeStatusRequest());
  EXPECT_EQ(node.node().grpc_endpoint(), address());
  EXPECT_TRUE(node.node().is_leader());
  EXPECT_EQ(node.replica().role(), "leader");
  EXPECT_EQ(node.replica().applied_version(), version);
  EXPECT_GE(node.replica().committed_slot(), node.replica().applied_slot());
  EXPECT_EQ(node.sessions(), 0);
  Call(kv_, &v1::KV::Stub::OpenSession, v1::OpenSessionRequest());
  EXPECT_EQ(Call(admin_, &Stub::GetNodeStatus, v1::GetNodeStatusRequest()).sessions(), 1);

  const auto cluster = Call(admin_, &Stub::GetClusterStatus, v1::GetClusterStatusRequest());
  ASSERT_EQ(cluster.nodes_size(), 1);
  EXPECT_EQ(cluster.status(), "healthy");
  EXPECT_EQ(cluster.healthy_nodes(), 1);
  EXPECT_EQ(cluster.leader_id(), cluster.nodes(0).node_id());

  Get("k");
  const auto statistics = Call(admin_, &Stub::GetStatistics, v1::GetStatisticsRequest());
  EXPECT_EQ(statistics.reads(), 1);
  EXPECT_GE(statistics.writes(), 1);
}

TEST_F(AdminServiceTest, TheLogIsAdvancedALittle) {
  using Stub = v1::Admin::Stub;
  Set("k", "1");
  const auto last_slot = [this] {
    return Call(admin_, &Stub::GetNodeStatus, v1::GetNodeStatusRequest()).replica().last_slot();
  };
  const std::uint64_t before = last_slot();
  v1::AdvanceLogRequest advance;
  advance.set_slot(before + 5);
  Call(admin_, &Stub::AdvanceLog, advance);
  EXPECT_EQ(last_slot(), before + 5);
  Call(admin_, &Stub::AdvanceLog, advance);  // It is there.
  EXPECT_EQ(last_slot(), before + 5);
  v1::AdvanceLogResponse response;
  advance.set_slot(before + 5 + StateAdmin::kMaxAdvance + 1);
  EXPECT_EQ(Show(Try(admin_, &Stub::AdvanceLog, advance, &response)), "3/REASON_INVALID_ARGUMENT");
  EXPECT_EQ(last_slot(), before + 5);
}

TEST_F(AdminServiceTest, FaultsAreForNodesThatAllowThem) {
  using Stub = v1::Admin::Stub;
  v1::SetFaultRequest fault;
  fault.set_fault_name("broken");
  fault.set_probability(1);
  fault.set_target_operation("get");
  v1::SetFaultResponse response;
  EXPECT_EQ(Show(Try(admin_, &Stub::SetFault, fault, &response)), "7/REASON_PERMISSION_DENIED");
  EXPECT_EQ(Get("k"), "(none)");

  TearDown();
  testing::TestNodeOptions options;
  options.allow_fault_injection = true;
  Serve(options, {});
  Call(admin_, &Stub::SetFault, fault);
  v1::GetRequest request;
  request.set_key("k");
  v1::GetResponse got;
  const grpc::Status status = Try(kv_, &v1::KV::Stub::Get, request, &got);
  EXPECT_EQ(Show(status), "2/REASON_INJECTED_FAULT");
  EXPECT_EQ(DetailOf(status).fault_name(), "broken");
}

class LegacyServiceTest : public GrpcTest {
 protected:
  kvstore::PutResponse Put(const std::string& key, const std::string& value) {
    kvstore::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return Call(legacy_, &kvstore::KVStore::Stub::Put, request);
  }
  std::vector<std::string> List(const std::string& prefix, int limit) {
    kvstore::ListKeysRequest request;
    request.set_prefix(prefix);
    request.set_limit(limit);
    const auto response = Call(legacy_, &kvstore::KVStore::Stub::ListKeys, request);
    return {response.keys().begin(), response.keys().end()};
  }
};

TEST_F(LegacyServiceTest, OneSetOfDataBehindBothServices) {
  EXPECT_TRUE(Put("fruit", "red").success());
  EXPECT_EQ(Get("fruit"), "red");
  Set("fruit", "green");
  kvstore::GetRequest get;
  get.set_key("fruit");
  auto got = Call(legacy_, &kvstore::KVStore::Stub::Get, get);
  EXPECT_TRUE(got.found());
  EXPECT_EQ(got.value(), "green");
  kvstore::DeleteRequest remove;
  remove.set_key("fruit");
  EXPECT_TRUE(Call(legacy_, &kvstore::KVStore::Stub::Delete, remove).success());
  EXPECT_TRUE(Call(legacy_, &kvstore::KVStore::Stub::Delete, remove).success());
  got = Call(legacy_, &kvstore::KVStore::Stub::Get, get);
  EXPECT_FALSE(got.found());
  EXPECT_EQ(Get("fruit"), "(none)");
}

TEST_F(LegacyServiceTest, FailuresOfWritesAreTold) {
  const auto refused = Put("", "value");
  EXPECT_FALSE(refused.success());
  EXPECT_EQ(refused.error().substr(0, 18), "INVALID_ARGUMENT: ") << refused.error();
  kvstore::GetResponse response;
  EXPECT_EQ(Show(Try(legacy_, &kvstore::KVStore::Stub::Get, kvstore::GetRequest(), &response)),
            "3/REASON_INVALID_ARGUMENT");
  Set("bytes", "\xFF");
  kvstore::GetRequest get;
  get.set_key("bytes");
  EXPECT_EQ(Show(Try(legacy_, &kvstore::KVStore::Stub::Get, get, &response)),
            "9/REASON_FAILED_PRECONDITION");
}

TEST_F(LegacyServiceTest, KeysAreListedByPrefixAndLimit) {
  for (const char* key : {"a", "b/1", "b/2", "b/3", "b0", "c"}) Put(key, "x");
  Set("b/\xFF", "no text");
  using Keys = std::vector<std::string>;
  EXPECT_EQ(List("b/", 0), (Keys{"b/1", "b/2", "b/3"}));
  EXPECT_EQ(List("b/", 2), (Keys{"b/1", "b/2"}));
  EXPECT_EQ(List("", -1).size(), 6);
  EXPECT_EQ(List("d", 0), Keys());
}

TEST_F(LegacyServiceTest, PingComesBack) {
  kvstore::PingRequest request;
  request.set_timestamp(7);
  auto response = Call(legacy_, &kvstore::KVStore::Stub::Ping, request);
  EXPECT_EQ(response.message(), "pong");
  EXPECT_EQ(response.timestamp(), 7);
  EXPECT_GT(response.server_timestamp(), 1'600'000'000'000'000);
  request.set_message("here");
  EXPECT_EQ(Call(legacy_, &kvstore::KVStore::Stub::Ping, request).message(), "here");
}

// ---- The standard services, whose messages Debian's gRPC keeps to itself: as bytes.

std::string Field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) +
         bytes;
}
std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (buffer.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) text.append(slice.begin(), slice.end());
  }
  return text;
}
grpc::ByteBuffer ToBuffer(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}

class StandardServicesTest : public GrpcTest {
 protected:
  // The answer of grpc.health.v1.Health/Check, or the error's code.
  std::string Health(const std::string& service) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    const grpc::ByteBuffer request = ToBuffer(service.empty() ? "" : Field(1, service));
    grpc::ByteBuffer response;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    const grpc::Status status = ended.get_future().get();
    if (!status.ok()) return "error " + std::to_string(status.error_code());
    const std::string bytes = ToString(response);
    // Field 1, a number: 1 is SERVING, 2 NOT_SERVING.
    if (bytes == std::string("\x08\x01", 2)) return "serving";
    return bytes == std::string("\x08\x02", 2) ? "not serving" : "?";
  }
};

TEST_F(StandardServicesTest, HealthIsToldByService) {
  for (const char* service : {"", "cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore"}) {
    EXPECT_EQ(Health(service), "serving") << service;
  }
  EXPECT_EQ(Health("nobody"), "error 5");  // NOT_FOUND
}

TEST_F(StandardServicesTest, HealthFollowsTheNode) {
  TearDown();
  testing::TestNodeOptions options;
  options.recover = false;
  Serve(options, {});
  for (const char* service : {"", "cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore"}) {
    EXPECT_EQ(Health(service), "not serving") << service;
  }
  EXPECT_EQ(Health("nobody"), "error 5");
  node_->Recover();
  for (const char* service : {"", "cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore"}) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (Health(service) != "serving" && std::chrono::steady_clock::now() < until) {
    }
    EXPECT_EQ(Health(service), "serving") << service;
  }
}

// Says what it wants to know, and waits for the one answer.
class Asking : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Asking(const std::string& question) : question_(ToBuffer(question)) {}
  void Begin() {
    StartRead(&answer_);
    StartWriteLast(&question_, {});
    StartCall();
  }
  void OnDone(const grpc::Status& status) override { ended_.set_value(status); }
  std::string Answer() {
    const grpc::Status status = ended_.get_future().get();
    return status.ok() ? ToString(answer_) : "error " + std::to_string(status.error_code());
  }

 private:
  const grpc::ByteBuffer question_;
  grpc::ByteBuffer answer_;
  std::promise<grpc::Status> ended_;
};

TEST_F(StandardServicesTest, ReflectionShowsTheServicesAndTheirMessages) {
  const auto ask = [this](const std::string& question) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    Asking asking(question);
    stub.PrepareBidiStreamingCall(
        &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {}, &asking);
    asking.Begin();
    return asking.Answer();
  };
  const std::string services = ask(Field(7, "*"));  // list_services
  for (const char* service :
       {"cairn.v1.KV", "cairn.v1.Admin", "kvstore.KVStore", "grpc.health.v1.Health"}) {
    EXPECT_NE(services.find(service), std::string::npos) << service;
  }
  const std::string file = ask(Field(4, "cairn.v1.KV"));  // file_containing_symbol
  EXPECT_NE(file.find("CommitRequest"), std::string::npos);
  EXPECT_NE(file.find("resume_after"), std::string::npos);
}

TEST_F(StandardServicesTest, AStopEndsWhatWaitsAndLeavesNothing) {
  v1::GetRequest request;
  request.set_key("k");
  request.mutable_read()->set_min_version(1'000'000);
  v1::GetResponse response;
  grpc::ClientContext context;
  std::promise<grpc::Status> ended;
  const std::uint64_t calls = server_->figures().calls;
  kv_->async()->Get(&context, &request, &response,
                    [&](grpc::Status status) { ended.set_value(std::move(status)); });
  while (server_->figures().calls == calls) std::this_thread::yield();
  // It waits for a version, which nobody will write: the server says that it does.
  EXPECT_FALSE(server_->Stop(Duration::zero()));
  EXPECT_FALSE(ended.get_future().get().ok());
  node_->StopReplica();  // ends the wait
  server_->Stop(Duration::zero());
  // Its port is free again.
  GrpcServerOptions options;
  options.port = server_->port();
  server_.reset();
  EXPECT_TRUE(GrpcServer::Start(options, &node_->service()).ok());
}

TEST_F(StandardServicesTest, APortThatIsTakenIsAnError) {
  GrpcServerOptions options;
  options.port = server_->port();
  const auto second = GrpcServer::Start(options, &node_->service());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kIoError);
  EXPECT_NE(second.status().message().find(std::to_string(options.port)), std::string::npos);
}

}  // namespace
}  // namespace cairn::server
