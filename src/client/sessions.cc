#include "src/client/sessions.h"

#include <algorithm>
#include <utility>

namespace cairn::client {
namespace {

// What may be over after a while.
bool IsTransient(StatusCode code) {
  return code == StatusCode::kUnavailable || code == StatusCode::kTimeout ||
         code == StatusCode::kNotLeader || code == StatusCode::kResourceExhausted;
}

}  // namespace

Sessions::Sessions(Open open, std::function<void(SessionId)> close, std::size_t window)
    : open_(std::move(open)), close_(std::move(close)), window_(window) {}

std::optional<Lease> Sessions::LeaseFromCurrent() {
  if (current_ == SessionId()) return std::nullopt;
  Session& session = sessions_[current_];
  if (session.returned.size() >= window_) {
    current_ = SessionId();  // its leases bring it to its end, see Return
    return std::nullopt;
  }
  session.returned.push_back(false);
  return Lease{current_, session.first + session.returned.size() - 1};
}

std::optional<Lease> Sessions::TryLease() {
  MutexLock lock(&mutex_);
  return LeaseFromCurrent();
}

void Sessions::AwaitLease(MonotonicTime until, Leased done) {
  std::optional<Lease> lease;
  bool open = false;
  {
    MutexLock lock(&mutex_);
    lease = LeaseFromCurrent();
    if (!lease) {
      open = !std::exchange(opening_, true);
      waiting_.push_back({until, std::exchange(done, nullptr)});
    }
  }
  if (lease) {
    done(*lease);
  } else if (open) {
    open_(until, [this, until](Result<SessionId> opened) { OnOpened(until, std::move(opened)); });
  }
}

void Sessions::OnOpened(MonotonicTime until, Result<SessionId> opened) {
  std::vector<Waiting> waiting;
  {
    MutexLock lock(&mutex_);
    opening_ = false;
    waiting.swap(waiting_);
    if (opened.ok()) {
      current_ = *opened;
      sessions_.try_emplace(current_);
    }
  }
  const bool pointless = !opened.ok() && !IsTransient(opened.status().code());
  // Whoever has time left waits on; the one with most of it says for how long, so that one more
  // opening does for all.
  if (!opened.ok()) {
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Waiting& a, const Waiting& b) { return a.until > b.until; });
  }
  for (Waiting& one : waiting) {
    if (opened.ok() || (!pointless && one.until > until)) {
      // Opens another one if more wait than have room.
      AwaitLease(one.until, std::move(one.done));
    } else {
      one.done(opened.status());
    }
  }
}

std::uint64_t Sessions::FirstOutstanding(const Lease& lease) const {
  MutexLock lock(&mutex_);
  const auto it = sessions_.find(lease.session);
  return it == sessions_.end() ? lease.sequence : it->second.first;
}

void Sessions::Return(const Lease& lease) {
  {
    MutexLock lock(&mutex_);
    const auto it = sessions_.find(lease.session);
    if (it == sessions_.end()) return;
    Session& session = it->second;
    session.returned[lease.sequence - session.first] = true;
    while (!session.returned.empty() && session.returned.front()) {
      session.returned.pop_front();
      ++session.first;
    }
    if (lease.session == current_ || !session.returned.empty()) return;
    sessions_.erase(it);
  }
  close_(lease.session);
}

void Sessions::Forget(SessionId session) {
  MutexLock lock(&mutex_);
  sessions_.erase(session);
  if (current_ == session) current_ = SessionId();
}

std::vector<SessionId> Sessions::TakeAll() {
  MutexLock lock(&mutex_);
  std::vector<SessionId> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  sessions_.clear();
  current_ = SessionId();
  return ids;
}

}  // namespace cairn::client
