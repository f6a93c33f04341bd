// The tests that TensorStore has for its array drivers, of zarr and zarr3 over "remote_dram":
// random reads and writes in and out of transactions, resizing, and round trips of specs and URLs.
// As a client over each of the ways, and as one of three nodes. remote_dram_zarr_test.cc has our
// own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "remote_dram_testing.h"
#include "tensorstore/array.h"
#include "tensorstore/box.h"
#include "tensorstore/contiguous_layout.h"
#include "tensorstore/driver/driver_testutil.h"
#include "tensorstore/index_space/index_domain_builder.h"
#include "tensorstore/internal/global_initializer.h"
#include "tensorstore/kvstore/key_range.h"
#include "tensorstore/kvstore/kvstore.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/spec.h"
#include "tensorstore/transaction.h"

namespace cairn_testing {
namespace {

namespace kvstore = tensorstore::kvstore;
using ::nlohmann::json;
using ::tensorstore::KvStore;

// What the tests use, and a store each that sees all of it.
struct Places : testing::Environment {
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Pool>> pools;
  std::vector<KvStore> stores;

  void TearDown() override {
    stores.clear();
    pools.clear();
    servers.clear();
  }
};

// Empties all of them before each test.
struct Emptier : testing::EmptyTestEventListener {
  explicit Emptier(const Places* emptied) : places(emptied) {}
  void OnTestStart(const testing::TestInfo&) override {
    for (const KvStore& store : places->stores) {
      EXPECT_TRUE(kvstore::DeleteRange(store, tensorstore::KeyRange()).result().ok());
    }
  }
  const Places* places;
};

json WithPath(json spec, const std::string& path) {
  spec["path"] = path;
  return spec;
}

const json& LittleEndian() {
  static const json codec = {{"name", "bytes"}, {"configuration", {{"endian", "little"}}}};
  return codec;
}

json Sharded() {
  return {{"name", "sharding_indexed"},
          {"configuration",
           {{"chunk_shape", {3, 2}},
            {"codecs", {LittleEndian()}},
            {"index_location", "end"},
            {"index_codecs", {LittleEndian(), {{"name", "crc32c"}}}}}}};
}

json ZarrMetadata(const json& shape) {
  return {{"compressor", nullptr}, {"dtype", "<u2"},     {"fill_value", nullptr},
          {"order", "C"},          {"shape", shape},     {"zarr_format", 2},
          {"chunks", {4, 5}},      {"filters", nullptr}, {"dimension_separator", "."}};
}

json Zarr3Metadata(const json& shape, bool sharded) {
  return {{"zarr_format", 3},
          {"node_type", "array"},
          {"data_type", "uint16"},
          {"fill_value", 0},
          {"shape", shape},
          {"dimension_names", {"", ""}},
          {"chunk_grid",
           {{"name", "regular"},
            {"configuration", {{"chunk_shape", sharded ? json{6, 6} : json{4, 5}}}}}},
          {"chunk_key_encoding", {{"name", "default"}}},
          {"codecs", {sharded ? Sharded() : LittleEndian()}}};
}

// A format of arrays, by its metadata for a shape.
struct Format {
  std::string name;
  std::string driver;
  json (*metadata)(const json& shape);
};

const Format kFormats[] = {
    {"zarr", "zarr", ZarrMetadata},
    {"zarr3", "zarr3", [](const json& shape) { return Zarr3Metadata(shape, false); }},
    {"zarr3_sharded", "zarr3", [](const json& shape) { return Zarr3Metadata(shape, true); }},
};

void RegisterBasic(const std::string& name, const Format& format, const json& store) {
  tensorstore::internal::TensorStoreDriverBasicFunctionalityTestOptions options;
  options.test_name = name;
  options.create_spec = {{"driver", format.driver},
                         {"kvstore", WithPath(store, "prefix/")},
                         {"metadata", format.metadata({10, 11})}};
  options.expected_domain = tensorstore::IndexDomainBuilder(2)
                                .shape({10, 11})
                                .implicit_upper_bounds({1, 1})
                                .Finalize()
                                .value();
  options.initial_value = tensorstore::AllocateArray<std::uint16_t>(
      tensorstore::BoxView({10, 11}), tensorstore::c_order, tensorstore::value_init);
  tensorstore::internal::RegisterTensorStoreDriverBasicFunctionalityTest(std::move(options));
}

void RegisterResize(const std::string& name, const Format& format, const json& store, bool data) {
  tensorstore::internal::TestTensorStoreDriverResizeOptions options;
  options.test_name = name + (data ? "/data" : "/metadata");
  options.get_create_spec = [format, store, data](tensorstore::BoxView<> bounds) {
    // The test of data takes each array for a new one.
    static std::atomic<int> number = 0;
    const std::string path = data ? "resize" + std::to_string(++number) + "/" : "resize/";
    return json{{"driver", format.driver},
                {"kvstore", WithPath(store, path)},
                {"dtype", "uint16"},
                {"metadata", format.metadata(bounds.shape())},
                {"transform",
                 {{"input_inclusive_min", {0, 0}},
                  {"input_exclusive_max", {{bounds.shape()[0]}, {bounds.shape()[1]}}}}}};
  };
  options.initial_bounds = tensorstore::Box<>({0, 0}, {data ? 24 : 10, data ? 30 : 11});
  options.test_metadata = !data;
  options.test_data = data;
  tensorstore::internal::RegisterTensorStoreDriverResizeTest(std::move(options));
}

void RegisterRoundTrip(const std::string& name, const Format& format, const json& store) {
  tensorstore::internal::TestTensorStoreDriverSpecRoundtripOptions options;
  options.test_name = name;
  options.minimal_spec = {
      {"dtype", "uint16"},
      {"driver", format.driver},
      {"kvstore", WithPath(store, "prefix/")},
      {"transform", {{"input_inclusive_min", {0, 0}}, {"input_exclusive_max", {{10}, {11}}}}}};
  options.full_spec = options.minimal_spec;
  options.full_spec["metadata"] = format.metadata({10, 11});
  options.create_spec = {{"driver", format.driver},
                         {"kvstore", WithPath(store, "prefix/")},
                         {"metadata", format.metadata({10, 11})}};
  options.check_serialization = true;
  options.check_auto_detect = true;
  // With anything but an address there is no URL.
  if (store.size() == 2) {
    options.url = "remote-dram://" + store["remote_addr"].get<std::string>() + "/prefix/|" +
                  (format.driver == "zarr" ? "zarr2" : "zarr3") + ":";
  }
  tensorstore::internal::RegisterTensorStoreDriverSpecRoundtripTest(std::move(options));
}

void Register(const std::string& place, const json& store) {
  for (const Format& format : kFormats) {
    const std::string name = format.name + "/" + place;
    RegisterBasic(name, format, store);
    RegisterResize(name, format, store, false);
    RegisterResize(name, format, store, true);
    RegisterRoundTrip(name, format, store);
  }
}

void RegisterAll() {
  // Google Test owns both.
  auto* const places = new Places;
  testing::AddGlobalTestEnvironment(places);
  testing::UnitTest::GetInstance()->listeners().Append(new Emptier(places));

  const auto add = [places](const std::string& place, const json& spec) {
    places->stores.push_back(Open(spec));
    Register(place, spec);
  };
  for (const Way way : kWays) {
    places->servers.push_back(std::make_unique<Server>(way));
    add(NameOf(way), places->servers.back()->Client());
    places->pools.push_back(std::make_unique<Pool>(way));
    add("Pool" + NameOf(way), places->pools.back()->spec());
  }
  places->servers.push_back(std::make_unique<Server>(Way::kSharedMemory));
  add("Url", {{"driver", "remote_dram"}, {"remote_addr", places->servers.back()->address()}});
}

TENSORSTORE_GLOBAL_INITIALIZER { AtStart(RegisterAll); }

class RemoteDramChunksTest : public testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramChunksTest, testing::ValuesIn(kWays),
                         [](const auto& way) { return NameOf(way.param); });

// Many chunks at once, aligned and not.
TEST_P(RemoteDramChunksTest, WrittenAndReadAtOnce) {
  using Options = tensorstore::internal::TestDriverWriteReadChunksOptions;
  const Server server(GetParam());
  for (const auto strategy : {Options::kSequential, Options::kRandom}) {
    std::minstd_rand random(7);
    Options options;
    options.tensorstore_spec =
        tensorstore::Spec::FromJson({{"driver", "zarr"},
                                     {"kvstore", WithPath(server.Client(), "chunks/")},
                                     {"metadata",
                                      {{"dtype", "<u2"},
                                       {"compressor", nullptr},
                                       {"shape", {2048, 4096}},
                                       {"chunks", {256, 512}}}}})
            .value();
    options.strategy = strategy;
    options.chunk_bytes = 1 << 18;
    EXPECT_EQ(tensorstore::internal::TestDriverWriteReadChunks(random, options), absl::OkStatus());
  }
}

}  // namespace
}  // namespace cairn_testing
