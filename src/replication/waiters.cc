#include "src/replication/waiters.h"

#include <utility>

#include "src/base/check.h"
#include "src/base/planted_bug.h"

namespace cairn::replication {
namespace {

// `why`: what keeps the node from it, behind the words; may be empty.
Status DeadlinePassed(bool in_log, const std::string& why) {
  if (!in_log || Planted(PlantedBug::kTimeoutDeniesWrite)) {
    return TimeoutError("the deadline passed before the request was started" + why);
  }
  return TimeoutError(
             "the deadline passed before the answer was known; the write may or may not be "
             "applied" +
             why)
      .WithMaybeApplied();
}

}  // namespace

Waiters::Id Waiters::AddWrite(MonotonicTime deadline, std::uint64_t bytes, const Bounds& bounds,
                              WriteCallback&& done, SerialExecutor* caller) {
  MutexLock lock(&mutex_);
  if (closed_ || writes_.size() >= bounds.count) return 0;
  if (write_bytes_ != 0 && write_bytes_ + bytes > bounds.bytes) return 0;
  const Id id = next_++;
  write_bytes_ += bytes;
  writes_.emplace_hint(writes_.end(), id, Write{deadline, bytes, false, caller, std::move(done)});
  return id;
}

bool Waiters::PostToCaller(Id id, Task& task) {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  if (it == writes_.end() || !it->second.done || it->second.caller == nullptr) return false;
  // With the lock: it is not answered meanwhile, so its caller is there.
  std::exchange(it->second.caller, nullptr)->Post(std::move(task));
  return true;
}

bool Waiters::EnterLog(Id id) {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  if (it == writes_.end()) return false;
  if (!it->second.done) {
    Take(it);
    return false;
  }
  it->second.in_log = true;
  return true;
}

void Waiters::LeaveLog(Id id) {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  if (it != writes_.end()) it->second.in_log = false;
}

bool Waiters::Forget(Id id) {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  if (it == writes_.end()) return true;
  if (it->second.done || it->second.in_log) return false;
  Take(it);
  return true;
}

bool Waiters::WritePending(Id id) const {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  return it != writes_.end() && it->second.done;
}

void Waiters::Release(Id id) {
  MutexLock lock(&mutex_);
  const auto it = writes_.find(id);
  if (it != writes_.end() && !it->second.done) Take(it);
}

bool Waiters::Waits(Id id) const {
  MutexLock lock(&mutex_);
  return reads_.contains(id);
}

WriteCallback Waiters::Take(WriteMap::iterator it) {
  WriteCallback done = std::exchange(it->second.done, nullptr);
  if (!done) --given_up_;
  write_bytes_ -= it->second.bytes;
  writes_.erase(it);
  return done;
}

void Waiters::AnswerWrite(Id id, Result<kv::WriteResult> result) {
  WriteCallback done;
  {
    MutexLock lock(&mutex_);
    const auto it = writes_.find(id);
    if (it == writes_.end()) return;
    done = Take(it);
  }
  if (done) done(std::move(result));
}

void Waiters::AnswerWrites(const std::vector<Id>& ids, std::vector<ApplyOutcome>& outcomes) {
  if (ids.empty()) return;
  CAIRN_CHECK(ids.size() == outcomes.size());
  std::vector<WriteCallback> callbacks(ids.size());
  {
    MutexLock lock(&mutex_);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto it = writes_.find(ids[i]);
      if (it != writes_.end()) callbacks[i] = Take(it);
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!callbacks[i]) continue;
    ApplyOutcome& outcome = outcomes[i];
    if (outcome.status.ok()) {
      callbacks[i](std::move(outcome.result));
    } else {
      callbacks[i](std::move(outcome.status));
    }
  }
}

void Waiters::FailWrites(const std::vector<Id>& ids, const Status& status) {
  for (const Id id : ids) AnswerWrite(id, status);
}

Waiters::Id Waiters::AddBarrier(MonotonicTime deadline, StatusCallback&& done) {
  Status refused;
  {
    MutexLock lock(&mutex_);
    if (!closed_) {
      const Id id = next_++;
      reads_.emplace_hint(reads_.end(), id, Read{deadline, std::move(done)});
      return id;
    }
    refused = closed_with_;
  }
  done(std::move(refused));
  return 0;
}

void Waiters::AnswerBarrier(Id id, Status status) {
  StatusCallback done;
  {
    MutexLock lock(&mutex_);
    const auto it = reads_.find(id);
    if (it == reads_.end()) return;
    done = std::move(it->second.done);
    reads_.erase(it);
  }
  done(std::move(status));
}

void Waiters::BindToSlot(Id id, Slot slot) {
  {
    MutexLock lock(&mutex_);
    if (slot > applied_slot_ && !Planted(PlantedBug::kReadBeforeApplied)) {
      by_slot_.emplace(slot, id);
      return;
    }
  }
  AnswerBarrier(id, Status::Ok());
}

bool Waiters::AddVersion(Version version, MonotonicTime deadline, StatusCallback&& done) {
  Status answer;
  {
    MutexLock lock(&mutex_);
    if (closed_) {
      answer = closed_with_;
    } else if (version > applied_version_) {
      const Id id = next_++;
      reads_.emplace_hint(reads_.end(), id, Read{deadline, std::move(done)});
      by_version_.emplace(version, id);
      return true;
    }
  }
  done(std::move(answer));
  return false;
}

void Waiters::Applied(Slot slot, Version version) {
  std::vector<StatusCallback> ready;
  {
    MutexLock lock(&mutex_);
    applied_slot_ = slot;
    applied_version_ = version;
    const auto take = [&](auto& waiting, auto bound) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      while (!waiting.empty() && waiting.begin()->first <= bound) {
        const auto it = reads_.find(waiting.begin()->second);
        if (it != reads_.end()) {
          ready.push_back(std::move(it->second.done));
          reads_.erase(it);
        }
        waiting.erase(waiting.begin());
      }
    };
    take(by_slot_, slot);
    take(by_version_, version);
  }
  for (StatusCallback& done : ready) done(Status::Ok());
}

bool Waiters::Expire(MonotonicTime now, const std::string& why) {
  std::vector<std::pair<WriteCallback, bool>> writes;
  std::vector<StatusCallback> reads;
  bool left = false;
  {
    MutexLock lock(&mutex_);
    for (auto& [id, write] : writes_) {
      if (!write.done || write.deadline > now) continue;
      if (write.in_log && Planted(PlantedBug::kTimeoutForgotten)) continue;
      writes.emplace_back(std::exchange(write.done, nullptr), write.in_log);
      ++given_up_;
    }
    for (auto it = reads_.begin(); it != reads_.end();) {
      if (it->second.deadline <= now) {
        reads.push_back(std::move(it->second.done));
        it = reads_.erase(it);
      } else {
        ++it;
      }
    }
    left = writes_.size() > given_up_ || !reads_.empty();
    // Numbers of answered readers are skipped where they stand; without readers none is needed.
    if (reads_.empty()) {
      by_slot_.clear();
      by_version_.clear();
    }
  }
  for (auto& [done, in_log] : writes) done(DeadlinePassed(in_log, why));
  for (StatusCallback& done : reads) {
    done(TimeoutError("the deadline passed before this node could serve the read" + why));
  }
  return left;
}

void Waiters::Close(const Status& status) {
  WriteMap writes;
  absl::btree_map<Id, Read> reads;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    closed_with_ = status;
    writes.swap(writes_);
    given_up_ = 0;
    write_bytes_ = 0;
    reads.swap(reads_);
    by_slot_.clear();
    by_version_.clear();
  }
  for (auto& [id, write] : writes) {
    if (write.done) write.done(write.in_log ? Status(status).WithMaybeApplied() : status);
  }
  for (auto& [id, read] : reads) read.done(status);
}

std::uint64_t Waiters::outstanding_writes() const {
  MutexLock lock(&mutex_);
  return writes_.size() - given_up_;
}

bool Waiters::empty() const {
  MutexLock lock(&mutex_);
  return writes_.size() == given_up_ && reads_.empty();
}

}  // namespace cairn::replication
