// Strong types for the numbers of the system: mixing two of them does not compile.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_BASE_IDS_H_
#define CAIRN_SRC_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

namespace cairn {

// An integer with a name. `Tag` makes each alias a type of its own.
template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() noexcept = default;
  constexpr explicit StrongId(Rep value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) noexcept = default;

  // The next number. Overflow of a 64-bit counter is out of reach; of a 32-bit one, a bug.
  [[nodiscard]] constexpr StrongId Next() const noexcept { return StrongId(value_ + 1); }
  // The number before. Must not be called on zero.
  [[nodiscard]] constexpr StrongId Prev() const noexcept { return StrongId(value_ - 1); }
  [[nodiscard]] constexpr StrongId Plus(Rep n) const noexcept { return StrongId(value_ + n); }

  static constexpr StrongId Max() noexcept { return StrongId(std::numeric_limits<Rep>::max()); }

  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

template <class Tag, class Rep>
std::string ToString(StrongId<Tag, Rep> id) {
  return std::to_string(id.value());
}

// A member of a cluster, as configured (`instance_id`).
using NodeId = StrongId<struct NodeIdTag, std::uint32_t>;
// One life of a data folder: random, made when the folder is first written. A node that comes back
// with an empty folder is a new incarnation.
using IncarnationId = StrongId<struct IncarnationIdTag, std::uint64_t>;
// A replicated state machine on a node. One a node for now; the number is in every format.
using GroupId = StrongId<struct GroupIdTag, std::uint32_t>;
// A cluster: random, made when its first members agree. 0 is "none yet".
using ClusterId = StrongId<struct ClusterIdTag, std::uint64_t>;
// A position in the replicated log (Raft: log index; Paxos: instance). The first one is 1.
using Slot = StrongId<struct SlotTag, std::uint64_t>;
// A term of leadership in the neutral vocabulary (Raft: term; Paxos: ballot). 0 is "none".
using Epoch = StrongId<struct EpochTag, std::uint64_t>;
// A version of the data: the state machine's counter of commits. A new store is at 1.
using Version = StrongId<struct VersionTag, std::uint64_t>;
// A client session; the version of the commit that opened it. 0 is "no session".
using SessionId = StrongId<struct SessionIdTag, std::uint64_t>;
// A column family; ids are given by the state machine and never reused. 0 is "default".
using FamilyId = StrongId<struct FamilyIdTag, std::uint32_t>;

}  // namespace cairn

template <class Tag, class Rep>
struct std::hash<cairn::StrongId<Tag, Rep>> {
  std::size_t operator()(cairn::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};

#endif  // CAIRN_SRC_BASE_IDS_H_
