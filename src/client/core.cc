#include "src/client/core.h"

#include <algorithm>
#include <future>
#include <utility>

#include "src/client/cancellation.h"
#include "src/client/operation.h"

namespace cairn::client {
namespace {

// Half of what nodes accept by default (kv::Limits::session_window): room for a node with less.
constexpr std::size_t kSessionWindow = 512;
constexpr auto kCloseTimeout = std::chrono::seconds(1);

}  // namespace

std::shared_ptr<ClientCore> ClientCore::Create(CoreOptions options,
                                               const std::vector<std::string>& endpoints,
                                               ChannelFactory factory,
                                               std::shared_ptr<Scheduler> scheduler) {
  return std::shared_ptr<ClientCore>(
      new ClientCore(std::move(options), endpoints, std::move(factory), std::move(scheduler)));
}

ClientCore::ClientCore(CoreOptions options, const std::vector<std::string>& endpoints,
                       ChannelFactory factory, std::shared_ptr<Scheduler> scheduler)
    : options_(std::move(options)),
      scheduler_(std::move(scheduler)),
      nodes_(options_.nodes, endpoints, std::move(factory)),
      sessions_([this](MonotonicTime until,
                       Sessions::Opened opened) { OpenSession(until, std::move(opened)); },
                [this](SessionId session) { CloseSession(session); }, kSessionWindow),
      random_(options_.seed) {}

ClientCore::~ClientCore() = default;

MonotonicTime ClientCore::DeadlineIn(std::chrono::milliseconds timeout) const {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  const auto wait = timeout.count() > 0 ? timeout : options_.client.timeout;
  return scheduler_->Now() + std::min(wait, kLongest);
}

Duration ClientCore::Backoff(std::uint32_t tries, Duration most) {
  const RetryPolicy& retry = options_.client.retry;
  const std::uint32_t doublings = std::min(tries - 1, 20U);
  const Duration full = std::min<Duration>(
      {Duration(retry.initial_backoff) * (1 << doublings), Duration(retry.max_backoff), most});
  const auto half = static_cast<std::uint64_t>(full.count() / 2);
  MutexLock lock(&mutex_);
  return Duration(static_cast<std::int64_t>(half + random_.Below(half + 1)));
}

ReadLevel ClientCore::LevelOf(ReadLevel asked) const {
  const bool leader_only =
      options_.follow_leader && options_.nodes.strategy == ReadStrategy::kLeaderOnly;
  return asked == ReadLevel::kDefault && leader_only ? ReadLevel::kLeader : asked;
}

bool ClientCore::SleepUntil(MonotonicTime when, MonotonicTime deadline,
                            Cancellation* cancellation) {
  if (when >= deadline || closing_.load(std::memory_order_acquire)) return false;
  struct Alarm {
    std::promise<void> rings;
    std::atomic<bool> rung{false};
    void Ring() {
      if (!rung.exchange(true)) rings.set_value();
    }
  };
  const auto alarm = std::make_shared<Alarm>();
  std::future<void> due = alarm->rings.get_future();
  const TimerId timer = scheduler_->AddTimer(when, [alarm] { alarm->Ring(); });
  const Cancellation::Hook hook(cancellation, [alarm] { alarm->Ring(); });
  // The scheduler drops its timers when the client is closed: then the clock alone ends the wait.
  (void)due.wait_for(when - scheduler_->Now());
  scheduler_->CancelTimer(timer);
  if (cancellation != nullptr && cancellation->cancelled()) return false;
  return !closing_.load(std::memory_order_acquire);
}

void ClientCore::Saw(Version version) {
  std::uint64_t known = last_version_.load(std::memory_order_relaxed);
  while (version.value() > known &&
         !last_version_.compare_exchange_weak(known, version.value(), std::memory_order_acq_rel)) {
  }
}

Result<Answer> ClientCore::Execute(Request request, const RunOptions& options) {
  if (closing_.load(std::memory_order_acquire)) return CancelledError("the client is closed");
  const auto operation = std::make_shared<Operation>(shared_from_this(), std::move(request),
                                                     options, /*driven=*/true, Done());
  if (options.cancellation && !options.cancellation->Add(operation)) operation->Cancel();
  operation->Begin();
  return operation->Wait();
}

std::function<void()> ClientCore::ExecuteAsync(Request request, const RunOptions& options,
                                               Done done) {
  if (closing_.load(std::memory_order_acquire)) {
    done(CancelledError("the client is closed"));
    return [] {};
  }
  const auto operation = std::make_shared<Operation>(shared_from_this(), std::move(request),
                                                     options, /*driven=*/false, std::move(done));
  if (options.cancellation && !options.cancellation->Add(operation)) operation->Cancel();
  operation->Begin();
  return [weak = std::weak_ptr<Operation>(operation)] {
    if (const std::shared_ptr<Operation> live = weak.lock()) live->Cancel();
  };
}

void ClientCore::OpenSession(MonotonicTime until, Sessions::Opened opened) {
  RunOptions options;
  // What the first write that wants it has no time for may still serve the next one.
  options.deadline = std::max(until, DeadlineIn({}));
  const auto operation = std::make_shared<Operation>(
      shared_from_this(), kv::KvOperation(kv::OpenSession{}), options, /*driven=*/false,
      [opened = std::move(opened)](Result<Answer> answer) mutable {
        if (!answer.ok()) return opened(answer.status());
        opened(SessionId(std::get<kv::WriteResult>(*answer).version.value()));
      });
  operation->Begin();
}

void ClientCore::CloseSession(SessionId session) {
  RunOptions options;
  options.deadline = scheduler_->Now() + kCloseTimeout;
  const auto operation = std::make_shared<Operation>(
      shared_from_this(), kv::KvOperation(kv::CloseSession{session}), options, /*driven=*/false,
      [](const Result<Answer>&) {});  // one that stays open expires by itself
  operation->Begin();
}

void ClientCore::CloseSessionsAndWait() {
  RunOptions options;
  options.deadline = scheduler_->Now() + kCloseTimeout;
  for (const SessionId session : sessions_.TakeAll()) {
    const auto operation =
        std::make_shared<Operation>(shared_from_this(), kv::KvOperation(kv::CloseSession{session}),
                                    options, /*driven=*/true, Done());
    operation->Begin();
    (void)operation->Wait();
  }
}

bool ClientCore::Park(const std::shared_ptr<Operation>& operation) {
  MutexLock lock(&mutex_);
  if (closed()) return false;
  parked_.insert(operation);
  return true;
}

void ClientCore::Unpark(const std::shared_ptr<Operation>& operation) {
  MutexLock lock(&mutex_);
  parked_.erase(operation);
}

Result<std::string> ClientCore::DiscoverLeader() {
  std::string reasons;
  for (NodeSet::Index node = 0; node < nodes_.size(); ++node) {
    CallContext context;
    context.deadline = scheduler_->Now() + options_.client.connect_timeout;
    std::promise<Result<Answer>> answered;
    (void)nodes_.channel(node)->Start(
        std::make_shared<const Request>(GetNodeInfo{}), context,
        [&](NodeChannel::Outcome outcome) { answered.set_value(std::move(outcome.answer)); });
    const Result<Answer> answer = answered.get_future().get();
    if (answer.ok() && std::get<NodeInfo>(*answer).is_leader) {
      nodes_.OnLeads(node);
      return nodes_.endpoint(node);
    }
    reasons += reasons.empty() ? "" : "; ";
    reasons += nodes_.endpoint(node) + ": " +
               (answer.ok() ? std::string("does not lead") : answer.status().ToString());
  }
  return UnavailableError("no leader was found: " + reasons);
}

void ClientCore::Close() {
  if (closing_.exchange(true)) return;
  CloseSessionsAndWait();
  closed_.store(true, std::memory_order_release);
  absl::flat_hash_set<std::shared_ptr<Operation>> parked;
  {
    MutexLock lock(&mutex_);
    parked.swap(parked_);
  }
  for (const std::shared_ptr<Operation>& operation : parked) operation->Cancel();
  for (const std::shared_ptr<NodeChannel>& channel : nodes_.Channels()) channel->Close();
  if (options_.stop) options_.stop();
}

}  // namespace cairn::client
