#include "sim/violation.h"

#include <array>
#include <cstddef>

namespace cairn::sim {

std::string_view NameOf(ViolationKind kind) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(ViolationKind::kCount)>
      kNames = {"none",
                "two leaders",
                "logs differ",
                "a commit changes",
                "an early promise",
                "applied too early",
                "lost after a restart",
                "journal cut too far",
                "a wrong snapshot",
                "states differ",
                "does not start",
                "an assertion",
                "no answer",
                "two answers",
                "no progress",
                "too few operations",
                "a wrong session",
                "wrong data",
                "versions out of order",
                "a broken promise",
                "snapshots differ",
                "stamps wrong",
                "not serializable",
                "not linearizable"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace cairn::sim
