// RemoteDram over UCX when a process is stopped until its peer has given it up, and then goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/dram/library/child_test_util.h"

namespace cairn::dram {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a server finds of a client that does not come to itself: seven ticks of half a second.
constexpr milliseconds kSilence{3000};
// Beyond the silence, on a machine that has other things to do.
constexpr std::chrono::minutes kLong{1};

void AStoppedServerIsGivenUpAndWholeAgain(const Way& way) {
  const Child server(ServerSpec());
  const auto client = OpenClient(ClientSpec(server.address(), way));
  const std::string before = Bytes(kLarge, 1);
  const std::string during = Bytes(kLarge, 2);
  // Before the server's last answer.
  const auto spoke = steady_clock::now();
  ASSERT_TRUE(Put(*client, "large", before).ok());
  std::string lent = during;
  // Under way, or about to be.
  auto write = client->Write("large", Buffer::Borrow(lent), {{}, In(kLong)});
  server.Signal(SIGSTOP);
  const auto read = client->Read("large", {{}, {}, {}, In(kLong)}).Get();
  EXPECT_EQ(read.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(read.status().message(), testing::HasSubstr("gone silent"));
  EXPECT_GT(steady_clock::now() - spoke, kSilence);
  (void)write.Get();
  lent.assign(lent.size(), 'x');
  EXPECT_TRUE(Await([&] { return !client->Peers()[0].connected; }));
  EXPECT_FALSE(client->Peers()[0].last_error.ok());

  server.Signal(SIGCONT);
  ASSERT_TRUE(UntilWritten(*client, kLong).ok());
  EXPECT_TRUE(client->Peers()[0].connected);
  const std::string after = Value(*client, "large");
  EXPECT_TRUE(after == before || after == during);
  EXPECT_TRUE(server.Runs());
}

// A server in this process with one large value, a client that reads or writes it over and over,
// and values that take the room which the client had.
class Room {
 public:
  // Room for the value, for the same once more, and for half of it.
  explicit Room() : server_(Open(ServerSpec("127.0.0.1:0", kLarge * 5 / 2))) {
    EXPECT_TRUE(Put(*server_, "large", Bytes(kLarge, 2)).ok());
  }
  RemoteDram& server() { return *server_; }
  [[nodiscard]] std::uint64_t Of(const char* figure) const { return Figure(*server_, figure); }
  [[nodiscard]] std::string ClientOf(const Way& way) const {
    return ClientSpec(server_->listen_address(), way);
  }
  // Writes values until there is no room for another.
  void Fill() {
    for (int i = 0; i < 100; ++i) {
      if (!Put(*server_, "filler" + std::to_string(i), Filler(i)).ok()) break;
      ++fillers_;
    }
    // More than what was free beside a value that comes in.
    EXPECT_GT(fillers_, 4);
  }
  void ExpectAllWhole() {
    for (int i = 0; i < fillers_; ++i) {
      EXPECT_TRUE(Value(*server_, "filler" + std::to_string(i)) == Filler(i)) << i;
    }
    const std::string large = Value(*server_, "large");
    EXPECT_TRUE(large == Bytes(kLarge, 1) || large == Bytes(kLarge, 2));
  }

 private:
  static std::string Filler(int i) { return Bytes(kLarge / 8, static_cast<std::uint64_t>(i) + 10); }

  const std::unique_ptr<RemoteDram> server_;
  int fillers_ = 0;
};

// Stops `client` when something has `begun` for it in `room`, and waits until the server gives it
// up, which it does not do to one that nothing is owed to. `over`: it came to its end before the
// stop. False if that can't be had.
bool StopUnderWay(const Room& room, const Child& client, const std::function<bool()>& begun,
                  const std::function<bool()>& over) {
  const auto end = steady_clock::now() + kLong;
  while (steady_clock::now() < end) {
    // At once: it is soon over.
    while (!begun()) {
      if (steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    client.Signal(SIGSTOP);
    const auto limit = steady_clock::now() + kSilence + milliseconds(kSanitized ? 20'000 : 6'000);
    while (steady_clock::now() < limit && !over()) {
      if (room.Of("connections") == 0) return true;
      WaitFor(milliseconds(5));
    }
    client.Signal(SIGCONT);
  }
  return false;
}

// Others take all of the room while the writer is stopped. It comes back, writes again, and harms
// none.
void WakeUpToAFullRoom(Room& room, const Child& writer) {
  room.Fill();
  const std::uint64_t refused = room.Of("refused_for_room");
  writer.Signal(SIGCONT);
  EXPECT_TRUE(Await([&] { return room.Of("refused_for_room") > refused + 2; }));
  room.ExpectAllWhole();
  EXPECT_TRUE(writer.Runs());
}

void AStoppedWriterFindsItsRoomTaken(const Way& way) {
  Room room;
  const std::uint64_t used = room.Of("used_bytes");
  const Child writer(room.ClientOf(way), "writer");
  // A value that comes in has its room from its beginning on, beside the one that it replaces.
  const auto comes_in = [&] { return room.Of("used_bytes") > used; };
  ASSERT_TRUE(StopUnderWay(room, writer, comes_in,
                           [&] { return !comes_in() && room.Of("connections") != 0; }));
  ASSERT_TRUE(Await([&] { return room.Of("used_bytes") == used; }));
  WakeUpToAFullRoom(room, writer);
}

// Over shared memory the server fetches a value by itself, also from a process that is stopped.
void AStoppedWriterOfSharedMemoryHasWritten() {
  Room room;
  const std::uint64_t used = room.Of("used_bytes");
  const Child writer(room.ClientOf("SharedMemory"), "writer");
  ASSERT_TRUE(Await([&] { return room.Of("used_bytes") > used; }));
  writer.Signal(SIGSTOP);
  ASSERT_TRUE(Await([&] { return room.Of("used_bytes") == used; }));
  WakeUpToAFullRoom(room, writer);
}

void AStoppedReaderFindsItsValueGone(const Way& way) {
  Room room;
  const std::uint64_t used = room.Of("used_bytes");
  const Child reader(room.ClientOf(way), "reader");
  std::uint64_t before = room.Of("reads");
  ASSERT_TRUE(StopUnderWay(
      room, reader, [&] { return std::exchange(before, room.Of("reads")) != before; },
      [] { return false; }));
  // What it was reading goes, and others take the place.
  ASSERT_TRUE(Put(room.server(), "large", Bytes(kLarge, 1)).ok());
  ASSERT_TRUE(Await([&] { return room.Of("used_bytes") == used; }));
  room.Fill();
  reader.Signal(SIGCONT);
  // It reads on, and ends if it sees what nobody wrote.
  const std::uint64_t reads = room.Of("reads");
  EXPECT_TRUE(Await([&] { return room.Of("reads") > reads + 3 || !reader.Runs(); }));
  EXPECT_TRUE(reader.Runs());
  room.ExpectAllWhole();
}

// All at once, as each waits for seconds.
TEST(RemoteDramSilenceTest, StoppedPeersAreGivenUpAndCorruptNothing) {
  testing::internal::CaptureStderr();
  std::vector<std::thread> stories;
  for (const Way& way : kWays) {
    stories.emplace_back(AStoppedServerIsGivenUpAndWholeAgain, way);
    stories.emplace_back(AStoppedReaderFindsItsValueGone, way);
    if (way != "SharedMemory") stories.emplace_back(AStoppedWriterFindsItsRoomTaken, way);
  }
  stories.emplace_back(AStoppedWriterOfSharedMemoryHasWritten);
  for (auto& story : stories) story.join();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("gives up a client: the client has gone silent"));
}

}  // namespace
}  // namespace cairn::dram
