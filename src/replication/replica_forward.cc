// Writes on their way to the leader, on both sides.
#include <utility>

#include "src/base/log.h"
#include "src/replication/replica.h"

namespace cairn::replication {

ForwarderOptions Replica::MakeForwarderOptions() const {
  ForwarderOptions forwarder;
  forwarder.self = options_.node;
  forwarder.boot = options_.boot;
  forwarder.session_window = options_.limits.session_window;
  forwarder.session_idle = options_.session_idle;
  return forwarder;
}

Forwarder::Hooks Replica::MakeForwarderHooks() {
  Forwarder::Hooks hooks;
  hooks.send = [this](NodeId to, const ForwardRequest& request) {
    SendFrame(to, FrameKind::kForwardRequest, Encode(request));
  };
  hooks.propose = [this](kv::Command command, MonotonicTime deadline,
                         Forwarder::LocalAnswer answer) {
    Propose(std::move(command), deadline,
            [this, answer = std::move(answer)](Result<kv::WriteResult> result) mutable {
              PostTo(env_.core, [answer = std::move(answer), result = std::move(result)]() mutable {
                answer(std::move(result));
              });
            });
  };
  hooks.applies = [this] {
    MutexLock lock(&intake_mutex_);
    return journal_health_.ok() && engine_health_.ok();
  };
  return hooks;
}

void Replica::ForwardQueue() {
  const MonotonicTime now = env_.clock->Now();
  for (Pending& pending : std::exchange(queue_, {})) {
    if (pending.elsewhere != Elsewhere::kForward || env_.transport == nullptr) {
      waiters_.AnswerWrite(pending.waiter, NotLeaderError("node " + ToString(*leadership_.leader) +
                                                          " leads, not this one"));
      continue;
    }
    Result<kv::Command> command = kv::DecodeCommand(pending.encoded);
    if (!command.ok()) {
      waiters_.AnswerWrite(pending.waiter, std::move(command).status());
      continue;
    }
    forwarder_.Add(pending.waiter, *std::move(command), pending.deadline, now);
  }
}

void Replica::OnForwardResponse(NodeId from, const std::string& body) {
  Result<ForwardResponse> response = DecodeForwardResponse(body);
  if (!response.ok()) {
    CAIRN_LOG(kWarn, "replica: dropped a frame from node {}: {}", from.value(),
              response.status().message());
    return;
  }
  forwarder_.OnResponse(from, *std::move(response), env_.clock->Now());
}

void Replica::OnForwardRequest(NodeId from, const std::string& body) {
  const Result<ForwardRequest> request = DecodeForwardRequest(body);
  if (!request.ok()) {
    CAIRN_LOG(kWarn, "replica: dropped a frame from node {}: {}", from.value(),
              request.status().message());
    return;
  }
  const ForwardTable::Seen seen = forward_table_.Look(from, *request);
  if (seen.verdict == ForwardTable::Verdict::kDrop) return;
  ForwardResponse response{request->boot, request->id, {}, {}};
  Result<kv::Command> command = kv::DecodeCommand(request->command);
  if (seen.verdict == ForwardTable::Verdict::kAnswered) {
    response.status = seen.status;
    if (seen.status.ok() && command.ok()) {
      response.result = StateMachineExecutor::AnswerAgain(command->operation, seen.version);
    }
    SendFrame(from, FrameKind::kForwardResponse, Encode(response));
    return;
  }
  // A peer is a node of ours, but what enters the log stays there: it is looked at once more.
  Status refused =
      command.ok() ? kv::Validate(command->operation, options_.limits) : command.status();
  // Of another epoch: an earlier process may have refused a copy of it, and that was final.
  if (refused.ok() && (!leads() || request->epoch != leadership_.epoch)) {
    refused = NotLeaderError("this node does not lead in epoch " + ToString(request->epoch));
  }
  if (!refused.ok()) {
    response.status = std::move(refused);
    return AnswerForward(from, request->epoch, std::move(response));
  }
  {
    MutexLock lock(&status_mutex_);
    ++status_.forwarded;
  }
  Propose(
      *std::move(command), env_.clock->Now() + request->time_left,
      [this, from, epoch = request->epoch, response](Result<kv::WriteResult> result) mutable {
        if (result.ok()) {
          response.result = *std::move(result);
        } else {
          response.status = std::move(result).status();
        }
        PostTo(env_.core, [this, from, epoch, response = std::move(response)]() mutable {
          AnswerForward(from, epoch, std::move(response));
        });
      },
      Elsewhere::kForwarded);
}

void Replica::AnswerForward(NodeId from, Epoch epoch, ForwardResponse response) {
  // The sender heard this node lead in that epoch. If this process did not, an earlier one did, on
  // this disk or on one that is gone, and may have taken another copy.
  if (IsRefusalByNode(response.status.code()) && (!first_led_ || epoch < *first_led_)) {
    response.status = std::move(response.status).WithMaybeApplied();
  }
  forward_table_.Answered(from, response);
  SendFrame(from, FrameKind::kForwardResponse, Encode(response));
}

}  // namespace cairn::replication
