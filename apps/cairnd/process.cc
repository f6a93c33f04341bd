#include "apps/cairnd/process.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "src/base/abseil/lock_checks.h"
#include "src/base/log.h"

namespace cairn::node {
namespace {

sigset_t TerminationSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

[[noreturn]] void EndAtOnce(const char* why, int code) {
  FlushLogging();
  std::fprintf(stderr, "cairnd: %s\n", why);
  _exit(code);
}

}  // namespace

TerminationSignal::TerminationSignal(std::chrono::seconds bound)
    : state_(std::make_shared<State>()) {
  const sigset_t set = TerminationSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread(&TerminationSignal::Watch, state_, bound).detach();
}

void TerminationSignal::Watch(const std::shared_ptr<State>& state, std::chrono::seconds bound) {
  const sigset_t set = TerminationSet();
  int first = 0;
  while (sigwait(&set, &first) != 0) {
  }
  {
    MutexLock lock(&state->mutex);
    if (!state->armed) EndAtOnce("stopped before it served", 0);
    state->signal = first;
    state->arrived.SignalAll();
  }
  const auto until = std::chrono::steady_clock::now() + bound;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::max(until - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0)));
    timespec wait{};
    wait.tv_sec = left.count() / 1000;
    wait.tv_nsec = left.count() % 1000 * 1'000'000;
    const int next = sigtimedwait(&set, nullptr, &wait);
    if (next == SIGTERM) {
      CAIRN_LOG(kInfo, "node: SIGTERM again; it is stopping already (SIGINT would end it at once)");
    } else if (next == SIGINT) {
      EndAtOnce("SIGINT while stopping, ended; the journal holds all acknowledged writes", 1);
    } else if (errno == EAGAIN) {
      EndAtOnce("stopping took too long, ended; the journal holds all acknowledged writes", 1);
    }
  }
}

void TerminationSignal::Arm() {
  MutexLock lock(&state_->mutex);
  state_->armed = true;
}

std::string TerminationSignal::Wait() {
  MutexLock lock(&state_->mutex);
  while (state_->signal == 0) state_->arrived.Wait(&state_->mutex);
  return state_->signal == SIGTERM ? "SIGTERM" : "SIGINT";
}

void NotifySupervisor(const std::string& state) {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(name);
  if (length >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, name, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  (void)sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address),
               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(fd);
}

void PrepareProcess() {
  SkipAbseilLockChecks();
  signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
}

}  // namespace cairn::node
