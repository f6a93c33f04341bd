#include "src/dram/memory/available_memory.h"

#include <fstream>

namespace cairn::dram {

std::optional<std::uint64_t> MemAvailableOf(std::istream& meminfo) {
  std::string name;
  std::uint64_t kib = 0;
  for (std::string rest; meminfo >> name >> kib; std::getline(meminfo, rest)) {
    if (name == "MemAvailable:") return kib << 10;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  return MemAvailableOf(file);
}

std::string WhyTooMuchMemory(std::uint64_t capacity, std::optional<std::uint64_t> available) {
  if (!available.has_value() || capacity <= *available) return {};
  return "the capacity is " + std::to_string(capacity) + " bytes, but the machine has " +
         std::to_string(*available) +
         " available (MemAvailable): memory is taken as values come, and once there is none left "
         "the kernel ends a process, likely this one. Lower capacity_bytes (of cairnd, "
         "capacity_mb), or free memory";
}

}  // namespace cairn::dram
