// What another process may leave in shared memory, and what it may say at the Unix socket: nothing
// is read beyond the ring, and a greeting that decodes encodes to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/dram/shm/greeting.h"
#include "src/dram/shm/segment.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::dram::shm;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto greeting = DecodeGreeting(bytes); greeting.ok()) {
    CAIRN_CHECK(EncodeGreeting(*greeting) == bytes);
  }
  if (size < 2) return 0;
  // The first two bytes say how much was written, in units of 8; the rest is the ring.
  const auto way = std::make_unique<Direction>();
  way->written.store(8 * (std::uint64_t{data[0]} | std::uint64_t{data[1]} << 8U));
  std::memcpy(way->bytes.data(), data + 2, std::min(size - 2, kRingBytes));
  RingReader reader(way.get());
  for (int i = 0; i < 10'000; ++i) {
    const auto message = reader.Next();
    if (!message.ok() || !message->has_value()) break;
    const std::string_view found = (*message)->bytes;
    CAIRN_CHECK(found.data() >= way->bytes.data());
    CAIRN_CHECK(found.data() + found.size() <= way->bytes.data() + kRingBytes);
    CAIRN_CHECK(found.size() < kMaxMessageBytes);
    (void)reader.Pop();
  }
  return 0;
}
