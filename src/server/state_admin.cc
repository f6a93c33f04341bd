#include "src/server/state_admin.h"

#include <chrono>
#include <utility>

namespace cairn::server {

using replication::StateCapture;
using replication::StatusCallback;

namespace {

// Of Replica::AtSlot: a digest replaces the one before; captures stand each by themselves, at once.
constexpr std::uint64_t kDigestToken = 1;
constexpr std::uint64_t kArmedToken = 2;
constexpr std::uint64_t kCaptureToken = 3;
// What one command may wait for its commit.
constexpr Duration kProposalBound = std::chrono::seconds(10);

}  // namespace

StateAdmin::StateAdmin(replication::Replica* replica, replication::StateMachineExecutor* executor,
                       const Clock* clock)
    : replica_(replica), executor_(executor), clock_(clock), worker_("cairn-state", clock) {}

StateAdmin::~StateAdmin() { worker_.Stop(); }

Status StateAdmin::MayGoOn() const {
  const bool stopping = stopping_.load(std::memory_order_acquire) || replica_->stopped();
  return stopping ? UnavailableError("this node is stopping; try another one") : Status::Ok();
}

// ---- Digests

void StateAdmin::PrepareDigest(Slot slot, std::uint64_t token, StatusCallback armed) {
  if (token == 0 || slot == Slot()) {
    return armed(InvalidArgumentError("a digest needs a slot and a token that are not 0"));
  }
  std::vector<DigestCallback> replaced;
  {
    MutexLock lock(&mutex_);
    replaced = std::move(job_.waiting);
    job_ = Job{token, std::nullopt, {}};
  }
  const DigestResult gone = NotFoundError("another digest was prepared in the place of this one");
  for (DigestCallback& done : replaced) done(gone);
  replica_->AtSlot(slot, kDigestToken,
                   [this, token](const Status& status) { OnSlot(token, status); });
  // Runs after that one was taken up, or answered.
  replica_->AtSlot(Slot(), kArmedToken,
                   [this, token, armed = std::move(armed)](Status status) mutable {
                     if (status.ok()) {
                       MutexLock lock(&mutex_);
                       if (job_.token == token && job_.result) status = job_.result->status();
                     }
                     armed(std::move(status));
                   });
}

// Apply executor of the replica.
void StateAdmin::OnSlot(std::uint64_t token, const Status& status) {
  if (!status.ok()) return Finish(token, status);
  Result<StateCapture> capture = executor_->Capture();
  if (!capture.ok()) return Finish(token, capture.status());
  worker_.Post([this, token, capture = *std::move(capture)]() mutable {
    Result<digest::StateDigest> digest =
        DigestOf(std::move(capture), [this]() -> Status { return MayGoOn(); });
    if (!digest.ok()) return Finish(token, digest.status());
    Finish(token, std::make_shared<const digest::StateDigest>(*std::move(digest)));
  });
}

void StateAdmin::Finish(std::uint64_t token, DigestResult result) {
  std::vector<DigestCallback> waiting;
  {
    MutexLock lock(&mutex_);
    if (job_.token != token) return;
    job_.result = result;
    waiting = std::move(job_.waiting);
    job_.waiting.clear();
  }
  for (DigestCallback& done : waiting) done(result);
}

void StateAdmin::GetDigest(std::uint64_t token, DigestCallback done) {
  DigestResult result = NotFoundError("no digest was prepared here under that token");
  {
    MutexLock lock(&mutex_);
    if (token != 0 && job_.token == token) {
      if (!job_.result) {
        job_.waiting.push_back(std::move(done));
        return;
      }
      result = *job_.result;
    }
  }
  done(result);
}

// ---- The log

void StateAdmin::AdvanceLog(Slot slot, MonotonicTime deadline, StatusCallback done) {
  const replication::ReplicaStatus status = replica_->status();
  if (status.leadership.role != consensus::Role::kLeader) {
    return done(NotLeaderError("this node does not lead"));
  }
  if (status.last_slot >= slot) return done(Status::Ok());
  if (slot.value() - status.last_slot.value() > kMaxAdvance) {
    return done(InvalidArgumentError(
        "slot " + ToString(slot) + " is more than " + std::to_string(kMaxAdvance) +
        " beyond the end of the log, which is slot " + ToString(status.last_slot) +
        "; choose one a little ahead of it"));
  }
  if (clock_->Now() >= deadline) {
    return done(TimeoutError("the log is at slot " + ToString(status.last_slot) + ", not yet at " +
                             ToString(slot)));
  }
  kv::Command command;
  command.operation = kv::EnableFeatures{0};  // switches nothing on
  replica_->Propose(std::move(command), clock_->Now() + kProposalBound,
                    [this, slot, deadline,
                     done = std::move(done)](const Result<kv::WriteResult>& result) mutable {
                      if (!result.ok()) return done(result.status());
                      AdvanceLog(slot, deadline, std::move(done));
                    });
}

// ---- Captures

void StateAdmin::Capture(bool fresh, MonotonicTime deadline, CaptureCallback done) {
  auto take = [this, done = std::move(done)](Status status) mutable {
    if (!status.ok()) return done(std::move(status));
    replica_->AtSlot(Slot(), kCaptureToken, [this, done = std::move(done)](Status at) mutable {
      if (!at.ok()) return done(std::move(at));
      done(executor_->Capture());
    });
  };
  if (!fresh) return take(Status::Ok());
  replica_->Barrier(deadline, std::move(take));
}

}  // namespace cairn::server
