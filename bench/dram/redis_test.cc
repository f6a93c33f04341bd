// Redis's protocol, and the loop that speaks it, against a server that answers as it is told.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>

#include "bench/dram/drivers.h"
#include "bench/dram/redis_loop.h"
#include "bench/dram/resp.h"

namespace cairn::bench {
namespace {

using ::testing::HasSubstr;

TEST(Resp, ACommandIsItsWords) {
  std::string out;
  AppendCommand({"SET", "key", ""}, &out);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n");
}

TEST(Resp, ARepliesEndIsWaitedFor) {
  for (const std::string whole :
       {"+OK\r\n", "-ERR no\r\n", "$4\r\na\r\nb\r\n", "$0\r\n\r\n", "$-1\r\n"}) {
    RespReply reply;
    for (std::size_t some = 0; some < whole.size(); ++some) {
      const auto read = ReadReply(std::string_view(whole).substr(0, some), &reply);
      ASSERT_TRUE(read.ok()) << whole;
      EXPECT_EQ(*read, 0u) << whole << some;
    }
    EXPECT_EQ(*ReadReply(whole + "+more", &reply), whole.size()) << whole;
  }
}

TEST(Resp, RepliesAreToldApart) {
  RespReply reply;
  EXPECT_EQ(*ReadReply("+OK\r\n", &reply), 5u);
  EXPECT_EQ(reply.kind, RespReply::Kind::kLine);
  EXPECT_EQ(reply.text, "OK");
  EXPECT_EQ(*ReadReply("-ERR no\r\n", &reply), 9u);
  EXPECT_EQ(reply.kind, RespReply::Kind::kError);
  EXPECT_EQ(*ReadReply("$4\r\na\r\nb\r\n", &reply), 10u);
  EXPECT_EQ(reply.kind, RespReply::Kind::kValue);
  EXPECT_EQ(reply.text, "a\r\nb");
  EXPECT_EQ(*ReadReply("$-1\r\n", &reply), 5u);
  EXPECT_EQ(reply.kind, RespReply::Kind::kNoValue);
}

TEST(Resp, WhatIsNoReplyIsRefused) {
  RespReply reply;
  for (const std::string bad : {"\r\n", "hello\r\n", "$x\r\n", "$\r\n", "$-2\r\n", "$1x\r\na\r\n",
                                "$1\r\nabc\r\n", "$99999999999\r\n", "*1\r\n$1\r\na\r\n"}) {
    EXPECT_FALSE(ReadReply(bad, &reply).ok()) << bad;
  }
  EXPECT_FALSE(ReadReply(std::string(20'000, '+'), &reply).ok());
}

// Accepts one connection, waits for so many bytes, and answers with the pieces, one after the
// other.
class Scripted {
 public:
  Scripted(std::size_t bytes, std::vector<std::string> pieces) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listening_, generic, size), 0);
    EXPECT_EQ(::listen(listening_, 1), 0);
    EXPECT_EQ(::getsockname(listening_, generic, &size), 0);
    peer_.endpoint = {"127.0.0.1", ntohs(address.sin_port)};
    thread_ = std::thread([this, bytes, pieces = std::move(pieces)] {
      const int fd = ::accept(listening_, nullptr, nullptr);
      std::string got(bytes, '\0');
      EXPECT_EQ(::recv(fd, got.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
      for (const std::string& piece : pieces) {
        EXPECT_EQ(::send(fd, piece.data(), piece.size(), 0), static_cast<ssize_t>(piece.size()));
      }
      got_ = std::move(got);
      ::close(fd);
    });
  }
  ~Scripted() {
    if (thread_.joinable()) thread_.join();
    ::close(listening_);
  }
  [[nodiscard]] const SocketPeer& peer() const { return peer_; }
  // What it was sent; once it has answered.
  const std::string& got() {
    thread_.join();
    return got_;
  }

 private:
  int listening_ = -1;
  SocketPeer peer_;
  std::string got_;
  std::thread thread_;
};

std::string Bytes(std::initializer_list<std::string_view> words) {
  std::string bytes;
  AppendCommand(words, &bytes);
  return bytes;
}

TEST(RedisDriver, ManyCallsShareAConnectionAndAreAnsweredInOrder) {
  const std::string asked = Bytes({"SET", "a", "1"}) + Bytes({"GET", "a"}) + Bytes({"GET", "b"}) +
                            Bytes({"SET", "c", "3"});
  Scripted redis(asked.size(), {"+OK\r", "\n$1\r\n1", "\r\n$-1\r\n-OOM too much\r\n"});
  const auto driver = MakeRedisDriver(redis.peer(), 1);
  const std::string one = "1";
  const std::string three = "3";
  std::string value;
  const auto first = *driver->ConnectAsync();
  const auto second = *driver->ConnectAsync();
  std::vector<std::promise<Status>> ended(4);
  const auto end = [&](std::size_t i) {
    return [&, i](Status status) { ended[i].set_value(status); };
  };
  first->Set("a", one, end(0));
  second->Get("a", &value, end(1));
  first->Get("b", &value, end(2));
  second->Set("c", three, end(3));
  EXPECT_TRUE(ended[0].get_future().get().ok());
  EXPECT_TRUE(ended[1].get_future().get().ok());
  EXPECT_EQ(ended[2].get_future().get().code(), StatusCode::kNotFound);
  EXPECT_THAT(ended[3].get_future().get().message(), HasSubstr("OOM too much"));
  EXPECT_EQ(value, "1");
  EXPECT_EQ(redis.got(), asked);
}

TEST(RedisDriver, AServerThatHangsUpFailsWhatWaitsAndWhatComes) {
  const std::string asked = Bytes({"GET", "a"});
  Scripted redis(asked.size(), {});
  const auto driver = MakeRedisDriver(redis.peer(), 1);
  const auto connection = *driver->ConnectAsync();
  std::string value;
  for (int i = 0; i < 2; ++i) {
    std::promise<Status> ended;
    connection->Get("a", &value, [&](Status status) { ended.set_value(std::move(status)); });
    EXPECT_EQ(ended.get_future().get().code(), StatusCode::kUnavailable) << i;
  }
}

}  // namespace
}  // namespace cairn::bench
