// How the faults of a plan strike the world.
#include <algorithm>
#include <utility>

#include "sim/world.h"

namespace cairn::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

LinkQuality World::UsualLink() const {
  LinkQuality quality;
  quality.lost_per_mille = plan_.lost_per_mille;
  quality.doubled_per_mille = plan_.lost_per_mille / 2;
  return quality;
}

void World::SetAllLinks(const LinkQuality& quality) {
  for (std::uint32_t a = 0; a < plan_.nodes; ++a) {
    for (std::uint32_t b = 0; b < plan_.nodes; ++b) {
      network_.SetQuality(NodeId(a), NodeId(b), quality);
    }
  }
}

void World::Strike(const Fault& fault) {
  if (healing_ || !ok()) return;
  ++report_.faults;
  report_.faults_struck =
      std::max(report_.faults_struck, static_cast<std::size_t>(&fault - plan_.faults.data()) + 1);
  NodeId id(fault.node);
  if (fault.at_leader) id = invariants_.leader().value_or(id);
  Tell(StoryLine::Kind::kFault, static_cast<int>(id.value()), fault.Describe());
  SimNode& target = node(id);
  switch (fault.kind) {
    case FaultKind::kPowerCut:
      if (target.running()) Down(id, CrashMode::kRandom, fault.lasts / 4);
      return;
    case FaultKind::kKill:
      if (target.serving()) report_.effects.Count(Effect::kKilled);
      if (target.running()) Down(id, CrashMode::kKeepUnsynced, fault.lasts / 4);
      return;
    case FaultKind::kStop:
      if (!target.running() || target.paused()) return;
      if (target.serving()) report_.effects.Count(Effect::kStopped);
      target.Stop();
      scheduler_.After(fault.lasts / 4, [this, id] { Restart(id); });
      return;
    case FaultKind::kPause:
      if (target.running()) Pause(id, fault.lasts);
      return;
    case FaultKind::kFlush:
      if (target.serving()) target.replica()->Flush(nullptr);
      return;
    case FaultKind::kClockStep:
      if (target.running()) {
        report_.effects.Count(fault.amount < 0 ? Effect::kClockBackward : Effect::kClockForward);
      }
      target.clock()->StepWall(milliseconds(fault.amount));
      return;
    case FaultKind::kTransfer:
    case FaultKind::kWipe:
    case FaultKind::kDeadDisk:
    case FaultKind::kRemoveVoter:
    case FaultKind::kAddMember:
    case FaultKind::kRemoveMember:
      return StrikeMembers(fault, target);
    case FaultKind::kCount:
      return;
    case FaultKind::kPowerCutAll:
    case FaultKind::kCutTransfer:
    case FaultKind::kCutInstall:
    case FaultKind::kForwardFate:
      return Aim(fault);
    case FaultKind::kFallBehind:
      return FallBehind(fault, target);
    case FaultKind::kChurn:
      return BeginChurn(fault, id);
    case FaultKind::kStaleLeader:
      return StrikeLeader(fault, id);
    case FaultKind::kPowerCutAt:
    case FaultKind::kSyncFails:
    case FaultKind::kDiskFull:
    case FaultKind::kEngineFull:
    case FaultKind::kSlowDisk:
      return StrikeDisk(fault, target);
    case FaultKind::kCutOneWay:
    case FaultKind::kCutBothWays:
    case FaultKind::kFlap:
    case FaultKind::kLossy:
    case FaultKind::kSlowLinks:
      return StrikeNetwork(fault, id);
  }
}

// What strikes when something happens next, wherever that is.
void World::Aim(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kPowerCutAll:
      for (auto& n : nodes_) {
        n->disk()->PowerOffAt(1 +
                              scheduler_.random().Below(static_cast<std::uint64_t>(fault.amount)));
      }
      return;
    case FaultKind::kCutTransfer:
      cut_next_transfer_ = static_cast<std::uint64_t>(fault.amount);
      return;
    case FaultKind::kCutInstall:
      cut_next_install_ = static_cast<std::uint64_t>(fault.amount);
      return;
    case FaultKind::kForwardFate:
      forward_fate_ = &fault;
      return;
    default:
      return;
  }
}

void World::StrikeDisk(const Fault& fault, SimNode& target) {
  SimNode* const raw = &target;
  switch (fault.kind) {
    case FaultKind::kPowerCutAt:
      target.disk()->PowerOffAt(static_cast<std::uint64_t>(fault.amount));
      return;
    case FaultKind::kSyncFails:
      target.disk()->FailNth(FileOperation::kSync, 1, IoError("injected sync failure"));
      return;
    case FaultKind::kDiskFull:
      target.disk()->SetCapacity(target.disk()->UsedBytes() +
                                 static_cast<std::uint64_t>(fault.amount));
      scheduler_.After(fault.lasts, [raw] { raw->disk()->SetCapacity(std::nullopt); });
      return;
    case FaultKind::kEngineFull:
      target.engines()->SetCapacity(0);
      scheduler_.After(fault.lasts, [raw] { raw->engines()->SetCapacity(std::nullopt); });
      return;
    default:
      target.SlowDisk({milliseconds(1), milliseconds(40), 10, milliseconds(800)});
      scheduler_.After(fault.lasts, [raw] { raw->UsualDisk(); });
      if (fault.amount != 0 && target.running()) {
        Down(target.id(), CrashMode::kKeepUnsynced, fault.lasts / 4);
      }
      return;
  }
}

// Down for a while; the others flush their engines meanwhile, again and again, so that they cut
// their journals, unless they keep them for those who are away.
void World::FallBehind(const Fault& fault, SimNode& target) {
  if (!target.running()) return;
  Down(target.id(), CrashMode::kKeepUnsynced, fault.lasts);
  for (int i = 1; i <= 4; ++i) {
    scheduler_.After(fault.lasts * i / 5, [this, id = target.id()] {
      for (auto& n : nodes_) {
        if (n->id() != id && n->serving() && !n->paused()) n->replica()->Flush(nullptr);
      }
    });
  }
}

// A snapshot begins to arrive at the node, or to be installed there.
void World::OnSnapshot(NodeId id, std::uint64_t* cut) {
  if (*cut == 0 || healing_) return;
  node(id).disk()->PowerOffAt(std::exchange(*cut, 0));
}

// A write was sent to the node that leads. What becomes of those two, in a moment in which the
// write may be in the log and its answer not yet on its way.
void World::OnForward(NodeId from, NodeId to) {
  enum class ForwardFate : std::uint8_t {
    kForwarderEnds,
    kLeaderEnds,
    kLeaderStops,
    kLeaderCutOff
  };
  if (forward_fate_ == nullptr || healing_) return;
  const Fault& fault = *std::exchange(forward_fate_, nullptr);
  const auto fate = static_cast<ForwardFate>(fault.amount);
  scheduler_.After(
      scheduler_.Between(microseconds(50), milliseconds(3)), [this, &fault, fate, from, to] {
        const NodeId id = fate == ForwardFate::kForwarderEnds ? from : to;
        SimNode& target = node(id);
        if (healing_ || !target.running()) return;
        switch (fate) {
          case ForwardFate::kForwarderEnds:
          case ForwardFate::kLeaderEnds:
            return Down(id, CrashMode::kKeepUnsynced, fault.lasts / 4);
          case ForwardFate::kLeaderStops:
            return Pause(id, fault.lasts);
          case ForwardFate::kLeaderCutOff:
            break;
        }
        // It hears nobody; what it says is heard for a moment more.
        for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
          if (NodeId(n) == id) continue;
          network_.Cut(NodeId(n), id);
          scheduler_.After(milliseconds(1), [this, id, n] { network_.Cut(id, NodeId(n)); });
          scheduler_.After(fault.lasts + milliseconds(2), [this, id, n] {
            if (healing_) return;
            network_.Mend(NodeId(n), id);
            network_.Mend(id, NodeId(n));
          });
        }
      });
}

// SIGSTOP for a while.
void World::Pause(NodeId id, Duration lasts) {
  SimNode& target = node(id);
  target.Pause();
  scheduler_.After(lasts, [this, id, life = target.life()] {
    if (node(id).life() == life) node(id).Resume();
  });
}

void World::SetCut(const Fault& fault, NodeId id, bool cut) {
  for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
    const NodeId other(n);
    if (other == id || (fault.others >> n & 1) == 0) continue;
    cut ? network_.Cut(id, other) : network_.Mend(id, other);
    if (fault.kind == FaultKind::kCutOneWay) continue;
    cut ? network_.Cut(other, id) : network_.Mend(other, id);
  }
}

// `sent_before`: frames that `id` had sent when the links were mended last.
void World::Flap(const Fault& fault, NodeId id, MonotonicTime until, bool cut,
                 std::uint64_t sent_before) {
  if (healing_) return;
  const bool over = scheduler_.now() >= until;
  std::uint64_t sent = 0;
  for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
    if ((fault.others >> n & 1) != 0) sent += network_.SentOver(id, NodeId(n));
  }
  if (cut && sent_before != 0 && sent > sent_before) report_.effects.Count(Effect::kCutAgain);
  SetCut(fault, id, cut);
  if (over && !cut) return;
  scheduler_.After(scheduler_.Between(milliseconds(10), milliseconds(400)),
                   [this, &fault, id, until, cut, sent] { Flap(fault, id, until, !cut, sent); });
}

void World::StrikeNetwork(const Fault& fault, NodeId id) {
  LinkQuality quality = UsualLink();
  switch (fault.kind) {
    case FaultKind::kFlap:
      return Flap(fault, id, scheduler_.now() + fault.lasts, true, 0);
    case FaultKind::kLossy:
      quality.lost_per_mille = 100;
      quality.doubled_per_mille = 100;
      quality.late_per_mille = 50;
      quality.most = milliseconds(20);
      SetAllLinks(quality);
      scheduler_.After(fault.lasts, [this] {
        if (!healing_) SetAllLinks(UsualLink());
      });
      return;
    case FaultKind::kSlowLinks: {
      quality.least = milliseconds(20);
      quality.most = milliseconds(150);
      quality.bytes_per_second = 50'000;
      const auto set = [this, id](const LinkQuality& q) {
        for (std::uint32_t n = 0; n < plan_.nodes; ++n) {
          network_.SetQuality(id, NodeId(n), q);
          network_.SetQuality(NodeId(n), id, q);
        }
      };
      set(quality);
      scheduler_.After(fault.lasts, [this, set] {
        if (!healing_) set(UsualLink());
      });
      return;
    }
    default:
      SetCut(fault, id, true);
      scheduler_.After(fault.lasts, [this, &fault, id] {
        if (!healing_) SetCut(fault, id, false);
      });
      return;
  }
}

}  // namespace cairn::sim
