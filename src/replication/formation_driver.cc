#include "src/replication/formation_driver.h"

#include <chrono>
#include <utility>

#include "src/base/log.h"
#include "src/replication/peer_frame.h"

namespace cairn::replication {

using consensus::formation::FormationEffects;
using consensus::formation::FormationEvent;

namespace {

// How often a node that waits for others says in the log whom it waits for.
constexpr Duration kTellEvery = std::chrono::seconds(10);
constexpr Duration kFirstTold = std::chrono::seconds(2);

}  // namespace

// What the replica takes for the transport.
class FormationDriver::ReplicaTransport final : public transport::PeerTransport {
 public:
  explicit ReplicaTransport(transport::PeerTransport* under) : under_(under) {}

  void Send(NodeId to, transport::Lane lane, std::string frame) override {
    under_->Send(to, lane, std::move(frame));
  }
  void SetReceiver(Receiver receiver) override {
    auto shared = receiver ? std::make_shared<const Receiver>(std::move(receiver)) : nullptr;
    MutexLock lock(&mutex_);
    receiver_ = std::move(shared);
  }
  void Deliver(NodeId from, std::string frame) {
    std::shared_ptr<const Receiver> receiver;
    {
      MutexLock lock(&mutex_);
      receiver = receiver_;
    }
    if (receiver) (*receiver)(from, std::move(frame));
  }

 private:
  transport::PeerTransport* const under_;
  Mutex mutex_;
  std::shared_ptr<const Receiver> receiver_ ABSL_GUARDED_BY(mutex_);
};

Result<std::shared_ptr<FormationDriver>> FormationDriver::Create(
    const FormationDriverOptions& options, const FormationEnvironment& environment,
    FormationHooks hooks) {
  std::string record;
  if (environment.files->Exists(options.record_path)) {
    CAIRN_ASSIGN_OR_RETURN(record, environment.files->ReadFile(options.record_path));
    const auto decoded = consensus::formation::DecodeRecord(record);
    if (!decoded.ok()) {
      return Status(decoded.status().code(),
                    options.record_path + ": " + decoded.status().message());
    }
    const consensus::PeerId& self = options.formation.self;
    for (const consensus::Membership::Member& member : decoded->first.members) {
      if (member.incarnation != self.incarnation || member.node == self.node) continue;
      return FailedPreconditionError(options.record_path + ": this data folder is that of node " +
                                     ToString(member.node) + ", and this node is configured as " +
                                     ToString(self.node) +
                                     "; correct instance_id, or choose the right folder");
    }
  }
  return std::shared_ptr<FormationDriver>(
      new FormationDriver(options, environment, std::move(hooks), std::move(record)));
}

FormationDriver::FormationDriver(const FormationDriverOptions& options,
                                 const FormationEnvironment& environment, FormationHooks hooks,
                                 std::string record)
    : options_(options),
      env_(environment),
      hooks_(std::move(hooks)),
      replica_transport_(std::make_unique<ReplicaTransport>(environment.transport)),
      random_(options.seed),
      record_(std::move(record)),
      machine_(options.formation, &random_) {}

FormationDriver::~FormationDriver() = default;

transport::PeerTransport* FormationDriver::replica_transport() { return replica_transport_.get(); }

template <class F>
auto FormationDriver::UnlessStopped(F task) {
  return [self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->stopped_.load(std::memory_order_acquire)) task();
  };
}

void FormationDriver::Start() {
  env_.core->Post(UnlessStopped([this] {
    tell_at_ = env_.clock->Now() + kFirstTold;
    Step(consensus::formation::Started{record_});
  }));
  // After that: no frame may reach the machine before it has started.
  env_.transport->SetReceiver([weak = weak_from_this()](NodeId from, std::string frame) {
    if (const auto self = weak.lock()) self->OnFrame(from, std::move(frame));
  });
}

void FormationDriver::MembershipChanged(const consensus::Membership& membership) {
  env_.core->Post(UnlessStopped(
      [this, membership] { Step(consensus::formation::MembershipInForce{membership}); }));
}

std::string FormationDriver::Describe() const {
  MutexLock lock(&mutex_);
  return description_;
}

void FormationDriver::Stop() {
  stopped_.store(true, std::memory_order_release);
  env_.transport->SetReceiver(nullptr);
}

void FormationDriver::OnFrame(NodeId from, std::string bytes) {
  if (stopped_.load(std::memory_order_acquire)) return;
  if (KindOf(bytes) != FrameKind::kFormation) {
    return replica_transport_->Deliver(from, std::move(bytes));
  }
  const Result<Frame> frame = DecodeFrame(bytes);
  if (!frame.ok()) {
    CAIRN_LOG(kDebug, "formation: a frame of node {}: {}", from.value(), frame.status().message());
    return;
  }
  if (frame->header.group != options_.formation.group) return;
  env_.core->Post(UnlessStopped([this, from, body = std::string(frame->body)]() mutable {
    Step(consensus::MessageReceived{from, std::move(body)});
  }));
}

void FormationDriver::Step(decltype(FormationEvent::what) what) {
  CarryOut(machine_.Step(FormationEvent{env_.clock->Now(), std::move(what)}));
}

void FormationDriver::CarryOut(FormationEffects effects) {
  {
    MutexLock lock(&mutex_);
    description_ = machine_.Describe();
  }
  for (const consensus::Message& message : effects.messages) Send(message);
  if (effects.problem) CAIRN_LOG(kWarn, "formation: {}", effects.problem->message());
  for (const auto& request : effects.join_requests) hooks_.join(request);
  if (effects.formed) hooks_.formed(*effects.formed);
  if (effects.wake_at) ArmTimer(*effects.wake_at);
  TellWhatIsAwaited();
  if (!effects.persist) return;
  const Status written = env_.files->WriteFileAtomically(options_.record_path, *effects.persist);
  if (!written.ok()) {
    stopped_.store(true, std::memory_order_release);
    hooks_.fatal(
        Status(written.code(), "cannot write " + options_.record_path + ": " + written.message()));
    return;
  }
  Step(consensus::formation::RecordPersisted{});
}

void FormationDriver::Send(const consensus::Message& message) {
  const FrameHeader header{FrameKind::kFormation, options_.formation.group,
                           machine_.cluster().value(), options_.formation.self.incarnation};
  env_.transport->Send(message.to, transport::Lane::kConsensus, EncodeFrame(header, message.body));
}

void FormationDriver::ArmTimer(MonotonicTime when) {
  if (timer_ && *timer_ <= when) return;
  timer_ = when;
  env_.core->PostAt(when, UnlessStopped([this, when] {
                      if (timer_ != when) return;
                      timer_.reset();
                      Step(consensus::Tick{});
                    }));
}

void FormationDriver::TellWhatIsAwaited() {
  const MonotonicTime now = env_.clock->Now();
  if (machine_.cluster().value() != 0 || now < tell_at_) return;
  tell_at_ = now + kTellEvery;
  CAIRN_LOG(kInfo, "formation: {}", Describe());
}

}  // namespace cairn::replication
