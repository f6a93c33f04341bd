// Any text is either refused with kInvalidArgument or read into a configuration that, written out,
// reads back as the same one.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/config/node_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = cairn::config::ParseConfig(text, "fuzz");
  if (!config.ok()) {
    CAIRN_CHECK(config.status().code() == cairn::StatusCode::kInvalidArgument);
    CAIRN_CHECK(!config.status().message().empty());
    return 0;
  }
  for (const bool documented : {false, true}) {
    const std::string rendered = cairn::config::RenderToml(*config, documented);
    const auto again = cairn::config::ParseConfig(rendered, "rendered");
    CAIRN_CHECK(again.ok(), again.status().ToString() + "\n" + rendered);
    CAIRN_CHECK(*again == *config, rendered);
  }
  return 0;
}
