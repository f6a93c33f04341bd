// Streamed scans: one version, resuming, and what a client that takes nothing costs the node.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/sanitizers.h"
#include "src/metrics/exposition.h"
#include "src/server/grpc/grpc_test_util.h"

namespace cairn::server {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

struct Scanned {
  std::vector<std::string> keys;
  std::uint64_t bytes = 0;
  int batches = 0;
  std::uint64_t read_version = 0;
  bool last = false;
  bool has_more = false;
  grpc::Status status;
};

class ScanTest : public GrpcTest {
 protected:
  // A client without a read-ahead of its own, which gRPC lets grow by itself: what it has not taken
  // is the node's to hold, or not to read yet.
  [[nodiscard]] std::unique_ptr<v1::KV::Stub> SlowReaders() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetMaxReceiveMessageSize(-1);
    return v1::KV::NewStub(
        grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
  }

  // `count` keys k00000 and on.
  void Fill(int count, std::size_t value_bytes) {
    for (int first = 0; first < count; first += 50) {
      v1::CommitRequest request;
      for (int i = first; i < std::min(first + 50, count); ++i) {
        v1::Mutation* mutation = request.add_mutations();
        mutation->set_type(v1::Mutation::TYPE_SET);
        mutation->set_key(Key(i));
        mutation->set_value(std::string(value_bytes, static_cast<char>('a' + i % 26)));
      }
      Call(kv_, &v1::KV::Stub::Commit, request);
    }
  }
  static std::string Key(int i) {
    char text[16];
    std::snprintf(text, sizeof text, "k%05d", i);
    return text;
  }

  static Scanned ReadAll(grpc::ClientReader<v1::ScanResponse>* stream) {
    Scanned result;
    v1::ScanResponse batch;
    while (stream->Read(&batch)) {
      EXPECT_FALSE(result.last) << "a batch behind the last one";
      ++result.batches;
      for (const v1::KeyValue& pair : batch.pairs()) {
        result.keys.push_back(pair.key());
        result.bytes += pair.key().size() + pair.value().size();
      }
      EXPECT_TRUE(result.read_version == 0 || result.read_version == batch.read_version());
      result.read_version = batch.read_version();
      result.last = batch.last();
      result.has_more = batch.has_more();
    }
    result.status = stream->Finish();
    return result;
  }
  Scanned Scan(const v1::ScanRequest& request) {
    grpc::ClientContext context;
    return ReadAll(kv_->Scan(&context, request).get());
  }
  // How many requests the node has counted so.
  [[nodiscard]] int Counted(const std::string& operation, const std::string& outcome) const {
    metrics::Exposition page;
    node_->service().requests().Render(&page);
    const std::string sample = R"(cairn_request_duration_seconds_count{wire="grpc",operation=")" +
                               operation + R"(",outcome=")" + outcome + "\"} ";
    const std::size_t at = page.text().find(sample);
    return at == std::string::npos ? 0 : std::stoi(page.text().substr(at + sample.size()));
  }
};

TEST_F(ScanTest, ManyBatchesAreOneVersion) {
  Fill(100, 100);
  v1::ScanRequest request;
  request.set_batch_bytes(1000);
  grpc::ClientContext context;
  const auto stream = kv_->Scan(&context, request);
  v1::ScanResponse first;
  ASSERT_TRUE(stream->Read(&first));
  EXPECT_GT(first.pairs_size(), 0);
  EXPECT_LE(first.pairs_size(), 10);
  // What is written now is not of that version.
  Set(Key(99) + "late", "late");
  v1::DeleteRequest remove;
  remove.set_key(Key(98));
  Call(kv_, &v1::KV::Stub::Delete, remove);
  const Scanned rest = ReadAll(stream.get());
  EXPECT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(first.pairs_size() + static_cast<int>(rest.keys.size()), 100);
  EXPECT_EQ(rest.read_version, first.read_version());
  EXPECT_TRUE(rest.last);
  EXPECT_FALSE(rest.has_more);
  EXPECT_GE(rest.batches, 9);
}

TEST_F(ScanTest, AnEmptyRangeIsOneEmptyBatch) {
  const Scanned all = Scan({});
  EXPECT_TRUE(all.status.ok());
  EXPECT_EQ(all.batches, 1);
  EXPECT_TRUE(all.last);
  EXPECT_TRUE(all.keys.empty());
  Fill(3, 1);
  v1::ScanRequest beyond;
  beyond.mutable_range()->mutable_begin()->set_key("k");
  beyond.mutable_range()->mutable_begin()->set_offset(10);
  EXPECT_EQ(Scan(beyond).batches, 1);
  EXPECT_TRUE(Scan(beyond).last);
}

TEST_F(ScanTest, ItGoesOnAfterAnyKeyInEitherDirection) {
  Fill(60, 50);
  for (const bool reverse : {false, true}) {
    v1::ScanRequest request;
    request.mutable_range()->set_reverse(reverse);
    request.set_batch_bytes(500);
    request.set_limit(40);
    const Scanned whole = Scan(request);
    ASSERT_EQ(whole.keys.size(), 40);
    EXPECT_TRUE(whole.has_more);
    for (const std::size_t cut : {std::size_t{1}, std::size_t{17}, std::size_t{39}}) {
      v1::ScanRequest resumed = request;
      resumed.set_resume_after(whole.keys[cut - 1]);
      resumed.set_limit(40 - cut);
      resumed.mutable_read()->set_at_version(whole.read_version);
      Set("k00000a" + std::to_string(cut), "later");  // is not of that version
      const Scanned rest = Scan(resumed);
      EXPECT_EQ(rest.keys, std::vector<std::string>(whole.keys.begin() + static_cast<long>(cut),
                                                    whole.keys.end()));
      EXPECT_EQ(rest.read_version, whole.read_version);
      EXPECT_TRUE(rest.has_more);
    }
  }
}

TEST_F(ScanTest, WhatCanNotBeScannedIsSaid) {
  v1::ScanRequest request;
  request.mutable_range()->set_column_family("missing");
  EXPECT_EQ(Show(Scan(request).status), "5/REASON_NOT_FOUND");
  request.Clear();
  request.mutable_read()->set_level(static_cast<v1::ReadLevel>(8));
  EXPECT_EQ(Show(Scan(request).status), "3/REASON_INVALID_ARGUMENT");
  request.Clear();
  request.mutable_range()->mutable_begin()->set_key(std::string(1 << 20, 'k'));
  request.mutable_range()->mutable_begin()->set_offset(1);
  EXPECT_EQ(Show(Scan(request).status), "3/REASON_INVALID_ARGUMENT");
}

TEST_F(ScanTest, NoMoreScansThanTheNodeTakes) {
  TearDown();
  GrpcServerOptions options;
  options.max_scans = 2;
  Serve({}, options);
  Fill(64, 64 << 10);
  const auto slow = SlowReaders();
  grpc::ClientContext contexts[2];
  std::unique_ptr<grpc::ClientReader<v1::ScanResponse>> streams[2];
  v1::ScanResponse batch;
  for (int i = 0; i < 2; ++i) {
    streams[i] = slow->Scan(&contexts[i], {});
    ASSERT_TRUE(streams[i]->Read(&batch));
    ASSERT_FALSE(batch.last());
  }
  const Scanned refused = Scan({});
  EXPECT_EQ(Show(refused.status), "8/REASON_RESOURCE_EXHAUSTED");
  EXPECT_NE(refused.status.error_message().find("2 scans"), std::string::npos);
  // One that ends, or is cancelled, makes room.
  contexts[0].TryCancel();
  while (streams[0]->Read(&batch)) {
  }
  EXPECT_EQ(streams[0]->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(ReadAll(streams[1].get()).status.ok());
  while (server_->figures().scans_open != 0) std::this_thread::yield();
  EXPECT_EQ(Scan({}).keys.size(), 64);
}

TEST_F(ScanTest, AScanWhoseClientTakesNothingIsCountedAsStalled) {
  TearDown();
  GrpcServerOptions options;
  options.scan_stall = std::chrono::seconds(3);
  Serve({}, options);
  Fill(64, 64 << 10);
  const auto slow = SlowReaders();
  v1::ScanResponse batch;
  grpc::ClientContext idle;
  const auto stalled = slow->Scan(&idle, {});
  ASSERT_TRUE(stalled->Read(&batch));
  while (Counted("scan", "STALLED") != 1) std::this_thread::yield();
  while (stalled->Read(&batch)) {
  }
  EXPECT_FALSE(stalled->Finish().ok());
}

TEST_F(ScanTest, AScanIsCountedOnceWithItsOutcome) {
  Fill(64, 64 << 10);
  EXPECT_TRUE(Scan({}).status.ok());
  EXPECT_EQ(Counted("scan", "OK"), 1);
  v1::ScanRequest missing;
  missing.mutable_range()->set_column_family("missing");
  EXPECT_FALSE(Scan(missing).status.ok());
  EXPECT_EQ(Counted("scan", "NOT_FOUND"), 1);

  // One that its client cancels, and one whose deadline passes.
  const auto slow = SlowReaders();
  v1::ScanResponse batch;
  grpc::ClientContext cancelled;
  const auto left = slow->Scan(&cancelled, {});
  ASSERT_TRUE(left->Read(&batch));
  cancelled.TryCancel();
  while (Counted("scan", "CANCELLED") != 1) std::this_thread::yield();
  while (left->Read(&batch)) {
  }
  EXPECT_FALSE(left->Finish().ok());
  // The client gives up at the same time. If its request was long on its way, on a busy machine,
  // the node may hear of that before its own clock says that the time is over: then once more.
  const auto ended = [this] { return Counted("scan", "TIMEOUT") + Counted("scan", "CANCELLED"); };
  for (int i = 0; Counted("scan", "TIMEOUT") == 0; ++i) {
    ASSERT_LT(i, 20);
    const int before = ended();
    grpc::ClientContext hurried;
    hurried.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1500));
    const auto late = slow->Scan(&hurried, {});
    const bool begun = late->Read(&batch);
    while (begun && ended() == before) std::this_thread::yield();
    while (late->Read(&batch)) {
    }
    EXPECT_FALSE(late->Finish().ok());
  }

  // The ranges that they are made of are not counted beside them, and a key is no range.
  Call(kv_, &v1::KV::Stub::GetKey, v1::GetKeyRequest());
  EXPECT_EQ(Counted("get_key", "OK"), 1);
  EXPECT_EQ(Counted("get_range", "OK") + Counted("snapshot_get_range", "OK"), 0);
  Call(kv_, &v1::KV::Stub::GetRange, v1::GetRangeRequest());
  EXPECT_EQ(Counted("get_range", "OK"), 1);
  EXPECT_EQ(Counted("scan", "OK"), 1);
}

// Bytes that this process has from malloc.
std::int64_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

TEST_F(ScanTest, ASlowReaderHoldsLittleMemory) {
  TearDown();
  GrpcServerOptions options;
  options.scan_stall = std::chrono::seconds(5);
  Serve({}, options);
  constexpr int kReaders = 8;
  const int keys = kSanitized ? 200 : 1000;
  Fill(keys, 64 << 10);  // 64 MiB, of which each reader could ask for all
  const std::int64_t before = Allocated();

  // Each takes one batch and then nothing.
  const auto slow = SlowReaders();
  grpc::ClientContext contexts[kReaders];
  std::unique_ptr<grpc::ClientReader<v1::ScanResponse>> streams[kReaders];
  v1::ScanResponse batch;
  for (int i = 0; i < kReaders; ++i) {
    streams[i] = slow->Scan(&contexts[i], {});
    ASSERT_TRUE(streams[i]->Read(&batch));
    ASSERT_FALSE(batch.last());
  }
  // The node ends them after scan_stall. Until then they had all the time to be read ahead for.
  std::int64_t peak = std::max(before, Allocated());
  while (server_->figures().scans_open != 0) {
    peak = std::max(peak, Allocated());
    std::this_thread::yield();
  }
  const auto read = static_cast<std::int64_t>(server_->figures().scan_bytes);
  for (auto& stream : streams) {
    while (stream->Read(&batch)) {
    }
    EXPECT_FALSE(stream->Finish().ok());
  }
  // What went out at all: the batch that was taken, one that waits, and what the network holds,
  // which HTTP/2's window bounds. The rest of the 64 MiB was never read for anybody.
  RecordProperty("scan_bytes", std::to_string(read));
  EXPECT_LE(read, kReaders * 2 * kMiB);
  // Both ends are in this process, so the batches that the clients were given count as well. (A
  // sanitizer's allocator does not say.)
  RecordProperty("allocated", std::to_string(peak - before));
  if (!kSanitized) {
    EXPECT_GT(peak, before);
    EXPECT_LE(peak - before, kReaders * 4 * kMiB) << "of " << keys * 64 << " KiB for each reader";
  }
  // Others are served, to the end.
  const Scanned whole = Scan({});
  EXPECT_TRUE(whole.status.ok()) << whole.status.error_message();
  EXPECT_EQ(whole.keys.size(), static_cast<std::size_t>(keys));
}

}  // namespace
}  // namespace cairn::server
