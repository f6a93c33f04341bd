// Faults that are aimed at those who lead, or have just voted for somebody who will.
#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "sim/world.h"
#include "src/consensus/raft/messages.h"

namespace cairn::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// More than half of the worlds put into one message.
constexpr std::size_t kFrameOfItsOwn = 2000;

// A vote in an election, given.
bool IsVote(const consensus::Message& message) {
  const auto framed = consensus::raft::Decode(message.body);
  if (!framed.ok()) return false;
  const auto* vote = std::get_if<consensus::raft::VoteResponse>(&framed->message);
  return vote != nullptr && vote->granted && !vote->pre;
}

}  // namespace

void World::SetLinksTo(NodeId id, const LinkQuality& quality) {
  for (std::uint32_t n = 0; n < plan_.nodes; ++n) network_.SetQuality(NodeId(n), id, quality);
}

// ---- Churn

// The leader is killed. While it lasts, frames take as long as elections do, so that several nodes
// ask for the votes of one epoch; half of those who vote lose power before anything of it is on
// their disks; and whoever comes to lead is given a
// write that takes a frame of its own, and loses power soon, or at once when it commits something.
// What is voted twice, or committed by counting copies (figure 8 of the Raft paper), shows here.
void World::BeginChurn(const Fault& fault, NodeId id) {
  ++probe_key_;
  churn_until_ = std::max(churn_until_, scheduler_.now() + fault.lasts);
  LinkQuality slow = UsualLink();
  slow.least = milliseconds(10);
  slow.most = milliseconds(200);
  SetAllLinks(slow);
  scheduler_.After(fault.lasts, [this] {
    if (!healing_) SetAllLinks(UsualLink());
  });
  if (node(id).running()) Down(id, CrashMode::kKeepUnsynced, milliseconds(5));
}

void World::Churn(NodeId id, const consensus::Effects& effects) {
  if (healing_) return;
  const auto lose = [this, id](Duration after, Duration down, std::optional<Effect> effect) {
    scheduler_.After(after, [this, id, down, effect, life = node(id).life()] {
      if (healing_ || !node(id).running() || node(id).life() != life) return;
      if (effect) report_.effects.Count(*effect);
      Tell(StoryLine::Kind::kFault, static_cast<int>(id.value()), "power cut");
      Down(id, CrashMode::kDropUnsynced, down);
    });
  };
  Random& random = scheduler_.random();
  const bool leads = invariants_.leadership(id).role == consensus::Role::kLeader;
  const bool votes = std::any_of(effects.messages.begin(), effects.messages.end(), IsVote);
  if (votes && random.OneIn(1, 2)) {
    lose(microseconds(1), milliseconds(1), Effect::kVoterLost);
  } else if (leads && effects.leadership) {
    scheduler_.After(Duration(0), [this, id] { ProbeWrite(id, kFrameOfItsOwn); });
    // One draw after the other: compilers differ in the order in which they look at arguments.
    const Duration down = scheduler_.Between(milliseconds(1), milliseconds(300));
    const Duration after = scheduler_.Between(Duration(0), milliseconds(300));
    lose(after, down, std::nullopt);
  } else if (leads && effects.committed && random.OneIn(1, 2)) {
    lose(microseconds(1), scheduler_.Between(milliseconds(1), milliseconds(300)), std::nullopt);
  }
}

// ---- A leader that learns late

// The leader goes on believing that it leads while another one does, and reads are put to it,
// writes to the other one. Either what it says is lost and what it hears comes late, so that the
// others give it up before it does; or it hands leadership over, and hears nobody from then on.
void World::StrikeLeader(const Fault& fault, NodeId id) {
  replication::Replica* const leader = LeadingReplica();
  if (leader == nullptr || invariants_.leader() != id) {
    --report_.faults;  // It was none.
    return;
  }
  ++probe_key_;
  const bool transfer = fault.amount != 0;
  Duration ready = milliseconds(600);
  if (transfer) {
    const auto by = static_cast<std::uint32_t>(1 + scheduler_.random().Below(plan_.nodes - 1));
    leader->TransferLeadership(NodeId((id.value() + by) % plan_.nodes), [](const Status&) {});
    ready = scheduler_.Between(microseconds(20), microseconds(400));
  } else {
    LinkQuality late = UsualLink();
    late.least = milliseconds(100);
    late.most = milliseconds(200);
    SetLinksTo(id, late);
  }
  const auto each = [this, id, transfer](bool cut) {
    for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
      const NodeId from = transfer ? NodeId(n) : id;
      const NodeId to = transfer ? id : NodeId(n);
      if (NodeId(n) == id) continue;
      cut ? network_.Cut(from, to) : network_.Mend(from, to);
    }
  };
  scheduler_.After(ready, [this, id, each, lasts = fault.lasts] {
    if (healing_) return;
    each(true);
    AskStaleLeader(id, scheduler_.now() + lasts);
    scheduler_.After(lasts, [this, id, each] {
      if (healing_) return;
      each(false);
      SetLinksTo(id, UsualLink());
    });
  });
}

void World::AskStaleLeader(NodeId id, MonotonicTime until) {
  if (healing_ || scheduler_.now() >= until) return;
  const std::optional<NodeId> leader = invariants_.leader();
  const bool stale =
      leader && *leader != id && invariants_.leadership(id).role == consensus::Role::kLeader;
  // One after the other: what overlaps says less, and takes the search for an order longer.
  if (leader && *leader != id && !std::exchange(probe_under_way_, true)) ProbeWrite(*leader, 0);
  if (stale) report_.effects.Count(Effect::kStaleLeaderAsked);
  if (stale || scheduler_.random().OneIn(1, 8)) ProbeRead(id);
  scheduler_.After(milliseconds(10), [this, id, until] { AskStaleLeader(id, until); });
}

void World::ProbeRead(NodeId id) {
  ReadRecord record;
  record.key = "probe/" + std::to_string(probe_key_);
  record.promise.linearizable = true;
  record.when.client = -1;
  record.when.begin = ++order_;
  record.when.began_at = scheduler_.now();
  Request request{kv::Get{record.key, {}}, {}};
  request.context.read_level = replication::ReadLevel::kReadIndex;
  request.context.allow_forwarding = false;
  request.timeout = milliseconds(300);
  Call(-1, id, std::move(request), [this, record](const Answer& answer) mutable {
    if (!answer.ok()) return;
    const auto& get = std::get<kv::GetResult>(*answer);
    if (get.found) record.value = get.value;
    record.version = get.version;
    record.when.end = ++order_;
    record.when.ended_at = scheduler_.now();
    history_.reads.push_back(std::move(record));
  });
}

void World::ProbeWrite(NodeId id, std::size_t bytes) {
  WriteRecord record;
  record.key = "probe/" + std::to_string(probe_key_);
  record.value = "probe" + std::to_string(++probes_) + std::string(bytes, '.');
  record.when.client = -1;
  record.when.begin = ++order_;
  record.when.began_at = scheduler_.now();
  Request request{kv::Set{record.key, *record.value, {}}, {}};
  request.context.allow_forwarding = false;
  request.timeout = milliseconds(300);
  Call(-1, id, std::move(request), [this, record](const Answer& answer) mutable {
    probe_under_way_ = false;
    const bool unknown = !answer.ok() && answer.status().maybe_applied();
    record.outcome = answer.ok() ? Outcome::kOk : unknown ? Outcome::kUnknown : Outcome::kFailed;
    if (answer.ok()) record.version = std::get<kv::WriteResult>(*answer).version;
    if (!unknown) {
      record.when.end = ++order_;
      record.when.ended_at = scheduler_.now();
    }
    history_.writes.push_back(std::move(record));
  });
}

}  // namespace cairn::sim
