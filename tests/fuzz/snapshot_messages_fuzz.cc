// Pieces of snapshots and their answers, and the file DATABASE: decoding never reads past its
// input, what decodes encodes to what decodes to the same, and no name leaves its folder.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/check.h"
#include "src/replication/snapshot_messages.h"
#include "src/storage/swap_engine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::replication;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto message = DecodeSnapshotMessage(input); message.ok()) {
    if (const auto* const offer = std::get_if<SnapshotOffer>(&*message)) {
      for (const SnapshotOffer::File& file : offer->files) {
        CAIRN_CHECK(file.name.find('/') == std::string::npos && file.name != "..");
      }
    }
    const std::string bytes = std::visit([](const auto& m) { return Encode(m); }, *message);
    const auto again = DecodeSnapshotMessage(bytes);
    CAIRN_CHECK(again.ok() && *again == *message);
  }
  if (const auto ack = DecodeSnapshotAck(input); ack.ok()) {
    const auto again = DecodeSnapshotAck(Encode(*ack));
    CAIRN_CHECK(again.ok() && *again == *ack);
  }
  if (const auto pointer = cairn::storage::DatabasePointer::Decode(input); pointer.ok()) {
    CAIRN_CHECK(pointer->Encode() == input);
  }
  return 0;
}
