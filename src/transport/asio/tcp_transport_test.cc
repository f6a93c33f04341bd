#include "src/transport/asio/tcp_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/mutex.h"
#include "src/transport/asio/certificates_test_util.h"

namespace cairn::transport {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// What a node has received. Thread safe.
class Inbox {
 public:
  PeerTransport::Receiver Receiver() {
    return [this](NodeId from, std::string frame) {
      MutexLock lock(&mutex_);
      frames_.emplace_back(from, std::move(frame));
      changed_.SignalAll();
    };
  }
  // Waits for the `number`th frame, from 0.
  std::pair<NodeId, std::string> At(std::size_t number) {
    MutexLock lock(&mutex_);
    while (frames_.size() <= number) changed_.Wait(&mutex_);
    return frames_[number];
  }
  [[nodiscard]] std::size_t size() {
    MutexLock lock(&mutex_);
    return frames_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::pair<NodeId, std::string>> frames_ ABSL_GUARDED_BY(mutex_);
};

// Looks again until `done` holds; the test's own time limit ends a wait in vain.
void Await(const std::function<bool()>& done) {
  while (!done()) std::this_thread::yield();
}

struct TestNode {
  explicit TestNode(std::uint32_t id,
                    const std::function<void(TcpTransportOptions*)>& change = {}) {
    options.self = {NodeId(id), IncarnationId(100 + id), 0xC1};
    options.min_backoff = std::chrono::milliseconds(1);
    options.max_backoff = std::chrono::milliseconds(5);
    options.seed = id;
    options.socket.connect_timeout = std::chrono::minutes(1);  // however busy the machine is
    if (change) change(&options);
    Start();
  }
  void Start() {
    auto started = TcpTransport::Start(options, &clock);
    CAIRN_CHECK(started.ok(), started.status().ToString());
    transport = *std::move(started);
    transport->SetReceiver(inbox.Receiver());
    options.port = transport->port();
  }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", options.port}; }
  // The figures of this node's connection to `peer`.
  [[nodiscard]] PeerConnection To(std::uint32_t peer) const {
    for (PeerConnection& connection : transport->Connections()) {
      if (connection.peer == NodeId(peer)) return connection;
    }
    return {};
  }
  // Waits until there is a problem with the connection to `peer`, and says it.
  std::string ProblemWith(std::uint32_t peer) {
    Await([&] { return !To(peer).outgoing[0].problem.empty(); });
    return To(peer).outgoing[0].problem;
  }

  SystemClock clock;
  TcpTransportOptions options;
  Inbox inbox;
  std::unique_ptr<TcpTransport> transport;
};

void Introduce(TestNode* a, TestNode* b) {
  const std::map<NodeId, Endpoint> all = {{a->options.self.node, a->endpoint()},
                                          {b->options.self.node, b->endpoint()}};
  a->transport->SetPeers(all);
  b->transport->SetPeers(all);
}

// A connection made by hand, to say what no transport would.
class RawConnection {
 public:
  explicit RawConnection(const Endpoint& to) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    inet_pton(AF_INET, to.host.c_str(), &address.sin_addr);
    CAIRN_CHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~RawConnection() { close(fd_); }
  void Say(const std::string& bytes) {
    // The other end may close before all is said.
    [[maybe_unused]] const auto sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Everything until the other end closes.
  std::string ReadToEnd() {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd_, buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  const int fd_;
};

std::string Framed(const std::string& body) { return FrameHeader(body.size()) + body; }

TEST(TcpTransportTest, FramesArriveWholeAndInTheirOrder) {
  TestNode a(1);
  TestNode b(2);
  Introduce(&a, &b);
  const std::string large(8 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    a.transport->Send(NodeId(2), Lane::kConsensus, "frame " + std::to_string(i));
  }
  a.transport->Send(NodeId(2), Lane::kConsensus, large);
  a.transport->Send(NodeId(2), Lane::kConsensus, "");
  b.transport->Send(NodeId(1), Lane::kConsensus, "from b");
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(b.inbox.At(i), std::make_pair(NodeId(1), "frame " + std::to_string(i)));
  }
  EXPECT_EQ(b.inbox.At(100).second, large);
  EXPECT_EQ(b.inbox.At(101).second, "");
  EXPECT_EQ(a.inbox.At(0), std::make_pair(NodeId(2), std::string("from b")));
  const PeerConnection connection = b.To(1);
  EXPECT_EQ(connection.incoming.frames, 102U);
  EXPECT_TRUE(connection.last_received.has_value());
}

// Stands for node 2: takes connections, says that the dialler is welcome, and reads what it must.
class StubPeer {
 public:
  StubPeer() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    CAIRN_CHECK(bind(listener_, generic, length) == 0 && listen(listener_, 4) == 0);
    getsockname(listener_, generic, &length);
    port_ = ntohs(address.sin_port);
  }
  ~StubPeer() {
    for (const int fd : accepted_) close(fd);
    close(listener_);
  }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", port_}; }
  // The next connection.
  int Welcome() {
    const int fd = accept(listener_, nullptr, nullptr);
    accepted_.push_back(fd);
    const std::string welcome =
        Framed(HelloAnswer{{NodeId(2), IncarnationId(5), 0xC1}, ""}.Encode());
    CAIRN_CHECK(write(fd, welcome.data(), welcome.size()) == static_cast<ssize_t>(welcome.size()));
    return fd;
  }
  // Reads from a connection until `wanted` has come.
  static std::string ReadUntil(int fd, const std::string& wanted) {
    std::string all;
    char buffer[4096];
    while (all.find(wanted) == std::string::npos) {
      const ssize_t n = read(fd, buffer, sizeof(buffer));
      CAIRN_CHECK(n > 0);
      all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  const int listener_;
  std::uint16_t port_ = 0;
  std::vector<int> accepted_;
};

TEST(TcpTransportTest, ABlockedSnapshotDelaysNoHeartbeat) {
  TestNode a(1, [](TcpTransportOptions* options) { options->max_queue_bytes = 1 << 20; });
  StubPeer b;
  a.transport->SetPeers({{NodeId(2), b.endpoint()}});
  const int consensus = b.Welcome();
  Await([&] { return a.To(2).outgoing[0].connected; });
  a.transport->Send(NodeId(2), Lane::kBulk, "snapshot");
  b.Welcome();  // And never reads from it.
  Await([&] { return a.To(2).outgoing[1].connected; });
  const std::string chunk(256 << 10, 'x');
  Await([&] {
    a.transport->Send(NodeId(2), Lane::kBulk, chunk);
    return a.To(2).outgoing[1].dropped > 0;
  });
  // Nothing more of the snapshot gets through, and each heartbeat does.
  for (int i = 0; i < 100; ++i) {
    const std::string heartbeat = "heartbeat " + std::to_string(i) + ".";
    a.transport->Send(NodeId(2), Lane::kConsensus, heartbeat);
    const std::string got = StubPeer::ReadUntil(consensus, heartbeat);
    EXPECT_EQ(got.find("xxxx"), std::string::npos);
  }
  EXPECT_GT(a.To(2).outgoing[1].queued_bytes, 0U);
}

TEST(TcpTransportTest, LanesDoNotWaitForEachOther) {
  TestNode a(1);
  TestNode b(2);
  Introduce(&a, &b);
  a.transport->Send(NodeId(2), Lane::kBulk, "bulk");
  a.transport->Send(NodeId(2), Lane::kConsensus, "heartbeat");
  b.inbox.At(1);
  Await([&] { return a.To(2).outgoing[1].frames == 1 && a.To(2).outgoing[0].frames == 1; });
  EXPECT_EQ(a.To(2).outgoing[1].connects, 1U);
}

TEST(TcpTransportTest, APeerThatComesBackIsFoundAgain) {
  TestNode a(1);
  TestNode b(2);
  Introduce(&a, &b);
  a.transport->Send(NodeId(2), Lane::kConsensus, "before");
  b.inbox.At(0);
  b.transport->Stop();
  Await([&] { return !a.To(2).outgoing[0].connected; });
  a.transport->Send(NodeId(2), Lane::kConsensus, "lost");
  EXPECT_FALSE(a.ProblemWith(2).empty());
  b.Start();
  Await([&] { return a.To(2).outgoing[0].connected; });
  a.transport->Send(NodeId(2), Lane::kConsensus, "after");
  EXPECT_EQ(b.inbox.At(1).second, "after");
  EXPECT_TRUE(a.To(2).outgoing[0].problem.empty());
  EXPECT_GE(a.To(2).outgoing[0].dropped, 1U);
}

TEST(TcpTransportTest, ADeafPeerHoldsBoundedMemory) {
  TestNode a(1, [](TcpTransportOptions* options) { options->max_queue_bytes = 1 << 20; });
  StubPeer deaf;
  a.transport->SetPeers({{NodeId(2), deaf.endpoint()}});
  deaf.Welcome();  // And never reads.
  Await([&] { return a.To(2).outgoing[0].connected; });
  const std::string frame(256 << 10, 'x');
  Await([&] {
    a.transport->Send(NodeId(2), Lane::kConsensus, frame);
    return a.To(2).outgoing[0].dropped > 10;
  });
  EXPECT_LE(a.To(2).outgoing[0].queued_bytes, 1U << 20);
}

TEST(TcpTransportTest, NodesOfAnotherClusterAreTurnedAway) {
  TestNode a(1);
  TestNode b(2, [](TcpTransportOptions* options) { options->self.cluster = 0xC9; });
  Introduce(&a, &b);
  EXPECT_THAT(a.ProblemWith(2), HasSubstr("cluster"));
  EXPECT_THAT(b.ProblemWith(1), HasSubstr("cluster"));
  EXPECT_EQ(a.inbox.size() + b.inbox.size(), 0U);
}

TEST(TcpTransportTest, AClusterThatFormsKeepsItsMembersOnly) {
  TestNode a(1, [](TcpTransportOptions* options) { options->self.cluster = 0; });
  TestNode b(2, [](TcpTransportOptions* options) { options->self.cluster = 0xC9; });
  Introduce(&a, &b);
  Await([&] { return a.To(2).outgoing[0].connected && b.To(1).outgoing[0].connected; });
  a.transport->SetCluster(0xC1);
  EXPECT_THAT(a.ProblemWith(2), HasSubstr("cluster"));
  EXPECT_THAT(b.ProblemWith(1), HasSubstr("c"));
  Await([&] { return !b.To(1).incoming.connected; });
}

// Another process under the number of node 1, with a folder of its own.
TestNode RivalOfNode1() {
  return TestNode(
      1, [](TcpTransportOptions* options) { options->self.incarnation = IncarnationId(0xF0); });
}

TEST(TcpTransportTest, ASecondProcessOfOneNumberIsTurnedAway) {
  const auto window = [](TcpTransportOptions* options) {
    options->alive_window = std::chrono::minutes(10);
  };
  TestNode a(1);
  TestNode b(2, window);
  Introduce(&a, &b);
  a.transport->Send(NodeId(2), Lane::kConsensus, "first");
  b.inbox.At(0);
  testing::internal::CaptureStderr();
  TestNode rival = RivalOfNode1();
  rival.transport->SetPeers({{NodeId(2), b.endpoint()}});
  const std::string why =
      "node 1 is here already and alive, with data folder 0000000000000065; a second process under "
      "its number, with data folder 00000000000000f0, may not come in";
  EXPECT_THAT(rival.ProblemWith(2), HasSubstr("it turned this node away: " + why));
  rival.transport->Send(NodeId(2), Lane::kBulk, "on the other lane");
  Await([&] { return !rival.To(2).outgoing[1].problem.empty(); });
  // Both ends say so in their logs.
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, ContainsRegex("peers: turned 127.0.0.1:[0-9]+ away: " + why));
  EXPECT_THAT(log, HasSubstr("(bulk): it turned this node away: " + why));
  // The first is undisturbed: it was not made to dial anew.
  a.transport->Send(NodeId(2), Lane::kConsensus, "second");
  EXPECT_EQ(b.inbox.At(1).second, "second");
  EXPECT_EQ(a.To(2).outgoing[0].connects, 1U);
  EXPECT_EQ(rival.To(2).outgoing[0].connects + rival.To(2).outgoing[1].connects, 0U);
  // Once it has ended, whoever is next may come.
  a.transport->Stop();
  Await([&] { return rival.To(2).outgoing[0].connected; });
  rival.transport->Send(NodeId(2), Lane::kConsensus, "successor");
  EXPECT_EQ(b.inbox.At(2), std::make_pair(NodeId(1), std::string("successor")));
}

TEST(TcpTransportTest, ANodeThatDialsAnewIsNoSecondProcess) {
  TestNode a(1);
  TestNode b(2);
  Introduce(&a, &b);
  a.transport->Send(NodeId(2), Lane::kConsensus, "first");
  b.inbox.At(0);
  // The connection is lost at one end only, as when a machine starts again.
  RawConnection again(b.endpoint());
  again.Say(Framed(Hello{a.options.self, NodeId(2), Lane::kConsensus}.Encode()) + Framed("anew"));
  EXPECT_EQ(b.inbox.At(1), std::make_pair(NodeId(1), std::string("anew")));
}

TEST(TcpTransportTest, ANodeThatIsSilentMakesRoomForItsSuccessor) {
  TestNode b(2, [](TcpTransportOptions* options) {
    options->alive_window = std::chrono::milliseconds(200);
  });
  TestNode rival = RivalOfNode1();
  b.transport->SetPeers({{NodeId(1), rival.endpoint()}});
  // Stands for a machine that lost its power: its connections stand, and nothing comes.
  RawConnection silent(b.endpoint());
  silent.Say(
      Framed(Hello{{NodeId(1), IncarnationId(9), 0xC1}, NodeId(2), Lane::kConsensus}.Encode()));
  Await([&] { return b.To(1).incoming.connects == 1; });
  rival.transport->SetPeers({{NodeId(2), b.endpoint()}});
  Await([&] { return rival.To(2).outgoing[0].connected; });
  EXPECT_EQ(b.To(1).incoming.connects, 2U);
  silent.ReadToEnd();  // It is ended.
  rival.transport->Send(NodeId(2), Lane::kConsensus, "successor");
  EXPECT_EQ(b.inbox.At(0).second, "successor");
}

TEST(TcpTransportTest, SomebodyElseAtTheAddressIsNoticed) {
  TestNode a(1);
  TestNode c(3);
  a.transport->SetPeers({{NodeId(2), c.endpoint()}});
  EXPECT_THAT(a.ProblemWith(2), HasSubstr("means to reach node 2, and this is node 3"));
}

TEST(TcpTransportTest, HostileBytesEndTheirOwnConnectionOnly) {
  TestNode a(1);
  TestNode b(2);
  Introduce(&a, &b);
  {
    RawConnection garbage(b.endpoint());
    garbage.Say("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(garbage.ReadToEnd(), "");
  }
  {
    RawConnection no_peer(b.endpoint());
    no_peer.Say(Framed("good morning"));
    EXPECT_THAT(no_peer.ReadToEnd(), HasSubstr("this is no Cairn peer"));
  }
  {
    RawConnection liar(b.endpoint());
    liar.Say(
        Framed(Hello{{NodeId(7), IncarnationId(9), 0xC1}, NodeId(2), Lane::kConsensus}.Encode()));
    liar.Say(FrameHeader(0xFFFFFFFF) + "x");
    liar.ReadToEnd();
  }
  a.transport->Send(NodeId(2), Lane::kConsensus, "still here");
  EXPECT_EQ(b.inbox.At(0).second, "still here");
}

TEST(TcpTransportTest, SilentStrangersAreDroppedAndFew) {
  TestNode b(2, [](TcpTransportOptions* options) {
    options->max_strangers = 2;
    options->socket.connect_timeout = std::chrono::milliseconds(300);
  });
  RawConnection first(b.endpoint());
  RawConnection second(b.endpoint());
  RawConnection third(b.endpoint());
  EXPECT_EQ(third.ReadToEnd(), "");  // At once: there are two already.
  EXPECT_EQ(first.ReadToEnd(), "");  // When its time to say hello is over.
}

class TcpTransportTlsTest : public ::testing::Test {
 protected:
  static std::function<void(TcpTransportOptions*)> With(const TlsFiles& files) {
    return [files](auto* options) { options->tls = files, options->max_queue_bytes = 1 << 20; };
  }

  const TestFolder folder_;
  const std::string directory_ = folder_.path();
};

TEST_F(TcpTransportTlsTest, PeersOfOneAuthorityTalk) {
  TestAuthority authority(directory_, "authority");
  TestNode a(1, With(authority.Issue("one")));
  TestNode b(2, With(authority.Issue("two")));
  Introduce(&a, &b);
  const std::string large(3 << 20, 'y');  // above the queue's bound: it goes alone
  a.transport->Send(NodeId(2), Lane::kConsensus, large);
  EXPECT_EQ(b.inbox.At(0).second, large);
}

TEST_F(TcpTransportTlsTest, OthersAreRefused) {
  TestAuthority authority(directory_, "authority");
  TestAuthority forger(directory_, "forger");
  TestNode b(2, With(authority.Issue("two")));
  TlsFiles forged = forger.Issue("one");
  TestNode mistrusting(1, With(forged));
  mistrusting.transport->SetPeers({{NodeId(2), b.endpoint()}});
  EXPECT_THAT(
      mistrusting.ProblemWith(2),
      HasSubstr("its certificate is refused: self-signed certificate in certificate chain"));
  // Trusts both authorities, and so node 2, which does not trust it.
  std::ofstream(forged.ca, std::ios::app) << std::ifstream(authority.Issue("any").ca).rdbuf();
  TestNode mistrusted(3, With(forged));
  mistrusted.transport->SetPeers({{NodeId(2), b.endpoint()}});
  EXPECT_FALSE(mistrusted.ProblemWith(2).empty());
  TestNode plain(4);
  plain.transport->SetPeers({{NodeId(2), b.endpoint()}});
  EXPECT_FALSE(plain.ProblemWith(2).empty());
  EXPECT_EQ(b.inbox.size(), 0U);
}

TEST_F(TcpTransportTlsTest, AStrangerThatSpeaksTlsIsTold) {
  TestAuthority authority(directory_, "authority");
  TestNode plain(2);
  TestNode secret(1, With(authority.Issue("one")));
  secret.transport->SetPeers({{NodeId(2), plain.endpoint()}});
  EXPECT_THAT(secret.ProblemWith(2), HasSubstr("TLS with 127.0.0.1: "));
}

TEST_F(TcpTransportTlsTest, OnlyTheNamesOfPeersAreLetIn) {
  TestAuthority authority(directory_, "authority");
  TlsFiles files = authority.Issue("one.nodes.example");
  files.names = {"elsewhere.example", "*.nodes.example", "two.nodes.example"};
  TestNode a(1, With(files));
  files = authority.Issue("two.nodes.example");
  files.names = {"one.nodes.example"};
  TestNode b(2, With(files));
  Introduce(&a, &b);
  a.transport->Send(NodeId(2), Lane::kConsensus, "hello");
  EXPECT_EQ(b.inbox.At(0).second, "hello");
  TestNode other(3, With(authority.Issue("printer.example")));
  other.transport->SetPeers({{NodeId(1), a.endpoint()}});
  EXPECT_FALSE(other.ProblemWith(1).empty());
  TlsFiles strict = authority.Issue("strict.example");
  strict.names = {"strict.example"};
  TestNode picky(4, With(strict));
  picky.transport->SetPeers({{NodeId(1), a.endpoint()}});
  EXPECT_THAT(picky.ProblemWith(1), HasSubstr("none of the names"));
}

TEST_F(TcpTransportTlsTest, AFileThatCannotBeUsedIsNamed) {
  TestAuthority authority(directory_, "authority");
  TlsFiles files = authority.Issue("one");
  files.key = directory_ + "/missing.key";
  TcpTransportOptions options;
  options.tls = files;
  const SystemClock clock;
  const auto started = TcpTransport::Start(options, &clock);
  EXPECT_THAT(started.status().message(), HasSubstr("missing.key' cannot be used"));
}

TEST(TcpTransportTest, AnAddressThatIsTakenIsNamed) {
  TestNode a(1);
  TcpTransportOptions options;
  options.self = {NodeId(2), IncarnationId(2), 0};
  options.port = a.options.port;
  const SystemClock clock;
  const auto started = TcpTransport::Start(options, &clock);
  EXPECT_THAT(started.status().message(),
              HasSubstr("cannot listen for peers on '" + a.endpoint().ToString() + "'"));
}

}  // namespace
}  // namespace cairn::transport
