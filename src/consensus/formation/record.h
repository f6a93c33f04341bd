// What a node persists of the formation of its cluster: docs/formats/formation.md.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_CONSENSUS_FORMATION_RECORD_H_
#define CAIRN_SRC_CONSENSUS_FORMATION_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/consensus/core/membership.h"

namespace cairn::consensus::formation {

struct Record {
  enum class Stage : std::uint8_t {
    kPrepared = 1,  // this membership was proposed and accepted here; its fate is open
    kFormed = 2,    // the cluster exists
  };
  Stage stage = Stage::kPrepared;
  // Which proposal it was; grows with every one that this node accepts. Never 0.
  std::uint64_t attempt = 0;
  ClusterId cluster;  // never 0
  Membership first;   // voters only, not joint

  friend bool operator==(const Record&, const Record&) = default;
};

std::string Encode(const Record& record);
// kCorruption for bytes that are no record, kUnimplemented for one of a later version.
Result<Record> DecodeRecord(std::string_view bytes);

}  // namespace cairn::consensus::formation

#endif  // CAIRN_SRC_CONSENSUS_FORMATION_RECORD_H_
