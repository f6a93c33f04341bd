// The pace that a client must keep, over a pair of sockets and a clock that the test moves.
#include "src/server/thrift/socket_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thrift/transport/TTransportException.h>

#include <array>
#include <string>

#include "src/server/listener.h"
#include "src/server/thrift/message_transport.h"

namespace cairn::server {
namespace {

using apache::thrift::transport::TTransportException;
using std::chrono::seconds;

class ManualClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return now; }
  [[nodiscard]] WallTime Wall() const override { return {0}; }
  MonotonicTime now{0};
};

class PaceTest : public testing::Test {
 protected:
  static constexpr std::size_t kMessage = 8;

  PaceTest() {
    std::array<int, 2> fds{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    server_ = OwnedFd(fds[0]);
    client_ = OwnedFd(fds[1]);
    limits_.message = seconds(30);
  }
  void Send(std::size_t bytes) {
    const std::string data(bytes, 'x');
    ASSERT_EQ(send(client_.get(), data.data(), bytes, 0), static_cast<ssize_t>(bytes));
  }

  OwnedFd server_;
  OwnedFd client_;
  SocketLimits limits_;
  ManualClock clock_;
};

// Each piece that arrives holds the end of one message and the beginning of the next, as from a
// client that pipelines without a pause.
TEST_F(PaceTest, PipelinedMessagesHaveTheirTimeEach) {
  SocketStream stream(server_.get(), limits_, &clock_);
  MessageTransport transport(&stream, {});
  Send(kMessage / 2);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(transport.AwaitMessage());
    transport.BeginMessage(/*framed=*/false);
    Send(kMessage);
    std::string message;
    ASSERT_NO_THROW(transport.ReadString(&message, kMessage)) << "message " << i;
    transport.EndMessage();
    clock_.now = clock_.now + seconds(1);
  }
}

TEST_F(PaceTest, AMessageThatTakesTooLongIsRefused) {
  SocketStream stream(server_.get(), limits_, &clock_);
  MessageTransport transport(&stream, {});
  Send(kMessage / 2);
  ASSERT_TRUE(transport.AwaitMessage());
  transport.BeginMessage(/*framed=*/false);
  std::array<std::uint8_t, kMessage> message{};
  transport.readAll(message.data(), kMessage / 2);
  Send(1);
  transport.readAll(message.data(), 1);
  clock_.now = clock_.now + seconds(31);
  Send(1);
  EXPECT_THROW(transport.readAll(message.data(), 1), TTransportException);
}

}  // namespace
}  // namespace cairn::server
