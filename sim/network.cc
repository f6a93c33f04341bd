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
  if (link.cuts > 0 || random.Below(1000) < quality.lost_per_mille) {
    ++lost_;
    return;
  }
  Duration delay = scheduler_->Between(quality.least, quality.most);
  if (random.Below(1000) < quality.late_per_mille) {
    delay = scheduler_->Between(delay, quality.late_most);
  }
  if (quality.bytes_per_second != 0) {
    const MonotonicTime start = std::max(link.busy_until, scheduler_->now());
    const auto takes =
        static_cast<std::int64_t>(frame.size() * 1'000'000'000 / quality.bytes_per_second);
    link.busy_until = start + Duration(takes);
    delay += link.busy_until - scheduler_->now();
  }
  if (random.Below(1000) < quality.doubled_per_mille) {
    Deliver(from, to, frame, delay + scheduler_->Between(quality.least, quality.most * 20));
  }
  Deliver(from, to, std::move(frame), delay);
}

void Network::Deliver(NodeId from, NodeId to, std::string frame, Duration after) {
  scheduler_->After(after, [this, from, to, frame = std::move(frame)]() mutable {
    const Receiver& receiver = receivers_[to.value()];
    // What is under way when a link is cut is lost with it.
    if (!receiver || IsCut(from, to)) {
      ++lost_;
      return;
    }
    receiver(from, std::move(frame));
  });
}

void Network::Heal() {
  for (Link& link : links_) {
    link.quality = LinkQuality();
    link.cuts = 0;
  }
}

}  // namespace cairn::sim
