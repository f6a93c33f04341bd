// What a daemon needs of its operating system: signals that ask it to end, word to its supervisor,
// and room for file descriptors.
//
// Thread safety: said at each.
#ifndef CAIRN_APPS_CAIRND_PROCESS_H_
#define CAIRN_APPS_CAIRND_PROCESS_H_

#include <chrono>
#include <memory>
#include <string>

#include "src/base/mutex.h"

namespace cairn::node {

// Takes SIGTERM and SIGINT, on a thread of its own.
//   Before Arm: the process ends at once with code 0; it has served nobody yet.
//   After it:   Wait returns. From then on a SIGTERM changes nothing: supervisors and scripts send
//   it
//               more than once, and mean one stop. A SIGINT, by a person who does not want to wait,
//               or `bound` after the first signal, ends the process at once with code 1: what is
//               acknowledged is in the journal.
//
// Make one in main, before any other thread: threads inherit that the signals are blocked. Thread
// safe.
class TerminationSignal {
 public:
  explicit TerminationSignal(std::chrono::seconds bound);
  void Arm();
  // Blocks until the first signal after Arm, and gives its name.
  std::string Wait();

 private:
  // Outlives this object: the thread runs until the process ends.
  struct State {
    Mutex mutex;
    CondVar arrived;
    bool armed ABSL_GUARDED_BY(mutex) = false;
    int signal ABSL_GUARDED_BY(mutex) = 0;
  };
  static void Watch(const std::shared_ptr<State>& state, std::chrono::seconds bound);

  const std::shared_ptr<State> state_;
};

// Tells systemd (Type=notify) about this process: "READY=1", "STOPPING=1". Does nothing without
// NOTIFY_SOCKET in the environment, and never fails: a supervisor that is not there needs no word.
// Any thread.
void NotifySupervisor(const std::string& state);

// Raises the soft limit on open files to the hard one, ignores SIGPIPE, and keeps Abseil from
// checking every lock of gRPC's (src/base/abseil/lock_checks.h). Call once, in main.
void PrepareProcess();

}  // namespace cairn::node

#endif  // CAIRN_APPS_CAIRND_PROCESS_H_
