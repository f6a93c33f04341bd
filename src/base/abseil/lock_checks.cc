#include "src/base/abseil/lock_checks.h"

#include <absl/synchronization/mutex.h>

namespace cairn {

void SkipAbseilLockChecks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace cairn
