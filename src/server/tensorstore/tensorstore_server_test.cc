#include "src/server/tensorstore/tensorstore_server.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "api/tensorstore_kvstore.grpc.pb.h"
#include "src/base/mutex.h"
#include "src/base/sanitizers.h"

namespace cairn::server {
namespace {

namespace wire = tensorstore_grpc::kvstore;

constexpr std::chrono::seconds kPatience{60};
// Enough for a value to be in flight while others are.
constexpr std::size_t kValueBytes = 4096;

class Call {
 public:
  virtual ~Call() = default;
  // Waits for its end.
  grpc::Status Status() {
    return ended_.wait_for(kPatience) == std::future_status::ready
               ? ended_.get()
               : grpc::Status(grpc::StatusCode::UNKNOWN, "it never ended");
  }

 protected:
  void End(const grpc::Status& status) { end_.set_value(status); }
  grpc::ClientContext context_;

 private:
  std::promise<grpc::Status> end_;
  std::future<grpc::Status> ended_ = end_.get_future();
};

class ReadCall final : public Call, public grpc::ClientReadReactor<wire::ReadResponse> {
 public:
  ReadCall(wire::KvStoreService::Stub* stub, const std::string& key) {
    request_.set_key(key);
    stub->async()->Read(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    value_ += response_.value_part();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override { End(status); }
  // After its end.
  [[nodiscard]] const std::string& value() const { return value_; }

 private:
  wire::ReadRequest request_;
  wire::ReadResponse response_;
  std::string value_;
};

// Says its first message and stays open until it is released.
class WriteCall final : public Call, public grpc::ClientWriteReactor<wire::WriteRequest> {
 public:
  WriteCall(wire::KvStoreService::Stub* stub, const std::string& key, const std::string& value) {
    request_.set_key(key);
    request_.set_value_part(value);
    stub->async()->Write(&context_, &response_, this);
    AddHold();
    StartWrite(&request_);
    StartCall();
  }
  void Release() {
    {
      MutexLock lock(&mutex_);
      released_ = true;
      if (written_) StartWritesDone();
    }
    RemoveHold();
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    written_ = ok;
    if (ok && released_) StartWritesDone();
  }
  void OnDone(const grpc::Status& status) override { End(status); }

 private:
  wire::WriteRequest request_;
  wire::WriteResponse response_;
  Mutex mutex_;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  bool written_ ABSL_GUARDED_BY(mutex_) = false;
};

std::string KeyOf(std::size_t i) { return "chunk/" + std::to_string(i); }
std::string ValueOf(std::size_t i) {
  std::string value = std::to_string(i);
  value.resize(kValueBytes, 'v');
  return value;
}

// A store that is served.
class TensorstoreServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store =
        RemoteDram::Open(R"({"listen_addr": "tensorstore-test:0", "transport": "loopback"})");
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    TensorstoreServerOptions options;
    options.address = {"127.0.0.1", 0};
    auto server = TensorstoreServer::Start(options, store_.get());
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }
  void WritesAndReadsManyAtOnce(std::size_t connections, std::size_t calls);
  void UnfinishedWritesLeaveTheValue(bool by_deadline);

  std::unique_ptr<RemoteDram> store_;
  std::unique_ptr<TensorstoreServer> server_;
};

// As TensorStore does it for an array of many chunks: all at once, nothing bounded, nothing
// repeated.
void TensorstoreServerTest::WritesAndReadsManyAtOnce(std::size_t connections, std::size_t calls) {
  std::vector<std::unique_ptr<wire::KvStoreService::Stub>> stubs;
  for (std::size_t i = 0; i < connections; ++i) {
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(wire::KvStoreService::NewStub(
        grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), own)));
  }
  std::vector<std::unique_ptr<WriteCall>> writes;
  for (std::size_t i = 0; i < calls; ++i) {
    writes.push_back(
        std::make_unique<WriteCall>(stubs[i % connections].get(), KeyOf(i), ValueOf(i)));
  }
  // So that all are begun and none has ended.
  for (const auto& write : writes) write->Release();
  std::size_t failed = 0;
  for (const auto& write : writes) {
    const grpc::Status status = write->Status();
    if (!status.ok() && failed++ == 0) ADD_FAILURE() << "a write: " << status.error_message();
  }
  std::vector<std::unique_ptr<ReadCall>> reads;
  for (std::size_t i = 0; i < calls; ++i) {
    reads.push_back(std::make_unique<ReadCall>(stubs[i % connections].get(), KeyOf(i)));
  }
  for (std::size_t i = 0; i < calls; ++i) {
    const grpc::Status status = reads[i]->Status();
    if (!status.ok() && failed++ == 0) ADD_FAILURE() << "a read: " << status.error_message();
    if (status.ok()) {
      EXPECT_TRUE(reads[i]->value() == ValueOf(i)) << i;
    }
  }
  EXPECT_EQ(failed, 0U);
}

TEST_F(TensorstoreServerTest, ManyCallsOverOneConnection) {
  WritesAndReadsManyAtOnce(1, kSanitized ? 500 : 2000);
}

TEST_F(TensorstoreServerTest, ManyCallsOverManyConnections) {
  WritesAndReadsManyAtOnce(8, kSanitized ? 1000 : 4000);
}

// Whether the client ends a write itself or its time runs out: the server sees the end of the
// messages before or after the end of the call, as it happens. So it is tried often.
void TensorstoreServerTest::UnfinishedWritesLeaveTheValue(bool by_deadline) {
  const auto stub = wire::KvStoreService::NewStub(
      grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  const std::string whole(kValueBytes, 'w');
  ASSERT_TRUE(store_->Write("key", dram::Buffer::Copy(whole)).Get().ok());
  const int tries = kSanitized ? 100 : 500;
  for (int i = 0; i < tries; ++i) {
    grpc::ClientContext context;
    if (by_deadline) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(2));
    }
    wire::WriteResponse response;
    const auto writer = stub->Write(&context, &response);
    wire::WriteRequest part;
    part.set_key("key");
    part.set_value_part("half");
    (void)writer->Write(part);
    if (!by_deadline) context.TryCancel();
    EXPECT_FALSE(writer->Finish().ok());
  }
  // Ends when no call of the server runs any more.
  server_.reset();
  const auto read = store_->Read("key").Get();
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE(read->value.view() == whole) << read->value.size() << " bytes";
}

TEST_F(TensorstoreServerTest, AWriteThatIsCancelledHalfwayStoresNothing) {
  UnfinishedWritesLeaveTheValue(/*by_deadline=*/false);
}

TEST_F(TensorstoreServerTest, AWriteWhoseTimeRunsOutHalfwayStoresNothing) {
  UnfinishedWritesLeaveTheValue(/*by_deadline=*/true);
}

}  // namespace
}  // namespace cairn::server
