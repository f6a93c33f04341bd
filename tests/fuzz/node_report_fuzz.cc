// Reports of nodes: decoding never reads past its input, and what decodes encodes to what decodes
// to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/replication/node_report.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::replication;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto report = DecodeNodeReport(input); report.ok()) {
    const auto again = DecodeNodeReport(Encode(*report));
    CAIRN_CHECK(again.ok() && *again == *report);
  }
  return 0;
}
