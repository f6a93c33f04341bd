// A network between nodes of one process, for tests and examples. Links can be cut, and frames lost
// and doubled on purpose.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_TRANSPORT_IN_PROCESS_IN_PROCESS_H_
#define CAIRN_SRC_TRANSPORT_IN_PROCESS_IN_PROCESS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/transport/peer_transport.h"

namespace cairn::transport {

class InProcessNetwork {
 public:
  explicit InProcessNetwork(std::uint64_t seed = 1) : state_(std::make_shared<State>(seed)) {}

  // A node's end of the network. What arrives is handed to its receiver on `executor`, which must
  // live until the end is destroyed. While an earlier end of the same node lives, a later one is
  // turned away, as over TCP: it neither sends nor receives.
  std::unique_ptr<PeerTransport> Attach(NodeId node, SerialExecutor* executor);

  // Drops what `from` sends to `to` from now on; the other direction stays.
  void Cut(NodeId from, NodeId to);
  // Cuts a node off from all others, both ways.
  void Isolate(NodeId node);
  void Heal();
  // Loses and doubles so many percent of all frames.
  void SetFaults(std::uint32_t loss_percent, std::uint32_t double_percent);

 private:
  struct End {
    SerialExecutor* executor = nullptr;
    std::shared_ptr<const PeerTransport::Receiver> receiver;
  };
  struct State {
    explicit State(std::uint64_t seed) : random(seed) {}
    Mutex mutex;
    SeededRandom random ABSL_GUARDED_BY(mutex);
    // In the order in which they came; the first of each node is let in.
    std::map<NodeId, std::vector<std::shared_ptr<End>>> ends ABSL_GUARDED_BY(mutex);
    std::set<std::pair<NodeId, NodeId>> cuts ABSL_GUARDED_BY(mutex);
    std::set<NodeId> isolated ABSL_GUARDED_BY(mutex);
    std::uint32_t loss_percent ABSL_GUARDED_BY(mutex) = 0;
    std::uint32_t double_percent ABSL_GUARDED_BY(mutex) = 0;
  };
  class Transport;

  // Hands a frame of `sender`, an end of node `from`, to the node `to`.
  static void Deliver(const std::shared_ptr<State>& state, const std::shared_ptr<End>& sender,
                      NodeId from, NodeId to, std::string frame);

  const std::shared_ptr<State> state_;
};

}  // namespace cairn::transport

#endif  // CAIRN_SRC_TRANSPORT_IN_PROCESS_IN_PROCESS_H_
