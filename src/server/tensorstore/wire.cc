#include "src/server/tensorstore/wire.h"

#include <cstdint>

namespace cairn::server {
namespace {

constexpr char kValueMark = 1;
constexpr char kNoValueMark = 5;
constexpr std::size_t kNumberBytes = sizeof(std::uint64_t);

void Append(std::uint64_t number, std::string* bytes) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

std::uint64_t Read(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return number;
}

}  // namespace

std::string ToWire(const dram::Generation& generation) {
  if (generation.IsUnknown()) return {};
  if (generation.IsNoValue()) return {kNoValueMark};
  std::string bytes;
  Append(generation.boot_id, &bytes);
  Append(generation.counter, &bytes);
  bytes.push_back(kValueMark);
  return bytes;
}

dram::Generation FromWire(std::string_view bytes) {
  if (bytes.empty()) return dram::Generation::Unknown();
  if (bytes.size() == 1 && bytes[0] == kNoValueMark) return dram::Generation::NoValue();
  // The boot id of no server is 0, so these belong to no value.
  constexpr dram::Generation kForeign{0, UINT64_MAX};
  if (bytes.size() != 2 * kNumberBytes + 1 || bytes.back() != kValueMark) return kForeign;
  const dram::Generation generation{Read(bytes), Read(bytes.substr(kNumberBytes))};
  return generation.boot_id == 0 ? kForeign : generation;
}

}  // namespace cairn::server
