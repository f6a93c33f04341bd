#include "src/dram/ucx/engine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/base/sanitizers.h"
#include "src/dram/ucx/door.h"

namespace cairn::dram::ucx {
namespace {

constexpr std::chrono::seconds kPatience{20};

std::unique_ptr<Engine> MakeEngine() {
  auto context = Context::Create(NetworkConfig("tcp"));
  EXPECT_TRUE(context.ok()) << context.status().ToString();
  auto engine = Engine::Create(*context, false);
  EXPECT_TRUE(engine.ok()) << engine.status().ToString();
  return std::move(*engine);
}

// Passes a time without sleeping; callers vary it, so that what follows meets the engine at every
// step of its way to sleep.
void Wander(std::chrono::nanoseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

bool Reaches(const std::atomic<unsigned>& counter, unsigned value) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (counter.load() < value) {
    if (std::chrono::steady_clock::now() > until) return false;
  }
  return true;
}

// An engine without timers, endpoints or doors has nothing that would wake it by chance: a wake-up
// that is lost shows as a task that never runs. It is on its way to sleep for about a microsecond
// after the task before, so the next one comes at every moment of the first three.
TEST(EngineTest, NoPostIsLostOnTheWayToSleep) {
  const auto engine = MakeEngine();
  const unsigned rounds = kSanitized ? 10'000 : 100'000;
  std::atomic<unsigned> ran{0};
  for (unsigned i = 1; i <= rounds; ++i) {
    Wander(std::chrono::nanoseconds(i * 7 % 3000));
    engine->Post([&ran, i] { ran.store(i); });
    if (Reaches(ran, i)) continue;
    ADD_FAILURE() << "post " << i << " is lost";
    break;
  }
}

// The same while a caller drives: it is woken by posts, and by Nudge when its wait is over.
TEST(EngineTest, NoNudgeIsLostWhileACallerDrives) {
  const auto engine = MakeEngine();
  const unsigned rounds = kSanitized ? 1000 : 5000;
  std::atomic<unsigned> done{0};
  std::atomic<unsigned> passed{0};
  std::thread caller([&] {
    for (unsigned i = 1; i <= rounds; ++i) {
      // Help may return early, when the thread drives.
      while (done.load() < i) {
        engine->Help([&] { return done.load() >= i; });
        std::this_thread::yield();
      }
      passed.store(i);
    }
  });
  bool all = true;
  for (unsigned i = 1; all && i <= rounds; ++i) {
    Wander(std::chrono::nanoseconds(i * 131 % 40'000));
    if (i % 2 == 0) {
      engine->Post([&done, i] { done.store(i); });
    } else {
      done.store(i);
      engine->Nudge();
    }
    all = Reaches(passed, i);
    EXPECT_TRUE(all) << (i % 2 == 0 ? "post " : "nudge ") << i;
  }
  // Gets a caller out that was forgotten.
  done.store(rounds);
  engine->Post([] {});
  caller.join();
}

// Descriptors, unlike posts, have only the epoll to wake the engine.
TEST(EngineTest, NoDescriptorIsOverlooked) {
  const auto engine = MakeEngine();
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ASSERT_GE(fd, 0);
  std::promise<void>* rung = nullptr;
  engine->RunAndWait([&] {
    ASSERT_TRUE(engine
                    ->AddFd(fd, EPOLLIN,
                            [&](std::uint32_t) {
                              std::uint64_t count = 0;
                              (void)!::read(fd, &count, sizeof(count));
                              rung->set_value();
                            })
                    .ok());
  });
  const unsigned rounds = kSanitized ? 1000 : 5000;
  for (unsigned i = 0; i < rounds; ++i) {
    std::promise<void> heard;
    std::future<void> future = heard.get_future();
    rung = &heard;
    Wander(std::chrono::nanoseconds(i * 131 % 40'000));
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(fd, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
    ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready) << "ring " << i;
  }
  engine->RunAndWait([&] { engine->RemoveFd(fd); });
  ::close(fd);
}

class ClosedDoor final : public DoorUser {
 public:
  void OnDoorMessage(std::string_view) override {}
  void OnDoorClosed(const Status& why) override { closed.set_value(why); }
  std::promise<Status> closed;
};

// The kernel watches no regular file, which stands here for its other refusals (ENOSPC, ENOMEM).
TEST(EngineTest, ADescriptorThatCantBeWatchedIsAnErrorOfItsOwn) {
  const auto engine = MakeEngine();
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  engine->RunAndWait([&] {
    const Status status = engine->AddFd(file, EPOLLIN, [](std::uint32_t) {});
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_NE(status.message().find("can't be waited for"), std::string::npos) << status.message();
    engine->RemoveFd(file);
  });
  // A door over it closes, not inside its making; the engine goes on.
  ClosedDoor user;
  std::future<Status> closed = user.closed.get_future();
  std::unique_ptr<Door> door;
  engine->RunAndWait([&] {
    door = std::make_unique<Door>(engine.get(), file, &user);
    EXPECT_EQ(closed.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  });
  ASSERT_EQ(closed.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(closed.get().code(), StatusCode::kUnavailable);
  engine->RunAndWait([&] { door.reset(); });
}

// A descriptor that was taken out of the epoll behind the engine's back stands for the refusals.
TEST(EngineTest, ADescriptorWhoseEventsCantChangeIsAnErrorOfItsOwn) {
  const auto engine = MakeEngine();
  int sockets[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), 0);
  ClosedDoor user;
  std::future<Status> closed = user.closed.get_future();
  std::unique_ptr<Door> door;
  engine->RunAndWait([&] {
    EXPECT_EQ(engine->ModifyFd(sockets[0], EPOLLIN).code(), StatusCode::kUnavailable);
    door = std::make_unique<Door>(engine.get(), sockets[0], &user);
    door->Send("x");
  });
  // Here it has been sent, and the door waits for input alone.
  pollfd readable{sockets[1], POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 20'000), 1);
  engine->RunAndWait([&] {
    EXPECT_EQ(::epoll_ctl(engine->worker().epoll_fd(), EPOLL_CTL_DEL, sockets[0], nullptr), 0);
    // Until the socket is full, and the door wants to know when it is not.
    const std::string words(4096, 'x');
    for (int i = 0; i < 1000; ++i) door->Send(words);
    EXPECT_EQ(closed.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  });
  ASSERT_EQ(closed.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(closed.get().code(), StatusCode::kUnavailable);
  engine->RunAndWait([&] { door.reset(); });
  ::close(sockets[1]);
}

}  // namespace
}  // namespace cairn::dram::ucx
