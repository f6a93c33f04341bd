// Digests that tell whether two replicas hold the same state, and where they do not.
//
// A digest has sections: a column family each, and the state machine's own records. A section is a
// set of pairs of key and value; its sum is that of the 128-bit hashes of its pairs, modulo 2^128,
// so that sums of parts add up to the sum of the whole. Beside it stand the sums of ranges of keys.
// Where a range begins is decided by the key alone (its hash ends in so many zero bits), so that
// two replicas that differ in one key have the same ranges elsewhere. Ranges become fewer, by one
// more zero bit, when there would be too many.
//
// It finds differences that come about; it does not stand against somebody who makes them on
// purpose. The numbers are XXH3's (docs/formats/state_digest.md).
//
// Thread safety: plain values; a builder belongs to one thread.
#ifndef CAIRN_SRC_DIGEST_STATE_DIGEST_H_
#define CAIRN_SRC_DIGEST_STATE_DIGEST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cairn::digest {

struct Sum {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  void Add(const Sum& other);
  // 32 hexadecimal digits.
  [[nodiscard]] std::string ToString() const;
  friend bool operator==(const Sum&, const Sum&) = default;
};

// The hash of one pair.
Sum HashPair(std::string_view key, std::string_view value);

// The pairs from `begin` up to where the next range begins.
struct Range {
  std::string begin;  // empty: from the first key
  std::uint64_t pairs = 0;
  Sum sum;
  friend bool operator==(const Range&, const Range&) = default;
};

struct Section {
  std::string name;
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;  // of keys and values
  Sum sum;
  // A range begins at each key whose hash has these bits all zero. One less than a power of two.
  std::uint64_t mask = 0;
  std::vector<Range> ranges;  // in the order of keys; the first begins at ""
  friend bool operator==(const Section&, const Section&) = default;
};

// A state at one version.
struct StateDigest {
  std::uint64_t slot = 0;
  std::uint64_t version = 0;
  std::vector<Section> sections;

  // One number for all of it: 32 hexadecimal digits.
  [[nodiscard]] std::string ToString() const;
};

// Takes the pairs of a section in the order of their keys.
class SectionBuilder {
 public:
  struct Bounds {
    std::size_t ranges = 2048;
    std::size_t key_bytes = 1 << 20;  // of the ranges' first keys, together
  };
  SectionBuilder(std::string name, const Bounds& bounds);
  explicit SectionBuilder(std::string name);

  void Add(std::string_view key, std::string_view value);
  [[nodiscard]] Section Finish();

 private:
  void Coarsen();

  const Bounds bounds_;
  Section section_;
  std::size_t key_bytes_ = 0;
};

// Keys in which two sections of the same name differ: [begin, end), an empty end is the last key.
struct Difference {
  std::string section;
  std::string begin;
  std::string end;
  std::uint64_t pairs_here = 0;
  std::uint64_t pairs_there = 0;
  friend bool operator==(const Difference&, const Difference&) = default;
};

// The first `at_most` ranges in which the two differ; nothing if they are the same.
std::vector<Difference> Compare(const Section& here, const Section& there, std::size_t at_most);

// The same of two states. A section that one of them lacks differs as a whole.
std::vector<Difference> Compare(const StateDigest& here, const StateDigest& there,
                                std::size_t at_most);

}  // namespace cairn::digest

#endif  // CAIRN_SRC_DIGEST_STATE_DIGEST_H_
