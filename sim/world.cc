// The course of a history, and requests on their way.
#include "sim/world.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "sim/describe.h"
#include "sim/judge.h"
#include "src/base/testing/check_failure.h"
#include "src/base/testing/plant_bug.h"

namespace cairn::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// How late an answer may come after its deadline: replicas look at deadlines every 10 ms, and
// executors and clocks are slow at times.
constexpr Duration kGrace = milliseconds(500);

std::uint64_t StreamSeed(const Plan& plan) {
  return plan.seed * 0x9E3779B97F4A7C15ULL + 1 + plan.variation * 0xBF58476D1CE4E5B9ULL;
}

}  // namespace

// ---- Setting up

World::World(const Plan& plan, const SimulationOptions& options)
    : plan_(plan),
      options_(options),
      scheduler_(StreamSeed(plan)),
      network_(&scheduler_, plan.nodes, &report_.effects),
      group_(plan.nodes, plan.drift_at_bound, &report_.effects),
      invariants_(plan.nodes, &report_.effects,
                  [this](ViolationKind kind, const std::string& what) { Violation(kind, what); }) {
  invariants_.SetObserver([this](NodeId id, const auto& event, const auto& effects) {
    group_.OnStep(id, event, effects);
    if (scheduler_.now() < churn_until_) Churn(id, effects);
  });
  SetAllLinks(UsualLink());
  states_seen_.resize(plan_.nodes);
  for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
    const SimWorld world{&scheduler_, &network_, &invariants_, &group_, &report_.effects};
    nodes_.push_back(std::make_unique<SimNode>(world, NodeOptions(NodeId(n))));
    if (n < plan_.founders) {
      once_members_.insert({nodes_.back()->id(), nodes_.back()->incarnation()});
    }
    nodes_.back()->OnTransfer([this, n] { OnSnapshot(NodeId(n), &cut_next_transfer_); });
    nodes_.back()->OnForward([this, n](NodeId to) { OnForward(NodeId(n), to); });
    nodes_.back()->OnInstall([this, n] { OnSnapshot(NodeId(n), &cut_next_install_); });
  }
  SetUpStory();
}

SimNodeOptions World::NodeOptions(NodeId id) {
  Random& random = scheduler_.random();
  SimNodeOptions node;
  replication::ReplicaOptions& replica = node.replica;
  replica.node = id;
  replica.incarnation = IncarnationId(100 + id.value());
  replica.cluster = 7;
  for (std::uint32_t n = 0; n < plan_.founders; ++n) {
    replica.initial_membership.members.push_back({NodeId(n), IncarnationId(100 + n)});
  }
  replica.max_batch_size = plan_.max_batch_size;
  replica.max_outstanding_proposals = 100;
  replica.max_journal_bytes = plan_.max_journal_bytes;
  replica.retain_journal_bytes = plan_.retain_journal_bytes;
  replica.limits.entry_bytes = 4 << 10;
  replica.limits.transaction_bytes = 4 << 10;
  replica.mvcc_window = plan_.mvcc_window;
  replica.session_idle = plan_.session_idle;
  replica.freshness_interval = plan_.max_staleness / 3;
  node.routing.limits = replica.limits;
  node.routing.allow_stale_reads = plan_.stale_reads;
  node.routing.max_staleness = plan_.max_staleness;
  node.raft.self = id;
  node.raft.incarnation = replica.incarnation;
  node.raft.election_timeout = kElectionTimeout;
  node.raft.heartbeat_interval = milliseconds(80);
  node.raft.commit_notice_delay = milliseconds(1);
  node.raft.max_in_flight = static_cast<std::uint32_t>(1 + random.Below(16));
  node.raft.max_append_bytes = 1 << (8 + random.Below(8));
  node.raft.max_cached_bytes = 1 << (10 + random.Below(8));
  node.raft.leases = plan_.leases;
  node.segment_bytes = plan_.segment_bytes;
  node.clock_start_ns = static_cast<std::int64_t>(random.Below(1'000'000'000'000));
  node.clock_drift_ppm =
      static_cast<std::int64_t>(random.Below(2 * plan_.most_drift_ppm + 1)) - plan_.most_drift_ppm;
  if (plan_.drift_at_bound && id.value() < 2) {
    node.clock_drift_ppm = id.value() == 0 ? plan_.most_drift_ppm : -plan_.most_drift_ppm;
  }
  node.disk_lies = options_.world_bug == WorldBug::kDiskLies;
  return node;
}

void World::Violation(ViolationKind kind, const std::string& what) {
  if (!ok()) return;
  report_.kind = kind;
  report_.violation = what;
  report_.violation_at = scheduler_.now();
  Tell(StoryLine::Kind::kTrouble, -1, what);
}

// ---- Requests

struct World::Pending {
  int client = 0;
  NodeId node;
  Request request;
  std::function<void(Answer)> done;
  std::uint64_t life = 0;  // of the process that took it
  bool answered = false;   // by the node
  bool finished = false;   // for the client
};

std::optional<NodeId> World::NodeOfHint(const std::string& endpoint) const {
  for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
    if (endpoint == "node" + std::to_string(n)) return NodeId(n);
  }
  return std::nullopt;
}

std::optional<Duration> World::local_staleness() const {
  if (plan_.stale_reads) return std::nullopt;
  // By the fastest clock of all, and a task or two late.
  return plan_.max_staleness + plan_.max_staleness / 20 + milliseconds(2);
}

// A request and its answer take their time, and one in a few hundred is lost.
void World::Call(int client, NodeId node_id, Request request, std::function<void(Answer)> done) {
  auto pending = std::make_shared<Pending>();
  pending->client = client;
  pending->node = node_id;
  pending->request = std::move(request);
  pending->done = std::move(done);
  if (options_.story) {
    TellCall(StoryLine::Kind::kCall, client, node_id, Describe(pending->request));
  }
  Random& random = scheduler_.random();
  const Duration limit = pending->request.timeout + milliseconds(200);
  scheduler_.After(limit, [this, pending] {
    Finish(pending, TimeoutError("no answer came").WithMaybeApplied());
  });
  if (random.Below(300) == 0) return;
  const Duration most = random.Below(100) == 0 ? milliseconds(500) : milliseconds(1);
  scheduler_.After(scheduler_.Between(microseconds(50), most),
                   [this, pending] { Arrive(pending); });
}

void World::Arrive(const std::shared_ptr<Pending>& pending) {
  SimNode& target = node(pending->node);
  // A spare that was not taken in yet does not know the group, and serves nobody.
  const bool stranger = plan_.founders != plan_.nodes &&
                        once_members_.count({target.id(), target.incarnation()}) == 0;
  if (!target.serving() || stranger) {
    // Nobody listens there.
    return Finish(pending, UnavailableError("connection refused"));
  }
  target.Post([this, pending] { Serve(pending); });
}

void World::Serve(const std::shared_ptr<Pending>& pending) {
  SimNode& target = node(pending->node);
  pending->life = target.life();
  replication::RequestContext& context = pending->request.context;
  const MonotonicTime now = target.clock()->Now();
  context.deadline = now + pending->request.timeout;
  // Whatever happens, the node answers by the deadline (if it is not stopped or gone meanwhile).
  scheduler_.At(target.clock()->WhenItShows(context.deadline + kGrace), [this, pending] {
    SimNode& server = node(pending->node);
    if (pending->answered || !server.serving() || server.life() != pending->life) return;
    if (server.paused()) return;
    server.Post([this, pending] {
      if (!pending->answered) {
        Violation(ViolationKind::kNoAnswer,
                  "node " + ToString(pending->node) + " did not answer " +
                      std::string(kv::operation_name(pending->request.operation)) +
                      " by its deadline");
      }
    });
  });
  const kv::KvOperation& operation = pending->request.operation;
  const bool bare = context.session.value() == 0 && !kv::is_read_only(operation);
  if (bare && context.allow_forwarding && invariants_.leader() != target.id()) {
    report_.effects.Count(Effect::kBareForward);
  }
  target.routing()->Execute(context, operation, [this, pending](Answer answer) {
    const bool twice =
        options_.world_bug == WorldBug::kAnswersDoubled && scheduler_.random().OneIn(1, 100);
    if (twice) Reply(pending, answer);
    Reply(pending, std::move(answer));
  });
}

void World::Reply(const std::shared_ptr<Pending>& pending, Answer answer) {
  if (std::exchange(pending->answered, true)) {
    Violation(ViolationKind::kTwoAnswers,
              "node " + ToString(pending->node) + " answered " +
                  std::string(kv::operation_name(pending->request.operation)) + " twice");
  }
  // A process that was killed answers nobody.
  const SimNode& server = node(pending->node);
  if (!server.running() || server.life() != pending->life) return;
  Random& random = scheduler_.random();
  if (random.Below(300) == 0) return;
  const Duration most = random.Below(100) == 0 ? milliseconds(500) : milliseconds(1);
  scheduler_.After(scheduler_.Between(microseconds(50), most),
                   [this, pending, answer = std::move(answer)]() mutable {
                     Finish(pending, std::move(answer));
                   });
}

void World::Finish(const std::shared_ptr<Pending>& pending, Answer answer) {
  if (std::exchange(pending->finished, true)) return;
  if (options_.story) {
    TellCall(StoryLine::Kind::kAnswer, pending->client, pending->node, Describe(answer));
  }
  pending->done(std::move(answer));
}

// ---- The course

SimulationReport World::Run() {
  const PlantBug bug(options_.bug);
  const ChecksThrow checks_throw;
  try {
    for (auto& n : nodes_) Restart(n->id());
    for (const int number : plan_.clients) StartClient(number);
    for (const Fault& fault : plan_.faults) {
      scheduler_.At({fault.at.count()}, [this, &fault] { Strike(fault); });
    }
    const MonotonicTime end{plan_.duration.count()};
    const MonotonicTime latest = end + seconds(1200);
    while (ok() && (scheduler_.now() < end ||
                    (operations() < plan_.least_operations && scheduler_.now() < latest))) {
      scheduler_.RunUntil(scheduler_.now() + milliseconds(5), [this] { CompareStates(false); });
      Watchdog();
    }
    if (ok()) Heal();
    if (ok()) CheckProgress();
    if (ok() && plan_.demands_operations && operations() < plan_.least_operations) {
      Violation(ViolationKind::kTooFewOperations,
                std::to_string(operations()) + " operations were begun, " +
                    std::to_string(plan_.least_operations) + " are the least");
    }
    if (ok()) ReadEverything();
    if (ok()) CheckStates();
    if (ok()) CheckReplay();
    if (ok()) {
      const Verdict verdict = Judge(history_);
      report_.searches_given_up = verdict.searches_given_up;
      if (verdict.kind != ViolationKind::kNone) {
        Violation(verdict.kind, verdict.text);
        report_.violation_at = verdict.wrong_at;
      }
    }
  } catch (const CheckFailure& failure) {
    Violation(ViolationKind::kAssertion, failure.what());
  }
  CompleteReport();
  return report_;
}

void World::StartClient(int number) {
  ClientOptions options;
  options.number = number;
  options.seed = plan_.seed;
  options.lanes = plan_.lanes;
  options.think_most = plan_.think_most;
  options.bare = number >= plan_.first_bare_client;
  if (plan_.operations) {
    options.only.emplace();
    for (const OperationNumber& operation : *plan_.operations) {
      if (operation.client == number) options.only->push_back(operation.number);
    }
  }
  options.retry_without_session = options_.world_bug == WorldBug::kRetryWithoutSession;
  clients_.push_back(
      std::make_unique<Client>(options, &scheduler_, this, &history_, &order_, &report_.effects,
                               [this, number](ViolationKind kind, const std::string& what) {
                                 Violation(kind, "client " + std::to_string(number) + ": " + what);
                               }));
  if (options_.story) {
    clients_.back()->SetTrace([this, number](const std::string& text) {
      StoryLine line;
      line.kind = StoryLine::Kind::kClient;
      line.at = scheduler_.now();
      line.client = number;
      line.text = text;
      options_.story(line);
    });
  }
  clients_.back()->Start();
}

void World::CompleteReport() {
  report_.operations = operations();
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    report_.operations_of[plan_.clients[i]] = clients_[i]->operations();
  }
  report_.simulated = scheduler_.now() - MonotonicTime{0};
  report_.elections = invariants_.elections();
  report_.snapshots = invariants_.snapshots();
  report_.frames = network_.sent();
  for (const auto& n : nodes_) {
    const FaultEffects disk = n->disk()->Effects();
    report_.effects.Count(Effect::kSyncFailed, disk.failed_on_demand);
    report_.effects.Count(Effect::kDeadDisk, disk.refused_dead);
  }
  report_.fingerprint ^= scheduler_.tasks_run() * 0x9E3779B97F4A7C15ULL;
}

std::uint64_t World::operations() const {
  std::uint64_t sum = 0;
  for (const auto& client : clients_) sum += client->operations();
  return sum;
}

void World::Restart(NodeId id) {
  SimNode& target = node(id);
  if (target.running()) return;
  ++report_.restarts;
  const Status started = target.Start();
  if (started.ok()) {
    Tell(StoryLine::Kind::kNode, static_cast<int>(id.value()), "starts");
    return;
  }
  Tell(StoryLine::Kind::kNode, static_cast<int>(id.value()),
       "does not start: " + started.ToString());
  // The power may go again while the node starts, a sync may fail, the disk may be full. Nothing
  // else may keep a node from starting.
  const bool excused = target.disk()->PoweredOff() || started.code() == StatusCode::kIoError ||
                       started.code() == StatusCode::kResourceExhausted;
  if (!excused) {
    Violation(ViolationKind::kDoesNotStart,
              "node " + ToString(id) + " does not start again: " + started.ToString());
  }
  Down(id, CrashMode::kRandom, milliseconds(200));
}

void World::Down(NodeId id, CrashMode mode, Duration lasts) {
  node(id).Crash(mode);
  scheduler_.After(lasts, [this, id] {
    if (!node(id).running()) Restart(id);
  });
}

// A process that ended itself, or whose disk lost power under it, is started again.
void World::Watchdog() {
  for (auto& n : nodes_) {
    n->LookAtEngine();
    if (!n->failed() && !(n->running() && n->disk()->PoweredOff())) continue;
    if (n->paused()) continue;
    Tell(StoryLine::Kind::kNode, static_cast<int>(n->id().value()), "the process ended");
    Down(n->id(), CrashMode::kRandom, scheduler_.Between(milliseconds(1), milliseconds(300)));
  }
  if (scheduler_.now() < look_at_) return;
  look_at_ = scheduler_.now() + std::chrono::milliseconds(100);
  if (healing_) CompareStates(true);
  TakeIn();
}

// Replicas that have applied the same slot hold the same state. What a process held at its slot is
// looked at once, or `again`.
void World::CompareStates(bool again) {
  for (auto& n : nodes_) {
    if (!n->serving()) continue;
    const Slot slot = n->executor()->applied_slot();
    const std::pair now(n->life(), slot);
    std::pair<std::uint64_t, Slot>& seen = states_seen_[n->id().value()];
    if (seen == now && !again) continue;
    // Between two commands of an entry the state is that of no slot.
    if (slot.value() == 0 || n->engine()->Meta().applied_commands != 0) continue;
    seen = now;
    const Result<std::uint64_t> hash = n->executor()->StateHash();
    if (hash.ok()) invariants_.StateHash(n->id(), slot, *hash);
  }
}

SimulationReport RunPlan(const Plan& plan, const SimulationOptions& options) {
  return World(plan, options).Run();
}

SimulationReport RunSeed(std::uint64_t seed, const SimulationOptions& options) {
  return RunPlan(MakePlan(seed), options);
}

}  // namespace cairn::sim
