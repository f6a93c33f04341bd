// Bytes from the log or a peer, taken for an entry's payload: nothing may crash, and a command that
// decodes must encode to the same bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/kv/command.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto check = [](std::string_view encoded) {
    const auto command = cairn::kv::DecodeCommand(encoded);
    if (!command.ok()) return;
    std::string again;
    cairn::kv::EncodeCommand(*command, &again);
    CAIRN_CHECK(again == encoded);
  };
  check(bytes);
  if (const auto commands = cairn::kv::SplitCommandBatch(bytes); commands.ok()) {
    for (const std::string_view command : *commands) check(command);
  }
  return 0;
}
