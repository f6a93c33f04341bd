#include "src/config/machine/machine_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "src/dram/routing/spec.h"

namespace cairn::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

DramConfig Parsed(const std::string& section) {
  const auto config = ParseConfig("[dram]\n" + section, "test.toml");
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
      {"listen_addr = \"a:1\"\nremote_addrs = [\"b:1\"]\nspec = '{\"key_routing\": \"explicit\", "
       "\"prefix_to_server_mapping\": {\"x/\": \"c:1\"}}'",
       "'c:1', which is none of the pool (a:1, b:1)"},
      {"listen_addr = \"a:1\"\ncapacity_mb = 16777216", "below 16 TiB"},
      {"listen_addr = \"a:1\"\ntensorstore_addr = \"b\"", "tensorstore_addr"}};
  for (const auto& [section, advice] : bad) {
    const Status status = CheckDram(Parsed(section));
    EXPECT_FALSE(status.ok()) << section;
    EXPECT_THAT(status.message(), HasSubstr(advice)) << section;
  }
}

// A folder for one test.
class FoldersTest : public ::testing::Test {
 protected:
  FoldersTest() : folder_(::testing::TempDir() + "machine_check_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~FoldersTest() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_;
};

TEST_F(FoldersTest, WhatIsMissingCanBeMade) {
  NodeConfig config;
  config.database.base_path = folder_;
  EXPECT_TRUE(CheckFolders(config).ok());
  config.database.base_path = folder_ / "a/b/c/";
  config.logging.log_dir = folder_ / "log/../logs";
  EXPECT_TRUE(CheckFolders(config).ok()) << CheckFolders(config).ToString();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
}

TEST_F(FoldersTest, AFileInTheWayIsNamedWithItsKey) {
  std::ofstream(folder_ / "file") << "x";
  NodeConfig config;
  config.deployment.mode = DeploymentMode::kReplicated;
  config.database.base_path = folder_ / "file";
  config.logging.log_dir = folder_ / "file/log";
  const Status status = CheckFolders(config);
  EXPECT_EQ(StatusCode::kInvalidArgument, status.code());
  EXPECT_THAT(status.message(), HasSubstr("[database] base_path: '" + folder_.string()));
  EXPECT_THAT(status.message(), HasSubstr("\n[logging] log_dir: '"));
  EXPECT_THAT(status.message(), HasSubstr("Not a directory"));
}

TEST_F(FoldersTest, OneThatOthersMayNotWriteIntoIsNamed) {
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_read);
  const uid_t self = geteuid();
  // The kernel refuses root nothing.
  if (self == 0) {
    ASSERT_EQ(0, seteuid(65534));
  }
  NodeConfig config;
  config.database.base_path = folder_ / "data";
  const Status status = CheckFolders(config);
  ASSERT_EQ(0, seteuid(self));
  EXPECT_THAT(status.message(), HasSubstr("[database] base_path: "));
  EXPECT_THAT(status.message(), HasSubstr("Permission denied"));
  std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
}

TEST_F(FoldersTest, EveryFaultHasALine) {
  NodeConfig config;
  config.deployment.mode = DeploymentMode::kReplicated;
  config.peer_tls = {folder_ / "no.pem", folder_ / "no.key", folder_ / "ca.pem", {}};
  config.dram.listen_addr = "nonsense";
  config.database.base_path = folder_;
  EXPECT_THAT(CheckMachine(config).message(), HasSubstr("[peer_tls] the authority '"));
  EXPECT_THAT(CheckMachine(config).message(), HasSubstr("\n[dram]"));
  EXPECT_THAT(CheckMachine(config).message(), Not(HasSubstr("[database]")));
  config.dram.listen_addr.clear();
  config.deployment.mode = DeploymentMode::kStandalone;
  EXPECT_TRUE(CheckMachine(config).ok()) << CheckMachine(config).ToString();
}

}  // namespace
}  // namespace cairn::config
