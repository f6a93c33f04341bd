#include "src/transport/in_process/in_process.h"

#include <utility>

namespace cairn::transport {

class InProcessNetwork::Transport final : public PeerTransport {
 public:
  Transport(std::shared_ptr<State> state, NodeId node, std::shared_ptr<End> end)
      : state_(std::move(state)), node_(node), end_(std::move(end)) {}
  ~Transport() override {
    MutexLock lock(&state_->mutex);
    std::erase(state_->ends[node_], end_);
  }

  void Send(NodeId to, Lane /*lane*/, std::string frame) override {
    Deliver(state_, end_, node_, to, std::move(frame));
  }
  void SetReceiver(Receiver receiver) override {
    MutexLock lock(&state_->mutex);
    end_->receiver = receiver ? std::make_shared<const Receiver>(std::move(receiver)) : nullptr;
  }

 private:
  const std::shared_ptr<State> state_;
  const NodeId node_;
  const std::shared_ptr<End> end_;
};

std::unique_ptr<PeerTransport> InProcessNetwork::Attach(NodeId node, SerialExecutor* executor) {
  auto end = std::make_shared<End>();
  end->executor = executor;
  MutexLock lock(&state_->mutex);
  state_->ends[node].push_back(end);
  return std::make_unique<Transport>(state_, node, std::move(end));
}

void InProcessNetwork::Deliver(const std::shared_ptr<State>& state,
                               const std::shared_ptr<End>& sender, NodeId from, NodeId to,
                               std::string frame) {
  // Posted under the lock: the end, and so its executor, is there until it is taken out.
  MutexLock lock(&state->mutex);
  if (state->ends[from].front() != sender) return;
  const auto it = state->ends.find(to);
  if (it == state->ends.end() || it->second.empty()) return;
  const End& end = *it->second.front();
  if (end.receiver == nullptr) return;
  if (state->cuts.count({from, to}) != 0) return;
  if (state->isolated.count(from) != 0 || state->isolated.count(to) != 0) return;
  if (state->random.OneIn(state->loss_percent, 100)) return;
  const auto post = [&](std::string bytes) {
    end.executor->Post([receiver = end.receiver, from, bytes = std::move(bytes)]() mutable {
      (*receiver)(from, std::move(bytes));
    });
  };
  if (state->random.OneIn(state->double_percent, 100)) post(frame);
  post(std::move(frame));
}

void InProcessNetwork::Cut(NodeId from, NodeId to) {
  MutexLock lock(&state_->mutex);
  state_->cuts.insert({from, to});
}

void InProcessNetwork::Isolate(NodeId node) {
  MutexLock lock(&state_->mutex);
  state_->isolated.insert(node);
}

void InProcessNetwork::Heal() {
  MutexLock lock(&state_->mutex);
  state_->cuts.clear();
  state_->isolated.clear();
}

void InProcessNetwork::SetFaults(std::uint32_t loss_percent, std::uint32_t double_percent) {
  MutexLock lock(&state_->mutex);
  state_->loss_percent = loss_percent;
  state_->double_percent = double_percent;
}

}  // namespace cairn::transport
