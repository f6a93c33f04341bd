// Whether the threads that a node rests on still take work. Each look posts a note to every
// executor that has answered the last one: how long the note waited tells how long its queue is,
// and one that is never answered, that the thread hangs (a disk that does not come back from
// fdatasync, say).
//
// Thread safety: Add belongs to the thread that makes it, before the first Look; Look from any
// thread. Executors must outlive the watch, or have been stopped, when Look is called.
#ifndef CAIRN_SRC_SERVER_HTTP_PART_WATCH_H_
#define CAIRN_SRC_SERVER_HTTP_PART_WATCH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"

namespace cairn::server {

class PartWatch {
 public:
  struct Sight {
    std::string name;
    bool vital = false;                // the node is of no use without it
    Duration waiting{0};               // for the answer to a note; 0: none is under way
    std::optional<Duration> answered;  // how long the last answered note had waited
  };

  // `clock` must outlive the executors.
  explicit PartWatch(const Clock* clock) : clock_(clock) {}

  void Add(std::string name, SerialExecutor* executor, bool vital);
  [[nodiscard]] std::vector<Sight> Look() const;

 private:
  // Shared with the notes, which may outlive the watch.
  struct Notes {
    std::atomic<std::int64_t> asked_ns{0};      // 0: no note is under way
    std::atomic<std::int64_t> answered_ns{-1};  // -1: none was answered
  };
  struct Part {
    std::string name;
    SerialExecutor* executor = nullptr;
    bool vital = false;
    std::shared_ptr<Notes> notes;
  };

  const Clock* const clock_;
  std::vector<Part> parts_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_PART_WATCH_H_
