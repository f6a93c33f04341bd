#include "src/replication/fault_injector.h"

#include <algorithm>
#include <cmath>

#include "src/kv/operation.h"

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
  if (snake == "commit") return "atomic_commit";
  if (snake == "delete_key") return "delete";
  if (snake == "snapshot_get") return "snapshot_read";
  return snake;
}

// A fault aimed at a name that is none would never strike, and nobody would know why.
Status CheckTarget(const std::string& given, const std::string& canonical) {
  const auto& names = kv::AllOperationNames();
  if (canonical.empty() || std::find(names.begin(), names.end(), canonical) != names.end()) {
    return Status::Ok();
  }
  std::string known;
  for (const std::string_view name : names) {
    known += known.empty() ? "" : ", ";
    known += name;
  }
  return InvalidArgumentError("there is no operation '" + given +
                              "' to aim a fault at; the operations are " + known);
}

// True if the command to clear, `clear`, is about the armed rule `armed`.
bool Clears(const FaultRule& clear, const FaultRule& armed) {
  return (clear.fault_type.empty() || clear.fault_type == armed.fault_type) &&
         (clear.target_operation.empty() || clear.target_operation == armed.target_operation);
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
  CAIRN_RETURN_IF_ERROR(CheckTarget(configured.target_operation, rule.target_operation));
  MutexLock lock(&mutex_);
  std::erase_if(rules_, [&](const FaultRule& armed) {
    const bool same =
        armed.fault_type == rule.fault_type && armed.target_operation == rule.target_operation;
    return same || (rule.probability == 0 && Clears(rule, armed));
  });
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
    return Fault{cairn::Status(StatusCode::kInjectedFault, "injected fault '" + rule.fault_type +
                                                               "' in " + std::string(operation))
                     .WithFaultName(rule.fault_type),
                 rule.delay};
  }
  return std::nullopt;
}

}  // namespace cairn::replication
