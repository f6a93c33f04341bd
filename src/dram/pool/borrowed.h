// A write of bytes that its caller lends: the future may be ready only when nothing can read the
// bytes any more, which for a call that ended early (deadline, cancellation) is a little later than
// its end.
//
// Thread safety: Finish and the drop of the lent Buffer may be on any threads.
#ifndef CAIRN_SRC_DRAM_POOL_BORROWED_H_
#define CAIRN_SRC_DRAM_POOL_BORROWED_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "cairn/future.h"
#include "cairn/remote_dram.h"
#include "src/base/executor.h"

namespace cairn::dram {

// Up to here a copy is cheaper than its avoidance; the transports copy such payloads anyhow.
inline constexpr std::size_t kCopyBorrowedBytes = 32 << 10;

template <class T>
class Loan {
 public:
  // `executor` outlives the lent Buffer.
  Loan(const Promise<T>& promise, SerialExecutor* executor)
      : state_(std::make_shared<State>(promise, executor)) {}

  // `bytes`, with a pin that tells when they are needed no more. Once.
  [[nodiscard]] Buffer Lend(std::string_view bytes) const {
    return {bytes.data(), bytes.size(),
            std::shared_ptr<const void>(bytes.data(), [state = state_](const void*) {
              if (!state->Arrive()) return;
              // The transport may drop a pin wherever it likes, perhaps under a lock of its own;
              // the caller's code runs elsewhere.
              state->executor->Post([state] { state->HandOut(); });
            })};
  }
  // The result is handed out now, or when the lent Buffer is dropped. Once.
  void Finish(Result<T> result) const {
    state_->result.emplace(std::move(result));
    if (state_->Arrive()) state_->HandOut();
  }

 private:
  struct State {
    State(const Promise<T>& p, SerialExecutor* e) : promise(p), executor(e) {}
    // True for the second of the two that must come: the result, and the bytes back.
    bool Arrive() { return missing.fetch_sub(1, std::memory_order_acq_rel) == 1; }
    void HandOut() { promise.Fulfil(std::move(*result)); }
    const Promise<T> promise;
    SerialExecutor* const executor;
    std::optional<Result<T>> result;
    std::atomic<int> missing{2};
  };
  std::shared_ptr<State> state_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_BORROWED_H_
