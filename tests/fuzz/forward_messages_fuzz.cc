// Forwarded writes and their answers: decoding never reads past its input, and what decodes encodes
// to what decodes to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/replication/forward_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::replication;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto request = DecodeForwardRequest(input); request.ok()) {
    CAIRN_CHECK(Encode(*request) == input);
  }
  if (const auto response = DecodeForwardResponse(input); response.ok()) {
    const std::string again = Encode(*response);
    CAIRN_CHECK(Encode(*DecodeForwardResponse(again)) == again);
  }
  return 0;
}
