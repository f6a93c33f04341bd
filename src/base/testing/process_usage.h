// What a process holds now, for tests that look for leaks.
//
// Thread safety: functions.
#ifndef CAIRN_SRC_BASE_TESTING_PROCESS_USAGE_H_
#define CAIRN_SRC_BASE_TESTING_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace cairn {

// Of the process `pid`, or of this one. 0 if there is no such process, or it is another user's.
std::size_t OpenDescriptors(pid_t pid = 0);
std::size_t ThreadCount(pid_t pid = 0);
std::uint64_t ResidentBytes(pid_t pid = 0);
std::uint64_t MappedBytes(pid_t pid = 0);

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_PROCESS_USAGE_H_
