// The configuration: defaults of the contract, faults and their messages, rules between keys,
// overrides, and that documents say what the table says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "src/config/keys.h"

namespace cairn::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A file of the source tree, by its path from the root. Not from __FILE__, which a compiler cache
// may have made relative.
std::string SourcePath(const std::string& name) { return std::string(CAIRN_SOURCE_DIR "/") + name; }

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

NodeConfig Parsed(std::string_view text) {
  Result<NodeConfig> config = ParseConfig(text, "test.toml");
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  return config.ok() ? *config : NodeConfig{};
}

// The message with which `text` is refused.
std::string Refused(std::string_view text) {
  const Result<NodeConfig> config = ParseConfig(text, "test.toml");
  EXPECT_FALSE(config.ok()) << text;
  EXPECT_EQ(config.status().code(), StatusCode::kInvalidArgument);
  return config.status().message();
}

// Each key of the earlier service, with its default as TOML. Copied from the wire contract by
// hand, so that the table can't agree with itself alone.
struct ContractKey {
  const char* section;
  const char* name;
  const char* value;
};
constexpr ContractKey kContract[] = {
    {"deployment", "mode", "\"standalone\""},
    {"deployment", "instance_id", "0"},
    {"deployment", "replica_endpoints", "[]"},
    {"database", "base_path", "\"./data/rocksdb\""},
    {"rocksdb", "write_buffer_size_mb", "64"},
    {"rocksdb", "max_write_buffer_number", "3"},
    {"rocksdb", "block_cache_size_mb", "512"},
    {"rocksdb", "block_size_kb", "16"},
    {"rocksdb", "max_background_jobs", "6"},
    {"rocksdb", "bytes_per_sync", "1048576"},
    {"rocksdb", "dynamic_level_bytes", "true"},
    {"bloom_filter", "enabled", "true"},
    {"bloom_filter", "bits_per_key", "10.0"},
    {"compression", "l0_compression", "\"lz4\""},
    {"compression", "l1_compression", "\"lz4\""},
    {"compression", "bottom_compression", "\"zstd\""},
    {"concurrency", "max_read_concurrency", "32"},
    {"compaction", "compaction_priority", "\"min_overlapping_ratio\""},
    {"compaction", "target_file_size_base_mb", "64"},
    {"compaction", "target_file_size_multiplier", "2"},
    {"compaction", "max_bytes_for_level_base_mb", "256"},
    {"compaction", "max_bytes_for_level_multiplier", "10.0"},
    {"cache", "cache_index_and_filter_blocks", "true"},
    {"cache", "pin_l0_filter_and_index_blocks_in_cache", "true"},
    {"cache", "high_priority_pool_ratio", "0.2"},
    {"memory", "write_buffer_manager_limit_mb", "256"},
    {"memory", "enable_write_buffer_manager", "true"},
    {"logging", "log_level", "\"info\""},
    {"logging", "max_log_file_size_mb", "10"},
    {"logging", "keep_log_file_num", "5"},
    {"performance", "statistics_level", "\"except_detailed_timers\""},
    {"performance", "enable_statistics", "true"},
    {"performance", "stats_dump_period_sec", "600"},
    {"consensus", "algorithm", "\"raft\""},
    {"consensus", "election_timeout_ms", "5000"},
    {"consensus", "heartbeat_interval_ms", "1000"},
    {"consensus", "max_batch_size", "100"},
    {"consensus", "max_outstanding_proposals", "1000"},
    {"reads", "consistency_level", "\"local\""},
    {"reads", "allow_stale_reads", "true"},
    {"reads", "max_staleness_ms", "1000"},
    {"cluster", "health_check_interval_ms", "2000"},
    {"cluster", "leader_discovery_timeout_ms", "10000"},
    {"cluster", "node_timeout_ms", "5000"},
};

TEST(ConfigKeys, HoldTheContractsKeysAndDefaults) {
  const NodeConfig defaults;
  for (const ContractKey& expected : kContract) {
    const KeySpec* key = FindKey(expected.section, expected.name);
    ASSERT_NE(key, nullptr) << expected.section << "." << expected.name;
    EXPECT_EQ(RenderValue(key->field, defaults), expected.value) << expected.name;
    // A file that gives the default in the contract's own words is accepted.
    const std::string text =
        std::string("[") + expected.section + "]\n" + expected.name + " = " + expected.value;
    EXPECT_EQ(Parsed(text), defaults) << text;
  }
}

TEST(ConfigKeys, IntegersServeWhereNumbersAreWanted) {
  EXPECT_EQ(Parsed("[bloom_filter]\nbits_per_key = 12").bloom_filter.bits_per_key, 12.0);
  EXPECT_EQ(Parsed("[compaction]\nmax_bytes_for_level_multiplier = 8")
                .compaction.max_bytes_for_level_multiplier,
            8.0);
}

TEST(ConfigKeys, AreDocumentedAndUnique) {
  std::vector<std::string> seen;
  for (const KeySpec& key : Keys()) {
    const std::string name = std::string(key.section) + "." + std::string(key.name);
    EXPECT_TRUE(IsSection(key.section)) << name;
    EXPECT_GE(key.doc.size(), 10U) << name << " has no documentation";
    EXPECT_TRUE(key.doc.ends_with('.')) << name;
    EXPECT_EQ(key.doc.find('|'), std::string_view::npos) << name << " would break the table";
    EXPECT_THAT(seen, Not(testing::Contains(name)));
    seen.push_back(name);
  }
  for (const SectionSpec& section : Sections()) {
    EXPECT_TRUE(section.doc.ends_with('.')) << section.name;
  }
}

// Values that a key may take, at least one of which is not its default.
std::vector<std::string> Samples(const Field& field) {
  if (std::holds_alternative<BoolField>(field)) return {"true", "false"};
  if (const auto* f = std::get_if<IntegerField>(&field)) {
    NodeConfig defaults;
    return {std::to_string(f->min), std::to_string(f->max),
            std::to_string(f->access(defaults) + 1)};
  }
  if (std::holds_alternative<PortField>(field)) return {"0", "1234"};
  if (std::holds_alternative<NumberField>(field)) return {"1.0", "0.5"};
  if (std::holds_alternative<TextField>(field)) return {"\"a\"", "\"b \\\"c\\\" \\u0001\""};
  if (std::holds_alternative<EndpointsField>(field)) return {"[\"h:1\"]", "[\"h:1\", \"[::1]:2\"]"};
  if (std::holds_alternative<TextsField>(field)) return {"[]", "[\"a\", \"b\"]"};
  const auto& names = std::get<ChoiceField>(field).names;
  return {"\"" + std::string(names.front()) + "\"", "\"" + std::string(names.back()) + "\""};
}

// Sets `key` alone to `value`. False if that contradicts the defaults of other keys.
bool ReachesItsFieldAlone(const KeySpec& key, const std::string& value) {
  const std::string text =
      "[" + std::string(key.section) + "]\n" + std::string(key.name) + " = " + value;
  const Result<NodeConfig> config = ParseConfig(text, "test.toml");
  if (!config.ok()) return false;
  EXPECT_EQ(RenderValue(key.field, *config), value);
  const NodeConfig defaults;
  for (const KeySpec& other : Keys()) {
    if (&other == &key) continue;
    EXPECT_EQ(RenderValue(other.field, *config), RenderValue(other.field, defaults))
        << text << " changed " << other.name;
  }
  return value != RenderValue(key.field, defaults);
}

TEST(ConfigKeys, EachReachesItsOwnFieldAndNoOther) {
  for (const KeySpec& key : Keys()) {
    // These need other keys; see ConfigRules.
    if (key.name == "mode" || key.section == "peer_tls") continue;
    int reached = 0;
    for (const std::string& value : Samples(key.field)) reached += ReachesItsFieldAlone(key, value);
    EXPECT_GE(reached, 1) << key.section << "." << key.name;
  }
}

TEST(ConfigParse, EmptyTextIsAStandaloneNodeOnDefaults) {
  const NodeConfig config = Parsed("");
  EXPECT_EQ(config, NodeConfig{});
  EXPECT_EQ(config.deployment.mode, DeploymentMode::kStandalone);
  EXPECT_EQ(ThriftPort(config), 9090);
  EXPECT_EQ(PeerPort(config), 7090);
  EXPECT_EQ(GrpcPort(config), 50051);
  EXPECT_EQ(HttpPort(config), 8090);
  EXPECT_EQ(DataDirectory(config), "./data/rocksdb");
}

TEST(ConfigParse, RendersWhatItParses) {
  NodeConfig config = Parsed(
      "[server]\nthrift_port = 0\n[deployment]\nmode = \"replicated\"\n"
      "instance_id = 1\nreplica_endpoints = [\"a:9000\", \"[::1]:9001\"]\n"
      "[logging]\nlog_dir = \"a\\\"b\\\\c\\u0007\"\n"
      "[cache]\nhigh_priority_pool_ratio = 0.1");
  EXPECT_EQ(Parsed(RenderToml(config, false)), config);
  EXPECT_EQ(Parsed(RenderToml(config, true)), config);
}

TEST(ConfigParse, NamesLineKeyAndExpectation) {
  EXPECT_EQ(Refused("\n\n[rocksdb]\nblock_size_kb = 0"),
            "test.toml:4: [rocksdb] block_size_kb: expected an integer from 1 to 65536, found 0");
  EXPECT_EQ(Refused("[rocksdb]\nblock_size_kb = \"16\""),
            "test.toml:2: [rocksdb] block_size_kb: expected an integer from 1 to 65536, found "
            "\"16\"");
  EXPECT_EQ(Refused("[rocksdb]\ndynamic_level_bytes = 1"),
            "test.toml:2: [rocksdb] dynamic_level_bytes: expected true or false, found 1");
  EXPECT_EQ(Refused("[reads]\nconsistency_level = \"strong\""),
            "test.toml:2: [reads] consistency_level: expected one of \"local\", \"leader\", "
            "\"read_index\", found \"strong\"");
  EXPECT_EQ(Refused("[deployment]\nreplica_endpoints = [\"a:1\", \"b\"]"),
            "test.toml:2: [deployment] replica_endpoints: expected a list of \"host:port\", each "
            "once, found \"b\"");
  EXPECT_THAT(Refused("[deployment]\nreplica_endpoints = [\"a:1\", \"a:1\"]"),
              HasSubstr("found \"a:1\" twice"));
  EXPECT_THAT(Refused("[cache]\nhigh_priority_pool_ratio = nan"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(Refused("[database]\nbase_path = \"\""), HasSubstr("not empty"));
  EXPECT_THAT(Refused("[database]\nbase_path = \"a\\u0000b\""), HasSubstr("base_path"));
  EXPECT_THAT(Refused("[database]\nbase_path = 1979-05-27"), HasSubstr("a date or time"));
}

TEST(ConfigParse, SaysWhatAnUnknownKeyWasProbablyMeantToBe) {
  EXPECT_EQ(Refused("[rocksdb]\nblok_size_kb = 16"),
            "test.toml:2: unknown key 'blok_size_kb' in [rocksdb]; did you mean 'block_size_kb'?");
  EXPECT_THAT(Refused("[rockdb]\nblock_size_kb = 16"), HasSubstr("did you mean [rocksdb]?"));
  EXPECT_THAT(Refused("[rocksdb]\nconsistency_level = \"local\""),
              HasSubstr("it belongs in [reads]"));
  EXPECT_THAT(Refused("[rocksdb]\nconsistency_levle = \"local\""),
              HasSubstr("did you mean 'consistency_level' in [reads]?"));
  EXPECT_THAT(Refused("block_size_kb = 16"), HasSubstr("it belongs in [rocksdb]"));
  EXPECT_THAT(Refused("[rocksdb]\nzzzzzzzzzzzz = 1"),
              AllOf(HasSubstr("unknown key 'zzzzzzzzzzzz'"), Not(HasSubstr("mean"))));
  EXPECT_THAT(Refused("rocksdb = 1"), HasSubstr("'rocksdb' is a section"));
  EXPECT_THAT(Refused("[[rocksdb]]\nblock_size_kb = 16"), HasSubstr("'rocksdb' is a section"));
}

TEST(ConfigParse, ReportsAllFaultsOfAFileInTheOrderOfItsLines) {
  EXPECT_EQ(Refused("[rocksdb]\nblock_size_kb = 0\nwrite_bufer_size_mb = 1\n[nonsense]\n"
                    "[reads]\nmax_staleness_ms = -1"),
            "test.toml:2: [rocksdb] block_size_kb: expected an integer from 1 to 65536, found 0\n"
            "test.toml:3: unknown key 'write_bufer_size_mb' in [rocksdb]; did you mean "
            "'write_buffer_size_mb'?\n"
            "test.toml:4: unknown section [nonsense]\n"
            "test.toml:6: [reads] max_staleness_ms: expected an integer from 0 to 86400000, found "
            "-1");
}

TEST(ConfigParse, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(Refused("[rocksdb]\nblock_size_kb 16"), HasSubstr("test.toml:2: not TOML: "));
  EXPECT_THAT(Refused("[rocksdb]\nblock_size_kb = 1\nblock_size_kb = 2"),
              HasSubstr("test.toml:3: not TOML: "));
  // These two end the process if toml++ is left to itself (the second under UBSan).
  EXPECT_THAT(Refused("\n[,"), HasSubstr("test.toml:2: not TOML: "));
  EXPECT_THAT(Refused("\n\xd0\xb4 = 1"), HasSubstr("test.toml:2: not TOML: "));
}

TEST(ConfigRules, AreReportedAtTheirKey) {
  EXPECT_THAT(Refused("[deployment]\nmode = \"replicated\""),
              HasSubstr("test.toml:1: [deployment] replica_endpoints: replicated mode needs"));
  EXPECT_THAT(Refused("[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"a:9090\"]\n"
                      "instance_id = 1"),
              HasSubstr("test.toml:4: [deployment] instance_id: 1 is not an index"));
  EXPECT_THAT(Refused("[consensus]\nelection_timeout_ms = 1500"),
              HasSubstr("test.toml:2: [consensus] election_timeout_ms: 1500 is less than twice"));
  EXPECT_THAT(Refused("[limits]\nvalue_bytes = 33554432"), HasSubstr("[limits] transaction_bytes"));
  EXPECT_THAT(Refused("[limits]\ntransaction_bytes = 134217728"),
              HasSubstr("[limits] message_bytes"));
  const std::string large = "[limits]\ntransaction_bytes = 63000000\nmessage_bytes = 99999999\n";
  EXPECT_THAT(Refused(large + "[deployment]\nmode = \"replicated\"\n"
                              "replica_endpoints = [\"a:9090\"]\n"),
              HasSubstr("test.toml:2: [limits] transaction_bytes: 63000000 is more than 62914560"));
  EXPECT_EQ(Parsed(large).limits.transaction_bytes, 63'000'000U);
  EXPECT_THAT(Refused("[storage]\nmax_journal_mb = 100"), HasSubstr("two segments"));
  EXPECT_THAT(Refused("[server]\nthrift_port = 8000\nhttp_port = 8000"),
              HasSubstr("test.toml:3: [server] http_port: port 8000"));
  EXPECT_THAT(Refused("[cluster]\nnode_timeout_ms = 1"), HasSubstr("[cluster] node_timeout_ms"));
  EXPECT_THAT(Refused("[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"a:2000\"]"),
              HasSubstr("no port 2000 below"));
  EXPECT_THAT(Refused("[deployment]\nmode = \"replicated\"\n"
                      "replica_endpoints = [\"a:9090\"]\n[consensus]\nendpoints = [\"a:1\", "
                      "\"b:1\"]"),
              HasSubstr("[consensus] endpoints: 2 addresses for 1"));
  // A port that nobody asked for gives way to one that somebody did.
  Parsed("[server]\nthrift_port = 8090");
}

TEST(ConfigRules, ValidAndRunnableAreTwoQuestions) {
  const NodeConfig three = Parsed(
      "[deployment]\nmode = \"replicated\"\ninstance_id = 1\n"
      "replica_endpoints = [\"localhost:9090\", \"localhost:9191\", \"localhost:9092\"]");
  EXPECT_TRUE(CheckRunnable(three).ok());
  EXPECT_EQ(ThriftPort(three), 9191);
  EXPECT_EQ(PeerPort(three), 7191);
  EXPECT_EQ(GrpcPort(three), 50052);
  EXPECT_EQ(DataDirectory(three), "./data/rocksdb/node_1");
  const std::vector<Endpoint> peers = PeerEndpoints(three);
  ASSERT_EQ(peers.size(), 3u);
  EXPECT_EQ(peers[1].ToString(), "localhost:7191");
  const NodeConfig paxos = Parsed(
      "[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"localhost:9090\"]\n"
      "[consensus]\nalgorithm = \"paxos\"");
  EXPECT_EQ(CheckRunnable(paxos).code(), StatusCode::kUnimplemented);
  const NodeConfig one = Parsed(
      "[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"localhost:9095\"]\n"
      "[database]\nbase_path = \"/d/\"\n[consensus]\nendpoints = [\"localhost:1\"]");
  EXPECT_TRUE(CheckRunnable(one).ok());
  EXPECT_EQ(ThriftPort(one), 9095);
  EXPECT_EQ(PeerPort(one), 1);
  EXPECT_EQ(PeerEndpoints(one).front().ToString(), "localhost:1");
  EXPECT_EQ(DataDirectory(one), "/d/node_0");
}

TEST(ConfigRules, WarnOfWhatIsProbablyNotMeant) {
  EXPECT_THAT(Warnings(NodeConfig{}), IsEmpty());
  EXPECT_THAT(Warnings(Parsed("[deployment]\nreplica_endpoints = [\"a:9090\"]\n"
                              "[server]\nbind = \"0.0.0.0\"")),
              ElementsAre(HasSubstr("ignored in standalone mode"), HasSubstr("no authentication")));
}

TEST(ConfigRules, TlsBetweenNodesIsWholeOrAbsent) {
  const NodeConfig config =
      Parsed("[peer_tls]\ncertificate = \"c\"\nkey = \"k\"\nca = \"a\"\nnames = [\"n\", \"m\"]\n");
  EXPECT_EQ(config.peer_tls, (PeerTlsConfig{"c", "k", "a", {"n", "m"}}));
  EXPECT_THAT(Warnings(config), ElementsAre(HasSubstr("ignored in standalone mode")));
  EXPECT_THAT(Refused("[peer_tls]\ncertificate = \"c\"\nca = \"a\"\n"),
              AllOf(HasSubstr("test.toml:1: [peer_tls] key: missing"), Not(HasSubstr("] ca:"))));
  EXPECT_THAT(Refused("[peer_tls]\nnames = [\"n\"]\n"), HasSubstr("[peer_tls] certificate: miss"));
  EXPECT_THAT(Refused("[peer_tls]\nnames = [\"\"]\n"),
              HasSubstr("expected a list of texts in quotes"));
}

TEST(ConfigRules, WarnOfPeersThatAnybodyMayBe) {
  const std::string open =
      "[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"a:9090\"]\n"
      "[server]\nbind = \"0.0.0.0\"\n";
  EXPECT_THAT(Warnings(Parsed(open)),
              ElementsAre(HasSubstr("guard port 7090"), HasSubstr("no authentication")));
  EXPECT_THAT(Warnings(Parsed(open + "[peer_tls]\ncertificate = \"c\"\nkey = \"k\"\nca = \"a\"\n")),
              ElementsAre(HasSubstr("no authentication")));
}

TEST(ConfigOverrides, ReplaceWhatTheFileSays) {
  NodeConfig config = Parsed("[server]\nthrift_port = 1\n[logging]\nlog_level = \"warn\"");
  Overrides overrides;
  overrides.data_dir = "/d";
  overrides.thrift_port = 2;
  overrides.grpc_port = 3;
  overrides.http_port = 4;
  overrides.node_id = 5;
  overrides.log_dir = "/l";
  overrides.verbose = true;
  ASSERT_TRUE(ApplyOverrides(overrides, &config).ok());
  EXPECT_EQ(ThriftPort(config), 2);
  EXPECT_EQ(GrpcPort(config), 3);
  EXPECT_EQ(HttpPort(config), 4);
  EXPECT_EQ(config.deployment.instance_id, 5U);
  EXPECT_EQ(config.logging.log_dir, "/l");
  EXPECT_EQ(config.logging.log_level, LogLevel::kDebug);
  EXPECT_EQ(DataDirectory(config), "/d");
}

TEST(ConfigOverrides, TheEnvironmentGoesBeforeThePortFlag) {
  NodeConfig config;
  Overrides overrides;
  overrides.thrift_port = 2;
  overrides.thrift_port_environment = "";
  ASSERT_TRUE(ApplyOverrides(overrides, &config).ok());
  EXPECT_EQ(ThriftPort(config), 2);
  overrides.thrift_port_environment = "7777";
  ASSERT_TRUE(ApplyOverrides(overrides, &config).ok());
  EXPECT_EQ(ThriftPort(config), 7777);
  overrides.thrift_port_environment = "70000";
  EXPECT_THAT(ApplyOverrides(overrides, &config).message(), HasSubstr("THRIFT_PORT: '70000'"));
  overrides.thrift_port_environment = "80x";
  EXPECT_THAT(ApplyOverrides(overrides, &config).message(), HasSubstr("THRIFT_PORT: '80x'"));
}

TEST(ConfigOverrides, AreCheckedLikeTheFile) {
  NodeConfig config;
  Overrides overrides;
  overrides.thrift_port = 65'536;
  EXPECT_THAT(ApplyOverrides(overrides, &config).message(), HasSubstr("--port: 65536"));
  overrides.thrift_port.reset();
  overrides.node_id = 10'000;
  EXPECT_THAT(ApplyOverrides(overrides, &config).message(), HasSubstr("--node-id"));
  NodeConfig one = Parsed("[deployment]\nmode = \"replicated\"\nreplica_endpoints = [\"a:9090\"]");
  overrides.node_id = 1;
  EXPECT_THAT(ApplyOverrides(overrides, &one).message(), HasSubstr("not an index"));
}

TEST(ConfigFiles, AMissingFileIsNamed) {
  const Result<NodeConfig> config = LoadConfig("/nonexistent/cairn.toml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.status().message(), HasSubstr("'/nonexistent/cairn.toml'"));
}

TEST(ConfigFiles, StandaloneFileLoads) {
  const Result<NodeConfig> config = LoadConfig(SourcePath("configs/standalone.toml"));
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_TRUE(CheckRunnable(*config).ok());
}

TEST(Effective, FillsPortsInAndHidesSecrets) {
  NodeConfig config = Parsed(
      "[deployment]\ninstance_id = 3\n[dram]\nlisten_addr = \"a:1\"\n"
      "spec = '{\"token\": \"hush\"}'\n");
  const NodeConfig effective = Effective(config);
  EXPECT_EQ(effective.server.thrift_port, 9093u);
  EXPECT_EQ(effective.server.grpc_port, 50'054u);
  EXPECT_EQ(effective.server.http_port, 8093u);
  EXPECT_EQ(effective.dram.spec, "(hidden)");
  EXPECT_EQ(effective.dram.listen_addr, "a:1");
  config.dram.spec = "{\"timeout_ms\": 5}";
  EXPECT_EQ(Effective(config).dram.spec, config.dram.spec);
  EXPECT_EQ(Parsed(RenderToml(effective, false)), effective);
}

TEST(Effective, IsWrittenAsJson) {
  const std::string json = RenderJson(Effective(Parsed("[logging]\nlog_dir = 'a\"b\\c'\n")));
  EXPECT_THAT(json, testing::StartsWith("{\n  \"deployment\": {\n    \"mode\": \"standalone\",\n"));
  EXPECT_THAT(json, HasSubstr("    \"bits_per_key\": 10.0\n  },\n"));
  EXPECT_THAT(json, HasSubstr("    \"log_dir\": \"a\\\"b\\\\c\",\n"));
  EXPECT_THAT(json, testing::EndsWith("\n  }\n}\n"));
  EXPECT_THAT(RenderJson(NodeConfig{}), testing::Not(HasSubstr("http_port")));
}

// The generated documents. CAIRN_UPDATE_DOCS=1 writes them anew.
void ExpectGenerated(const std::string& path, const std::string& current,
                     const std::string& expected) {
  if (std::getenv("CAIRN_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << expected;
    return;
  }
  EXPECT_EQ(current, expected) << path << " is out of date: run config_test with "
                               << "CAIRN_UPDATE_DOCS=1 and review the difference";
}

TEST(ConfigFiles, AllKeysFileIsWhatTheTableSays) {
  const std::string path = SourcePath("configs/all_keys.toml");
  const std::string expected =
      "# Every configuration key of Cairn, with its default. Written by config_test from\n"
      "# src/config/keys.cc; a key that is commented out has a default that follows from "
      "others.\n\n" +
      RenderToml(NodeConfig{}, true);
  ExpectGenerated(path, ReadText(path), expected);
  EXPECT_EQ(Parsed(ReadText(path)), NodeConfig{});
}

TEST(ConfigFiles, ReferencePageIsWhatTheTableSays) {
  const std::string path = SourcePath("docs/configuration.md");
  const std::string current = ReadText(path);
  const std::string mark = "<!-- generated by config_test: do not edit below -->\n\n";
  const std::size_t at = current.find(mark);
  ASSERT_NE(at, std::string::npos) << path << " lacks the mark";
  ExpectGenerated(path, current, current.substr(0, at) + mark + RenderMarkdown());
}

TEST(NearestWord, ForgivesAThirdOfTheLetters) {
  const std::vector<std::string_view> words = {"election_timeout_ms", "algorithm"};
  EXPECT_EQ(NearestWord("election_timeout", words), "election_timeout_ms");
  EXPECT_EQ(NearestWord("algoritmh", words), "algorithm");
  EXPECT_EQ(NearestWord("logarithm", words), "algorithm");
  EXPECT_EQ(NearestWord("base_path", words), std::nullopt);
}

}  // namespace
}  // namespace cairn::config
