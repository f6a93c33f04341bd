#include "src/replication/fault_injector.h"

#include <algorithm>
#include <cmath>

namespace cairn::replication {
namespace {

// Old clients name operations as their methods are called: "setKey" is "set", "getRange" is
// "get_range".
std::string CanonicalOperation(std::string_view name) {
  std::string snake;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      snake.push_back('_');
      snake.push_back(static_cast<char>(c - 'A' + 'a'));
    } else {
      snake.push_back(c);
    }
  }
  if (snake == "set_key" || snake == "put") return "set";
  if (snake == "delete_key") return "delete";
  if (snake == "snapshot_get") return "snapshot_read";
  return snake;
}

}  // namespace

Status FaultInjector::Configure(const FaultRule& configured) {
  FaultRule rule = configured;
  rule.target_operation = CanonicalOperation(rule.target_operation);
  if (!allowed_) {
    return PermissionDeniedError(
        "fault injection is off on this node; start it with --allow-fault-injection");
  }
  if (!(rule.probability >= 0 && rule.probability <= 1)) {
    return InvalidArgumentError("the probability is " + std::to_string(rule.probability) +
                                "; it must be from 0 to 1");
  }
  if (rule.delay < Duration::zero()) {
    return InvalidArgumentError("the duration cannot be negative");
  }
  MutexLock lock(&mutex_);
  rules_.erase(std::remove_if(rules_.begin(), rules_.end(),
                              [&](const FaultRule& r) {
                                return r.fault_type == rule.fault_type &&
                                       r.target_operation == rule.target_operation;
                              }),
               rules_.end());
  if (rule.probability > 0) rules_.push_back(rule);
  armed_.store(!rules_.empty(), std::memory_order_relaxed);
  return Status::Ok();
}

std::optional<FaultInjector::Fault> FaultInjector::Check(std::string_view operation) {
  if (!armed_.load(std::memory_order_relaxed)) return std::nullopt;
  MutexLock lock(&mutex_);
  for (const FaultRule& rule : rules_) {
    if (!rule.target_operation.empty() && rule.target_operation != operation) continue;
    // 2^53: every such fraction is a double.
    const double drawn = static_cast<double>(random_.Next() >> 11) * 0x1p-53;
    if (drawn >= rule.probability) continue;
    return Fault{cairn::Status(StatusCode::kInjectedFault,
                        "injected fault '" + rule.fault_type + "' in " + std::string(operation))
                     .WithFaultName(rule.fault_type),
                 rule.delay};
  }
  return std::nullopt;
}

}  // namespace cairn::replication
