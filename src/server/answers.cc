#include "src/server/answers.h"

namespace cairn::server {

Status AnswerTable::Add(AnswerHolder* holder, std::size_t bytes, MonotonicTime now) {
  MutexLock lock(&mutex_);
  if (bytes_ != 0 && bytes_ + bytes > most_) {
    return ResourceExhaustedError(
        "answers of " + std::to_string(bytes_) +
        " bytes wait for clients that do not take them, and the node holds at most " +
        std::to_string(most_) + " ([limits] answer_bytes); try again, " + advice_);
  }
  bytes_ += bytes;
  held_.emplace(holder, Held{bytes, now});
  return Status::Ok();
}

void AnswerTable::Remove(AnswerHolder* holder) {
  MutexLock lock(&mutex_);
  const auto it = held_.find(holder);
  if (it == held_.end()) return;
  bytes_ -= it->second.bytes;
  held_.erase(it);
}

void AnswerTable::EndStalled(MonotonicTime then) {
  MutexLock lock(&mutex_);
  if (bytes_ <= most_ / 2) return;
  for (const auto& [holder, held] : held_) {
    if (held.since <= then) holder->Cut();
  }
}

std::uint64_t AnswerTable::bytes() const {
  MutexLock lock(&mutex_);
  return bytes_;
}

}  // namespace cairn::server
