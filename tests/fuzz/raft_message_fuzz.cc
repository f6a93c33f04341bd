// Bytes from a peer or a record, taken for a Raft message, a membership, a formation message or a
// formation record: nothing may crash, and what decodes
// must encode to the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/consensus/core/core.h"
#include "src/consensus/formation/messages.h"
#include "src/consensus/formation/record.h"
#include "src/consensus/raft/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto message = cairn::consensus::raft::Decode(bytes); message.ok()) {
    CAIRN_CHECK(cairn::consensus::raft::Encode(*message) == bytes);
  }
  if (const auto membership = cairn::consensus::Membership::Decode(bytes); membership.ok()) {
    CAIRN_CHECK(membership->Encode() == bytes);
  }
  namespace formation = cairn::consensus::formation;
  if (const auto message = formation::DecodeMessage(bytes); message.ok()) {
    CAIRN_CHECK(formation::Encode(*message) == bytes);
  }
  if (const auto record = formation::DecodeRecord(bytes); record.ok()) {
    CAIRN_CHECK(formation::Encode(*record) == bytes);
  }
  return 0;
}
