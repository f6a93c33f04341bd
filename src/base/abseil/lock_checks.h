// Debian builds Abseil with its debugging aids: every lock of an absl::Mutex looks for cycles among
// the locks that threads hold, under one spin lock for the whole process. gRPC takes such locks
// dozens of times a call, on all of its threads. Our own locks are std::mutex's (docs/adr/0004).
#ifndef CAIRN_SRC_BASE_ABSEIL_LOCK_CHECKS_H_
#define CAIRN_SRC_BASE_ABSEIL_LOCK_CHECKS_H_

namespace cairn {

// Switches that off for the process. For main functions of programs that speak gRPC, before their
// threads start; a library leaves it to its program. Any thread.
void SkipAbseilLockChecks();

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_ABSEIL_LOCK_CHECKS_H_
