// Recorded histories: any text is taken or refused with a message, and what is taken can be judged.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/check/history.h"
#include "sim/check/history_file.h"
#include "src/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto history =
      cairn::sim::ParseHistory({reinterpret_cast<const char*>(data), size}, "input");
  if (!history.ok()) {
    CAIRN_CHECK(history.status().code() == cairn::StatusCode::kInvalidArgument);
    CAIRN_CHECK(!history.status().message().empty());
    return 0;
  }
  (void)cairn::sim::CheckHistory(*history);
  return 0;
}
