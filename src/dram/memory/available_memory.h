// How much memory the machine could still give.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_DRAM_MEMORY_AVAILABLE_MEMORY_H_
#define CAIRN_SRC_DRAM_MEMORY_AVAILABLE_MEMORY_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string>

namespace cairn::dram {

// MemAvailable of `meminfo`, which is written as /proc/meminfo, in bytes; nothing if it is not
// there.
std::optional<std::uint64_t> MemAvailableOf(std::istream& meminfo);
// Of this machine. A container's limit is not looked at.
std::optional<std::uint64_t> AvailableMemory();

// Why a region of `capacity` bytes is more than the machine can fill, and what to do about it;
// empty if it is not, or if that is not known. Memory is only taken when it is written to, so that
// the kernel gives the region all the same.
std::string WhyTooMuchMemory(std::uint64_t capacity, std::optional<std::uint64_t> available);

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_MEMORY_AVAILABLE_MEMORY_H_
