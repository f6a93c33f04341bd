// Runs the tests that are written in C, each against a node of its own, by each wire.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include "cairn/c.h"
#include "src/client/c_api/c_test_util.h"
#include "src/client/library/node_client_test_util.h"

extern "C" {

cairn_client* cairn_c_open(const char* endpoint) {
  cairn_client* client = nullptr;
  cairn_client_options options{};
  options.connect_timeout_ms = cairn::kConnectPatience / std::chrono::milliseconds(1);
  cairn_status* const status = cairn_client_open(endpoint, &options, &client);
  if (status != nullptr) {
    ADD_FAILURE() << cairn_status_message(status);
    std::abort();
  }
  return client;
}

int cairn_c_is(cairn_value* value, const char* text) {
  size_t size = 0;
  const void* const data = cairn_value_data(value, &size);
  const bool same =
      cairn_value_found(value) == 1 && std::string(static_cast<const char*>(data), size) == text;
  cairn_value_free(value);
  return same ? 1 : 0;
}

}  // extern "C"

namespace cairn {
namespace {

std::vector<cairn_c_test> AllTests() {
  std::vector<cairn_c_test> tests;
  for (const cairn_c_test* list : {cairn_c_client_tests, cairn_c_tx_tests}) {
    for (; list->name != nullptr; ++list) tests.push_back(*list);
  }
  return tests;
}

class CApiTest : public ::testing::TestWithParam<std::tuple<Wire, cairn_c_test>> {};

TEST_P(CApiTest, Runs) {
  const ServedNode node(std::get<0>(GetParam()));
  std::get<1>(GetParam()).run(node.endpoint().c_str());
}

INSTANTIATE_TEST_SUITE_P(Wires, CApiTest,
                         ::testing::Combine(::testing::Values(Wire::kThrift, Wire::kGrpc),
                                            ::testing::ValuesIn(AllTests())),
                         [](const auto& test) {
                           const bool grpc = std::get<0>(test.param) == Wire::kGrpc;
                           return std::string(grpc ? "Grpc_" : "Thrift_") +
                                  std::get<1>(test.param).name;
                         });

// The numbers of C and of C++ are the same.
TEST(CApiNumbers, AreThoseOfCpp) {
  for (int code = CAIRN_OK; code <= CAIRN_OUT_OF_RANGE; ++code) {
    EXPECT_EQ(cairn_status_code_name(code), StatusCodeName(static_cast<StatusCode>(code)));
    EXPECT_STRNE(cairn_status_code_name(code), "UNKNOWN");
  }
  EXPECT_STREQ(cairn_status_code_name(CAIRN_CONFLICT), "CONFLICT");
  EXPECT_STREQ(cairn_status_code_name(CAIRN_OUT_OF_RANGE + 1), "UNKNOWN");
  EXPECT_STREQ(cairn_status_code_name(-1), "UNKNOWN");
  EXPECT_EQ(static_cast<int>(StatusCode::kOutOfRange), CAIRN_OUT_OF_RANGE);
  EXPECT_EQ(static_cast<int>(StatusCode::kConflict), CAIRN_CONFLICT);
}

TEST(CApiDeathTest, BugsInTheCallerAbort) {
  EXPECT_DEATH(cairn_value_data(nullptr, nullptr), "");
  EXPECT_DEATH(cairn_client_last_version(nullptr), "");
  EXPECT_DEATH(cairn_status_new(CAIRN_OK, "fine"), "");
}

}  // namespace
}  // namespace cairn
