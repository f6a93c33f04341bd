// The sessions that a client's writes go under, so that a write that is sent again is applied once
// (api/kvstore.thrift, fields 104 to 106; src/replication/sessions.h is the other side).
//
// Each write takes a lease: a session and the next number in it. It keeps the lease over all its
// tries and gives it back when its outcome is known, or no longer awaited. The lowest number that
// is still leased travels with every write; the node forgets the answers below it, and never
// applies a number below it again. How far numbers run ahead of it is bounded: beyond that, a new
// session is opened and the old one closed when its last lease is back.
//
// Thread safety: all methods from any thread. Callbacks run without a lock.
#ifndef CAIRN_SRC_CLIENT_SESSIONS_H_
#define CAIRN_SRC_CLIENT_SESSIONS_H_

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"

namespace cairn::client {

struct Lease {
  SessionId session;
  std::uint64_t sequence = 0;
};

class Sessions {
 public:
  using Opened = absl::AnyInvocable<void(Result<SessionId>)>;
  using Leased = absl::AnyInvocable<void(Result<Lease>)>;

  // Opens a session on the cluster and says so later; gives up at the time given or later.
  using Open = std::function<void(MonotonicTime until, Opened opened)>;

  // `close` ends a session, whenever. `window`: how many numbers a session may have between the
  // lowest leased one and the newest.
  Sessions(Open open, std::function<void(SessionId)> close, std::size_t window);

  // A lease of the present session, if there is one with room.
  std::optional<Lease> TryLease();
  // A lease, once there is a session with room. `done` may run inside the call. The error is that
  // of opening, which is tried until `until` at least, unless the error is one that stays.
  void AwaitLease(MonotonicTime until, Leased done);
  // The lowest number that is leased in the lease's session.
  [[nodiscard]] std::uint64_t FirstOutstanding(const Lease& lease) const;
  // Gives a lease back; its number is never used again.
  void Return(const Lease& lease);
  // The cluster no longer knows this session.
  void Forget(SessionId session);
  // Forgets all sessions; their ids.
  std::vector<SessionId> TakeAll();

 private:
  // The numbers from `first` on: true for those whose lease is back. The first one is not.
  struct Session {
    std::uint64_t first = 1;
    std::deque<bool> returned;
  };

  struct Waiting {
    MonotonicTime until;
    Leased done;
  };

  std::optional<Lease> LeaseFromCurrent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnOpened(MonotonicTime until, Result<SessionId> opened);

  const Open open_;
  const std::function<void(SessionId)> close_;
  const std::size_t window_;
  mutable Mutex mutex_;
  absl::flat_hash_map<SessionId, Session> sessions_ ABSL_GUARDED_BY(mutex_);
  SessionId current_ ABSL_GUARDED_BY(mutex_);  // 0: none
  bool opening_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_SESSIONS_H_
