#include "src/server/thrift/thrift_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "src/base/mutex.h"
#include "src/base/testing/process_usage.h"
#include "src/server/listener.h"
#include "src/server/thrift/wire_testing.h"

namespace cairn::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::GetBytes;
using testing::MakeEchoProcessor;
using testing::WireClient;

constexpr Duration kGrace = seconds(10);

// A client socket on loopback; its reads give up after 20 s, so that no test hangs.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    timeval wait{20, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  bool Send(const std::string& bytes) {
    return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // Everything up to `size` bytes or the end.
  std::string Receive(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = recv(fd_.get(), bytes.data() + done, size - done, 0);
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }
  // True if the server closes the connection without another byte.
  bool AwaitClose() {
    char byte = 0;
    const ssize_t got = recv(fd_.get(), &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }
  // A get of `key` over strict binary, and its answer.
  std::string Get(const std::string& key) {
    const WireFormat format = WireFormat::kUnframedBinary;
    if (!Send(GetBytes(format, key))) return "not sent";
    return ReadAnswer(format, key.size());
  }
  std::string ReadAnswer(WireFormat format, std::size_t key_size) {
    // Strict binary: head 15, field 3, value field 7 + key, found 4, two ends; or what there is.
    WireClient client(format);
    client.Answer(Receive(15 + 3 + 7 + key_size + 4 + 2));
    thrift_api::GetResponse response;
    client.client().recv_get(response);
    return response.value;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void Close() { fd_.Close(); }

 private:
  OwnedFd fd_;
  bool connected_ = false;
};

// Holds calls of get("wait") until it is opened.
class Gate {
 public:
  void Pass(const std::string& key) {
    if (key != "wait") return;
    MutexLock lock(&mutex_);
    ++waiting_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(&mutex_);
  }
  void AwaitWaiter() {
    MutexLock lock(&mutex_);
    while (waiting_ == 0) changed_.Wait(&mutex_);
  }
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

// True as soon as `condition` is, false if it is not within 20 s.
bool Eventually(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

class ThriftServerTest : public ::testing::Test {
 protected:
  ThriftServerTest() {
    options_.port = 0;
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  ~ThriftServerTest() override { gate_.Open(); }

  void Start() {
    auto started = ThriftServer::Start(
        options_, MakeEchoProcessor([this](const std::string& key) { gate_.Pass(key); }), &clock_);
    ASSERT_TRUE(started.ok()) << started.status().message();
    server_ = std::move(started).value();
  }
  Client Connect() { return Client(server_->port()); }
  bool AwaitOpen(std::uint64_t connections) {
    return Eventually([&] { return server_->figures().connections_open == connections; });
  }

  SystemClock clock_;
  Gate gate_;
  ThriftServerOptions options_;
  std::unique_ptr<ThriftServer> server_;
};

// ---- Serving

TEST_F(ThriftServerTest, ServesAndCounts) {
  Start();
  {
    Client client = Connect();
    EXPECT_EQ("a", client.Get("a"));
    EXPECT_EQ("b", client.Get("b"));
    EXPECT_EQ(1u, server_->figures().connections_open);
  }
  EXPECT_TRUE(AwaitOpen(0));
  const ThriftServerFigures figures = server_->figures();
  EXPECT_EQ(1u, figures.connections_accepted);
  EXPECT_EQ(2u, figures.calls);
  EXPECT_EQ(0u, figures.connections_refused);
  EXPECT_EQ(0u, figures.protocol_errors);
}

TEST_F(ThriftServerTest, PipelinedCallsAreAnsweredInOrder) {
  Start();
  Client client = Connect();
  std::string calls;
  for (int i = 100; i < 900; ++i) calls += GetBytes(WireFormat::kUnframedBinary, std::to_string(i));
  ASSERT_TRUE(client.Send(calls));
  for (int i = 100; i < 900; ++i) {
    ASSERT_EQ(std::to_string(i), client.ReadAnswer(WireFormat::kUnframedBinary, 3));
  }
}

TEST_F(ThriftServerTest, GarbageEndsItsConnectionOnly) {
  Start();
  Client good = Connect();
  EXPECT_EQ("a", good.Get("a"));
  Client bad = Connect();
  ASSERT_TRUE(bad.Send("GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
  EXPECT_TRUE(bad.AwaitClose());
  EXPECT_EQ(1u, server_->figures().protocol_errors);
  EXPECT_EQ("b", good.Get("b"));
}

TEST_F(ThriftServerTest, OversizedCallIsToldWhyBeforeTheConnectionEnds) {
  options_.message_bytes = 100'000;
  Start();
  Client client = Connect();
  // More than the sockets hold: the server must take the rest in, or the client would fail while it
  // still sends, and never read the answer.
  ASSERT_TRUE(client.Send(GetBytes(WireFormat::kUnframedBinary, std::string(16 << 20, 'k'))));
  const std::string answer = client.Receive(100'000);
  EXPECT_NE(std::string::npos, answer.find("message_bytes")) << answer.size();
}

TEST_F(ThriftServerTest, AThousandIdleConnectionsCostLittleAndBlockNobody) {
  Start();
  constexpr std::size_t kIdle = 1000;
  const std::size_t before = ResidentBytes();
  std::vector<Client> idle;
  idle.reserve(kIdle);
  for (std::size_t i = 0; i < kIdle; ++i) {
    idle.push_back(Connect());
    ASSERT_TRUE(idle.back().connected());
    ASSERT_EQ("k", idle.back().Get("k"));  // Used once, then left.
  }
  EXPECT_TRUE(AwaitOpen(kIdle));
  const std::size_t bytes_each = (ResidentBytes() - before) / kIdle;
  RecordProperty("resident_bytes_per_idle_connection", static_cast<int>(bytes_each));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  EXPECT_LT(bytes_each, 40u << 10);
#endif
  Client fresh = Connect();
  EXPECT_EQ("served", fresh.Get("served"));
  EXPECT_EQ("still here", idle.front().Get("still here"));
  idle.clear();
  EXPECT_TRUE(AwaitOpen(1));
}

TEST_F(ThriftServerTest, EndedConnectionsLeaveNoThreadsAndNoStacks) {
  Start();
  const std::size_t threads_before = ThreadCount();
  const auto serve = [&](int connections) {
    for (int i = 0; i < connections; ++i) {
      Client client = Connect();
      ASSERT_EQ("k", client.Get("k"));
    }
  };
  serve(200);  // The allocator's arenas and the cache of stacks are there from then on.
  const std::size_t mapped_before = MappedBytes();
  serve(1000);
  EXPECT_TRUE(Eventually([&] { return ThreadCount() <= threads_before; }));
  // Threads that nobody joined would hold a stack of 256 KiB each.
  EXPECT_LT(MappedBytes(), mapped_before + (100u << 20));
}

// ---- Caps

TEST_F(ThriftServerTest, BeyondTheCapTheFirstCallIsToldSo) {
  options_.max_connections = 3;
  options_.refusal_timeout = seconds(60);
  Start();
  std::vector<Client> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(Connect());
    ASSERT_EQ("k", held.back().Get("k"));
  }
  Client refused = Connect();
  ASSERT_TRUE(refused.Send(GetBytes(WireFormat::kUnframedBinary, "k")));
  WireClient reader(WireFormat::kUnframedBinary);
  reader.Answer(refused.Receive(10'000));  // All there is: the connection is closed behind it.
  try {
    thrift_api::GetResponse response;
    reader.client().recv_get(response);
    FAIL() << "the call was served";
  } catch (const apache::thrift::TApplicationException& e) {
    EXPECT_NE(std::string::npos, std::string(e.what()).find("at most 3 ")) << e.what();
    EXPECT_NE(std::string::npos, std::string(e.what()).find("max_connections")) << e.what();
  }
  EXPECT_EQ("held", held.front().Get("held"));
  EXPECT_EQ(1u, server_->figures().connections_refused);
  EXPECT_EQ(3u, server_->figures().connections_open);

  held.pop_back();
  ASSERT_TRUE(AwaitOpen(2));
  Client welcome = Connect();
  EXPECT_EQ("k", welcome.Get("k"));
}

TEST_F(ThriftServerTest, BeyondTheLaneConnectionsAreClosedAtOnce) {
  options_.max_connections = 1;
  options_.refusal_lane = 1;
  options_.refusal_timeout = seconds(60);
  Start();
  Client held = Connect();
  ASSERT_EQ("k", held.Get("k"));
  Client in_lane = Connect();
  ASSERT_TRUE(Eventually([&] { return server_->figures().connections_refused == 1; }));
  Client beyond = Connect();
  EXPECT_TRUE(beyond.AwaitClose());
  EXPECT_EQ(2u, server_->figures().connections_refused);
}

TEST_F(ThriftServerTest, ASilentClientLeavesTheLaneInTime) {
  options_.max_connections = 1;
  options_.refusal_timeout = milliseconds(100);
  Start();
  Client held = Connect();
  ASSERT_EQ("k", held.Get("k"));
  Client silent = Connect();
  EXPECT_TRUE(silent.AwaitClose());
}

TEST_F(ThriftServerTest, WithoutDescriptorsConnectionsAreClosedAndLaterServed) {
  Start();
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlimit enough = files;
  // Room for the client's own socket, and for nothing else.
  const OwnedFd next(dup(0));
  ASSERT_TRUE(next.valid());
  files.rlim_cur = static_cast<rlim_t>(next.get()) + 2;
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
  {
    Client turned_away = Connect();
    EXPECT_TRUE(turned_away.connected());
    EXPECT_TRUE(turned_away.AwaitClose());
  }
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &enough));
  EXPECT_GE(server_->figures().connections_refused, 1u);
  Client client = Connect();
  EXPECT_EQ("k", client.Get("k"));
}

// ---- Slow clients

TEST_F(ThriftServerTest, HalfAMessageIsNotWaitedForForever) {
  options_.message_timeout = milliseconds(200);
  Start();
  Client half = Connect();
  const std::string call = GetBytes(WireFormat::kFramedBinary, "some key");
  ASSERT_TRUE(half.Send(call.substr(0, call.size() - 3)));
  Client other = Connect();
  EXPECT_EQ("k", other.Get("k")) << "others are served meanwhile";
  // It is told, in its own format, and closed.
  EXPECT_NE(std::string::npos, half.Receive(1000).find("too slowly"));
  EXPECT_EQ("k", other.Get("k")) << "idling is no fault";
}

TEST_F(ThriftServerTest, AClientThatTakesNoAnswersIsCut) {
  options_.message_timeout = milliseconds(200);
  Start();
  Client deaf = Connect();
  const int small = 4096;
  setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  const std::string call = GetBytes(WireFormat::kUnframedBinary, std::string(1 << 20, 'v'));
  // Answers pile up until the server's send blocks; then it gives up.
  while (deaf.Send(call)) {
  }
  EXPECT_TRUE(AwaitOpen(0));
}

// ---- Stopping

TEST_F(ThriftServerTest, StopWakesIdleConnectionsAndEndsEveryThread) {
  const std::size_t before = ThreadCount();
  Start();
  std::vector<Client> idle;
  for (int i = 0; i < 50; ++i) {
    idle.push_back(Connect());
    const bool used = i % 2 == 0;
    ASSERT_EQ(used ? "k" : "", used ? idle.back().Get("k") : "");
  }
  ASSERT_TRUE(AwaitOpen(50));
  const std::uint16_t port = server_->port();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(server_->Stop(kGrace));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kGrace) << "idle ones need no grace";
  // A thread that was joined is listed for a moment more.
  EXPECT_TRUE(Eventually([&] { return ThreadCount() <= before; }));
  for (Client& client : idle) EXPECT_TRUE(client.AwaitClose());
  EXPECT_FALSE(Client(port).connected());
  EXPECT_TRUE(server_->Stop(kGrace)) << "a second time";
}

TEST_F(ThriftServerTest, StopLetsARunningCallAnswer) {
  Start();
  Client busy = Connect();
  ASSERT_TRUE(busy.Send(GetBytes(WireFormat::kUnframedBinary, "wait") +
                        GetBytes(WireFormat::kUnframedBinary, "next")));
  gate_.AwaitWaiter();
  auto stopped = std::async(std::launch::async, [this] { return server_->Stop(kGrace); });
  ASSERT_TRUE(Eventually([&] { return !Client(server_->port()).connected(); }));
  gate_.Open();
  EXPECT_TRUE(stopped.get());
  EXPECT_EQ("wait", busy.ReadAnswer(WireFormat::kUnframedBinary, 4));
  EXPECT_TRUE(busy.AwaitClose()) << "the call behind it is not served any more";
}

TEST_F(ThriftServerTest, StopTellsOfCallsThatDoNotEnd) {
  Start();
  Client busy = Connect();
  ASSERT_TRUE(busy.Send(GetBytes(WireFormat::kUnframedBinary, "wait")));
  gate_.AwaitWaiter();
  EXPECT_FALSE(server_->Stop(milliseconds(1)));
  gate_.Open();
  EXPECT_TRUE(server_->Stop(kGrace));
}

// ---- Listening

TEST_F(ThriftServerTest, APortInUseIsNamed) {
  Start();
  ThriftServerOptions same = options_;
  same.port = server_->port();
  const auto second = ThriftServer::Start(same, MakeEchoProcessor(), &clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(StatusCode::kIoError, second.status().code());
  EXPECT_NE(std::string::npos, second.status().message().find(std::to_string(same.port)));
  EXPECT_NE(std::string::npos, second.status().message().find("another port"));
}

TEST_F(ThriftServerTest, ListensOnNamesAndOnAllAddresses) {
  for (const char* address : {"localhost", "*", "0.0.0.0"}) {
    options_.bind_address = address;
    Start();
    Client client = Connect();
    EXPECT_EQ("k", client.Get("k")) << address;
  }
}

TEST_F(ThriftServerTest, AnAddressThatIsNoneIsNamed) {
  options_.bind_address = "no such host";
  const auto started = ThriftServer::Start(options_, MakeEchoProcessor(), &clock_);
  ASSERT_FALSE(started.ok());
  EXPECT_NE(std::string::npos, started.status().message().find("'no such host'"));
}

TEST(ListenTest, Ipv6AddressesMayStandInBrackets) {
  const Result<Listener> plain = Listen("::1", 0);
  if (!plain.ok()) GTEST_SKIP() << "no IPv6 here: " << plain.status().message();
  const Result<Listener> bracketed = Listen("[::1]", 0);
  ASSERT_TRUE(bracketed.ok()) << bracketed.status().message();
  EXPECT_NE(0, bracketed.value().port);
}

}  // namespace
}  // namespace cairn::server
