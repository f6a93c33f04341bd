// The bugs of src/base/planted_bug.h by name, for tests and cairn-sim.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_BASE_TESTING_PLANTED_BUG_NAMES_H_
#define CAIRN_SRC_BASE_TESTING_PLANTED_BUG_NAMES_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "src/base/planted_bug.h"

namespace cairn {

struct PlantedBugName {
  std::string_view name;  // "kVoteTwice"
  std::string_view what;  // what it does
};

// In the order of the enumeration; the first is kNone.
inline constexpr std::array<PlantedBugName, static_cast<std::size_t>(PlantedBug::kCount)>
    kPlantedBugNames = {{{"kNone", "all is well"},
#define CAIRN_BUG_(name, what) {#name, what},
                         CAIRN_EVERY_BUG(CAIRN_BUG_)
#undef CAIRN_BUG_
    }};

// "kVoteTwice".
constexpr std::string_view NameOf(PlantedBug bug) {
  return kPlantedBugNames[static_cast<std::size_t>(bug)].name;
}

// Nothing if no bug has that name.
constexpr std::optional<PlantedBug> PlantedBugByName(std::string_view name) {
  for (std::size_t i = 0; i < kPlantedBugNames.size(); ++i) {
    if (kPlantedBugNames[i].name == name) return static_cast<PlantedBug>(i);
  }
  return std::nullopt;
}

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_PLANTED_BUG_NAMES_H_
