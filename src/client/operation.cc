#include "src/client/operation.h"

#include <algorithm>
#include <utility>

namespace cairn::client {
namespace {

// NOT_LEADER answers in a row that are followed without a wait. Two nodes that name each other
// while they elect are not chased for longer.
constexpr std::uint32_t kRedirects = 4;
// How often an operation takes a new session.
constexpr std::uint32_t kLostSessions = 3;

// Worth another try, here or elsewhere.
bool IsTransient(StatusCode code, bool answered) {
  switch (code) {
    case StatusCode::kNotLeader:
    case StatusCode::kUnavailable:
    case StatusCode::kTimeout:
    case StatusCode::kStale:
    case StatusCode::kResourceExhausted:
      return true;
    case StatusCode::kIoError:
      return !answered;
    default:
      return false;
  }
}

// Codes that do not say what is wrong with the operation itself.
bool LeavesOpen(StatusCode code) {
  return IsTransient(code, false) || code == StatusCode::kSessionExpired ||
         code == StatusCode::kCancelled || code == StatusCode::kAlreadyAnswered;
}

// Answers of the state machine alone, which knows an earlier try of the same write in its session.
// Others may come from a node that refused this try before it got there.
bool Settles(StatusCode code) {
  return code == StatusCode::kConflict || code == StatusCode::kTransactionTooOld ||
         code == StatusCode::kNotFound || code == StatusCode::kAlreadyExists;
}

}  // namespace

Operation::Operation(std::shared_ptr<ClientCore> core, Request request, const RunOptions& options,
                     bool driven, ClientCore::Done done)
    : core_(std::move(core)),
      request_(std::move(request)),
      options_(options),
      driven_(driven),
      is_write_(IsWrite(request_)),
      wants_session_(core_->options().sessions && TakesSession(request_)),
      read_level_(core_->LevelOf(options.read_level)),
      done_(std::move(done)) {}

std::string Operation::Name() const {
  if (const auto* operation = std::get_if<kv::KvOperation>(&request_)) {
    return std::string(kv::operation_name(*operation));
  }
  if (std::holds_alternative<ListFamilies>(request_)) return "list_column_families";
  if (std::holds_alternative<Ping>(request_)) return "ping";
  return "status";
}

void Operation::Begin() {
  {
    MutexLock lock(&mutex_);
    if (finished_) return;  // cancelled before it began
  }
  if (core_->closed()) return Finish(CancelledError("the client is closed"));
  if (!wants_session_) return Try();
  std::optional<Lease> lease = core_->sessions().TryLease();
  if (!lease) return AwaitLease();
  bool unwanted = false;
  {
    MutexLock lock(&mutex_);
    unwanted = finished_;  // cancelled meanwhile
    if (!unwanted) lease_ = lease;
  }
  if (unwanted) return core_->sessions().Return(*lease);
  Try();
}

void Operation::AwaitLease() {
  if (!Park()) return;
  const TimerId timer = core_->scheduler().AddTimer(options_.deadline, [self = shared_from_this()] {
    self->FinishFailed(TimeoutError("no session could be opened in time"));
  });
  bool finished = false;
  {
    MutexLock lock(&mutex_);
    finished = finished_;  // nobody else will stop the timer then
    if (!finished) timer_ = timer;
  }
  if (finished) core_->scheduler().CancelTimer(timer);
  core_->sessions().AwaitLease(options_.deadline, [self = shared_from_this()](Result<Lease> lease) {
    self->OnLease(std::move(lease));
  });
}

void Operation::OnLease(Result<Lease> lease) {
  Unpark();
  bool unwanted = false;
  TimerId timer = 0;
  {
    MutexLock lock(&mutex_);
    timer = std::exchange(timer_, 0);
    unwanted = finished_;
    if (lease.ok() && !unwanted) lease_ = *lease;
  }
  if (timer != 0) core_->scheduler().CancelTimer(timer);
  if (unwanted) {
    if (lease.ok()) core_->sessions().Return(*lease);
  } else if (!lease.ok()) {
    // The opening may have been applied; this operation was never sent.
    FinishFailed(Status(lease.status().code(), lease.status().message())
                     .WithLeaderHint(lease.status().leader_hint()));
  } else {
    Try();
  }
}

CallContext Operation::Context(MonotonicTime now) {
  CallContext context;
  const auto limit = core_->options().attempt_timeout;
  context.deadline =
      limit.count() > 0 ? std::min(options_.deadline, now + limit) : options_.deadline;
  context.read_level = read_level_;
  context.min_version = options_.min_version;
  context.no_forwarding = core_->follow_leader() && ForLeader();
  context.driven = driven_;
  if (lease_) {
    context.session = lease_->session;
    context.sequence = lease_->sequence;
    context.first_outstanding = core_->sessions().FirstOutstanding(*lease_);
  }
  return context;
}

void Operation::Try() {
  const MonotonicTime now = core_->scheduler().Now();
  if (now >= options_.deadline) return FinishFailed(TimeoutError("the deadline has passed"));
  NodeSet& nodes = core_->nodes();
  const std::optional<NodeSet::Index> node =
      ForLeader() ? nodes.ChooseForWrite(now, avoid_) : nodes.ChooseForRead(now, avoid_);
  if (!node) {
    return TryAt(nodes.NextProbe(now),
                 UnavailableError("every node has failed of late and is left alone for a while"));
  }
  CallContext context;
  std::uint32_t attempt = 0;
  {
    MutexLock lock(&mutex_);
    if (finished_) {
      nodes.OnCancelled(*node);
      return;
    }
    attempt = ++attempt_;
    in_flight_ = true;
    in_flight_node_ = *node;
    context = Context(now);
  }
  // The request lives as long as this operation.
  const std::shared_ptr<Call> call = nodes.channel(*node)->Start(
      std::shared_ptr<const Request>(shared_from_this(), &request_), context,
      [self = shared_from_this(), attempt, node = *node, now](NodeChannel::Outcome outcome) {
        self->OnOutcome(attempt, node, now, std::move(outcome));
      });
  if (!call) return;
  bool unwanted = false;
  {
    MutexLock lock(&mutex_);
    unwanted = finished_;
    if (!unwanted && attempt_ == attempt && in_flight_) {
      call_ = call;
      changed_.SignalAll();
    }
  }
  if (unwanted) call->Abandon();
}

void Operation::OnOutcome(std::uint32_t attempt, NodeSet::Index node, MonotonicTime sent,
                          NodeChannel::Outcome outcome) {
  const MonotonicTime now = core_->scheduler().Now();
  NodeSet& nodes = core_->nodes();
  if (outcome.answered) {
    nodes.OnAnswer(node, is_write_ ? Duration::zero() : now - sent);
  } else if (outcome.answer.status().code() == StatusCode::kCancelled) {
    nodes.OnCancelled(node);
  } else {
    nodes.OnNoAnswer(node, now);
  }
  {
    MutexLock lock(&mutex_);
    if (finished_ || attempt != attempt_) return;
    in_flight_ = false;
    call_.reset();
  }
  if (!outcome.answer.ok()) {
    return OnFailure(node, std::move(outcome.answer).status(), outcome.answered);
  }
  if (is_write_ && core_->follow_leader()) nodes.OnLeads(node);
  Finish(std::move(outcome.answer));
}

void Operation::OnFailure(NodeSet::Index node, Status status, bool answered) {
  bool safe = false;
  bool has_lease = false;
  std::uint32_t attempts = 0;
  {
    MutexLock lock(&mutex_);
    if (is_write_ && status.maybe_applied()) maybe_applied_ = true;
    has_lease = lease_.has_value();
    safe = !maybe_applied_ || has_lease || MayRepeat(request_);
    attempts = attempt_;
  }
  if (has_lease && status.code() == StatusCode::kSessionExpired) {
    return OnSessionExpired(std::move(status));
  }
  NodeSet& nodes = core_->nodes();
  const bool not_leader = status.code() == StatusCode::kNotLeader;
  const bool redirected =
      not_leader && core_->follow_leader() && nodes.OnNotLeader(node, status.leader_hint());
  const std::uint32_t most = core_->options().retry.max_attempts;
  if (!IsTransient(status.code(), answered) || !safe || (not_leader && !core_->follow_leader()) ||
      (most != 0 && attempts >= most)) {
    return FinishFailed(std::move(status));
  }
  if (redirected && ++redirects_ <= kRedirects) return Try();
  redirects_ = 0;
  if (std::find(avoid_.begin(), avoid_.end(), node) == avoid_.end()) avoid_.push_back(node);
  const bool untried = avoid_.size() < nodes.size();
  if (!untried) avoid_.clear();
  // Another node may do better at once, unless the answer was about the cluster.
  if (untried && (!answered || status.code() == StatusCode::kStale)) return Try();
  TryAt(core_->scheduler().Now() + core_->Backoff(attempts), std::move(status));
}

void Operation::OnSessionExpired(Status status) {
  bool open = false;
  std::optional<Lease> lease;
  {
    MutexLock lock(&mutex_);
    lease = lease_;
    open = maybe_applied_;
  }
  core_->sessions().Forget(lease->session);
  if (open || ++lost_sessions_ > kLostSessions) return FinishFailed(std::move(status));
  // Certainly not applied, neither now nor before: it may go under another number.
  {
    MutexLock lock(&mutex_);
    lease_.reset();
  }
  Begin();
}

bool Operation::Park() {
  {
    MutexLock lock(&mutex_);
    parked_ = true;
  }
  if (core_->Park(shared_from_this())) return true;
  Cancel();
  return false;
}

void Operation::Unpark() {
  {
    MutexLock lock(&mutex_);
    if (!std::exchange(parked_, false)) return;
  }
  core_->Unpark(shared_from_this());
}

void Operation::TryAt(MonotonicTime when, Status why) {
  if (when >= options_.deadline) return FinishFailed(std::move(why));
  if (!Park()) return;
  {
    MutexLock lock(&mutex_);
    if (!finished_) {
      timer_ = core_->scheduler().AddTimer(
          when, [self = shared_from_this(), why = std::move(why)]() mutable {
            self->Unpark();
            // Too late for another try. What the last one met with says more than that.
            if (self->core_->scheduler().Now() >= self->options_.deadline) {
              return self->FinishFailed(std::move(why));
            }
            self->Try();
          });
      return;
    }
  }
  Unpark();  // cancelled meanwhile
}

void Operation::FinishFailed(Status status) {
  bool maybe = false;
  std::uint32_t attempts = 0;
  {
    MutexLock lock(&mutex_);
    maybe = status.maybe_applied() || (maybe_applied_ && !Settles(status.code()));
    attempts = attempt_;
  }
  std::string text = status.message();
  if (LeavesOpen(status.code())) {
    text = Name() + ": " + text;
    if (attempts > 1) text += " (after " + std::to_string(attempts) + " tries)";
  }
  Status final = Status(status.code(), std::move(text)).WithLeaderHint(status.leader_hint());
  if (maybe) final = std::move(final).WithMaybeApplied();
  Finish(std::move(final));
}

Operation::Loose Operation::End(Result<Answer> result) {
  finished_ = true;
  Loose loose;
  loose.lease = std::exchange(lease_, std::nullopt);
  loose.timer = std::exchange(timer_, 0);
  loose.call = std::exchange(call_, nullptr);
  loose.done = std::move(done_);
  (loose.done ? loose.result : result_).emplace(std::move(result));
  changed_.SignalAll();
  return loose;
}

void Operation::Release(Loose loose) {
  if (loose.lease) core_->sessions().Return(*loose.lease);
  if (loose.timer != 0) core_->scheduler().CancelTimer(loose.timer);
  Unpark();
  if (loose.done) loose.done(std::move(*loose.result));
}

void Operation::Finish(Result<Answer> result) {
  Loose loose;
  {
    MutexLock lock(&mutex_);
    if (finished_) return;
    loose = End(std::move(result));
  }
  Release(std::move(loose));
}

Result<Answer> Operation::Wait() {
  mutex_.Lock();
  while (!finished_) {
    const std::shared_ptr<Call> call = call_;
    if (call) {
      mutex_.Unlock();
      const bool drove = call->Drive();
      mutex_.Lock();
      if (drove) continue;
    }
    while (!finished_ && call_ == call) changed_.Wait(&mutex_);
  }
  Result<Answer> result = std::move(*result_);
  mutex_.Unlock();
  return result;
}

void Operation::Cancel() {
  std::shared_ptr<Call> call;
  std::optional<NodeSet::Index> node;
  Loose loose;
  {
    // All at once: a try that began in between would be given up by nobody, and a write be told to
    // be not applied that was on its way.
    MutexLock lock(&mutex_);
    if (finished_) return;
    if (in_flight_) node = in_flight_node_;
    Status status = CancelledError(core_->closed() ? "the client is closed" : "cancelled");
    if (is_write_ && (in_flight_ || maybe_applied_)) status = std::move(status).WithMaybeApplied();
    loose = End(std::move(status));
    call = loose.call;
  }
  Release(std::move(loose));
  if (node) core_->nodes().OnCancelled(*node);
  if (call) call->Abandon();
}

}  // namespace cairn::client
