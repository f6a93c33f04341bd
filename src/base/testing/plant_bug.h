// The switch of src/base/planted_bug.h, for tests and the simulator only.
#ifndef CAIRN_SRC_BASE_TESTING_PLANT_BUG_H_
#define CAIRN_SRC_BASE_TESTING_PLANT_BUG_H_

#ifndef CAIRN_PLANTED_BUGS
#error "only a target that links NAME_planted libraries can plant bugs"
#endif

#include "src/base/planted_bug.h"

namespace cairn {

// Plants a bug for this thread until it goes out of scope.
class PlantBug {
 public:
  explicit PlantBug(PlantedBug bug) : before_(planted_bug_internal::planted) {
    planted_bug_internal::planted = bug;
  }
  ~PlantBug() { planted_bug_internal::planted = before_; }
  PlantBug(const PlantBug&) = delete;
  PlantBug& operator=(const PlantBug&) = delete;

 private:
  const PlantedBug before_;
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_PLANT_BUG_H_
