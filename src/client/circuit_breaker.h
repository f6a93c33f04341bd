// Leaves a failing node alone for a while (Nygard, "Release It!", 2007).
//
//   closed     calls pass; `failures_to_open` failures in a row open it
//   open       no call passes until its time is over
//              (or, for a node that must be asked because no other may do, kUrgentProbe)
//   half open  one call passes as a probe: its success closes the breaker, its failure opens it
//              again for twice as long, up to `max_open_for`
//
// Thread safety: none; the owner has a lock.
#ifndef CAIRN_SRC_CLIENT_CIRCUIT_BREAKER_H_
#define CAIRN_SRC_CLIENT_CIRCUIT_BREAKER_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "cairn/client.h"
#include "src/base/clock.h"

namespace cairn::client {

class CircuitBreaker {
 public:
  using State = EndpointState::Breaker;

  // How long after its last failure a node is left alone at least.
  static constexpr Duration kUrgentProbe = std::chrono::milliseconds(50);

  explicit CircuitBreaker(const CircuitBreakerOptions& options) : options_(options) {}

  // Whether a call may pass now; if it does, the caller must report its outcome or Release it.
  [[nodiscard]] bool Allows(MonotonicTime now) const {
    return state_ == State::kClosed || (state_ == State::kOpen && now >= open_until_) ||
           (state_ == State::kHalfOpen && !probing_);
  }
  // The same for a call that no other node can answer: the one node, or the only leader. A cluster
  // must not wait for the end of a long time that was meant to spare it a short one.
  [[nodiscard]] bool AllowsUrgently(MonotonicTime now) const {
    return Allows(now) || (state_ == State::kOpen && now >= urgent_from());
  }
  // A call passes. Allows or AllowsUrgently must hold.
  void Take(MonotonicTime now) {
    if (state_ == State::kOpen && now >= urgent_from()) state_ = State::kHalfOpen;
    if (state_ == State::kHalfOpen) probing_ = true;
  }
  // A call that passed came to no verdict on the node: it was cancelled.
  void Release() { probing_ = false; }

  void OnSuccess() {
    state_ = State::kClosed;
    failures_ = 0;
    probing_ = false;
    open_for_ = Duration::zero();
  }

  void OnFailure(MonotonicTime now) {
    if (state_ == State::kOpen) return;  // a call from before it opened
    ++failures_;
    if (state_ == State::kClosed && failures_ < options_.failures_to_open) return;
    open_for_ = open_for_ == Duration::zero()
                    ? Duration(options_.open_for)
                    : std::min<Duration>(open_for_ * 2, options_.max_open_for);
    opened_at_ = now;
    open_until_ = now + open_for_;
    state_ = State::kOpen;
    probing_ = false;
  }

  [[nodiscard]] State state() const { return state_; }
  // When an urgent probe may pass; meaningful while open.
  [[nodiscard]] MonotonicTime urgent_from() const {
    return std::min(open_until_, opened_at_ + kUrgentProbe);
  }
  // When the next probe may pass; meaningful while open.
  [[nodiscard]] MonotonicTime open_until() const { return open_until_; }

 private:
  const CircuitBreakerOptions options_;
  State state_ = State::kClosed;
  std::uint32_t failures_ = 0;  // in a row
  bool probing_ = false;
  Duration open_for_ = Duration::zero();
  MonotonicTime opened_at_;
  MonotonicTime open_until_;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_CIRCUIT_BREAKER_H_
