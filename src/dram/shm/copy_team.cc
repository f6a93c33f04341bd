#include "src/dram/shm/copy_team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

namespace cairn::dram::shm {
namespace {

// A helper that did less than a quarter came too late. Each such call counts, each other one takes
// one back; as many calls as two to the power of that are done without it.
constexpr std::size_t kShare = 4;
constexpr unsigned kMaxVain = 10;
// How often who waits for the helper's last part gives way before sleeping. A part is short.
constexpr int kYields = 64;

}  // namespace

struct CopyTeam::Work {
  const absl::FunctionRef<bool(std::size_t)> part;
  const std::size_t count;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
};

std::size_t CopyTeam::Do(Work* work) {
  std::size_t done = 0;
  while (!work->failed.load(std::memory_order_relaxed)) {
    const std::size_t number = work->next.fetch_add(1, std::memory_order_relaxed);
    if (number >= work->count) break;
    ++done;
    if (!work->part(number)) work->failed.store(true, std::memory_order_relaxed);
  }
  return done;
}

bool CopyTeam::Run(std::size_t count, absl::FunctionRef<bool(std::size_t)> part) {
  Work work{part, count};
  if (count < 2 || alone_) {
    Do(&work);
  } else if (pause_ > 0) {
    --pause_;
    Do(&work);
  } else if (Begin()) {
    RunTogether(&work);
  } else {
    alone_ = true;
    Do(&work);
  }
  return !work.failed.load();
}

void CopyTeam::RunTogether(Work* work) {
  {
    MutexLock lock(&mutex_);
    work_ = work;
  }
  asked_.Signal();
  Do(work);
  {
    MutexLock lock(&mutex_);
    work_ = nullptr;
  }
  for (int i = 0; i < kYields && helping_.load(std::memory_order_acquire); ++i) ::sched_yield();
  MutexLock lock(&mutex_);
  while (helping_.load()) ended_.Wait(&mutex_);
  const std::size_t helped = helped_.load();
  if ((helped - helped_before_) * kShare < work->count) {
    vain_ = std::min(vain_ + 1, kMaxVain);
    pause_ = 1U << vain_;
  } else if (vain_ > 0) {
    --vain_;
  }
  helped_before_ = helped;
}

bool CopyTeam::Begin() {
  if (helper_.joinable()) return true;
  if (std::thread::hardware_concurrency() < 2) return false;
  // The process's signals are not for this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    helper_ = std::thread([this] { Help(); });
  } catch (const std::system_error&) {
    // No room for another thread: it goes without.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return helper_.joinable();
}

void CopyTeam::Help() {
  pthread_setname_np(pthread_self(), "dram-copy");
  // When it is woken it runs on a processor that is free, and drives nobody from one that is not.
  const sched_param none{};
  (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
  MutexLock lock(&mutex_);
  while (true) {
    while (work_ == nullptr && !stopping_) asked_.Wait(&mutex_);
    if (stopping_) return;
    Work* const work = work_;
    work_ = nullptr;
    helping_.store(true);
    mutex_.Unlock();
    helped_.fetch_add(Do(work));
    mutex_.Lock();
    helping_.store(false);
    ended_.Signal();
  }
}

CopyTeam::~CopyTeam() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  asked_.Signal();
  if (helper_.joinable()) helper_.join();
}

}  // namespace cairn::dram::shm
