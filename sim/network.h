// A network of frames between nodes that misbehaves on demand: each directed link loses, doubles,
// delays and reorders what it carries, or is cut.
//
// Thread safety: none; a simulation is one thread.
#ifndef CAIRN_SIM_NETWORK_H_
#define CAIRN_SIM_NETWORK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/effects.h"
#include "sim/scheduler.h"
#include "src/base/ids.h"

namespace cairn::sim {

// What a link does to a frame.
struct LinkQuality {
  Duration least = std::chrono::microseconds(50);
  Duration most = std::chrono::microseconds(500);
  std::uint32_t lost_per_mille = 0;
  std::uint32_t doubled_per_mille = 0;
  // Frames that are held up somewhere, and arrive long after those sent later.
  std::uint32_t late_per_mille = 0;
  Duration late_most = std::chrono::seconds(5);
  // Frames queue behind one another at this rate; 0: they do not.
  std::uint64_t bytes_per_second = 0;
};

class Network {
 public:
  using Receiver = std::function<void(NodeId from, std::string frame)>;

  Network(Scheduler* scheduler, std::uint32_t nodes, Effects* effects)
      : scheduler_(scheduler),
        nodes_(nodes),
        effects_(effects),
        links_(nodes * nodes),
        receivers_(nodes) {}

  // Frames for `node` go to `receiver`; without one they are lost.
  void SetReceiver(NodeId node, Receiver receiver) {
    receivers_[node.value()] = std::move(receiver);
  }
  void Send(NodeId from, NodeId to, std::string frame);

  // ---- Faults. Cuts of the same link are counted: it works again when all have ended.
  void Cut(NodeId from, NodeId to) { ++LinkOf(from, to).cuts; }
  void Mend(NodeId from, NodeId to) {
    if (LinkOf(from, to).cuts > 0) --LinkOf(from, to).cuts;
  }
  [[nodiscard]] bool IsCut(NodeId from, NodeId to) const {
    return links_[from.value() * nodes_ + to.value()].cuts > 0;
  }
  // How many frames were sent from one to the other, whatever became of them.
  [[nodiscard]] std::uint64_t SentOver(NodeId from, NodeId to) const {
    return links_[from.value() * nodes_ + to.value()].sent;
  }
  void SetQuality(NodeId from, NodeId to, const LinkQuality& quality) {
    LinkOf(from, to).quality = quality;
  }
  // Every link as new.
  void Heal();

  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  struct Link {
    LinkQuality quality;
    std::uint32_t cuts = 0;
    MonotonicTime busy_until{0};
    std::uint64_t sent = 0;     // frames, in order
    std::uint64_t arrived = 0;  // the newest of them that has
  };
  // A frame on its way: the how manyth of its link, and since when.
  struct Flight {
    std::uint64_t number = 0;
    MonotonicTime since;
    bool again = false;  // the second copy
  };
  Link& LinkOf(NodeId from, NodeId to) { return links_[from.value() * nodes_ + to.value()]; }
  void Deliver(NodeId from, NodeId to, std::string frame, const Flight& flight, Duration after);
  void Arrives(const Flight& flight, Link* link);

  Scheduler* const scheduler_;
  const std::uint32_t nodes_;
  Effects* const effects_;
  std::vector<Link> links_;
  std::vector<Receiver> receivers_;
  std::uint64_t sent_ = 0;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_NETWORK_H_
