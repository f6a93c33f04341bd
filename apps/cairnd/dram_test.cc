#include "apps/cairnd/dram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::node {
namespace {

using ::testing::HasSubstr;

config::DramConfig Parsed(const std::string& section) {
  const auto config = config::ParseConfig("[dram]\n" + section, "test.toml");
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  return config->dram;
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
