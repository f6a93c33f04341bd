// Backups: reading never goes past its input, gives out nothing that does not add up, and takes
// back what the writer makes of what it gave out. Checksums are put right first, or no input would
// get far.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "src/backup/backup_format.h"
#include "src/base/check.h"
#include "xxhash.h"

namespace {

// Puts the right checksum behind each block whose head is there.
std::string WithChecksums(std::string_view bytes) {
  std::string file(bytes);
  std::size_t at = 9;  // behind the magic and the format
  for (std::uint64_t block = 0; at + 5 <= file.size(); ++block) {
    std::uint32_t length = 0;
    std::memcpy(&length, file.data() + at, sizeof(length));
    if (length > file.size() || at + 5 + length + 8 > file.size()) break;
    const std::uint64_t sum = XXH3_64bits_withSeed(file.data() + at + 4, length + 1, block);
    std::memcpy(file.data() + at + 5 + length, &sum, sizeof(sum));
    at += 5 + length + 8;
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn;
  const std::string input =
      WithChecksums(std::string_view(reinterpret_cast<const char*>(data), size));
  std::size_t at = 0;
  backup::Reader reader([&](char* to, std::size_t wanted) -> Result<std::size_t> {
    const std::size_t got = std::min(wanted, input.size() - at);
    std::memcpy(to, input.data() + at, got);
    at += got;
    return got;
  });
  backup::Writer writer;
  std::string again = backup::FileBegin();
  while (true) {
    const Result<backup::Block> block = reader.Next();
    if (!block.ok()) break;
    if (const auto* header = std::get_if<backup::Header>(&*block)) again += writer.Add(*header);
    if (const auto* begin = std::get_if<backup::SectionBegin>(&*block)) {
      again += writer.Begin(*begin);
    }
    if (const auto* pairs = std::get_if<backup::Pairs>(&*block)) again += writer.Add(*pairs);
    if (std::holds_alternative<backup::SectionEnd>(*block)) again += writer.EndSection();
    if (!std::holds_alternative<backup::Trailer>(*block)) continue;
    again += writer.Finish();
    CAIRN_CHECK(again == input);
    break;
  }
  return 0;
}
