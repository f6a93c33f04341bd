#include "sim/plan.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace cairn::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kPlanStream = 0xFA;
constexpr std::uint64_t kSparesStream = 0x51DE;

constexpr std::array<std::string_view, static_cast<std::size_t>(FaultKind::kCount)> kNames = {
    "power cut",
    "power cut in the middle of file operations of",
    "power cut in the middle of file operations of all, first",
    "power cut while a snapshot arrives at whichever",
    "power cut while a snapshot is installed at whichever",
    "kill -9",
    "orderly stop",
    "SIGSTOP",
    "the next fdatasync fails at",
    "disk full at",
    "engine full at",
    "slow disk at",
    "dead disk at",
    "journals cut while down:",
    "wall clock jumps at",
    "frames are lost from",
    "cut off",
    "flapping link of",
    "all links lose and delay frames",
    "slow links of",
    "flush of",
    "the next forwarded write loses its way, first",
    "leadership goes to",
    "disk replaced by an empty one at",
    "no vote for a while for",
    "made a member:",
    "removed from the group:",
    "new leaders and voters are lost on slow links, first",
    "cut off and read from, with another one leading:"};

Duration Between(Random& random, Duration least, Duration most) {
  return least + Duration(static_cast<std::int64_t>(
                     random.Below(static_cast<std::uint64_t>((most - least).count()) + 1)));
}

// How often each kind is chosen, in a group of more than one node and in one of one.
int WeightOf(FaultKind kind, bool alone) {
  switch (kind) {
    case FaultKind::kPowerCutAt:
      return 10;
    case FaultKind::kTransfer:
      return alone ? 0 : 10;
    case FaultKind::kPowerCut:
    case FaultKind::kKill:
    case FaultKind::kPause:
    case FaultKind::kFlush:
    case FaultKind::kDiskFull:
    case FaultKind::kSyncFails:
      return 5;
    case FaultKind::kStop:
    case FaultKind::kEngineFull:
    case FaultKind::kSlowDisk:
    case FaultKind::kClockStep:
    case FaultKind::kPowerCutAll:
      return 3;
    case FaultKind::kCutOneWay:
    case FaultKind::kCutBothWays:
      return alone ? 0 : 12;
    case FaultKind::kRemoveVoter:
    case FaultKind::kLossy:
    case FaultKind::kForwardFate:
    case FaultKind::kChurn:
    case FaultKind::kStaleLeader:
      return alone ? 0 : 6;
    case FaultKind::kFallBehind:
      return alone ? 0 : 8;
    case FaultKind::kFlap:
    case FaultKind::kSlowLinks:
    case FaultKind::kCutTransfer:
    case FaultKind::kCutInstall:
      return alone ? 0 : 4;
    case FaultKind::kWipe:
    case FaultKind::kDeadDisk:
      return alone ? 0 : 3;
    case FaultKind::kAddMember:  // only where there are spares: AddSpares
    case FaultKind::kRemoveMember:
    case FaultKind::kCount:
      break;
  }
  return 0;
}

FaultKind AnyKind(Random& random, bool alone) {
  int sum = 0;
  for (int k = 0; k < static_cast<int>(FaultKind::kCount); ++k) {
    sum += WeightOf(static_cast<FaultKind>(k), alone);
  }
  auto dice = static_cast<int>(random.Below(static_cast<std::uint64_t>(sum)));
  int k = 0;
  while (dice >= WeightOf(static_cast<FaultKind>(k), alone)) {
    dice -= WeightOf(static_cast<FaultKind>(k), alone);
    ++k;
  }
  return static_cast<FaultKind>(k);
}

Fault MakeFault(Random& random, const Plan& plan, Duration at) {
  Fault fault;
  fault.at = at;
  fault.kind = AnyKind(random, plan.nodes == 1);
  fault.node = static_cast<std::uint32_t>(random.Below(plan.nodes));
  fault.at_leader = random.OneIn(1, 3);
  fault.others = static_cast<std::uint32_t>(random.Below(std::uint64_t{1} << plan.nodes));
  // A third of all cuts are cuts from everybody.
  if (random.OneIn(1, 3)) fault.others = ~std::uint32_t{0};
  fault.lasts = Between(random, milliseconds(50), seconds(random.OneIn(1, 4) ? 10 : 3));
  switch (fault.kind) {
    case FaultKind::kPowerCutAt:
      fault.amount = static_cast<std::int64_t>(1 + random.Below(30));
      break;
    case FaultKind::kPowerCutAll:
      fault.amount = static_cast<std::int64_t>(1 + random.Below(4));
      break;
    case FaultKind::kFallBehind:
      fault.lasts += seconds(3);
      break;
    case FaultKind::kForwardFate:
      fault.amount = static_cast<std::int64_t>(random.Below(4));
      break;
    case FaultKind::kCutTransfer:
    case FaultKind::kCutInstall:
      fault.amount = static_cast<std::int64_t>(1 + random.Below(12));
      break;
    case FaultKind::kDiskFull:
      // Most often there is no room for another segment.
      fault.amount = static_cast<std::int64_t>(random.OneIn(1, 3) ? random.Below(64 << 10) : 0);
      break;
    case FaultKind::kSlowDisk:
      fault.amount = random.OneIn(1, 2) ? 1 : 0;
      break;
    case FaultKind::kClockStep:
      fault.amount = static_cast<std::int64_t>(random.Below(40'000)) - 20'000;
      break;
    case FaultKind::kTransfer:
      fault.at_leader = false;
      break;
    case FaultKind::kChurn:
      fault.at_leader = true;
      fault.lasts = Between(random, seconds(2), seconds(6));
      break;
    case FaultKind::kStaleLeader:
      fault.at_leader = true;
      fault.lasts = Between(random, milliseconds(800), milliseconds(1500));
      fault.amount = random.OneIn(1, 2) ? 1 : 0;
      break;
    default:
      break;
  }
  return fault;
}

// In a part of the histories there are nodes that are no members when it begins, and the group
// grows and shrinks beside all else. Drawn from a stream of its own: the rest of the plan is the
// same.
void AddSpares(Plan* plan) {
  SeededRandom random(plan->seed * 0xD1B54A32D192ED03ULL + kSparesStream);
  plan->founders = plan->nodes;
  if (plan->nodes < 3 || !random.OneIn(1, 4)) return;
  plan->nodes += static_cast<std::uint32_t>(1 + random.Below(2));
  constexpr std::array<FaultKind, 12> kKinds = {
      FaultKind::kAddMember,    FaultKind::kAddMember,    FaultKind::kAddMember,
      FaultKind::kAddMember,    FaultKind::kRemoveMember, FaultKind::kRemoveMember,
      FaultKind::kRemoveMember, FaultKind::kPowerCut,     FaultKind::kKill,
      FaultKind::kPause,        FaultKind::kCutBothWays,  FaultKind::kFlush};
  const Duration most = plan->duration / 12;
  for (Duration at = milliseconds(500);;) {
    at += Between(random, milliseconds(100), most);
    if (at >= plan->duration) break;
    Fault fault;
    fault.at = at;
    fault.kind = kKinds[random.Below(kKinds.size())];
    fault.node = static_cast<std::uint32_t>(random.Below(plan->nodes));
    fault.lasts = Between(random, milliseconds(50), seconds(3));
    if (fault.kind == FaultKind::kCutBothWays) fault.others = ~std::uint32_t{0};
    plan->faults.push_back(fault);
  }
  std::stable_sort(plan->faults.begin(), plan->faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
}

}  // namespace

std::string Fault::Describe() const {
  std::string text(kNames[static_cast<std::size_t>(kind)]);
  if (kind != FaultKind::kLossy) {
    text += at_leader ? " the leader" : " node " + std::to_string(node);
  }
  const bool cut =
      kind == FaultKind::kCutOneWay || kind == FaultKind::kCutBothWays || kind == FaultKind::kFlap;
  if (cut && others == ~std::uint32_t{0}) {
    text += " (all others)";
  } else if (cut) {
    text += " (nodes";
    for (std::uint32_t n = 0; n < 32; ++n) {
      if ((others >> n & 1) != 0) text += " " + std::to_string(n);
    }
    text += ")";
  }
  char lasts_text[48];
  std::snprintf(lasts_text, sizeof(lasts_text), ", for %.3f s",
                static_cast<double>(lasts.count()) / 1e9);
  text += lasts_text;
  if (amount != 0) text += ", amount " + std::to_string(amount);
  return text;
}

Plan MakePlan(std::uint64_t seed) {
  SeededRandom random(seed * 0xD1B54A32D192ED03ULL + kPlanStream);
  Plan plan;
  plan.seed = seed;
  constexpr std::array<std::uint32_t, 10> kSizes = {3, 3, 3, 3, 3, 5, 5, 5, 7, 1};
  plan.nodes = kSizes[random.Below(kSizes.size())];
  // Some histories are long and quiet: what takes minutes (windows of versions, sessions that
  // expire) needs them.
  const std::uint64_t minutes = random.OneIn(1, 4) ? 4 + random.Below(6) : 1;
  plan.duration = seconds(60 * minutes);
  const int clients = static_cast<int>(3 + random.Below(4));
  for (int c = 0; c < clients; ++c) plan.clients.push_back(c);
  plan.first_bare_client = random.OneIn(1, 2) ? clients - 1 : clients;
  plan.lanes = static_cast<int>(1 + random.Below(3));
  plan.think_most = milliseconds(60 * clients * plan.lanes) * minutes;

  // Two clocks that drift so far from each other are nearly as far apart as leases allow.
  plan.most_drift_ppm = random.OneIn(1, 2) ? 24'000 : 100;
  plan.drift_at_bound = plan.most_drift_ppm == 24'000 && random.OneIn(1, 2);
  plan.max_journal_bytes = (2 << 10) << random.Below(7);
  // Where nothing is kept for those who were away, they need snapshots.
  plan.retain_journal_bytes = random.OneIn(2, 3) ? 0 : 1 << 20;
  plan.segment_bytes = (4 << 10) << random.Below(3);
  plan.max_batch_size = static_cast<std::uint32_t>(1 + random.Below(20));
  plan.leases = random.OneIn(1, 3);
  plan.stale_reads = random.OneIn(1, 3);
  plan.max_staleness = milliseconds(200 + random.Below(800));
  plan.mvcc_window = seconds(5 + random.Below(20));
  plan.session_idle = seconds(10 + random.Below(30));
  plan.heal_by_restart = random.OneIn(1, 2);
  plan.lost_per_mille = random.OneIn(1, 2) ? static_cast<std::uint32_t>(random.Below(20)) : 0;

  // Calm and storm: a stretch of frequent faults, then a quiet one.
  Duration at = milliseconds(500);
  bool storm = random.OneIn(1, 2);
  while (true) {
    if (random.OneIn(1, 12)) storm = !storm;
    at += Between(random, milliseconds(50), storm ? milliseconds(1500) : seconds(6) * minutes);
    if (at >= plan.duration) break;
    plan.faults.push_back(MakeFault(random, plan, at));
  }
  AddSpares(&plan);
  return plan;
}

}  // namespace cairn::sim
