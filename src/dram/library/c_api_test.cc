#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "cairn/c.h"
#include "src/dram/library/c_dram_test_util.h"
#include "src/dram/pool/testing/store_conformance.h"

namespace {

using ::testing::HasSubstr;

// A server and its client, through the C interface alone.
class CApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(
        cairn_dram_open(R"({"listen_addr": "127.0.0.1:0", "capacity_bytes": "64MiB"})", &server_),
        nullptr);
    const std::string spec =
        R"({"remote_addr": ")" + std::string(cairn_dram_listen_address(server_)) + "\"}";
    ASSERT_EQ(cairn_dram_open(spec.c_str(), &client_), nullptr);
    // Operations do not wait for the connection for as long as a busy machine may take.
    for (int connected = 0; connected == 0;) {
      cairn_dram_peer_list* const peers = cairn_dram_peers(client_);
      connected = cairn_dram_peer_list_connected(peers, 0);
      cairn_dram_peer_list_free(peers);
      std::this_thread::yield();
    }
  }
  void TearDown() override {
    cairn_dram_close(client_);
    cairn_dram_close(server_);
  }
  std::string Read(const std::string& key) {
    cairn_read_result read;
    EXPECT_EQ(cairn_dram_read(client_, key.data(), key.size(), nullptr, &read), nullptr);
    if (read.state != CAIRN_READ_VALUE) return "(missing)";
    std::string value(static_cast<const char*>(cairn_buffer_data(read.value)),
                      cairn_buffer_size(read.value));
    cairn_buffer_free(read.value);
    return value;
  }
  cairn_dram* server_ = nullptr;
  cairn_dram* client_ = nullptr;
};

TEST_F(CApiTest, ValuesOutliveTheStore) {
  const std::string value = cairn::dram::Bytes(1 << 20, 1);
  ASSERT_EQ(cairn_dram_write(client_, "k", 1, value.data(), value.size(), nullptr, nullptr),
            nullptr);
  cairn_read_result read;
  ASSERT_EQ(cairn_dram_read(client_, "k", 1, nullptr, &read), nullptr);
  EXPECT_EQ(read.value_bytes, value.size());
  cairn_dram_close(client_);
  client_ = nullptr;
  EXPECT_EQ(std::string(static_cast<const char*>(cairn_buffer_data(read.value)),
                        cairn_buffer_size(read.value)),
            value);
  cairn_buffer_free(read.value);
}

TEST_F(CApiTest, Conditions) {
  cairn_write_options absent = CAIRN_WRITE_OPTIONS_INIT;
  absent.if_equal = CAIRN_GENERATION_NO_VALUE;
  cairn_generation first;
  cairn_generation second;
  ASSERT_EQ(cairn_dram_write(client_, "k", 1, "1", 1, &absent, &first), nullptr);
  ASSERT_EQ(cairn_dram_write(client_, "k", 1, "2", 1, &absent, &second), nullptr);
  EXPECT_NE(first.boot_id, 0U);
  EXPECT_EQ(second.boot_id + second.counter, 0U);
  cairn_read_options changed = CAIRN_READ_OPTIONS_INIT;
  changed.if_not_equal = first;
  cairn_read_result read;
  ASSERT_EQ(cairn_dram_read(client_, "k", 1, &changed, &read), nullptr);
  EXPECT_EQ(read.state, CAIRN_READ_UNSPECIFIED);
  EXPECT_EQ(read.value, nullptr);
  cairn_generation deleted;
  ASSERT_EQ(cairn_dram_delete(client_, "k", 1, nullptr, &deleted), nullptr);
  EXPECT_EQ(deleted.counter, 1U);
  EXPECT_EQ(Read("k"), "(missing)");
}

TEST_F(CApiTest, ErrorsSayWhatAndWhy) {
  cairn_dram* none = nullptr;
  cairn_status* status = cairn_dram_open("{}", &none);
  EXPECT_EQ(cairn_status_code(status), CAIRN_INVALID_ARGUMENT);
  EXPECT_THAT(cairn_status_message(status), HasSubstr("listen_addr"));
  EXPECT_EQ(none, nullptr);
  cairn_status_free(status);
  status = cairn_dram_write(client_, "", 0, "v", 1, nullptr, nullptr);
  EXPECT_EQ(cairn_status_code(status), CAIRN_INVALID_ARGUMENT);
  cairn_status_free(status);
  cairn_read_options beyond = CAIRN_READ_OPTIONS_INIT;
  beyond.exclusive_max = 5;
  ASSERT_EQ(cairn_dram_write(client_, "k", 1, "v", 1, nullptr, nullptr), nullptr);
  cairn_read_result read;
  status = cairn_dram_read(client_, "k", 1, &beyond, &read);
  EXPECT_EQ(cairn_status_code(status), CAIRN_OUT_OF_RANGE);
  cairn_status_free(status);
  EXPECT_EQ(cairn_status_code(nullptr), CAIRN_OK);
  EXPECT_STREQ(cairn_status_message(nullptr), "");
  cairn_status_free(nullptr);
}

TEST_F(CApiTest, AsynchronousOperations) {
  std::promise<int32_t> wrote;
  cairn_operation* operation = cairn_dram_write_async(
      client_, "k", 1, "later", 5, nullptr,
      [](void* promise, cairn_status* status, cairn_generation generation) {
        EXPECT_NE(generation.boot_id, 0U);
        static_cast<std::promise<int32_t>*>(promise)->set_value(cairn_status_code(status));
        cairn_status_free(status);
      },
      &wrote);
  EXPECT_EQ(wrote.get_future().get(), CAIRN_OK);
  cairn_operation_cancel(operation);  // too late, and harmless
  cairn_operation_free(operation);
  std::promise<std::string> read;
  cairn_operation_free(cairn_dram_read_async(
      client_, "k", 1, nullptr,
      [](void* promise, cairn_status* status, const cairn_read_result* result) {
        EXPECT_EQ(status, nullptr);
        static_cast<std::promise<std::string>*>(promise)->set_value(
            {static_cast<const char*>(cairn_buffer_data(result->value)),
             cairn_buffer_size(result->value)});
        cairn_buffer_free(result->value);
      },
      &read));
  EXPECT_EQ(read.get_future().get(), "later");
}

TEST_F(CApiTest, CancelledWhileItWaits) {
  cairn_dram* nowhere = nullptr;
  ASSERT_EQ(cairn_dram_open(R"({"remote_addr": "127.0.0.1:1"})", &nowhere), nullptr);
  std::promise<int32_t> ended;
  cairn_operation* operation = cairn_dram_delete_async(
      nowhere, "k", 1, nullptr,
      [](void* promise, cairn_status* status, cairn_generation) {
        static_cast<std::promise<int32_t>*>(promise)->set_value(cairn_status_code(status));
        cairn_status_free(status);
      },
      &ended);
  cairn_operation_cancel(operation);
  EXPECT_EQ(ended.get_future().get(), CAIRN_CANCELLED);
  cairn_operation_free(operation);
  cairn_dram_close(nowhere);
}

TEST_F(CApiTest, ListsAndRanges) {
  for (const std::string key : {"a/1", "a/2", "b"}) {
    ASSERT_EQ(cairn_dram_write(client_, key.data(), key.size(), "vv", 2, nullptr, nullptr),
              nullptr);
  }
  cairn_list* list = nullptr;
  ASSERT_EQ(cairn_dram_list(client_, "a/", 2, "a0", 2, 2, &list), nullptr);
  ASSERT_EQ(cairn_list_size(list), 2U);
  std::size_t size = 0;
  const auto* key = static_cast<const char*>(cairn_list_key(list, 1, &size));
  EXPECT_EQ(std::string(key, size), "2");
  EXPECT_EQ(cairn_list_value_bytes(list, 1), 2U);
  cairn_list_free(list);
  std::uint64_t deleted = 0;
  ASSERT_EQ(cairn_dram_delete_range(client_, "a", 1, "", 0, &deleted), nullptr);
  EXPECT_EQ(deleted, 3U);
}

// The tests that are written in C.
class PlainCTest : public CApiTest, public ::testing::WithParamInterface<cairn_c_dram_test> {};

TEST_P(PlainCTest, Runs) { GetParam().run(server_, client_); }

std::vector<cairn_c_dram_test> TestsInC() {
  std::vector<cairn_c_dram_test> tests;
  for (const auto* test = cairn_c_dram_tests; test->name != nullptr; ++test) tests.push_back(*test);
  return tests;
}

INSTANTIATE_TEST_SUITE_P(InC, PlainCTest, ::testing::ValuesIn(TestsInC()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
