#include "sim/network.h"

#include <algorithm>
#include <utility>

namespace cairn::sim {

void Network::Send(NodeId from, NodeId to, std::string frame) {
  if (to.value() >= nodes_) return;
  ++sent_;
  Link& link = LinkOf(from, to);
  const LinkQuality& quality = link.quality;
  Random& random = scheduler_->random();
  const Flight flight{++link.sent, scheduler_->now()};
  if (link.cuts > 0) return effects_->Count(Effect::kFrameCutOff);
  if (random.Below(1000) < quality.lost_per_mille) return effects_->Count(Effect::kFrameLost);
  Duration delay = scheduler_->Between(quality.least, quality.most);
  if (random.Below(1000) < quality.late_per_mille) {
    delay = scheduler_->Between(delay, quality.late_most);
  }
  if (quality.bytes_per_second != 0) {
    if (link.busy_until > scheduler_->now()) effects_->Count(Effect::kFrameQueued);
    const MonotonicTime start = std::max(link.busy_until, scheduler_->now());
    const auto takes =
        static_cast<std::int64_t>(frame.size() * 1'000'000'000 / quality.bytes_per_second);
    link.busy_until = start + Duration(takes);
    delay += link.busy_until - scheduler_->now();
  }
  if (random.Below(1000) < quality.doubled_per_mille) {
    Deliver(from, to, frame, {flight.number, flight.since, true},
            delay + scheduler_->Between(quality.least, quality.most * 20));
  }
  Deliver(from, to, std::move(frame), flight, delay);
}

void Network::Deliver(NodeId from, NodeId to, std::string frame, const Flight& flight,
                      Duration after) {
  scheduler_->After(after, [this, from, to, flight, frame = std::move(frame)]() mutable {
    // What is under way when a link is cut is lost with it.
    if (IsCut(from, to)) return effects_->Count(Effect::kFrameCutOff);
    const Receiver& receiver = receivers_[to.value()];
    if (!receiver) return;
    Arrives(flight, &LinkOf(from, to));
    receiver(from, std::move(frame));
  });
}

void Network::Arrives(const Flight& flight, Link* link) {
  if (flight.again) effects_->Count(Effect::kFrameDoubled);
  if (!flight.again && flight.number < link->arrived) effects_->Count(Effect::kFrameReordered);
  if (scheduler_->now() - flight.since > kElectionTimeout) effects_->Count(Effect::kFrameLate);
  link->arrived = std::max(link->arrived, flight.number);
}

void Network::Heal() {
  for (Link& link : links_) {
    link.quality = LinkQuality();
    link.cuts = 0;
  }
}

}  // namespace cairn::sim
