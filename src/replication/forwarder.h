// Writes that arrive where nobody leads, on their way to the leader and back.
//
// A command of a client's session travels under that session. One without gets a session of this
// node's process, opened through the log like any other, so that it is applied once however often
// it is sent: frames get lost, leaders change, answers come late.
//
// What the client is told. An answer that the state machine gave is passed on. A refusal means that
// nothing was applied only if no other copy can be in a log: the leader answers all copies of a
// request alike (forward_table.h), so it does if the request was put to one leadership only; else
// the refusal says maybe_applied(). A leader that was restarted says it by itself
// (ForwardRequest::epoch). A refusal that another leader could take back (not the leader any more)
// is not passed on: the request goes to the next leader until its deadline. If the node's own
// session has expired, nobody can know whether the command was applied before; it is not sent
// again.
//
// Thread safety: owned by the core executor.
#ifndef CAIRN_SRC_REPLICATION_FORWARDER_H_
#define CAIRN_SRC_REPLICATION_FORWARDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/command.h"
#include "src/kv/limits.h"
#include "src/kv/result.h"
#include "src/replication/forward_messages.h"
#include "src/replication/waiters.h"

namespace cairn::replication {

struct ForwarderOptions {
  NodeId self;
  std::uint64_t boot = 0;            // random, of this process
  std::uint64_t session_window = 0;  // kv::Limits::session_window
  Duration session_idle{0};          // after which an unused session may be expired
  // An unanswered request is sent again after this long.
  Duration resend_after = std::chrono::milliseconds(500);
};

// Whether an error says that a node did not take a write, rather than what became of it.
[[nodiscard]] bool IsRefusalByNode(StatusCode code);

class Forwarder {
 public:
  using LocalAnswer = std::function<void(Result<kv::WriteResult>)>;
  struct Hooks {
    std::function<void(NodeId to, const ForwardRequest&)> send;
    // Proposes here, on the leader; the answer comes later, on the core executor.
    std::function<void(kv::Command, MonotonicTime deadline, LocalAnswer)> propose;
    // False while this node's disk takes nothing: then nothing new is applied here.
    std::function<bool()> applies;
  };

  Forwarder(const ForwarderOptions& options, Hooks hooks, Waiters* waiters)
      : options_(options), hooks_(std::move(hooks)), waiters_(waiters) {}

  // Takes over a command whose waiter is in `waiters`.
  void Add(Waiters::Id waiter, kv::Command command, MonotonicTime deadline, MonotonicTime now);
  // Who leads now, and in which epoch; no leader: nobody known.
  void OnLeader(std::optional<NodeId> leader, Epoch epoch, MonotonicTime now);
  void OnResponse(NodeId from, ForwardResponse response, MonotonicTime now);
  // Sends what is due and forgets what was given up. Call it every few milliseconds while !empty().
  void Tick(MonotonicTime now);
  [[nodiscard]] bool empty() const { return items_.empty(); }

 private:
  struct Item {
    Waiters::Id waiter = 0;  // 0: opens this node's session
    kv::Command command;
    MonotonicTime deadline;
    bool own_session = false;
    bool numbered = false;   // own_session: session and sequence are in
    bool ambiguous = false;  // it was put to a leader before, whose answer is not known
    std::optional<NodeId> sent_to;
    Epoch sent_in;  // the epoch that it led in
    MonotonicTime resend_at;
    MonotonicTime not_before;  // after a refusal
  };
  using Items = std::map<std::uint64_t, Item>;  // by id of the request

  [[nodiscard]] bool SessionUsable(MonotonicTime now) const;
  void OpenSession(MonotonicTime now);
  // False if the command has to wait for a session.
  bool Number(Item* item, MonotonicTime now);
  [[nodiscard]] std::uint64_t FirstOutstanding() const;
  // Sends the item, the first time or again. It may be gone, or under another id, afterwards.
  void Send(std::uint64_t id, MonotonicTime now);
  void ProposeHere(Items::iterator it, MonotonicTime now);
  void SendAll(MonotonicTime now);
  void HandleAnswer(std::uint64_t id, Result<kv::WriteResult> result, MonotonicTime now);
  void SessionOpened(const Result<kv::WriteResult>& result, MonotonicTime now);
  // Back to the start, for the next leader.
  void Retry(Items::iterator it, MonotonicTime now, bool may_be_applied);
  // Answers the client. A write is answered when it is applied here too, so that whoever wrote
  // through this node finds it here, at any read level. At once on a node that applies nothing, and
  // if it takes too long, shortly before the deadline.
  void Finish(Items::iterator it, Result<kv::WriteResult> result);

  const ForwarderOptions options_;
  const Hooks hooks_;
  Waiters* const waiters_;

  std::optional<NodeId> leader_;
  Epoch epoch_;
  std::uint64_t next_id_ = 1;
  Items items_;
  SessionId session_;           // this node's; 0: none
  MonotonicTime session_used_;  // when it was last known to be alive
  bool opening_ = false;
  std::uint64_t next_sequence_ = 1;
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FORWARDER_H_
