// Digests as a node may send them to `cairn cluster verify`, which reads protobuf's fields into
// them as they are: ranges in any order, with sums that do not add up, under any mask. Comparing
// ends, finds no more than it may, and nothing between a digest and itself.
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/check.h"
#include "src/digest/state_digest.h"

namespace {

// Takes bytes off the front; zeros behind the end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  std::uint8_t Next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// Few values of each, so that two digests have some in common.
std::string NameOf(std::uint8_t byte) { return std::string(byte % 4, static_cast<char>(byte)); }

cairn::digest::StateDigest Read(Bytes* from) {
  cairn::digest::StateDigest state;
  for (int sections = from->Next() % 4; sections > 0; --sections) {
    cairn::digest::Section section;
    section.name = NameOf(from->Next());
    section.pairs = from->Next();
    section.sum = {from->Next(), from->Next()};
    section.mask = (std::uint64_t{1} << (from->Next() % 64)) - from->Next() % 2;
    for (int ranges = from->Next() % 8; ranges > 0; --ranges) {
      section.ranges.push_back({NameOf(from->Next()), from->Next(), {from->Next(), 0}});
    }
    state.sections.push_back(section);
  }
  return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const std::size_t at_most = bytes.Next() % 4;
  const cairn::digest::StateDigest here = Read(&bytes);
  const cairn::digest::StateDigest there = Read(&bytes);
  CAIRN_CHECK(cairn::digest::Compare(here, there, at_most).size() <= at_most);
  CAIRN_CHECK(cairn::digest::Compare(there, here, at_most).size() <= at_most);
  // Two sections of one name are compared with the first of that name.
  if (here.sections.size() < 2) CAIRN_CHECK(cairn::digest::Compare(here, here, 9).empty());
  CAIRN_CHECK(here.ToString().size() == 32);
  return 0;
}
