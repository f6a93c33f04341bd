#include "src/server/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "src/base/mutex.h"
#include "src/server/listener.h"

namespace cairn::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// More than the system's buffers take.
constexpr std::size_t kBig = 32 << 20;

// A client's side of a connection. A read that takes a minute fails the test.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval bound{60, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    EXPECT_EQ(0, connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  }
  void Send(const std::string& bytes) {
    // The server may have closed already.
    (void)!send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void EndSending() { shutdown(fd_.get(), SHUT_WR); }
  // Until `end` has arrived.
  std::string ReadUntil(const std::string& end) {
    std::size_t at = in_.find(end);
    while (at == std::string::npos) {
      const std::size_t seen = in_.size() - std::min(in_.size(), end.size());
      if (!Receive()) break;
      at = in_.find(end, seen);
    }
    EXPECT_NE(std::string::npos, at) << "got: " << in_;
    std::string got = in_.substr(0, at == std::string::npos ? in_.size() : at + end.size());
    in_.erase(0, got.size());
    return got;
  }
  // Until the server closes.
  std::string ReadAll() {
    while (Receive()) {
    }
    return std::exchange(in_, {});
  }
  std::string Get(const std::string& path) {
    Send("GET " + path + " HTTP/1.1\r\n\r\n");
    return ReadUntil("\n.\n");
  }

 private:
  bool Receive() {
    char buffer[4096];
    const ssize_t got = recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (got > 0) in_.append(buffer, static_cast<std::size_t>(got));
    EXPECT_FALSE(got < 0 && errno == EAGAIN) << "the server does not answer";
    return got > 0;
  }

  OwnedFd fd_;
  std::string in_;
};

// "/quick" is answered on the loop's thread; "/held" waits until it is let go.
class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServerOptions options) {
    options.port = 0;
    options.quick = {"/quick"};
    auto server = HttpServer::Start(
        options, [this](const HttpRequest& request) { return Page(request); }, &clock_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }
  ~HttpServerTest() override {
    LetGo();
    server_.reset();
  }

  HttpResponse Page(const HttpRequest& request) {
    if (request.path == "/held") {
      MutexLock lock(&mutex_);
      ++held_;
      changed_.SignalAll();
      while (!let_go_) changed_.Wait(&mutex_);
    }
    if (request.path == "/big") return TextResponse(200, std::string(kBig, 'x'));
    return TextResponse(200, request.path + "\n.");
  }
  void AwaitHeld() {
    MutexLock lock(&mutex_);
    while (held_ == 0) changed_.Wait(&mutex_);
  }
  void AwaitRequests(std::uint64_t count) {
    while (server_->figures().requests < count) std::this_thread::yield();
  }
  void LetGo() {
    MutexLock lock(&mutex_);
    let_go_ = true;
    changed_.SignalAll();
  }

  SystemClock clock_;
  Mutex mutex_;
  CondVar changed_;
  int held_ ABSL_GUARDED_BY(mutex_) = 0;
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  Start({});
  Client client(server_->port());
  for (const std::string path : {"/a", "/quick", "/b"}) {
    EXPECT_THAT(client.Get(path), EndsWith("\r\n\r\n" + path + "\n.\n"));
  }
  client.Send("GET /1 HTTP/1.1\r\n\r\nGET /quick HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
  for (const std::string path : {"/1", "/quick", "/2"}) {
    EXPECT_THAT(client.ReadUntil("\n.\n"), EndsWith(path + "\n.\n"));
  }
  EXPECT_EQ(6u, server_->figures().requests);
  EXPECT_EQ(1u, server_->figures().connections_open);
  EXPECT_EQ(0u, server_->figures().bad_requests);
}

TEST_F(HttpServerTest, BytesMayComeOneByOne) {
  Start({});
  Client client(server_->port());
  for (const char c : std::string("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")) {
    client.Send(std::string(1, c));
  }
  EXPECT_THAT(client.ReadUntil("\n.\n"), EndsWith("/slow\n.\n"));
}

TEST_F(HttpServerTest, AConnectionServesSoManyRequests) {
  HttpServerOptions options;
  options.max_requests = 2;
  Start(options);
  Client client(server_->port());
  client.Get("/a");
  client.Send("GET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n");
  const std::string rest = client.ReadAll();
  EXPECT_THAT(rest, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(rest, EndsWith("/b\n.\n"));
}

TEST_F(HttpServerTest, ARequestThatDoesNotEndIsRefused) {
  HttpServerOptions options;
  options.request_timeout = std::chrono::milliseconds(50);
  Start(options);
  Client client(server_->port());
  client.Send("GET /a HTTP/1.1\r\nX: ");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_EQ(0u, server_->figures().requests);
}

TEST_F(HttpServerTest, AConnectionThatSaysNothingIsClosed) {
  HttpServerOptions options;
  options.idle_timeout = std::chrono::milliseconds(50);
  Start(options);
  EXPECT_EQ("", Client(server_->port()).ReadAll());
}

TEST_F(HttpServerTest, AHeadThatIsTooLongIsRefused) {
  HttpServerOptions options;
  options.head_bytes = 1000;
  Start(options);
  const std::string heads[] = {"GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'),
                               "GET /" + std::string(2000, 'x') + " HTTP/1.1\r\n\r\n",
                               std::string(100'000, '\xff')};
  for (const std::string& head : heads) {
    Client client(server_->port());
    client.Send(head);
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
  }
}

TEST_F(HttpServerTest, HalfARequestIsRefused) {
  Start({});
  Client client(server_->port());
  client.Send("GET / HT");
  client.EndSending();
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_F(HttpServerTest, ABodyDoesNotTakeTheAnswerAway) {
  Start({});
  Client client(server_->port());
  client.Send("POST /a HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
}

TEST_F(HttpServerTest, QuickPagesAreMadeWhileAnotherHangs) {
  Start({});
  Client held(server_->port());
  held.Send("GET /held HTTP/1.1\r\n\r\n");
  AwaitHeld();
  EXPECT_THAT(Client(server_->port()).Get("/quick"), EndsWith("/quick\n.\n"));
  LetGo();
  EXPECT_THAT(held.ReadUntil("\n.\n"), EndsWith("/held\n.\n"));
}

TEST_F(HttpServerTest, PagesDoNotQueueUpForEver) {
  HttpServerOptions options;
  options.max_waiting = 2;
  Start(options);
  Client first(server_->port());
  first.Send("GET /held HTTP/1.1\r\n\r\n");
  AwaitHeld();
  Client second(server_->port());
  second.Send("GET /a HTTP/1.1\r\n\r\n");
  AwaitRequests(2);
  Client third(server_->port());
  third.Send("GET /b HTTP/1.1\r\n\r\n");
  EXPECT_THAT(third.ReadAll(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  LetGo();
  EXPECT_THAT(second.ReadUntil("\n.\n"), EndsWith("/a\n.\n"));
}

TEST_F(HttpServerTest, APageThatHangsIsGivenUp) {
  HttpServerOptions options;
  options.page_timeout = std::chrono::milliseconds(50);
  Start(options);
  Client client(server_->port());
  client.Send("GET /held HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_F(HttpServerTest, AFurtherConnectionTakesTheLongestIdlePlaceOrNone) {
  HttpServerOptions options;
  options.max_connections = 2;
  Start(options);
  Client first(server_->port());
  first.Get("/quick");
  Client second(server_->port());
  second.Send("GET /held HTTP/1.1\r\n\r\n");
  AwaitHeld();
  Client third(server_->port());
  third.Send("GET /a HTTP/1.1\r\n\r\n");  // takes the place of the first, and waits
  EXPECT_EQ("", first.ReadAll());
  AwaitRequests(3);
  Client fourth(server_->port());
  fourth.Send("GET /quick HTTP/1.1\r\n\r\n");
  EXPECT_THAT(fourth.ReadAll(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  LetGo();
  EXPECT_THAT(third.ReadUntil("\n.\n"), EndsWith("/a\n.\n"));
  EXPECT_EQ(1u, server_->figures().connections_refused);
  EXPECT_EQ(4u, server_->figures().connections_accepted);
}

TEST_F(HttpServerTest, AClientThatDoesNotReadHoldsItsPlaceAlone) {
  HttpServerOptions options;
  options.max_connections = 1;
  Start(options);
  Client client(server_->port());
  client.Send("GET /big HTTP/1.1\r\n\r\n");
  AwaitRequests(1);
  Client other(server_->port());
  other.Send("GET /quick HTTP/1.1\r\n\r\n");
  EXPECT_THAT(other.ReadAll(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(kBig + 1, client.ReadUntil("x\n").size());
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCut) {
  HttpServerOptions options;
  options.response_timeout = std::chrono::milliseconds(50);
  options.response_bytes_per_second = std::size_t{1} << 40;
  Start(options);
  Client client(server_->port());
  client.Send("GET /big HTTP/1.1\r\n\r\n");
  AwaitRequests(1);
  while (server_->figures().connections_open != 0) std::this_thread::yield();
  EXPECT_LT(client.ReadAll().size(), kBig) << "the system's buffers hold a part";
}

TEST_F(HttpServerTest, StopClosesEverything) {
  Start({});
  Client idle(server_->port());
  idle.Get("/quick");
  Client half(server_->port());
  half.Send("GET / HT");
  const std::uint16_t port = server_->port();
  server_->Stop();
  server_->Stop();
  EXPECT_EQ("", idle.ReadAll());
  EXPECT_EQ("", half.ReadAll());
  EXPECT_TRUE(Listen("127.0.0.1", port).ok()) << "the port is free again";
}

TEST_F(HttpServerTest, APortThatIsTakenIsAnError) {
  Start({});
  HttpServerOptions options;
  options.port = server_->port();
  const auto second = HttpServer::Start(
      options, [](const auto&) { return HttpResponse(); }, &clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(StatusCode::kIoError, second.status().code());
  EXPECT_THAT(second.status().message(), HasSubstr("another program has it"));
}

}  // namespace
}  // namespace cairn::server
