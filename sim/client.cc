// Lanes, sessions and retries. What the lanes do is in workload.cc.
#include "sim/client.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace cairn::sim {

using std::chrono::milliseconds;

namespace {

constexpr int kWriteAttempts = 60;
constexpr int kReadAttempts = 4;
// Keeps streams of clients apart from each other and from everything else of a seed.
constexpr std::uint64_t kClientStream = 0xC1;

std::uint64_t StreamOf(std::uint64_t seed, int client, std::uint64_t operation) {
  return seed * 0x9E3779B97F4A7C15ULL + kClientStream + static_cast<std::uint64_t>(client) +
         operation * 0x94D049BB133111EBULL;
}

bool IsTransient(StatusCode code) {
  return code == StatusCode::kTimeout || code == StatusCode::kUnavailable ||
         code == StatusCode::kResourceExhausted || code == StatusCode::kNotLeader;
}

}  // namespace

// A write on its way.
struct Client::Write {
  kv::KvOperation operation;
  SessionId session;  // 0: sent once, without one
  std::uint64_t sequence = 0;
  int attempt = 0;
  bool open = false;  // an earlier try may have been applied
  // Set: sent again whatever became of earlier tries, and how many copies there may be.
  std::uint64_t* copies = nullptr;
  std::function<void(Outcome, const Answer&)> then;
};

Client::Client(const ClientOptions& options, Scheduler* scheduler, Door* door, History* history,
               std::uint64_t* order, Effects* effects,
               std::function<void(ViolationKind, const std::string&)> violation)
    : options_(options),
      scheduler_(scheduler),
      door_(door),
      history_(history),
      order_(order),
      effects_(effects),
      violation_(std::move(violation)),
      random_(StreamOf(options.seed, options.number, 0)) {}

void Client::Start() {
  timetable_.resize(static_cast<std::size_t>(options_.lanes));
  for (int lane = 0; lane < options_.lanes; ++lane) {
    DrawPause(lane);
    Think(lane);
  }
}

// ---- Lanes

void Client::DrawPause(int lane) {
  const auto most = static_cast<std::uint64_t>(options_.think_most.count());
  timetable_[static_cast<std::size_t>(lane)].pause =
      Duration(static_cast<std::int64_t>(1'000'000 + random_.Below(most)));
}

void Client::Think(int lane) {
  Timetable& table = timetable_[static_cast<std::size_t>(lane)];
  table.next = std::max(table.next + table.pause, scheduler_->now() + milliseconds(1));
  scheduler_->At(table.next, [this, lane] { Next(lane); });
}

void Client::End(int lane) {
  --busy_;
  Think(lane);
}

void Client::Next(int lane) {
  if (finishing_) return;
  if (session_.value() == 0 && !options_.retry_without_session && !options_.bare) {
    if (opening_session_) return Think(lane);
    ++busy_;
    return OpenSession(lane);
  }
  ++operations_;
  // Each operation has a stream of its own: it stays the same when others are left out.
  random_ = SeededRandom(StreamOf(options_.seed, options_.number, operations_));
  DrawPause(lane);
  if (options_.only &&
      !std::binary_search(options_.only->begin(), options_.only->end(), operations_)) {
    return Think(lane);
  }
  ++busy_;
  const std::uint64_t dice = random_.Below(100);
  if (dice < 16) return SetRegister(lane);
  if (dice < 19) return DeleteRegister(lane);
  if (dice < 38) return GetRegister(lane);
  if (dice < 44) return SnapshotRegister(lane);
  if (dice < 49) return SetSeveral(lane);
  if (dice < 55) return ScanRegisters(lane);
  if (dice < 60) return AskVersion(lane);
  if (dice < 68) return AppendStamp(lane);
  if (dice < 71) return StampValue(lane);
  if (dice < 92) return RunTransaction(lane);
  if (dice < 99 || !outstanding_.empty() || session_.value() == 0) return UseFamily(lane);
  CloseSession(lane);
}

void Client::Begin(Interval* when) {
  when->client = options_.number;
  when->begin = ++*order_;
  when->began_at = scheduler_->now();
}

void Client::Close(Interval* when) {
  when->end = ++*order_;
  when->ended_at = scheduler_->now();
}

void Client::OpenSession(int lane) {
  opening_session_ = true;
  // Opened without a session: if the answer is lost, an unused session is left to expire.
  door_->Call(options_.number, AnyNode(), {kv::OpenSession{}, {}}, [this, lane](const Answer& a) {
    opening_session_ = false;
    if (a.ok()) {
      session_ = SessionId(std::get<kv::WriteResult>(*a).version.value());
      next_sequence_ = 1;
      outstanding_.clear();
      Trace("opened session " + ToString(session_));
    }
    End(lane);
  });
}

// A session in which nothing is under way may be given up.
void Client::CloseSession(int lane) {
  const SessionId session = std::exchange(session_, SessionId());
  Trace("closes session " + ToString(session));
  door_->Call(options_.number, AnyNode(), {kv::CloseSession{session}, {}},
              [this, lane](const Answer&) { End(lane); });
}

NodeId Client::AnyNode() {
  if (leader_ && random_.OneIn(1, 3)) return *leader_;
  return NodeId(static_cast<std::uint32_t>(random_.Below(door_->node_count())));
}

void Client::Learn(Version version) { newest_ = std::max(newest_, version); }

// ---- Writes

void Client::SendWrite(kv::KvOperation operation,
                       std::function<void(Outcome, const Answer&)> then) {
  auto write = std::make_shared<Write>();
  write->operation = std::move(operation);
  write->then = std::move(then);
  if (!random_.OneIn(1, 8) && session_.value() != 0) {
    write->session = session_;
    write->sequence = next_sequence_++;
    outstanding_.insert(write->sequence);
  }
  TryWrite(write);
}

void Client::InsistOnWrite(kv::KvOperation operation, std::uint64_t* tries,
                           std::function<void(Outcome, const Answer&)> then) {
  auto write = std::make_shared<Write>();
  write->operation = std::move(operation);
  write->then = std::move(then);
  write->copies = tries;
  TryWrite(write);
}

void Client::TryWrite(const std::shared_ptr<Write>& write) {
  Request request{write->operation, {}};
  if (write->session.value() != 0) {
    request.context.session = write->session;
    request.context.sequence = write->sequence;
    // Of a session that was replaced, only what is still under way counts.
    request.context.first_outstanding = write->session == session_ && !outstanding_.empty()
                                            ? std::min(*outstanding_.begin(), write->sequence)
                                            : 1;
  }
  request.context.allow_forwarding = !random_.OneIn(1, 4);
  request.timeout = milliseconds(300 + random_.Below(2500));
  ++write->attempt;
  const NodeId node = AnyNode();
  Trace("asks n" + ToString(node) + " for try " + std::to_string(write->attempt) + " of session " +
        ToString(write->session) + " sequence " + std::to_string(write->sequence));
  door_->Call(options_.number, node, std::move(request), [this, write](const Answer& answer) {
    if (!answer.ok()) Trace("is told " + answer.status().ToString());
    OnWriteAnswer(write, answer);
  });
}

void Client::OnWriteAnswer(const std::shared_ptr<Write>& write, const Answer& answer) {
  const StatusCode code = answer.ok() ? StatusCode::kOk : answer.status().code();
  if (code == StatusCode::kNotLeader) leader_ = door_->NodeOfHint(answer.status().leader_hint());
  const bool unknown = !answer.ok() && answer.status().maybe_applied();
  if (unknown) write->open = true;
  if (unknown && write->copies != nullptr) ++*write->copies;
  const bool may_retry = write->session.value() != 0 || options_.retry_without_session ||
                         write->copies != nullptr ||
                         !write->open;  // surely not applied: it may be tried again
  if (IsTransient(code) && may_retry && write->attempt < kWriteAttempts) {
    const Duration pause = milliseconds(5 + random_.Below(100 << std::min(write->attempt, 4)));
    scheduler_->After(pause, [this, write] { TryWrite(write); });
    return;
  }
  if (code == StatusCode::kAlreadyAnswered) {
    violation_(ViolationKind::kWrongSession,
               "sequence " + std::to_string(write->sequence) + " of session " +
                   ToString(write->session) + " is under way and was said to be answered already");
  }
  // A definite answer settles the earlier tries; without one, or when the session is gone, an
  // earlier try may have been applied.
  const bool settled = !IsTransient(code) && code != StatusCode::kSessionExpired;
  if (code == StatusCode::kSessionExpired && write->session == session_) session_ = SessionId();
  if (settled && answer.ok() && write->session == session_ && session_.value() != 0 &&
      random_.OneIn(1, 10)) {
    return AskAgain(write, answer);
  }
  FinishWrite(write, answer, settled);
}

// As if the answer had been lost: the second one must be the same.
void Client::AskAgain(const std::shared_ptr<Write>& write, const Answer& first) {
  Request request{write->operation, {}};
  request.context.session = write->session;
  request.context.sequence = write->sequence;
  request.context.first_outstanding = std::min(*outstanding_.begin(), write->sequence);
  door_->Call(
      options_.number, AnyNode(), std::move(request), [this, write, first](const Answer& again) {
        const bool same = !again.ok() || std::get<kv::WriteResult>(*again).version ==
                                             std::get<kv::WriteResult>(*first).version;
        const bool may_fail = again.ok() || IsTransient(again.status().code()) ||
                              again.status().code() == StatusCode::kSessionExpired;
        if (!same || !may_fail) {
          violation_(
              ViolationKind::kWrongSession,
              "sequence " + std::to_string(write->sequence) + " of session " +
                  ToString(write->session) + " was answered with version " +
                  ToString(std::get<kv::WriteResult>(*first).version) + ", then with " +
                  (again.ok() ? "version " + ToString(std::get<kv::WriteResult>(*again).version)
                              : again.status().ToString()));
        }
        if (again.ok() && same) effects_->Count(Effect::kRetryAnswered);
        FinishWrite(write, first, true);
      });
}

void Client::FinishWrite(const std::shared_ptr<Write>& write, const Answer& answer, bool settled) {
  if (write->session == session_) outstanding_.erase(write->sequence);
  if (answer.ok()) {
    Learn(std::get<kv::WriteResult>(*answer).version);
    write->then(Outcome::kOk, answer);
  } else {
    // What is said of a try without a session says nothing of earlier ones.
    const bool bare = write->session.value() == 0;
    const bool unknown = write->open && (bare || !settled);
    if (unknown && bare) effects_->Count(Effect::kBareWriteUnknown);
    write->then(unknown ? Outcome::kUnknown : Outcome::kFailed, answer);
  }
}

// ---- Reads

Client::ReadPlan Client::PlanRead() {
  ReadPlan plan;
  switch (random_.Below(3)) {
    case 0:
      plan.level = replication::ReadLevel::kLocal;
      plan.promise.max_staleness = door_->local_staleness();
      break;
    case 1:
      plan.level = replication::ReadLevel::kLeader;
      plan.promise.linearizable = true;
      break;
    default:
      plan.level = replication::ReadLevel::kReadIndex;
      plan.promise.linearizable = true;
      break;
  }
  if (random_.OneIn(1, 3)) plan.promise.min_version = plan.min_version = newest_;
  return plan;
}

void Client::SendRead(const ReadPlan& plan, kv::KvOperation operation, Then then, int attempt) {
  Request request{operation, {}};
  request.context.read_level = plan.level;
  request.context.min_version = plan.min_version;
  request.context.allow_forwarding = !random_.OneIn(1, 4);
  request.timeout = milliseconds(300 + random_.Below(1500));
  door_->Call(options_.number, AnyNode(), std::move(request),
              [this, plan, operation = std::move(operation), then = std::move(then),
               attempt](const Answer& answer) mutable {
                const StatusCode code = answer.ok() ? StatusCode::kOk : answer.status().code();
                if (code == StatusCode::kNotLeader) {
                  leader_ = door_->NodeOfHint(answer.status().leader_hint());
                }
                const bool again = IsTransient(code) || code == StatusCode::kStale;
                if (!again || attempt + 1 >= kReadAttempts) return then(answer);
                const Duration pause = milliseconds(5 + random_.Below(100));
                scheduler_->After(pause, [this, plan, operation = std::move(operation),
                                          then = std::move(then), attempt]() mutable {
                  SendRead(plan, std::move(operation), std::move(then), attempt + 1);
                });
              });
}

}  // namespace cairn::sim
