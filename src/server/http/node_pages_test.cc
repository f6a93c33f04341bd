#include "src/server/http/node_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/base/mutex.h"
#include "src/server/http/peer_metrics.h"
#include "src/server/testing/test_node.h"

namespace cairn::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

NodePagesOptions Options() {
  NodePagesOptions options;
  options.node = 7;
  options.software_version = "1.2.3";
  options.config_toml = "[deployment]\n";
  options.config_json = "{}\n";
  return options;
}

HttpResponse Get(const NodePages& pages, const std::string& path) {
  HttpRequest request;
  request.method = "GET";
  request.path = path.substr(0, path.find('?'));
  if (const auto at = path.find('='); at != std::string::npos) {
    request.query.emplace("format", path.substr(at + 1));
  }
  return pages.Handle(request);
}

MetricsSources SourcesOf(testing::TestNode* node, consensus::Journal* journal,
                         const PartWatch* parts) {
  MetricsSources sources;
  sources.service = &node->service();
  sources.replica = &node->replica();
  sources.journal = journal;
  sources.parts = parts;
  sources.data_directory = "/";
  return sources;
}

// The value of the sample that begins with `name`.
double Value(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + " ");
  EXPECT_NE(std::string::npos, at) << name << " is missing";
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(at + name.size() + 2));
}

TEST(NodePages, BeforeTheNodeServesTheySayWhatItDoes) {
  NodePages pages(Options());
  pages.SetPhase("replaying its journal");
  EXPECT_EQ(503, Get(pages, "/readyz").status);
  EXPECT_THAT(Get(pages, "/readyz").body, HasSubstr("replaying its journal"));
  EXPECT_EQ(200, Get(pages, "/healthz").status);
  EXPECT_EQ(503, Get(pages, "/debug/status").status);
  const std::string metrics = Get(pages, "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("\ncairn_serving 0\n"));
  EXPECT_THAT(metrics, HasSubstr("\nprocess_threads "));
  EXPECT_THAT(metrics, Not(HasSubstr("cairn_replica_role")));
}

TEST(NodePages, IndexConfigAndWhatIsNotThere) {
  NodePages pages(Options());
  const std::string index = Get(pages, "/").body;
  for (const char* path : {"cairnd 1.2.3, node 7", "/metrics", "/healthz", "/readyz", "/config",
                           "/debug/status", "/debug/slow", "/debug/threads"}) {
    EXPECT_THAT(index, HasSubstr(path));
  }
  EXPECT_EQ("[deployment]\n", Get(pages, "/config").body);
  EXPECT_EQ("{}\n", Get(pages, "/config?format=json").body);
  EXPECT_EQ("application/json", Get(pages, "/config?format=json").content_type);
  EXPECT_EQ(400, Get(pages, "/config?format=xml").status);
  EXPECT_EQ(404, Get(pages, "/metrics/").status);
  const auto threads = nlohmann::json::parse(Get(pages, "/debug/threads").body);
  EXPECT_GE(threads.size(), 1u);
}

TEST(NodePages, AServingNodeIsReadyAndCountsWhatItDoes) {
  testing::TestNode node;
  NodePages pages(Options());
  pages.SetServing(SourcesOf(&node, &node.journal(), nullptr));
  EXPECT_EQ("recovered: ok\nmember: ok\nleader: ok\nwrites: ok\n", Get(pages, "/readyz").body);
  EXPECT_EQ(200, Get(pages, "/readyz").status);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        node.service().Execute(Wire::kThrift, {}, kv::Set{"k" + std::to_string(i), "v", ""}).ok());
  }
  ASSERT_TRUE(node.service().Execute(Wire::kGrpc, {}, kv::Get{"k0", ""}).ok());
  ASSERT_FALSE(node.service().Execute(Wire::kGrpc, {}, kv::Get{"", ""}).ok());
  const HttpResponse page = Get(pages, "/metrics");
  EXPECT_THAT(page.content_type, StartsWith("text/plain; version=0.0.4"));
  const std::string count = "cairn_request_duration_seconds_count";
  EXPECT_EQ(5, Value(page.body, count + R"({wire="thrift",operation="set",outcome="OK"})"));
  EXPECT_EQ(1, Value(page.body, count + R"({wire="grpc",operation="get",outcome="OK"})"));
  EXPECT_EQ(
      1, Value(page.body, count + R"({wire="grpc",operation="get",outcome="INVALID_ARGUMENT"})"));
  EXPECT_EQ(1, Value(page.body, R"(cairn_replica_role{role="leader"})"));
  EXPECT_EQ(1, Value(page.body, "cairn_serving"));
  EXPECT_EQ(5, Value(page.body, "cairn_batch_commands_sum"));
  EXPECT_GE(Value(page.body, "cairn_fsync_duration_seconds_count"), 1);
  EXPECT_EQ(Value(page.body, "cairn_batch_commands_count"),
            Value(page.body, "cairn_commit_duration_seconds_count"));
  EXPECT_EQ(node.service().Replica().applied_version.value(),
            Value(page.body, "cairn_applied_version"));
}

TEST(NodePages, SlowRequestsTellNoKeyAndNoValue) {
  NodePages pages(Options());
  EXPECT_EQ(503, Get(pages, "/debug/slow").status);
  testing::TestNodeOptions options;
  options.allow_fault_injection = true;
  testing::TestNode node(options);
  pages.SetServing(SourcesOf(&node, &node.journal(), nullptr));
  // A write that fails after as long as we like.
  replication::FaultRule rule;
  rule.fault_type = "SLOW";
  rule.probability = 1;
  rule.delay = std::chrono::milliseconds(5);
  ASSERT_TRUE(node.service().ConfigureFault(rule).ok());
  const kv::Set write{"a-secret-key", "a-secret-value", ""};
  ASSERT_FALSE(node.service().Execute(Wire::kGrpc, {}, write).ok());
  const HttpResponse page = Get(pages, "/debug/slow");
  EXPECT_EQ("application/json", page.content_type);
  const auto slow = nlohmann::json::parse(page.body);
  ASSERT_EQ(1u, slow.size()) << page.body;
  EXPECT_EQ("grpc", slow[0]["wire"]);
  EXPECT_EQ("set", slow[0]["operation"]);
  EXPECT_EQ("INJECTED_FAULT", slow[0]["outcome"]);
  EXPECT_GE(slow[0]["duration_ms"], 5);
  EXPECT_GE(slow[0]["ended_seconds_ago"], 0);
  EXPECT_EQ(12, slow[0]["key_bytes"]);
  EXPECT_FALSE(slow[0].contains("mutations"));
  EXPECT_THAT(page.body, Not(HasSubstr("secret")));
}

TEST(NodePages, StatusIsJson) {
  testing::TestNode node;
  NodePages pages(Options());
  pages.SetServing(SourcesOf(&node, &node.journal(), nullptr));
  ASSERT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::Set{"a", "1", ""}).ok());
  const auto status = nlohmann::json::parse(Get(pages, "/debug/status").body);
  EXPECT_EQ("1.2.3", status["version"]);
  EXPECT_EQ("leader", status["replica"]["role"]);
  EXPECT_EQ(true, status["ready"]);
  EXPECT_GE(status["replica"]["applied_slot"], 1);
  EXPECT_GE(status["journal"]["fsyncs"], 1);
  EXPECT_EQ("default", status["column_families"][0]);
}

// An executor whose tasks never run.
class Hung final : public SerialExecutor {
 public:
  void Post(Task /*task*/) override {}
  void PostAt(MonotonicTime /*when*/, Task /*task*/) override {}
};

TEST(NodePages, HealthNamesAThreadThatHangs) {
  testing::TestNode node;
  SystemClock clock;
  Hung hung;
  for (const bool vital : {true, false}) {
    PartWatch parts(&clock);
    parts.Add("journal", &hung, vital);
    NodePagesOptions options = Options();
    options.hang_bound = Duration(1);
    NodePages pages(options);
    pages.SetServing(SourcesOf(&node, &node.journal(), &parts));
    EXPECT_EQ("journal: ok\n", Get(pages, "/healthz").body) << "the note was posted just now";
    HttpResponse health = Get(pages, "/healthz");
    EXPECT_EQ(vital ? 503 : 200, health.status);
    EXPECT_THAT(health.body, StartsWith("journal: takes no work for "));
    EXPECT_THAT(Get(pages, "/metrics").body,
                HasSubstr("\ncairn_executor_delay_seconds{executor=\"journal\"} "));
  }
}

TEST(NodePages, AfterSetStoppingTheSourcesAreNotUsed) {
  NodePages pages(Options());
  {
    testing::TestNode node;
    pages.SetServing(SourcesOf(&node, &node.journal(), nullptr));
    EXPECT_EQ(200, Get(pages, "/readyz").status);
    pages.SetStopping();
  }
  EXPECT_EQ(503, Get(pages, "/readyz").status);
  EXPECT_THAT(Get(pages, "/readyz").body, HasSubstr("stopping"));
  EXPECT_THAT(Get(pages, "/metrics").body, HasSubstr("\ncairn_serving 0\n"));
  EXPECT_EQ(200, Get(pages, "/healthz").status);
}

TEST(PeerFamilies, SayWhatIsKnownAndNoMore) {
  metrics::Exposition nothing;
  AppendPeerFamilies({}, Slot(9), &nothing);
  EXPECT_EQ("", nothing.text());

  PeerSight known;
  known.node = NodeId(1);
  known.silent_for = std::chrono::milliseconds(1500);
  known.report_age = std::chrono::milliseconds(250);
  known.report.emplace();
  known.report->role = consensus::Role::kLeader;
  known.report->last_slot = Slot(8);
  known.report->applied_slot = Slot(6);
  known.report->problem = "the disk is full";
  known.lanes.push_back({"consensus", true, 3, 300, 1, 2, 40});
  PeerSight unknown;
  unknown.node = NodeId(2);
  metrics::Exposition page;
  AppendPeerFamilies({known, unknown}, Slot(9), &page);
  const std::string& text = page.text();
  EXPECT_EQ(1.5, Value(text, R"(cairn_peer_last_contact_seconds{peer="1"})"));
  EXPECT_EQ(0.25, Value(text, R"(cairn_peer_report_age_seconds{peer="1"})"));
  EXPECT_EQ(3, Value(text, R"(cairn_peer_lag_slots{peer="1"})"));
  EXPECT_THAT(text, Not(HasSubstr("\ncairn_peer_match_slot{")));
  EXPECT_EQ(6, Value(text, R"(cairn_peer_slot{peer="1",position="applied"})"));
  EXPECT_EQ(1, Value(text, R"(cairn_peer_is_leader{peer="1"})"));
  EXPECT_EQ(0, Value(text, R"(cairn_peer_accepts_writes{peer="1"})"));
  EXPECT_EQ(1, Value(text, R"(cairn_peer_connected{peer="1",lane="consensus"})"));
  EXPECT_EQ(40, Value(text, R"(cairn_peer_queued_bytes{peer="1",lane="consensus"})"));
  EXPECT_EQ(1, Value(text, R"(cairn_peer_dropped_frames_total{peer="1",lane="consensus"})"));
  EXPECT_THAT(text, Not(HasSubstr("peer=\"2\"")));
}

TEST(PeerFamilies, ALeaderNeedsNoReportForTheLag) {
  PeerSight silent;
  silent.node = NodeId(1);
  silent.acknowledged = {Slot(70), 5};
  PeerSight reports;
  reports.node = NodeId(2);
  reports.acknowledged = {Slot(75), 0};
  reports.report.emplace();
  reports.report->applied_slot = Slot(6);
  metrics::Exposition page;
  AppendPeerFamilies({silent, reports}, Slot(75), &page);
  const std::string& text = page.text();
  EXPECT_EQ(70, Value(text, R"(cairn_peer_match_slot{peer="1"})"));
  EXPECT_EQ(75, Value(text, R"(cairn_peer_match_slot{peer="2"})"));
  EXPECT_EQ(5, Value(text, R"(cairn_peer_lag_slots{peer="1"})"));
  EXPECT_EQ(0, Value(text, R"(cairn_peer_lag_slots{peer="2"})"));
  EXPECT_EQ(6, Value(text, R"(cairn_peer_slot{peer="2",position="applied"})"));
}

// A leader's core is asked for the lag. If it does not answer, the pages are made all the same.
TEST(NodePages, PagesOfALeaderWhoseCoreHangs) {
  testing::TestNodeOptions options;
  options.progress_bound = std::chrono::milliseconds(1);
  options.peers = [] {
    PeerSight peer;
    peer.node = NodeId(4);
    peer.report.emplace();
    return std::vector<PeerSight>{peer};
  };
  std::promise<void> go_on;
  std::promise<void> hangs;
  testing::TestNode node(options);
  NodePages pages(Options());
  pages.SetServing(SourcesOf(&node, &node.journal(), nullptr));
  ASSERT_TRUE(node.service().Execute(Wire::kThrift, {}, kv::Set{"a", "1", ""}).ok());
  node.replica().View([&](const auto& /*view*/) {
    hangs.set_value();
    go_on.get_future().wait();
  });
  hangs.get_future().wait();
  const double committed =
      Value(Get(pages, "/metrics").body, R"(cairn_replica_slot{position="committed"})");
  EXPECT_EQ(committed, Value(Get(pages, "/metrics").body, R"(cairn_peer_lag_slots{peer="4"})"));
  const auto peer = nlohmann::json::parse(Get(pages, "/debug/status").body)["peers"][0];
  EXPECT_EQ(committed, peer["lag_slots"]);
  EXPECT_EQ("report", peer["lag_by"]);
  EXPECT_TRUE(peer["match_slot"].is_null());
  go_on.set_value();
}

}  // namespace
}  // namespace cairn::server
