// The pace that a client must keep, over a pair of sockets and a clock that the test moves.
#include "src/server/thrift/socket_stream.h"

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thrift/transport/TTransportException.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

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
  std::atomic<MonotonicTime> now{MonotonicTime{0}};
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
    ASSERT_EQ(send(client_.get(), data.data(), bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes));
  }
  void Pass(Duration time) { clock_.now = clock_.now.load() + time; }
  // Until the server has taken all that was sent.
  void AwaitTaken() {
    int unread = 1;
    while (unread != 0) {
      ASSERT_EQ(ioctl(client_.get(), SIOCOUTQ, &unread), 0);
      std::this_thread::yield();
    }
  }
  // A thread that lingers, and closes then.
  std::thread Lingering() {
    return std::thread([this] {
      SocketStream(server_.get(), limits_, &clock_).Linger();
      server_.Close();
    });
  }
  // Whether the server has closed its side: it takes nothing any more.
  bool Closed() { return send(client_.get(), "x", 1, MSG_NOSIGNAL) < 0; }

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
    Pass(seconds(1));
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
  Pass(seconds(31));
  Send(1);
  EXPECT_THROW(transport.readAll(message.data(), 1), TTransportException);
}

// A client that sends what nobody wants is not told so by a reset, however long it takes.
TEST_F(PaceTest, LingersForAsLongAsAMessageMayTake) {
  std::thread lingering = Lingering();
  for (int i = 0; i < 5; ++i) {
    Send(1);
    AwaitTaken();
    Pass(seconds(5));
  }
  Pass(seconds(5));
  while (!Closed()) std::this_thread::yield();
  lingering.join();
}

TEST_F(PaceTest, LingersForSoManyBytes) {
  std::thread lingering = Lingering();
  const std::string piece(1 << 20, 'x');
  std::int64_t sent = 0;
  for (ssize_t got = 0; got >= 0 && sent < 2 * SocketStream::kLongestDropped; sent += got) {
    got = send(client_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
  }
  EXPECT_TRUE(Closed());
  client_.Close();
  lingering.join();
  EXPECT_GE(sent, SocketStream::kLongestDropped);
}

TEST_F(PaceTest, DoesNotLingerForOneThatIsSilent) {
  Send(1);
  Lingering().join();  // by the machine's clock; the test's stands still
  EXPECT_TRUE(Closed());
}

}  // namespace
}  // namespace cairn::server
