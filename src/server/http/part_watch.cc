#include "src/server/http/part_watch.h"

#include <algorithm>
#include <utility>

namespace cairn::server {

void PartWatch::Add(std::string name, SerialExecutor* executor, bool vital) {
  parts_.push_back({std::move(name), executor, vital, std::make_shared<Notes>()});
}

std::vector<PartWatch::Sight> PartWatch::Look() const {
  std::vector<Sight> sights;
  for (const Part& part : parts_) {
    Sight sight;
    sight.name = part.name;
    sight.vital = part.vital;
    const std::int64_t now = std::max<std::int64_t>(clock_->Now().ns, 1);
    std::int64_t asked = 0;
    if (part.notes->asked_ns.compare_exchange_strong(asked, now)) {
      part.executor->Post([notes = part.notes, clock = clock_, now] {
        notes->answered_ns.store(std::max<std::int64_t>(clock->Now().ns - now, 0));
        notes->asked_ns.store(0);
      });
    } else {
      sight.waiting = Duration(std::max<std::int64_t>(now - asked, 0));
    }
    const std::int64_t answered = part.notes->answered_ns.load();
    if (answered >= 0) sight.answered = Duration(answered);
    sights.push_back(std::move(sight));
  }
  return sights;
}

}  // namespace cairn::server
