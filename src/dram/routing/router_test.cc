#include "src/dram/routing/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/sanitizers.h"

namespace cairn::dram {
namespace {

using ::testing::HasSubstr;

Router MakeRouter(const std::string& json, const std::string& self = "") {
  const auto spec = ParseSpec(json);
  EXPECT_TRUE(spec.ok()) << spec.status().ToString();
  auto router = Router::Make(*spec, self);
  EXPECT_TRUE(router.ok()) << router.status().ToString();
  return *router;
}
std::string Owner(const Router& router, std::string_view key) {
  const auto server = router.ServerOf(key);
  return server.ok() ? router.servers()[*server] : "(none)";
}
std::string Nodes(int n) {
  std::string json = R"({"remote_addrs": [)";
  for (int i = 0; i < n; ++i) json += (i ? ", " : "") + ("\"node" + std::to_string(i) + ":1\"");
  return json + "]}";
}

TEST(RouterTest, HashBalancesAndMovesLittle) {
  const int keys = kSanitized ? 200'000 : 1'000'000;
  const Router ten = MakeRouter(Nodes(10));
  const Router eleven = MakeRouter(Nodes(11));
  std::vector<int> load(10);
  int moved = 0;
  for (int i = 0; i < keys; ++i) {
    const std::string key = "array/" + std::to_string(i / 100) + "." + std::to_string(i % 100);
    const std::size_t owner = *ten.ServerOf(key);
    ++load[owner];
    const std::string& now = eleven.servers()[*eleven.ServerOf(key)];
    if (now != ten.servers()[owner]) {
      ++moved;
      ASSERT_EQ(now, "node10:1");  // only the newcomer takes keys
    }
  }
  EXPECT_LT(*std::max_element(load.begin(), load.end()), keys / 10 * 1.05);
  EXPECT_NEAR(moved, keys / 11.0, keys * 0.005);
}

TEST(RouterTest, AllProcessesAgreeWhateverTheyCallTheirOwn) {
  const Router a =
      MakeRouter(R"({"listen_addr": "0.0.0.0:1", "remote_addrs": ["b:1", "c:1"]})", "a:1");
  const Router b =
      MakeRouter(R"({"listen_addr": "0.0.0.0:1", "remote_addrs": ["c:1", "a:1"]})", "b:1");
  const Router client =
      MakeRouter(R"({"remote_addrs": ["c:1", "b:1", "a:1"], "key_routing": "hash"})");
  EXPECT_EQ(a.table_hash(), b.table_hash());
  EXPECT_EQ(a.table_text(), client.table_text());
  for (int i = 0; i < 1000; ++i) {
    const std::string key = std::to_string(i);
    EXPECT_EQ(Owner(a, key), Owner(b, key));
    EXPECT_EQ(Owner(a, key), Owner(client, key));
  }
  // Fixed for all builds and machines.
  EXPECT_EQ(Owner(client, "array/0.0") + Owner(client, "array/0.1"), "a:1c:1");
  EXPECT_NE(MakeRouter(R"({"remote_addrs": ["a:1", "b:1"]})").table_hash(), a.table_hash());
}

TEST(RouterTest, RangesWithHoles) {
  const std::string rules = R"("key_routing": "range", "remote_addrs": ["a:1", "b:1"],
      "range_to_server_mapping": [{"inclusive_min": "m", "exclusive_max": "p", "server": "b:1"},
                                  {"exclusive_max": "g", "server": "a:1"}])";
  const Router router = MakeRouter("{" + rules + "}");
  EXPECT_EQ(Owner(router, "apple"), "a:1");
  EXPECT_EQ(Owner(router, "m"), "b:1");
  EXPECT_EQ(Owner(router, "p"), "(none)");
  EXPECT_THAT(router.ServerOf("h").status().message(), HasSubstr("fallback"));
  EXPECT_EQ(Owner(MakeRouter("{" + rules + R"(, "fallback": "b:1"})"), "h"), "b:1");
  EXPECT_NE(Owner(MakeRouter("{" + rules + R"(, "fallback": "hash"})"), "h"), "(none)");
}

TEST(RouterTest, ExplicitKeysPrefixesAndFallback) {
  const Router router = MakeRouter(R"({"key_routing_strategy": "explicit",
      "remote_addrs": ["a:1", "b:1", "c:1"], "key_to_server_mapping": {"raw/special": "c:1"},
      "prefix_to_server_mapping": {"raw/": "a:1", "raw/x": "b:1"}, "fallback": "c:1"})");
  EXPECT_EQ(Owner(router, "raw/special"), "c:1");
  EXPECT_EQ(Owner(router, "raw/1"), "a:1");
  EXPECT_EQ(Owner(router, "raw/x1"), "b:1");
  EXPECT_EQ(Owner(router, "other"), "c:1");
  EXPECT_THAT(router.Explain("raw/x1")->reason, HasSubstr("raw/x"));
}

TEST(SpecTest, TheJsonOfUsersIsTakenAsItIs) {
  EXPECT_TRUE(ParseSpec(R"({"driver": "remote_dram", "listen_addr": "0.0.0.0:12345"})").ok());
  EXPECT_TRUE(ParseSpec(R"({"driver": "remote_dram", "remote_addr": "192.168.1.100:12345"})").ok());
  const auto dual = ParseSpec(R"({"driver": "remote_dram", "listen_addr": "0.0.0.0:12345",
      "remote_addrs": ["node2:12345", "node3:12345"], "key_routing": "hash",
      "enable_server_to_server": true})");
  ASSERT_TRUE(dual.ok()) << dual.status().ToString();
  EXPECT_EQ(dual->routing, Routing::kHash);
  EXPECT_EQ(ParseSpec(R"({"listen_addr": "h:1", "capacity_bytes": "8GiB"})")->capacity_bytes,
            std::uint64_t{8} << 30);
  EXPECT_TRUE(ParseSpec(R"({"listen_addr": "h:1", "capacity_bytes": 4096})").ok());
}

TEST(SpecTest, WhatCannotBeIsRefusedWithAdvice) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"[]", "no JSON object"},
      {"{}", "listen_addr to serve"},
      {R"({"listen_adr": "a:1"})", "listen_adr"},
      {R"({"listen_addr": "nonsense"})", "host:port"},
      {R"({"remote_addr": "a:1", "remote_addrs": ["b:1"]})", "not both"},
      {R"({"remote_addr": "a:1", "key_routing": "ring"})", "hash, range or explicit"},
      {R"({"remote_addr": "a:1", "key_routing": "explicit"})", "key_to_server_mapping"},
      {R"({"remote_addr": "a:1", "key_routing": "range"})", "range_to_server_mapping"},
      {R"({"remote_addr": "a:1", "key_to_server_mapping": {"k": "a:1"}})", "set that or drop it"},
      {R"({"remote_addr": "a:1", "replication_factor": 2})", "set it to 1"},
      {R"({"remote_addr": "a:1", "cluster": "c:1"})", "remote_addrs"},
      {R"({"remote_addr": "a:1", "capacity_bytes": 5})", "listen_addr"},
      {R"({"listen_addr": "b:1", "capacity_bytes": 4095})", "is 4095: give 4096 or more"},
      {R"({"listen_addr": "b:1", "capacity_bytes": "16TiB"})", "below 16 TiB"},
      {R"({"remote_addr": "a:1", "advertise_addr": "b:1"})", "listen_addr"},
      {R"({"remote_addr": "a:1", "enable_server_to_server": true})", "needs both"},
      {R"({"listen_addr": "b:1", "remote_addr": "a:1", "enable_server_to_server": false})", "drop"},
      {R"({"listen_addr": "b:1", "eviction": "random"})", "lru"},
      {R"({"remote_addr": "a:1", "timeout_ms": 0})", "milliseconds"},
      {R"({"remote_addr": "a:1", "key_routing": "range", "range_to_server_mapping":
          [{"exclusive_max": "m", "server": "a:1"}, {"inclusive_min": "g", "server": "a:1"}]})",
       "overlaps"}};
  for (const auto& [json, advice] : bad) {
    const auto spec = ParseSpec(json);
    EXPECT_EQ(spec.status().code(), StatusCode::kInvalidArgument) << json;
    EXPECT_THAT(spec.status().message(), HasSubstr(advice)) << json;
  }
  const auto spec = ParseSpec(R"({"remote_addrs": ["a:1"], "key_routing": "explicit",
                                  "key_to_server_mapping": {"k": "z:1"}})");
  EXPECT_THAT(Router::Make(*spec, "").status().message(), HasSubstr("'z:1'"));
}

std::string Checked(const std::string& listen, const std::string& server,
                    const std::string& more = "") {
  const auto spec =
      ParseSpec(R"({"listen_addr": ")" + listen + R"(", "remote_addrs": ["b:1"], "key_routing":
          "range", "range_to_server_mapping": [{"exclusive_max": "m", "server": ")" +
                server + R"("}])" + more + "}");
  EXPECT_TRUE(spec.ok()) << spec.status().ToString();
  return Router::Check(*spec).message();
}

TEST(RouterTest, RulesAreCheckedBeforeTheServerListens) {
  EXPECT_EQ(Checked("a:1", "a:1"), "");
  EXPECT_EQ(Checked("a:1", "b:1"), "");
  EXPECT_THAT(Checked("a:1", "c:1"), HasSubstr("'c:1', which is none of the pool (a:1, b:1)"));
  EXPECT_THAT(Checked("a:1", "a:2"), HasSubstr("'a:2'"));
  EXPECT_THAT(Checked("a:1", "a:1", R"(, "fallback": "c:1")"), HasSubstr("'c:1'"));
  EXPECT_EQ(Checked("a:1", "c:1", R"(, "advertise_addr": "c:1")"), "");
  EXPECT_THAT(Checked("a:1", "a:1", R"(, "advertise_addr": "c:1")"), HasSubstr("(b:1, c:1)"));
}

TEST(RouterTest, RulesMayNameAServerWhosePortIsNotKnownYet) {
  EXPECT_EQ(Checked("a:0", "a:7"), "");
  EXPECT_EQ(Checked("a:0", "b:1"), "");
  EXPECT_EQ(Checked("[::1]:0", "[::1]:7"), "");
  EXPECT_EQ(Checked("a:0", "c:1", R"(, "advertise_addr": "c:1")"), "");
  EXPECT_THAT(Checked("a:0", "c:7"), HasSubstr("none of the pool (a:(a free port), b:1)"));
  EXPECT_THAT(Checked("a:0", "a:0"), HasSubstr("'a:0'"));
  // It can't be both.
  EXPECT_THAT(Checked("a:0", "a:7", R"(, "fallback": "a:8")"), HasSubstr("'a:8'"));
}

TEST(RouterTest, AWildcardIsThisHostsName) {
  const std::string self =
      AdvertisedAddress(*ParseSpec(R"({"listen_addr": "0.0.0.0:5"})"), {"0.0.0.0", 5}).value();
  EXPECT_EQ(Checked("0.0.0.0:5", self), "");
  EXPECT_EQ(Checked("[::]:5", self), "");
  EXPECT_EQ(Checked("0.0.0.0:0", self), "");
  EXPECT_THAT(Checked("0.0.0.0:5", "0.0.0.0:5"), HasSubstr("'0.0.0.0:5'"));
  EXPECT_THAT(Checked("0.0.0.0:6", self), HasSubstr(self));
}

}  // namespace
}  // namespace cairn::dram
