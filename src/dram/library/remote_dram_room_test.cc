// RemoteDram over UCX where room is short, and with values that need much of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/dram/library/child_test_util.h"

namespace cairn::dram {
namespace {

// Over shared memory, or over TCP.
class RemoteDramRoomTest : public testing::TestWithParam<Way> {};

INSTANTIATE_TEST_SUITE_P(Ways, RemoteDramRoomTest, testing::ValuesIn(kWays),
                         [](const auto& way) { return way.param; });

// Values of 64 bytes to 1 MiB, six times what the server has room for, while the server's own
// process holds some of them.
TEST_P(RemoteDramRoomTest, EvictionUnderMixedSizesWithReaders) {
  const auto server = Open(R"({"listen_addr": "127.0.0.1:0", "capacity_bytes": "16MiB",
                               "eviction": "lru"})");
  const auto client = OpenClient(ClientSpec(server->listen_address(), GetParam()));
  std::mt19937_64 random(1);
  std::map<std::string, std::string> written;
  std::vector<std::pair<Buffer, std::string>> held(6);
  std::uint64_t bytes = 0;
  for (int round = 0; bytes < 96 << 20; ++round) {
    const std::string key = "key" + std::to_string(random() % 500);
    const std::string value = Bytes(std::size_t{64} << (random() % 15), random());
    bytes += value.size();
    ASSERT_TRUE(Put(*client, key, value).ok()) << round;
    written[key] = value;
    ASSERT_TRUE(Value(*client, key) == value);
    auto& [buffer, held_value] = held[random() % held.size()];
    ASSERT_TRUE(buffer.view() == held_value) << round;
    buffer = server->Read(key).Get().value().value;
    held_value = value;
  }
  EXPECT_GT(Figure(*server, "evicted"), 50u);
  EXPECT_EQ(Figure(*server, "refused_for_room"), 0u);
  const auto listed = client->List({}).Get().value();
  EXPECT_GT(listed.size(), held.size());
  for (const ListEntry& entry : listed) {
    EXPECT_TRUE(Value(*client, entry.key) == written[entry.key]) << entry.key;
  }
}

// Four clients at once, each until it is refused: every value that was taken is there afterwards,
// also where a write in its place was refused.
TEST_P(RemoteDramRoomTest, AFullServerRefusesAndLosesNothing) {
  const auto server = Open(ServerSpec("127.0.0.1:0", 16 << 20));
  constexpr std::uint64_t kClients = 4;
  std::vector<std::map<std::string, std::string>> written(kClients);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      const auto client = OpenClient(ClientSpec(server->listen_address(), GetParam()));
      std::mt19937_64 random(i);
      for (int refused = 0; refused < 20;) {
        const std::string key = std::to_string(i) + "/" + std::to_string(random() % 40);
        const std::string value = Bytes(1000 << (random() % 10), random());
        const Status status = Put(*client, key, value).status();
        if (status.ok()) {
          written[i][key] = value;
        } else {
          ASSERT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
          ++refused;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GE(Figure(*server, "refused_for_room"), 20 * kClients);
  const auto client = OpenClient(ClientSpec(server->listen_address(), GetParam()));
  std::size_t keys = 0;
  for (const auto& of_one : written) {
    keys += of_one.size();
    for (const auto& [key, value] : of_one) EXPECT_TRUE(Value(*client, key) == value) << key;
  }
  EXPECT_EQ(client->List({}).Get().value().size(), keys);
  // What goes makes room.
  const std::string first = client->List({}).Get().value().front().key;
  ASSERT_TRUE(client->Delete(first).Get().ok());
  EXPECT_TRUE(Put(*client, first, "v").ok());
}

// What readers hold in the server's process is not evicted: it would be lost and give no room.
TEST_P(RemoteDramRoomTest, AServerWhoseValuesAreAllHeldRefuses) {
  const auto server = Open(R"({"listen_addr": "127.0.0.1:0", "capacity_bytes": "16MiB",
                               "eviction": "lru"})");
  const auto client = OpenClient(ClientSpec(server->listen_address(), GetParam()));
  std::vector<Buffer> held;
  const std::string value = Bytes(1 << 20, 1);
  Status status;
  while (status.ok() && held.size() < 16) {
    const std::string key = std::to_string(held.size());
    status = Put(*client, key, value).status();
    if (status.ok()) held.push_back(server->Read(key).Get().value().value);
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(client->List({}).Get().value().size(), held.size());
  EXPECT_EQ(Figure(*server, "evicted"), 0u);
  held.clear();
  EXPECT_TRUE(Put(*client, "one more", value).ok());
  EXPECT_EQ(Figure(*server, "evicted"), 1u);
}

std::uint64_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  for (std::string unit; file >> name >> kib; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kib << 10;
  }
  return 0;
}

// Beyond what 31 bits count. It is zero but for some places, so that it takes no memory here.
TEST_P(RemoteDramRoomTest, AValueOfMoreThanTwoGigabytes) {
  if (kSanitized) GTEST_SKIP() << "too slow under a sanitizer";
  if (GetParam() == "Ucx" && std::getenv("CAIRN_TEST_LARGE") == nullptr) {
    GTEST_SKIP() << "takes seconds: set CAIRN_TEST_LARGE=1";
  }
  if (AvailableBytes() < std::uint64_t{8} << 30) GTEST_SKIP() << "needs 8 GiB of free memory";
  constexpr std::size_t size = (std::size_t{1} << 31) + (1 << 20) + 3;
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const std::shared_ptr<char> bytes(static_cast<char*>(mapped), [](char* p) { ::munmap(p, size); });
  for (std::size_t i = 0; i < size; i += 64 << 20) std::memcpy(bytes.get() + i, &i, sizeof(i));
  bytes.get()[size - 1] = 'z';
  const std::string_view value(bytes.get(), size);

  const auto server =
      Open(R"({"listen_addr": "127.0.0.1:0", "capacity_bytes": "2100MiB", "timeout_ms": 120000})");
  const auto client = OpenClient(ClientSpec(server->listen_address(), GetParam()));
  const auto written =
      client->Write("large", Buffer::Borrow(value), {{}, In(std::chrono::minutes(2))}).Get();
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  const auto end = client->Read("large", {{-5, -1}, {}, {}, {}}).Get();
  ASSERT_TRUE(end.ok()) << end.status().ToString();
  EXPECT_EQ(end->value_bytes, size);
  EXPECT_EQ(end->value.view(), value.substr(size - 5));
  const std::int64_t middle = (std::int64_t{1} << 31) - 4;
  EXPECT_EQ(client->Read("large", {{middle, middle + 12}, {}, {}, {}}).Get().value().value.view(),
            value.substr(static_cast<std::size_t>(middle), 12));
  const auto all = client->Read("large", {{}, {}, {}, In(std::chrono::minutes(2))}).Get();
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  EXPECT_TRUE(all->value.view() == value);
}

}  // namespace
}  // namespace cairn::dram
