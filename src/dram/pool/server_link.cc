#include "src/dram/pool/server_link.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/messages.h"

namespace cairn::dram {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(10);
// So that a server that comes back is in use again well within a second.
constexpr Duration kMaxBackoff = std::chrono::milliseconds(400);

}  // namespace

// Belongs to its link's lock.
class ServerLink::Ticket {
 public:
  explicit Ticket(Call c) : call(std::move(c)) {}
  Call call;  // until it is submitted
  MonotonicTime give_up;
  std::uint64_t epoch = 0;  // of the connection it was submitted to; 0: none yet
  CallId id = 0;
};

ServerLink::ServerLink(Transport* transport, SerialExecutor* executor, const Clock* clock,
                       Options options)
    : transport_(transport),
      executor_(executor),
      clock_(clock),
      options_(std::move(options)),
      backoff_(kFirstBackoff) {}

ServerLink::~ServerLink() {
  MutexLock lock(&mutex_);
  CAIRN_CHECK(connection_ == nullptr, "a link was destroyed before its Shutdown");
}

void ServerLink::Open() { Connect(); }

// On the executor, or in Open.
void ServerLink::Connect() {
  std::unique_ptr<Connection> old;
  {
    MutexLock lock(&mutex_);
    if (state_ != State::kDown) return;
    old = std::move(connection_);
  }
  old.reset();
  MutexLock lock(&mutex_);
  if (state_ != State::kDown) return;
  state_ = State::kConnecting;
  const std::uint64_t epoch = ++epoch_;
  in_flight_ = 0;
  connection_ = transport_->Connect(options_.endpoint,
                                    [this, epoch](const Status& why) { OnClosed(epoch, why); });
  Call hello;
  hello.header = Encode(HelloRequest{options_.table.hash, options_.address});
  hello.payload = Buffer::Copy(options_.table.text);
  hello.deadline = clock_->Now() + options_.hello_limit;
  hello.done = [this, epoch](Result<Answer> answer) { OnHello(epoch, std::move(answer)); };
  (void)connection_->Start(std::move(hello));
}

Status ServerLink::CheckHello(const Result<Answer>& answer) const {
  if (!answer.ok()) return answer.status();
  const auto hello = DecodeAnswer<HelloAnswer>(answer->header);
  if (!hello.ok()) return hello.status();
  return CompareTables(options_.table, {hello->table_hash, answer->payload.ToString()},
                       options_.address);
}

void ServerLink::OnHello(std::uint64_t epoch, Result<Answer> answer) {
  Waiting refused;
  Status status = CheckHello(answer);
  {
    MutexLock lock(&mutex_);
    if (epoch != epoch_ || state_ != State::kConnecting) return;
    if (status.ok()) {
      state_ = State::kUp;
      refused_ = false;
      backoff_ = kFirstBackoff;
      SubmitWaiting();
      return;
    }
    if (status.code() == StatusCode::kFailedPrecondition) {
      refused.swap(waiting_);
      if (!refused_)
        CAIRN_LOG(kWarn, "dram: no pool with {}: {}", options_.address, status.message());
      refused_ = true;
      refused_epoch_ = epoch;
    }
    last_error_ = status;
    connection_->Close(UnavailableError("no hello from " + options_.address));
  }
  Fail(&refused, status);
}

void ServerLink::OnClosed(std::uint64_t epoch, const Status& why) {
  MutexLock lock(&mutex_);
  if (epoch != epoch_ || state_ == State::kClosed) return;
  if (state_ == State::kUp) {
    CAIRN_LOG(kWarn, "dram: the connection to {} is lost: {}", options_.address, why.message());
  }
  // What the hello told says more than that the connection was closed for it.
  if (!refused_ || refused_epoch_ != epoch) {
    refused_ = false;
    last_error_ = why;
  }
  state_ = State::kDown;
  const MonotonicTime patience_ends = clock_->Now() + options_.patience;
  for (const auto& ticket : waiting_) ticket->give_up = std::min(ticket->give_up, patience_ends);
  if (!waiting_.empty()) ArmGiveUp(patience_ends);
  const MonotonicTime when = clock_->Now() + backoff_;
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
  executor_->PostAt(when, [self = shared_from_this()] { self->Connect(); });
}

void ServerLink::Submit(const std::shared_ptr<Ticket>& ticket) {
  ++in_flight_;
  ticket->epoch = epoch_;
  ticket->call.done = [self = shared_from_this(), epoch = epoch_,
                       done = std::move(ticket->call.done)](Result<Answer> answer) mutable {
    self->OnEnded(epoch);
    done(std::move(answer));
  };
  ticket->id = connection_->Start(std::move(ticket->call));
}

void ServerLink::SubmitWaiting() {
  while (!waiting_.empty() && in_flight_ < kMaxInFlight) {
    const std::shared_ptr<Ticket> next = std::move(waiting_.front());
    waiting_.pop_front();
    Submit(next);
  }
  for (const auto& ticket : waiting_) ticket->give_up = ticket->call.deadline;
}

void ServerLink::OnEnded(std::uint64_t epoch) {
  MutexLock lock(&mutex_);
  if (epoch != epoch_) return;
  --in_flight_;
  if (state_ != State::kUp || waiting_.empty()) return;
  const std::shared_ptr<Ticket> next = std::move(waiting_.front());
  waiting_.pop_front();
  Submit(next);
}

Status ServerLink::NotConnected() const {
  if (state_ == State::kClosed) return UnavailableError("the pool was closed");
  if (refused_) return last_error_;
  if (state_ == State::kUp) {
    return TimeoutError("no answer from " + options_.address +
                        " in time: " + std::to_string(in_flight_) + " operations were before it");
  }
  return UnavailableError("no connection to " + options_.address +
                          (last_error_.ok() ? " yet" : ": " + last_error_.message()));
}

std::shared_ptr<ServerLink::Ticket> ServerLink::Start(Call call) {
  auto ticket = std::make_shared<Ticket>(std::move(call));
  Status failure;
  {
    MutexLock lock(&mutex_);
    const bool up = state_ == State::kUp;
    if (up && in_flight_ < kMaxInFlight) {
      Submit(ticket);
      return ticket;
    }
    if (state_ != State::kClosed && !refused_) {
      ticket->give_up = ticket->call.deadline;
      if (!up) ticket->give_up = std::min(ticket->give_up, clock_->Now() + options_.patience);
      waiting_.push_back(ticket);
      ArmGiveUp(ticket->give_up);
      return ticket;
    }
    failure = NotConnected();
  }
  auto done = std::move(ticket->call.done);
  ticket->call.payload = Buffer();
  done(std::move(failure));
  return ticket;
}

void ServerLink::Cancel(const std::shared_ptr<Ticket>& ticket) {
  Waiting found;
  {
    MutexLock lock(&mutex_);
    if (ticket->epoch != 0) {
      if (ticket->epoch == epoch_ && connection_ != nullptr) connection_->Cancel(ticket->id);
      return;
    }
    const auto it = std::find(waiting_.begin(), waiting_.end(), ticket);
    if (it == waiting_.end()) return;
    found.splice(found.end(), waiting_, it);
  }
  Fail(&found, CancelledError("the operation was cancelled by its caller"));
}

void ServerLink::ArmGiveUp(MonotonicTime when) {
  if (when >= armed_) return;
  armed_ = when;
  executor_->PostAt(when, [self = shared_from_this()] { self->OnGiveUp(); });
}

void ServerLink::OnGiveUp() {
  Waiting over;
  Status why;
  {
    MutexLock lock(&mutex_);
    armed_ = MonotonicTime::Max();
    const MonotonicTime now = clock_->Now();
    MonotonicTime soonest = MonotonicTime::Max();
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      const auto next = std::next(it);
      if ((*it)->give_up <= now) {
        over.splice(over.end(), waiting_, it);
      } else {
        soonest = std::min(soonest, (*it)->give_up);
      }
      it = next;
    }
    ArmGiveUp(soonest);
    why = NotConnected();
  }
  Fail(&over, why);
}

void ServerLink::Fail(Waiting* waiting, const Status& why) {
  for (const auto& ticket : *waiting) {
    auto done = std::move(ticket->call.done);
    ticket->call.payload = Buffer();
    done(why);
  }
}

void ServerLink::Shutdown() {
  Waiting waiting;
  std::unique_ptr<Connection> connection;
  Status why;
  {
    MutexLock lock(&mutex_);
    state_ = State::kClosed;
    waiting.swap(waiting_);
    connection = std::move(connection_);
    why = NotConnected();
  }
  Fail(&waiting, why);
  connection.reset();
}

PeerStatus ServerLink::status() const {
  MutexLock lock(&mutex_);
  return {options_.address, false, state_ == State::kUp, last_error_};
}

}  // namespace cairn::dram
