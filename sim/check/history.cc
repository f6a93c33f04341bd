#include "sim/check/history.h"

#include <cstdio>

namespace cairn::sim {

std::string Interval::Describe() const {
  char text[96];
  const double from = static_cast<double>(began_at.ns) / 1e9;
  if (end == kNever) {
    std::snprintf(text, sizeof(text), "client %d, %.6f..", client, from);
  } else {
    std::snprintf(text, sizeof(text), "client %d, %.6f..%.6f", client, from,
                  static_cast<double>(ended_at.ns) / 1e9);
  }
  return text;
}

}  // namespace cairn::sim
