// Faults on purpose, for the tests of client applications (the old wire's setFaultInjection). Off
// unless the node was started with --allow-fault-injection.
//
// Thread safety: all methods from any thread. Disarmed, Check costs one relaxed atomic load.
#ifndef CAIRN_SRC_REPLICATION_FAULT_INJECTOR_H_
#define CAIRN_SRC_REPLICATION_FAULT_INJECTOR_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/mutex.h"

namespace cairn::replication {

struct FaultRule {
  // Given back verbatim as the error_code of a failing operation.
  std::string fault_type;
  // In (0, 1]; how many of the matching operations fail.
  double probability = 0;
  // The failure comes this much later.
  Duration delay{0};
  // An operation name (kv::operation_name, or the old wire's method name); empty matches all.
  std::string target_operation;
};

class FaultInjector {
 public:
  FaultInjector(bool allowed, std::uint64_t seed) : allowed_(allowed), random_(seed) {}

  // A probability above 0 arms the rule (replacing one with the same type and target), else clears
  // the rules of that type and target; an empty target means every target then, an empty type every
  // type. kPermissionDenied if fault injection is not allowed; kInvalidArgument for a probability
  // that is not a number in [0, 1], a negative delay, or a target that is no operation.
  Status Configure(const FaultRule& rule);

  struct Fault {
    Status status;  // kInjectedFault with fault_name
    Duration delay{0};
  };
  // The fault that this operation is to suffer, if any.
  std::optional<Fault> Check(std::string_view operation);

 private:
  const bool allowed_;
  std::atomic<bool> armed_{false};
  Mutex mutex_;
  SeededRandom random_ ABSL_GUARDED_BY(mutex_);
  std::vector<FaultRule> rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FAULT_INJECTOR_H_
