// Backups of a client that does not take them: what they hold, when they end, and how many there
// are.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "src/base/sanitizers.h"
#include "src/metrics/exposition.h"
#include "src/server/grpc/grpc_test_util.h"

namespace cairn::server {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// Bytes that this process has from malloc.
std::int64_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

class BackupTest : public GrpcTest {
 protected:
  // A client without a read-ahead of its own, which gRPC lets grow by itself: what it has not taken
  // is the node's to hold, or not to read yet.
  [[nodiscard]] std::unique_ptr<v1::Admin::Stub> SlowReaders() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::Admin::NewStub(
        grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
  }
  [[nodiscard]] int Counted(const std::string& outcome) const {
    metrics::Exposition page;
    node_->service().requests().Render(&page);
    const std::string sample =
        R"(cairn_request_duration_seconds_count{wire="grpc",operation="backup",outcome=")" +
        outcome + "\"} ";
    const std::size_t at = page.text().find(sample);
    return at == std::string::npos ? 0 : std::stoi(page.text().substr(at + sample.size()));
  }
  static std::int64_t BytesOf(grpc::ClientReader<v1::BackupChunk>* stream) {
    std::int64_t bytes = 0;
    v1::BackupChunk chunk;
    while (stream->Read(&chunk)) bytes += static_cast<std::int64_t>(chunk.data().size());
    return bytes;
  }
};

TEST_F(BackupTest, SlowReadersHoldABlockEachAndAreCutOff) {
  TearDown();
  GrpcServerOptions options;
  // Longer than a busy machine makes those wait who do read.
  options.backup_stall = std::chrono::seconds(5);
  Serve({}, options);
  const int values = kSanitized ? 16 : 64;
  for (int i = 0; i < values; ++i) {
    Set("k" + std::to_string(i), std::string(kMiB / 2, static_cast<char>('a' + i % 26)));
  }
  const std::int64_t stored = values * kMiB / 2;
  const std::int64_t before = Allocated();

  // Both places are taken by clients that take one block and then nothing.
  constexpr int kPlaces = 2;
  const auto slow = SlowReaders();
  grpc::ClientContext contexts[kPlaces];
  std::unique_ptr<grpc::ClientReader<v1::BackupChunk>> streams[kPlaces];
  v1::BackupChunk chunk;
  for (int i = 0; i < kPlaces; ++i) {
    streams[i] = slow->Backup(&contexts[i], v1::BackupRequest());
    ASSERT_TRUE(streams[i]->Read(&chunk));
  }
  grpc::ClientContext third;
  const auto refused = admin_->Backup(&third, v1::BackupRequest());
  EXPECT_FALSE(refused->Read(&chunk));
  const grpc::Status said = refused->Finish();
  EXPECT_EQ(Show(said), "8/REASON_RESOURCE_EXHAUSTED");
  EXPECT_NE(said.error_message().find("2 backups"), std::string::npos) << said.error_message();

  // They are ended after backup_stall. Until then they had all the time to be read ahead for.
  std::int64_t peak = before;
  while (Counted("STALLED") != kPlaces) {
    peak = std::max(peak, Allocated());
    std::this_thread::yield();
  }
  for (const auto& stream : streams) {
    EXPECT_LT(BytesOf(stream.get()), 2 * kMiB) << "of " << stored;
    EXPECT_FALSE(stream->Finish().ok());
  }
  // A block of 512 KiB in the node, as a message and as what goes out, and what HTTP/2's window
  // lets through to the client, which is in this process as well. (A sanitizer's allocator does not
  // say.)
  if (!kSanitized) {
    EXPECT_LE(peak - before, kPlaces * 4 * kMiB) << "of " << stored << " each";
  }

  // The places are free again, and who takes its backup has all of it.
  grpc::ClientContext context;
  const auto whole = admin_->Backup(&context, v1::BackupRequest());
  EXPECT_GT(BytesOf(whole.get()), stored);
  EXPECT_TRUE(whole->Finish().ok());
}

}  // namespace
}  // namespace cairn::server
