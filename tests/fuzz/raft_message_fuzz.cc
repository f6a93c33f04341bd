// Bytes from a peer, taken for a Raft message or a membership: nothing may crash, and what decodes
// must encode to the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/consensus/core/core.h"
#include "src/consensus/raft/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto message = cairn::consensus::raft::Decode(bytes); message.ok()) {
    CAIRN_CHECK(cairn::consensus::raft::Encode(*message) == bytes);
  }
  if (const auto membership = cairn::consensus::Membership::Decode(bytes); membership.ok()) {
    CAIRN_CHECK(membership->Encode() == bytes);
  }
  return 0;
}
