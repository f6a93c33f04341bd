// Door messages from arbitrary bytes: nothing is read beyond them, and a welcome that decodes is
// within its bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/dram/ucx/door_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::dram::ucx;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = DoorMessageSize(bytes);
  if (whole.ok() && whole->has_value()) CAIRN_CHECK(**whole <= kMaxDoorMessageBytes);
  if (const auto hello = DecodeDoorHello(bytes); hello.ok()) {
    CAIRN_CHECK(hello->token.empty() || hello->token.size() == kTokenBytes);
  }
  if (const auto welcome = DecodeDoorWelcome(bytes); welcome.ok() && welcome->status.ok()) {
    CAIRN_CHECK(welcome->token.size() == kTokenBytes);
  }
  return 0;
}
