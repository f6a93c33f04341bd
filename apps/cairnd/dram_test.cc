#include "apps/cairnd/dram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/dram/routing/spec.h"

namespace cairn::node {
namespace {

using ::testing::HasSubstr;

config::DramConfig Parsed(const std::string& section) {
  const auto config = config::ParseConfig("[dram]\n" + section, "test.toml");
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  return config->dram;
}

TEST(DramConfigTest, TheSectionMakesASpec) {
  EXPECT_TRUE(CheckDram({}).ok());
  const auto dram = Parsed(R"(
listen_addr = "0.0.0.0:12345"
advertise_addr = "node1:12345"
remote_addrs = ["node2:12345", "node3:12345"]
capacity_mb = 64
eviction = "lru"
spec = '{"timeout_ms": 1234, "key_routing": "hash"}'
)");
  EXPECT_TRUE(CheckDram(dram).ok()) << CheckDram(dram).ToString();
  const auto spec = dram::ParseSpec(DramSpecOf(dram).value());
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->listen->ToString(), "0.0.0.0:12345");
  EXPECT_EQ(spec->advertise, "node1:12345");
  EXPECT_EQ(spec->remotes, (std::vector<std::string>{"node2:12345", "node3:12345"}));
  EXPECT_EQ(spec->capacity_bytes, std::uint64_t{64} << 20);
  EXPECT_TRUE(spec->evict_lru);
  EXPECT_EQ(spec->timeout_ms, 1234U);
}

TEST(DramConfigTest, WhatCannotBeIsRefusedWithAdvice) {
  const std::pair<const char*, const char*> bad[] = {
      {"remote_addrs = [\"a:1\"]", "listen_addr"},
      {"listen_addr = \"nonsense\"", "host:port"},
      {"listen_addr = \"a:1\"\nspec = '[{}]'", "no JSON object"},
      {"listen_addr = \"a:1\"\nspec = '/nonexistent'", "can't read"},
      {"listen_addr = \"a:1\"\nspec = '{\"replication_factor\": 2}'", "set it to 1"},
      {"listen_addr = \"a:1\"\ntensorstore_addr = \"b\"", "tensorstore_addr"}};
  for (const auto& [section, advice] : bad) {
    const Status status = CheckDram(Parsed(section));
    EXPECT_FALSE(status.ok()) << section;
    EXPECT_THAT(status.message(), HasSubstr(advice)) << section;
  }
}

TEST(MemoryPlaneTest, ServesAndTellsItsFigures) {
  auto dram = Parsed(R"(
listen_addr = "127.0.0.1:0"
advertise_addr = "here:1"
remote_addrs = ["127.0.0.1:1"]
capacity_mb = 1
tensorstore_addr = "127.0.0.1:0"
)");
  const auto plane = MemoryPlane::Start(dram);
  ASSERT_TRUE(plane.ok()) << plane.status().ToString();
  EXPECT_THAT((*plane)->address(), testing::StartsWith("127.0.0.1:"));
  EXPECT_THAT((*plane)->tensorstore_address(), testing::StartsWith("127.0.0.1:"));
  metrics::Exposition page;
  (*plane)->AppendFamilies(&page);
  EXPECT_THAT(page.text(), HasSubstr("\ncairn_dram_capacity_bytes 1048576\n"));
  EXPECT_THAT(page.text(), HasSubstr("# TYPE cairn_dram_reads_total counter\n"));
  EXPECT_THAT(page.text(), HasSubstr("cairn_dram_peer_connected{peer=\"127.0.0.1:1\"} 0\n"));
  dram.listen_addr = (*plane)->address();
  EXPECT_EQ(MemoryPlane::Start(dram).status().code(), StatusCode::kIoError);
}

}  // namespace
}  // namespace cairn::node
