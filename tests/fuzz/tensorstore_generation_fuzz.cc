// Generations from TensorStore's wire, from arbitrary bytes: what is read stays the same when it is
// written and read again, and bytes that this server never wrote name no value of any server.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/server/tensorstore/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const dram::Generation read = server::FromWire(bytes);
  CAIRN_CHECK(server::FromWire(server::ToWire(read)) == read);
  if (server::ToWire(read) != bytes) CAIRN_CHECK(read.boot_id == 0);
  return 0;
}
