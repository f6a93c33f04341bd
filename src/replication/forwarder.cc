#include "src/replication/forwarder.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/planted_bug.h"

namespace cairn::replication {
namespace {

constexpr Duration kAfterRefusal = std::chrono::milliseconds(50);
// An answer that is known comes this much before the deadline at the latest.
constexpr Duration kAnswerBeforeDeadline = std::chrono::milliseconds(50);
constexpr Duration kOpenSessionBound = std::chrono::seconds(10);

// A node that is not the leader (any more), or is handing over: the next leader may take it.
bool IsForTheNextLeader(StatusCode code) {
  return code == StatusCode::kNotLeader || code == StatusCode::kUnavailable ||
         code == StatusCode::kTimeout;
}

// The leader, not the state machine, said no.
bool IsRefusal(StatusCode code) {
  return code == StatusCode::kResourceExhausted || code == StatusCode::kUnimplemented ||
         code == StatusCode::kCorruption || code == StatusCode::kInvalidArgument ||
         code == StatusCode::kInvalidOperation;
}

}  // namespace

bool IsRefusalByNode(StatusCode code) { return IsForTheNextLeader(code) || IsRefusal(code); }

void Forwarder::Add(Waiters::Id waiter, kv::Command command, MonotonicTime deadline,
                    MonotonicTime now) {
  Item item;
  item.waiter = waiter;
  item.own_session = command.session.value() == 0;
  item.command = std::move(command);
  item.deadline = deadline;
  const std::uint64_t id = next_id_++;
  items_.emplace(id, std::move(item));
  Send(id, now);
}

void Forwarder::OnLeader(std::optional<NodeId> leader, Epoch epoch, MonotonicTime now) {
  if (leader == leader_ && epoch == epoch_) return;
  leader_ = leader;
  epoch_ = epoch;
  SendAll(now);
}

void Forwarder::Tick(MonotonicTime now) {
  for (auto it = items_.begin(); it != items_.end();) {
    const bool gone = it->second.waiter == 0 ? it->second.deadline <= now
                                             : !waiters_->WritePending(it->second.waiter);
    if (!gone) {
      ++it;
      continue;
    }
    if (it->second.waiter == 0) opening_ = false;
    if (it->second.waiter != 0) waiters_->Release(it->second.waiter);
    it = items_.erase(it);
  }
  SendAll(now);
}

void Forwarder::SendAll(MonotonicTime now) {
  std::vector<std::uint64_t> ids;
  ids.reserve(items_.size());
  for (const auto& [id, item] : items_) ids.push_back(id);
  for (const std::uint64_t id : ids) Send(id, now);
}

// ---- This node's session

bool Forwarder::SessionUsable(MonotonicTime now) const {
  // One that has not been used for long is not trusted: were it expired, the fate of the first
  // command under it would be unknown.
  return session_.value() != 0 && now < session_used_ + options_.session_idle / 4;
}

void Forwarder::OpenSession(MonotonicTime now) {
  if (std::exchange(opening_, true)) return;
  Item item;
  item.command.operation = kv::OpenSession{};
  item.deadline = now + kOpenSessionBound;
  const std::uint64_t id = next_id_++;
  items_.emplace(id, std::move(item));
  Send(id, now);
}

std::uint64_t Forwarder::FirstOutstanding() const {
  std::uint64_t first = next_sequence_;
  for (const auto& [id, item] : items_) {
    if (item.numbered && item.command.session == session_) {
      first = std::min(first, item.command.sequence);
    }
  }
  return first;
}

bool Forwarder::Number(Item* item, MonotonicTime now) {
  if (!item->own_session || item->numbered || Planted(PlantedBug::kForwardTwice)) return true;
  if (!SessionUsable(now)) {
    OpenSession(now);
    return false;
  }
  const std::uint64_t first = FirstOutstanding();
  if (next_sequence_ - first >= options_.session_window) return false;
  item->command.session = session_;
  item->command.sequence = next_sequence_++;
  item->command.first_outstanding = first;
  item->numbered = true;
  return true;
}

void Forwarder::SessionOpened(const Result<kv::WriteResult>& result, MonotonicTime now) {
  opening_ = false;
  if (!result.ok()) return;  // Whoever needs one asks again.
  session_ = SessionId(result->version.value());
  session_used_ = now;
  next_sequence_ = 1;
  SendAll(now);
}

// ---- Out

void Forwarder::Send(std::uint64_t id, MonotonicTime now) {
  auto it = items_.find(id);
  if (it == items_.end() || !leader_) return;
  if (it->second.sent_to == options_.self) return;  // Its answer comes, whoever leads.
  if (it->second.sent_to == *leader_ && it->second.sent_in == epoch_) {
    if (now < it->second.resend_at) return;
  } else if (it->second.sent_to) {
    // Put to a leadership that is over. Its answer is not waited for: a new id, so that
    // the two are not confused.
    Retry(it, now, true);
    return;
  }
  if (now < it->second.not_before) return;
  if (*leader_ == options_.self) return ProposeHere(it, now);
  if (!Number(&it->second, now)) return;
  // Numbering may have added an item; `it` stays valid.
  Item& item = it->second;
  if (item.waiter != 0 && !item.sent_to && !waiters_->EnterLog(item.waiter)) {
    items_.erase(it);
    return;
  }
  item.sent_to = *leader_;
  item.sent_in = epoch_;
  item.resend_at = now + options_.resend_after;
  ForwardRequest request;
  request.boot = options_.boot;
  request.id = id;
  request.floor = items_.begin()->first;
  request.epoch = epoch_;
  request.time_left = std::max(item.deadline - now, Duration::zero());
  kv::EncodeCommand(item.command, &request.command);
  hooks_.send(*leader_, request);
}

void Forwarder::ProposeHere(Items::iterator it, MonotonicTime now) {
  Item& item = it->second;
  // What was never sent anywhere needs no session.
  if (item.waiter != 0 && !waiters_->EnterLog(item.waiter)) {
    items_.erase(it);
    return;
  }
  item.sent_to = options_.self;
  item.resend_at = MonotonicTime::Max();
  hooks_.propose(item.command, item.deadline,
                 [this, id = it->first, now](Result<kv::WriteResult> result) {
                   HandleAnswer(id, std::move(result), now);
                 });
}

// ---- Back

void Forwarder::OnResponse(NodeId from, ForwardResponse response, MonotonicTime now) {
  if (response.boot != options_.boot) return;
  const auto it = items_.find(response.id);
  if (it == items_.end() || it->second.sent_to != from) return;
  if (response.status.ok()) {
    HandleAnswer(response.id, std::move(response.result), now);
  } else {
    HandleAnswer(response.id, std::move(response.status), now);
  }
}

void Forwarder::HandleAnswer(std::uint64_t id, Result<kv::WriteResult> result, MonotonicTime now) {
  const auto it = items_.find(id);
  if (it == items_.end()) return;
  Item& item = it->second;
  const StatusCode code = result.status().code();
  if (IsForTheNextLeader(code)) return Retry(it, now, result.status().maybe_applied());
  if (item.waiter == 0) {
    const Result<kv::WriteResult> answer = std::move(result);
    items_.erase(it);
    return SessionOpened(answer, now);
  }
  const bool numbered = item.own_session && item.numbered;
  if (numbered && code == StatusCode::kSessionExpired) {
    if (item.command.session == session_) session_ = SessionId();
    return Finish(it, UnavailableError("the session under which this write was forwarded expired")
                          .WithMaybeApplied());
  }
  if (numbered && !IsRefusal(code) && item.command.session == session_) session_used_ = now;
  const bool unsure = item.ambiguous && (IsRefusal(code) || code == StatusCode::kSessionExpired);
  if (unsure) return Finish(it, Status(result.status()).WithMaybeApplied());
  Finish(it, std::move(result));
}

void Forwarder::Retry(Items::iterator it, MonotonicTime now, bool may_be_applied) {
  Item item = std::move(it->second);
  items_.erase(it);
  const bool same_leader = item.sent_to == leader_;
  // Without a session a second copy could be applied too.
  const bool protected_by_session =
      item.command.session.value() != 0 || item.waiter == 0 || Planted(PlantedBug::kForwardTwice);
  if (may_be_applied && !protected_by_session) {
    waiters_->AnswerWrite(
        item.waiter,
        UnavailableError("the leader changed before the answer was known").WithMaybeApplied());
    return;
  }
  item.ambiguous |= may_be_applied;
  item.sent_to.reset();
  if (!item.ambiguous && item.waiter != 0) waiters_->LeaveLog(item.waiter);
  if (same_leader) item.not_before = now + kAfterRefusal;
  const std::uint64_t id = next_id_++;
  items_.emplace(id, std::move(item));
  Send(id, now);
}

void Forwarder::Finish(Items::iterator it, Result<kv::WriteResult> result) {
  const Waiters::Id waiter = it->second.waiter;
  const MonotonicTime until = it->second.deadline + -kAnswerBeforeDeadline;
  // Its answer has no version; sessions are looked up where commands are applied, in their order.
  const bool opens = std::holds_alternative<kv::OpenSession>(it->second.command.operation);
  items_.erase(it);
  if (!result.ok() || opens || !hooks_.applies()) {
    return waiters_->AnswerWrite(waiter, std::move(result));
  }
  const Version version = result->version;
  waiters_->AddVersion(version, until,
                       [waiters = waiters_, waiter, result = std::move(result)](Status) mutable {
                         waiters->AnswerWrite(waiter, std::move(result));
                       });
}

}  // namespace cairn::replication
