// What becomes of a transaction after an error: whether it is worth another try, the wait before
// it, and how it begins anew.
#include <memory>
#include <utility>

#include "src/client/transaction_state.h"

namespace cairn::client {
namespace {

// A conflict means that another has succeeded, not that the node is in trouble: whoever waits much
// longer than a transaction takes, on a key that many want, is passed by those that came later.
constexpr Duration kMostAfterConflict = std::chrono::milliseconds(100);

bool WorthAnotherTry(const Status& status) {
  if (status.maybe_applied()) return false;
  switch (status.code()) {
    case StatusCode::kConflict:
    case StatusCode::kTransactionTooOld:
    case StatusCode::kStale:
    case StatusCode::kUnavailable:
    case StatusCode::kNotLeader:
    case StatusCode::kResourceExhausted:
    case StatusCode::kSessionExpired:
      return true;
    default:
      return false;
  }
}

// What a timer of OnErrorAsync holds: if the client drops the timer, as it does when it is closed,
// the wait ends with the error that began it.
class Wait {
 public:
  Wait(Promise<std::uint64_t> promise, Status status)
      : promise_(std::make_unique<Promise<std::uint64_t>>(std::move(promise))),
        status_(std::move(status)) {}
  Wait(Wait&&) noexcept = default;
  Wait& operator=(Wait&&) = delete;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() {
    if (promise_ != nullptr) promise_->Fulfil(status_);
  }
  [[nodiscard]] const Promise<std::uint64_t>& promise() const { return *promise_; }

 private:
  std::unique_ptr<Promise<std::uint64_t>> promise_;
  Status status_;
};

}  // namespace

Future<std::uint64_t> TransactionState::OnErrorAsync(const Status& status) {
  Promise<std::uint64_t> promise;
  Future<std::uint64_t> future = promise.GetFuture();
  if (!WorthAnotherTry(status)) {
    promise.Fulfil(status);
    return future;
  }
  std::uint32_t tries = 0;
  std::uint64_t life = 0;
  {
    MutexLock lock(&mutex_);
    if (!cancelled_) tries = ++tries_;
    life = life_;
    backoffs_.push_back(promise);
  }
  if (tries == 0) {
    promise.Fulfil(CancelledError("the transaction was cancelled; Reset revives it"));
    return future;
  }
  const Duration most =
      status.code() == StatusCode::kConflict ? kMostAfterConflict : Duration::max();
  const MonotonicTime when = core_->scheduler().Now() + core_->Backoff(tries, most);
  if (when >= deadline_ || core_->closed()) {
    promise.Fulfil(status);
    return future;
  }
  const auto steps = StepCanceller::For(promise);
  core_->scheduler().AddTimer(
      when, [self = shared_from_this(), tries, life, steps, wait = Wait(promise, status)] {
        // One that is over was cancelled, or reset by its owner.
        if (steps->Begin() && self->BeginAnew(life)) wait.promise().Fulfil(tries);
      });
  // The scheduler of a client that was closed meanwhile may keep the timer, and never run it.
  if (core_->closed()) promise.Fulfil(status);
  return future;
}

void TransactionState::ResetLocked(std::vector<GotVersion>* waiting) {
  ++life_;
  read_version_ = Version();
  taking_version_ = false;
  waiting->swap(want_version_);
  writes_.Clear();
  conflict_keys_.clear();
  conflict_ranges_.clear();
  ended_ = false;
  committed_version_ = 0;
  if (std::exchange(cancelled_, false)) cancellation_ = std::make_shared<Cancellation>();
  backoffs_.clear();
}

void TransactionState::Reset() {
  std::vector<GotVersion> waiting;
  {
    MutexLock lock(&mutex_);
    ResetLocked(&waiting);
  }
  for (GotVersion& got : waiting) got(CancelledError("the transaction was reset"));
}

bool TransactionState::BeginAnew(std::uint64_t life) {
  std::vector<GotVersion> waiting;
  {
    MutexLock lock(&mutex_);
    if (cancelled_ || life != life_) return false;
    ResetLocked(&waiting);
  }
  for (GotVersion& got : waiting) got(CancelledError("the transaction was reset"));
  return true;
}

void TransactionState::Cancel() {
  std::vector<GotVersion> waiting;
  std::vector<Promise<std::uint64_t>> backoffs;
  std::shared_ptr<Cancellation> cancellation;
  {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    cancellation = cancellation_;
    waiting.swap(want_version_);
    backoffs.swap(backoffs_);
  }
  const Status status = CancelledError("the transaction was cancelled; Reset revives it");
  cancellation->Cancel();
  for (GotVersion& got : waiting) got(status);
  for (const Promise<std::uint64_t>& backoff : backoffs) backoff.Fulfil(status);
}

}  // namespace cairn::client
