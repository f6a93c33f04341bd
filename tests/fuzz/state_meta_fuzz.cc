// Bytes from the database, taken for the meta record: nothing may crash, and what decodes must
// encode to the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/storage/engine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto meta = cairn::storage::StateMeta::Decode(bytes);
  if (meta.ok()) CAIRN_CHECK(meta->Encode() == bytes);
  return 0;
}
