// Starts the program of a test once more, as another process.
//
// fork() will not do where threads run: until it executes another program, the child may only make
// async-signal-safe calls (POSIX.1-2017, fork), and even setenv() waits for ever for a lock of the
// allocator that another thread held at that moment.
//
// Thread safety: a function for any thread.
#ifndef CAIRN_SRC_BASE_TESTING_SPAWN_H_
#define CAIRN_SRC_BASE_TESTING_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace cairn {

// Starts /proc/self/exe with `arguments`, the first of which is the name of the process, and with
// this process's environment, in which `variables` take the place of others of their names.
// `kept_fd`: a descriptor that the new process has too, under its number, though it is
// close-on-exec here. Returns the process id; -1 with errno if it could not be started. The caller
// waits for the process.
pid_t SpawnThisProgram(const std::vector<std::string>& arguments,
                       const std::vector<std::pair<std::string, std::string>>& variables,
                       int kept_fd = -1);

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_SPAWN_H_
