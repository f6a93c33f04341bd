// Answers over Thrift, and clients that do not take them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/server/listener.h"
#include "src/server/testing/test_node.h"
#include "src/server/thrift/kv_processor.h"
#include "src/server/thrift/thrift_server.h"
#include "src/server/thrift/wire_testing.h"

namespace cairn::server {
namespace {

using testing::TestNode;
using testing::WireClient;

constexpr std::size_t kMiB = 1 << 20;
// More than the sockets between a client and a node hold by themselves.
constexpr std::size_t kBig = 8 * kMiB;

// A client on loopback that reads when it is told to, and gives up after 20 s.
class Client {
 public:
  Client(std::uint16_t port, WireFormat format)
      : wire_(format), fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval wait{20, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    const int small = 64 << 10;
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }

  // Sends a call: `send` is called with Thrift's client.
  template <class Send>
  void Ask(Send send) {
    const std::string bytes = wire_.Bytes(send);
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void AskGet(const std::string& key) {
    thrift_api::GetRequest request;
    request.key = key;
    Ask([&](auto& client) { client.send_get(request); });
  }
  // Takes a little of the answer, and forgets it.
  void Sip(std::size_t most) {
    std::vector<char> piece(most);
    (void)recv(fd_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
  }
  // Nothing more is asked: the node ends the connection behind its answer.
  thrift_api::TransactionalKVClient& TakeAnswer() {
    shutdown(fd_.get(), SHUT_WR);
    std::string bytes;
    std::vector<char> piece(kMiB);
    for (ssize_t got = 1; got > 0;) {
      got = recv(fd_.get(), piece.data(), piece.size(), 0);
      if (got > 0) bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
    wire_.Answer(bytes);
    return wire_.client();
  }
  // "OK", the code of the failure, or "cut" if there is no whole answer.
  std::string TakeGet() {
    thrift_api::GetResponse response;
    try {
      TakeAnswer().recv_get(response);
    } catch (const std::exception&) {
      return "cut";
    }
    return response.__isset.error ? response.error_code : "OK";
  }

 private:
  WireClient wire_;
  OwnedFd fd_;
};

class ThriftAnswersTest : public ::testing::TestWithParam<WireFormat> {
 protected:
  // With a value of kBig bytes as "big" and of 100 as "small".
  ThriftAnswersTest() {
    options_.port = 0;
    Write("big", std::string(kBig, 'b'));
    Write("small", std::string(100, 's'));
  }
  void Write(const std::string& key, std::string value) {
    EXPECT_TRUE(
        node_.service().Execute(Wire::kThrift, {}, kv::Set{key, std::move(value), ""}).ok());
  }
  void Serve(std::size_t answer_bytes) {
    options_.answer_bytes = answer_bytes;
    auto server = ThriftServer::Start(options_, MakeKvProcessor(&node_.service()), &clock_);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(server).value();
  }
  [[nodiscard]] Client Connect() const { return {server_->port(), GetParam()}; }
  std::string Get(const std::string& key) {
    Client client = Connect();
    client.AskGet(key);
    return client.TakeGet();
  }
  template <class Done>
  static void Await(Done done) {
    while (!done()) std::this_thread::yield();
  }
  [[nodiscard]] std::uint64_t Held() const { return server_->figures().answer_bytes; }
  // What an answer of kBig takes.
  [[nodiscard]] static std::size_t Each() { return IsFramed(GetParam()) ? 2 * kBig : kBig; }

  SystemClock clock_;
  TestNode node_;
  ThriftServerOptions options_;
  std::unique_ptr<ThriftServer> server_;
};

TEST_P(ThriftAnswersTest, ClientsThatDoNotReadHoldBoundedMemory) {
  const std::size_t room = 3 * Each() + kMiB;
  Serve(room);
  std::vector<Client> deaf;
  for (int i = 0; i < 12; ++i) {
    deaf.push_back(Connect());
    deaf.back().AskGet("big");
  }
  // Three have an answer, which they do not take; the nine others were told that there is no room.
  Await([&] { return server_->figures().calls == 9; });
  EXPECT_EQ(Held(), 3 * Each());

  // Nobody else gets what is large, whichever call it comes by; what is small goes on.
  EXPECT_EQ(Get("big"), "RESOURCE_EXHAUSTED");
  Client range = Connect();
  range.Ask([](auto& client) { client.send_getRange(thrift_api::GetRangeRequest()); });
  thrift_api::GetRangeResponse pairs;
  range.TakeAnswer().recv_getRange(pairs);
  EXPECT_FALSE(pairs.success);
  EXPECT_NE(pairs.error.find("[limits] answer_bytes"), std::string::npos) << pairs.error;
  EXPECT_EQ(Get("small"), "OK");

  // Those that have their answer can still take it: they only were slow.
  int taken = 0;
  for (Client& client : deaf) {
    const std::string end = client.TakeGet();
    taken += end == "OK" ? 1 : 0;
    if (end != "OK") {
      EXPECT_EQ(end, "RESOURCE_EXHAUSTED");
    }
  }
  EXPECT_EQ(taken, 3);
  Await([&] { return Held() == 0; });
  EXPECT_EQ(Get("big"), "OK");
}

TEST_P(ThriftAnswersTest, WhatIsGivenBackNeedsRoomBeforeItIsDone) {
  Serve(Each() + kMiB);
  Client deaf = Connect();
  deaf.AskGet("big");
  Await([&] { return Held() == Each(); });

  Client stamp = Connect();
  thrift_api::SetVersionstampedValueRequest request;
  request.key = "stamped";
  request.value_prefix = std::string(2 * kMiB, '\0');
  stamp.Ask([&](auto& client) { client.send_setVersionstampedValue(request); });
  thrift_api::SetVersionstampedValueResponse stamped;
  stamp.TakeAnswer().recv_setVersionstampedValue(stamped);
  EXPECT_FALSE(stamped.success);
  EXPECT_EQ(stamped.error_code, "RESOURCE_EXHAUSTED");
  const auto left = node_.service().Execute(Wire::kThrift, {}, kv::Get{"stamped", ""});
  ASSERT_TRUE(left.ok());
  EXPECT_FALSE(std::get<kv::GetResult>(*left).found) << "it was refused, and done all the same";

  Client ping = Connect();
  thrift_api::PingRequest long_ping;
  long_ping.__set_message(std::string(2 * kMiB, 'p'));
  ping.Ask([&](auto& client) { client.send_ping(long_ping); });
  thrift_api::PingResponse pong;
  EXPECT_THROW(ping.TakeAnswer().recv_ping(pong), apache::thrift::TApplicationException);
  EXPECT_EQ(deaf.TakeGet(), "OK");
}

TEST_P(ThriftAnswersTest, AnAnswerThatIsNotTakenForTooLongGivesWayToOthers) {
  options_.message_timeout = std::chrono::seconds(1);
  Serve(Each() + kMiB);
  Client slow = Connect();
  slow.AskGet("big");
  Await([&] { return Held() == Each(); });
  // It takes something all the time, as fast as every client must: by that it would have minutes.
  MonotonicTime next = clock_.Now();
  Await([&] {
    if (clock_.Now() >= next) {
      slow.Sip(32 << 10);
      next = clock_.Now() + std::chrono::milliseconds(100);
    }
    return Get("big") == "OK";
  });
  EXPECT_EQ(slow.TakeGet(), "cut");
}

TEST_P(ThriftAnswersTest, OneAnswerAlwaysFits) {
  Serve(kMiB);
  EXPECT_EQ(Get("big"), "OK");
  Await([&] { return Held() == 0; });
}

INSTANTIATE_TEST_SUITE_P(Formats, ThriftAnswersTest,
                         ::testing::Values(WireFormat::kUnframedBinary, WireFormat::kFramedBinary),
                         [](const auto& format) {
                           return IsFramed(format.param) ? "Framed" : "Unframed";
                         });

}  // namespace
}  // namespace cairn::server
