// Arrays of zarr and zarr3 over "remote_dram" as their users have them: written, read back by
// another client, written in part by several at once, resized, compressed, and what is left of them
// when their server dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "remote_dram_testing.h"
#include "tensorstore/array.h"
#include "tensorstore/context.h"
#include "tensorstore/index.h"
#include "tensorstore/index_space/dim_expression.h"
#include "tensorstore/kvstore/kvstore.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/open.h"
#include "tensorstore/open_mode.h"
#include "tensorstore/resize_options.h"
#include "tensorstore/tensorstore.h"
#include "tensorstore/util/result.h"

namespace cairn_testing {
namespace {

namespace kvstore = tensorstore::kvstore;
using ::nlohmann::json;
using ::tensorstore::Dims;
using ::tensorstore::Index;
using ::tensorstore::KvStore;
using ::tensorstore::OpenMode;
using ::testing::HasSubstr;

using Array = tensorstore::TensorStore<std::uint16_t, 2, tensorstore::ReadWriteMode::read_write>;
using Values = tensorstore::SharedArray<std::uint16_t, 2>;

constexpr Index kRows = 300;
constexpr Index kColumns = 500;
// Not a divisor of the shape.
constexpr Index kChunk = 64;

// A rectangle of an array.
struct Part {
  Index row, column, rows, columns;
};

json ArraySpec(const std::string& driver, json store, const std::string& codec = "") {
  store["path"] = "array/";
  json metadata;
  if (driver == "zarr") {
    metadata = {{"dtype", "<u2"}, {"chunks", {kChunk, kChunk}}, {"compressor", nullptr}};
    if (!codec.empty()) metadata["compressor"] = {{"id", codec}};
  } else {
    metadata = {{"data_type", "uint16"},
                {"chunk_grid",
                 {{"name", "regular"}, {"configuration", {{"chunk_shape", {kChunk, kChunk}}}}}}};
    if (!codec.empty()) metadata["codecs"] = {{{"name", codec}}};
  }
  metadata["shape"] = {kRows, kColumns};
  return {{"driver", driver}, {"kvstore", store}, {"metadata", metadata}};
}

tensorstore::Result<Array> OpenArray(const json& spec, OpenMode mode) {
  return tensorstore::Open<std::uint16_t, 2, tensorstore::ReadWriteMode::read_write>(
             spec, tensorstore::Context::Default(), mode)
      .result();
}

Values Zeros(Index rows = kRows, Index columns = kColumns) {
  return tensorstore::AllocateArray<std::uint16_t>({rows, columns}, tensorstore::c_order,
                                                   tensorstore::value_init);
}

Values Random(Index rows, Index columns, unsigned seed) {
  std::minstd_rand random(seed);
  Values values = Zeros(rows, columns);
  for (Index i = 0; i < rows * columns; ++i) {
    values.data()[i] = static_cast<std::uint16_t>(1 + random() % 65'000);
  }
  return values;
}

// Writes random values into a part of the array, and of what it is expected to be.
absl::Status WritePart(const Array& array, const Part& part, unsigned seed, Values& expected) {
  const Values values = Random(part.rows, part.columns, seed);
  for (Index r = 0; r < part.rows; ++r) {
    for (Index c = 0; c < part.columns; ++c) {
      expected(part.row + r, part.column + c) = values(r, c);
    }
  }
  const auto target =
      array | Dims(0, 1).SizedInterval({part.row, part.column}, {part.rows, part.columns});
  return tensorstore::Write(values, target).commit_future.status();
}

// What another client sees: a context of its own, and a pool of its own.
tensorstore::Result<tensorstore::SharedArray<std::uint16_t, 2>> ReadElsewhere(json spec) {
  spec["kvstore"]["timeout_ms"] = 29'999;
  TENSORSTORE_ASSIGN_OR_RETURN(const Array array, OpenArray(spec, OpenMode::open));
  return tensorstore::Read<tensorstore::zero_origin>(array).result();
}

class RemoteDramZarrTest : public testing::TestWithParam<std::tuple<Way, std::string>> {
 protected:
  static Way way() { return std::get<0>(GetParam()); }
  static const std::string& driver() { return std::get<1>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramZarrTest,
                         testing::Combine(testing::ValuesIn(kWays),
                                          testing::Values("zarr", "zarr3")),
                         [](const auto& test) {
                           return NameOf(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                         });

TEST_P(RemoteDramZarrTest, WrittenWholeAndInPartsAndReadByAnother) {
  const Server server(way());
  const json spec = ArraySpec(driver(), server.Client());
  const auto array = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(OpenArray(spec, OpenMode::create).status().code(), absl::StatusCode::kAlreadyExists);
  Values expected = Zeros();
  EXPECT_EQ(ReadElsewhere(spec), expected);
  ASSERT_EQ(WritePart(*array, {0, 0, kRows, kColumns}, 1, expected), absl::OkStatus());
  EXPECT_EQ(ReadElsewhere(spec), expected);
  // Within a chunk, over the borders of some, and to the end.
  for (const Part& part : {Part{3, 5, 7, 11}, Part{60, 60, 10, 10}, Part{100, 0, 1, kColumns},
                           Part{0, 127, kRows, 2}, Part{299, 499, 1, 1}}) {
    ASSERT_EQ(WritePart(*array, part, 2, expected), absl::OkStatus());
    EXPECT_EQ(ReadElsewhere(spec), expected);
  }
}

// They share chunks, so each reads, changes and writes what the other changes meanwhile: nothing
// may be lost, which takes writes on condition.
TEST_P(RemoteDramZarrTest, SeveralClientsWriteIntoTheSameChunks) {
  constexpr int kClients = 4;
  constexpr int kRounds = 10;
  const Server server(way());
  const json spec = ArraySpec(driver(), server.Client());
  ASSERT_TRUE(OpenArray(spec, OpenMode::create).ok());
  std::vector<std::thread> threads;
  for (int client = 1; client <= kClients; ++client) {
    threads.emplace_back([&, client] {
      json own = spec;
      own["kvstore"]["timeout_ms"] = 30'000 + client;
      const auto array = OpenArray(own, OpenMode::open);
      ASSERT_TRUE(array.ok()) << array.status();
      Values ignored = Zeros();
      for (int round = 0; round < kRounds; ++round) {
        const Part row{round * kClients + client, 0, 1, 2 * kChunk};
        ASSERT_EQ(WritePart(*array, row, 100 * client + round, ignored), absl::OkStatus());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  Values expected = Zeros();
  for (int client = 1; client <= kClients; ++client) {
    for (int round = 0; round < kRounds; ++round) {
      const Values row = Random(1, 2 * kChunk, 100 * client + round);
      for (Index c = 0; c < 2 * kChunk; ++c) expected(round * kClients + client, c) = row(0, c);
    }
  }
  EXPECT_EQ(ReadElsewhere(spec), expected);
}

std::size_t Keys(const json& spec) {
  const auto keys = kvstore::ListFuture(Open(spec["kvstore"])).result();
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys.ok() ? keys->size() : 0;
}

TEST_P(RemoteDramZarrTest, GrowsAndShrinks) {
  const Server server(way());
  json spec = ArraySpec(driver(), server.Client());
  const auto array = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(array.ok()) << array.status();
  Values all = Zeros();
  ASSERT_EQ(WritePart(*array, {0, 0, kRows, kColumns}, 1, all), absl::OkStatus());
  EXPECT_EQ(Keys(spec), 1u + 5 * 8);
  constexpr Index kFew = 2 * kChunk;
  const auto resize = [&](Index rows, Index columns) {
    const Index keep[] = {tensorstore::kImplicit, tensorstore::kImplicit};
    const Index to[] = {rows, columns};
    spec["metadata"]["shape"] = {rows, columns};
    return tensorstore::Resize(*array, keep, to).status();
  };
  // Chunks that lie outside go.
  ASSERT_EQ(resize(kFew, kFew), absl::OkStatus());
  EXPECT_EQ(Keys(spec), 1u + 2 * 2);
  Values few = Zeros(kFew, kFew);
  for (Index r = 0; r < kFew; ++r) {
    for (Index c = 0; c < kFew; ++c) few(r, c) = all(r, c);
  }
  EXPECT_EQ(ReadElsewhere(spec), few);
  // What comes back is empty.
  ASSERT_EQ(resize(kRows, kColumns), absl::OkStatus());
  Values expected = Zeros();
  for (Index r = 0; r < kFew; ++r) {
    for (Index c = 0; c < kFew; ++c) expected(r, c) = few(r, c);
  }
  EXPECT_EQ(ReadElsewhere(spec), expected);
}

TEST_P(RemoteDramZarrTest, Compressed) {
  const std::vector<std::string> codecs = driver() == "zarr"
                                              ? std::vector<std::string>{"blosc", "zlib", "zstd"}
                                              : std::vector<std::string>{"blosc", "gzip", "zstd"};
  for (const std::string& codec : codecs) {
    const Server server(way());
    const json spec = ArraySpec(driver(), server.Client(), codec);
    const auto array = OpenArray(spec, OpenMode::create);
    ASSERT_TRUE(array.ok()) << array.status();
    Values expected = Zeros();
    ASSERT_EQ(WritePart(*array, {1, 2, kRows - 2, kColumns - 3}, 1, expected), absl::OkStatus());
    EXPECT_EQ(ReadElsewhere(spec), expected) << codec;
  }
}

class RemoteDramZarrPoolTest : public RemoteDramZarrTest {};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramZarrPoolTest,
                         testing::Combine(testing::ValuesIn(kWays),
                                          testing::Values("zarr", "zarr3")),
                         [](const auto& test) {
                           return NameOf(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                         });

// The process of the test is a node itself.
TEST_P(RemoteDramZarrPoolTest, SpreadOverThreeNodes) {
  const Pool pool(way());
  const json spec = ArraySpec(driver(), pool.spec());
  const auto array = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(array.ok()) << array.status();
  Values expected = Zeros();
  ASSERT_EQ(WritePart(*array, {0, 0, kRows, kColumns}, 1, expected), absl::OkStatus());
  // The same pool in another context, which has nothing cached.
  const auto again = OpenArray(spec, OpenMode::open);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(tensorstore::Read<tensorstore::zero_origin>(*again).result(), expected);
  // 40 chunks and the metadata; each of the others holds some, and so does this one.
  const std::vector<std::uint64_t> others = pool.KeysOfOthers();
  ASSERT_EQ(others.size(), 2u);
  EXPECT_GT(others[0], 0u);
  EXPECT_GT(others[1], 0u);
  EXPECT_LT(others[0] + others[1], 41u);
  EXPECT_EQ(Keys(spec), 41u);
}

class RemoteDramZarrFaultTest : public RemoteDramZarrTest {};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramZarrFaultTest,
                         testing::Combine(testing::Values(Way::kTcp, Way::kSharedMemory),
                                          testing::Values("zarr", "zarr3")),
                         [](const auto& test) {
                           return NameOf(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
                         });

TEST_P(RemoteDramZarrFaultTest, AServerKilledUnderAnArray) {
  ServerProcess server;
  const json spec = ArraySpec(driver(), ClientSpec(way(), server.address()));
  const auto array = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(array.ok()) << array.status();
  Values expected = Zeros();
  server.Stop();
  auto write = tensorstore::Write(Random(kRows, kColumns, 1), *array);
  write.commit_future.Force();
  server.Kill();
  EXPECT_EQ(write.commit_future.status().code(), absl::StatusCode::kUnavailable)
      << write.commit_future.status();
  // Back, and empty.
  const ServerProcess again(server.address());
  EXPECT_EQ(OpenArray(spec, OpenMode::open).status().code(), absl::StatusCode::kNotFound);
  const auto anew = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(anew.ok()) << anew.status();
  ASSERT_EQ(WritePart(*anew, {0, 0, kRows, kColumns}, 2, expected), absl::OkStatus());
  EXPECT_EQ(ReadElsewhere(spec), expected);
}

TEST_P(RemoteDramZarrFaultTest, AFullServerFailsTheWriteAndKeepsTheArray) {
  const ServerProcess server("127.0.0.1:0", "4MiB");
  json spec = ArraySpec(driver(), ClientSpec(way(), server.address()));
  constexpr Index kLarge = 4096;
  spec["metadata"]["shape"] = {kLarge, kLarge};
  const auto array = OpenArray(spec, OpenMode::create);
  ASSERT_TRUE(array.ok()) << array.status();
  const Values few = Random(kChunk, kChunk, 1);
  const auto corner = *array | Dims(0, 1).SizedInterval({0, 0}, {kChunk, kChunk});
  ASSERT_EQ(tensorstore::Write(few, corner).commit_future.status(), absl::OkStatus());
  const auto rest = *array | Dims(0).HalfOpenInterval(kChunk, kLarge);
  const absl::Status status =
      tensorstore::Write(Random(kLarge - kChunk, kLarge, 2), rest).commit_future.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  const auto again = OpenArray(spec, OpenMode::open);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(tensorstore::Read<tensorstore::zero_origin>(
                *again | Dims(0, 1).SizedInterval({0, 0}, {kChunk, kChunk}))
                .result(),
            few);
}

}  // namespace
}  // namespace cairn_testing
