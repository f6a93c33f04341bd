// Records of incoming snapshots: decoding never reads past its input, what decodes encodes to the
// bytes that were used, and a transfer goes on within what was offered.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/replication/snapshot_record.h"

namespace {

using namespace cairn;               // NOLINT(google-build-using-namespace): a fuzzer
using namespace cairn::replication;  // NOLINT(google-build-using-namespace)

void Check(std::string_view input) {
  const auto record = DecodeSnapshotRecord(input);
  if (!record.ok()) return;
  const SnapshotPosition have = record->have();
  CAIRN_CHECK(have.file <= record->offer.files.size(), "it goes on behind the last file");
  CAIRN_CHECK(have.offset == 0 || have.offset < record->offer.files[have.file].size,
              "it goes on behind the end of a file");
  std::uint64_t checksum = 0;
  std::string again = EncodeSnapshotRecordHead(record->from, record->offer, &checksum);
  for (const SnapshotMark& mark : record->marks) again += Encode(mark, checksum);
  CAIRN_CHECK(checksum == record->head_checksum && again == input.substr(0, record->bytes),
              "it encodes to other bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Check(input);
  // The checksums keep most inputs out: what follows them is reached by bytes that are read as
  // sizes of files and as marks, encoded as a record.
  if (size < 4) return 0;
  SnapshotOffer offer;
  offer.id = data[0];
  const std::size_t files = data[1] % 5;
  std::size_t at = 2;
  for (std::size_t f = 0; f < files && at < size; ++f) {
    offer.files.push_back({std::string(1, static_cast<char>('a' + f)), data[at++]});
  }
  std::uint64_t checksum = 0;
  std::string bytes = EncodeSnapshotRecordHead(NodeId(data[0]), offer, &checksum);
  for (; at + 1 < size; at += 2) {
    bytes += Encode(SnapshotMark{{data[at] % 6u, data[at + 1]}, data[at]}, checksum);
  }
  const auto record = DecodeSnapshotRecord(bytes);
  CAIRN_CHECK(record.ok() && record->offer == offer, "a record does not decode");
  Check(bytes);
  return 0;
}
