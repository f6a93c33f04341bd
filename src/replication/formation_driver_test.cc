#include "src/replication/formation_driver.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/testing/fault_file_system.h"
#include "src/base/testing/virtual_time.h"
#include "src/replication/node_report.h"
#include "src/replication/peer_frame.h"
#include "src/transport/in_process/in_process.h"

namespace cairn::replication {
namespace {

using consensus::formation::Formed;

constexpr char kRecord[] = "/node/FORMATION";

// Nodes that form a cluster in virtual time.
class Founders {
 public:
  struct Node {
    explicit Node(VirtualTime* time) : core(time) {}
    VirtualExecutor core;
    std::unique_ptr<transport::PeerTransport> transport;
    std::shared_ptr<FormationDriver> driver;
    std::optional<Formed> formed;
    std::optional<Status> fatal;
  };

  explicit Founders(std::uint32_t nodes) : network_(1) {
    for (std::uint32_t n = 0; n < nodes; ++n) {
      configured_.push_back({NodeId(n), "host:" + std::to_string(n)});
      disks_[NodeId(n)] = std::make_unique<FaultFileSystem>();
      EXPECT_TRUE(disks_[NodeId(n)]->CreateDirectories("/node").ok());
    }
  }
  ~Founders() {
    for (auto& [id, node] : nodes_) node->driver->Stop();
  }

  Status Start(NodeId id) {
    auto node = std::make_unique<Node>(&time);
    Node* const raw = node.get();
    raw->transport = network_.Attach(id, &raw->core);
    FormationDriverOptions options;
    options.formation.self = {id, IncarnationId(100 + folder_of(id).value())};
    options.formation.members = configured_;
    options.record_path = kRecord;
    options.seed = 7 + id.value();
    FormationHooks hooks;
    hooks.formed = [raw](const Formed& formed) { raw->formed = formed; };
    hooks.join = [](const consensus::formation::JoinRequest&) {};
    hooks.fatal = [raw](const Status& status) { raw->fatal = status; };
    CAIRN_ASSIGN_OR_RETURN(
        raw->driver,
        FormationDriver::Create(options, {&time, &raw->core, &disk(id), raw->transport.get()},
                                std::move(hooks)));
    nodes_[id] = std::move(node);
    raw->driver->Start();
    return Status::Ok();
  }
  void Stop(NodeId id) {
    nodes_.at(id)->driver->Stop();
    nodes_.erase(id);
  }
  Node& node(NodeId id) { return *nodes_.at(id); }
  FaultFileSystem& disk(NodeId id) { return *disks_.at(folder_of(id)); }
  // From now on node `id` is started on the folder of `other`.
  void AsNumber(NodeId id, NodeId other) { folders_[id] = other; }
  bool AwaitFormed(NodeId id) {
    return time.RunUntil([this, id] { return node(id).formed.has_value(); });
  }

  VirtualTime time;

 private:
  transport::InProcessNetwork network_;
  std::vector<consensus::formation::FormationOptions::Configured> configured_;
  [[nodiscard]] NodeId folder_of(NodeId id) const {
    const auto found = folders_.find(id);
    return found == folders_.end() ? id : found->second;
  }

  std::map<NodeId, NodeId> folders_;
  std::map<NodeId, std::unique_ptr<FaultFileSystem>> disks_;
  std::map<NodeId, std::unique_ptr<Node>> nodes_;
};

TEST(FormationDriver, AClusterFormsWhenAllAreThereAndIsRemembered) {
  Founders founders(3);
  ASSERT_TRUE(founders.Start(NodeId(0)).ok());
  ASSERT_TRUE(founders.Start(NodeId(1)).ok());
  founders.time.RunFor(std::chrono::seconds(20));
  EXPECT_FALSE(founders.node(NodeId(0)).formed.has_value());
  EXPECT_EQ(founders.node(NodeId(0)).driver->Describe(), "waiting to hear from nodes 2");
  ASSERT_TRUE(founders.Start(NodeId(2)).ok());
  for (std::uint32_t n = 0; n < 3; ++n) ASSERT_TRUE(founders.AwaitFormed(NodeId(n)));
  const Formed first = *founders.node(NodeId(0)).formed;
  EXPECT_NE(first.cluster.value(), 0u);
  ASSERT_EQ(first.first.members.size(), 3u);
  EXPECT_EQ(first.first.members[2].endpoint, "host:2");
  for (std::uint32_t n = 1; n < 3; ++n) {
    EXPECT_EQ(founders.node(NodeId(n)).formed->cluster, first.cluster);
    EXPECT_EQ(founders.node(NodeId(n)).formed->first, first.first);
  }
  // Later it needs nobody.
  for (std::uint32_t n = 0; n < 3; ++n) founders.Stop(NodeId(n));
  ASSERT_TRUE(founders.Start(NodeId(1)).ok());
  ASSERT_TRUE(founders.AwaitFormed(NodeId(1)));
  EXPECT_EQ(founders.node(NodeId(1)).formed->cluster, first.cluster);
}

// Hands over a frame as soon as somebody listens: other nodes may run already.
class EagerTransport final : public transport::PeerTransport {
 public:
  explicit EagerTransport(std::string frame) : frame_(std::move(frame)) {}
  void Send(NodeId, transport::Lane, std::string) override { ++sent_; }
  void SetReceiver(Receiver receiver) override {
    if (receiver) receiver(NodeId(1), frame_);
  }
  [[nodiscard]] int sent() const { return sent_; }

 private:
  const std::string frame_;
  int sent_ = 0;
};

TEST(FormationDriver, AFrameThatIsThereAtTheStartComesAfterIt) {
  VirtualTime time;
  VirtualExecutor core(&time);
  FaultFileSystem disk;
  ASSERT_TRUE(disk.CreateDirectories("/node").ok());
  const FrameHeader header{FrameKind::kFormation, GroupId(0), 0, IncarnationId(101)};
  EagerTransport transport(EncodeFrame(header, "not a message of formation"));
  FormationDriverOptions options;
  options.formation.self = {NodeId(0), IncarnationId(100)};
  options.formation.members = {{NodeId(0), "host:0"}, {NodeId(1), "host:1"}};
  options.record_path = kRecord;
  const auto driver =
      FormationDriver::Create(options, {&time, &core, &disk, &transport},
                              {[](const Formed&) {}, [](const auto&) {}, [](const Status&) {}});
  ASSERT_TRUE(driver.ok()) << driver.status().ToString();
  (*driver)->Start();
  time.RunFor(std::chrono::seconds(1));
  EXPECT_GT(transport.sent(), 0);
  EXPECT_EQ((*driver)->Describe(), "waiting to hear from nodes 1");
  (*driver)->Stop();
}

TEST(FormationDriver, ADamagedRecordIsRefusedWithItsName) {
  Founders founders(1);
  ASSERT_TRUE(founders.Start(NodeId(0)).ok());
  ASSERT_TRUE(founders.AwaitFormed(NodeId(0)));
  founders.Stop(NodeId(0));
  auto record = founders.disk(NodeId(0)).ReadFile(kRecord);
  ASSERT_TRUE(record.ok());
  record->back() = static_cast<char>(record->back() ^ 1);
  ASSERT_TRUE(founders.disk(NodeId(0)).WriteFileAtomically(kRecord, *record).ok());
  const Status refused = founders.Start(NodeId(0));
  EXPECT_EQ(refused.code(), StatusCode::kCorruption);
  EXPECT_NE(refused.message().find(kRecord), std::string::npos) << refused.message();
}

// Two members with one incarnation would be one and the same to the others.
TEST(FormationDriver, TheFolderOfAnotherNodeIsRefused) {
  Founders founders(2);
  for (std::uint32_t n = 0; n < 2; ++n) ASSERT_TRUE(founders.Start(NodeId(n)).ok());
  for (std::uint32_t n = 0; n < 2; ++n) ASSERT_TRUE(founders.AwaitFormed(NodeId(n)));
  founders.Stop(NodeId(1));
  founders.AsNumber(NodeId(1), NodeId(0));
  const Status refused = founders.Start(NodeId(1));
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.message().find("is that of node 0, and this node is configured as 1"),
            std::string::npos)
      << refused.message();
}

TEST(FormationDriver, FramesOfOthersGoOnToTheReplica) {
  Founders founders(2);
  ASSERT_TRUE(founders.Start(NodeId(0)).ok());
  ASSERT_TRUE(founders.Start(NodeId(1)).ok());
  std::vector<std::string> got;
  founders.node(NodeId(1)).driver->replica_transport()->SetReceiver(
      [&](NodeId from, const std::string& frame) {
        EXPECT_EQ(from, NodeId(0));
        got.push_back(frame);
      });
  const std::string frame = EncodeFrame({FrameKind::kCore, GroupId(0), 1, IncarnationId(2)}, "hi");
  founders.node(NodeId(0)).driver->replica_transport()->Send(NodeId(1), transport::Lane::kConsensus,
                                                             frame);
  ASSERT_TRUE(founders.time.RunUntil([&] { return !got.empty(); }));
  EXPECT_EQ(got.front(), frame);
  ASSERT_TRUE(founders.AwaitFormed(NodeId(0)));
  EXPECT_EQ(got.size(), 1u);  // Formation's own frames stay with it.
}

TEST(NodeReport, SurvivesItsEncoding) {
  NodeReport report;
  report.endpoints = {"h:1", "h:2", ""};
  report.role = consensus::Role::kLeader;
  report.epoch = Epoch(7);
  report.last_slot = Slot(12);
  report.committed_slot = Slot(11);
  report.applied_slot = Slot(10);
  report.applied_version = Version(99);
  report.uptime = std::chrono::seconds(3600);
  report.problem = "the disk is full";
  const std::string bytes = Encode(report);
  const auto decoded = DecodeNodeReport(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, report);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeNodeReport(std::string_view(bytes).substr(0, size)).ok());
  }
}

}  // namespace
}  // namespace cairn::replication
