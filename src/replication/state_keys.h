// Keys of the state machine's records in the system spaces: docs/formats/state.md.
#ifndef CAIRN_SRC_REPLICATION_STATE_KEYS_H_
#define CAIRN_SRC_REPLICATION_STATE_KEYS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/codec.h"
#include "src/base/ids.h"

namespace cairn::replication::state_keys {

// SystemSpace::kState. One letter, then what makes the key unique.
inline constexpr char kFamily = 'f';       // f name -> family record
inline constexpr char kLastDrop = 'd';     // d -> version of the last drop of a family
inline constexpr char kSession = 's';      // s session -> session record
inline constexpr char kAnswer = 'a';       // a session sequence -> answer record
inline constexpr char kSessionMask = 'm';  // m -> what makes ids of sessions of versions

inline std::string Family(std::string_view name) {
  std::string key(1, kFamily);
  key.append(name);
  return key;
}

inline std::string LastDrop() { return std::string(1, kLastDrop); }

inline std::string SessionMask() { return std::string(1, kSessionMask); }

inline std::string Session(SessionId id) {
  std::string key(1, kSession);
  Encoder(&key).BigEndian64(id.value());
  return key;
}

inline std::string Answer(SessionId id, std::uint64_t sequence) {
  std::string key(1, kAnswer);
  Encoder e(&key);
  e.BigEndian64(id.value());
  e.BigEndian64(sequence);
  return key;
}

// SystemSpace::kVersionIndex: version, order within the commit -> family and key.
inline std::string IndexEntry(Version version, std::uint16_t order) {
  std::string key;
  Encoder e(&key);
  e.BigEndian64(version.value());
  e.BigEndian16(order);
  return key;
}

// The first index key of a version.
inline std::string IndexVersion(Version version) {
  std::string key;
  Encoder(&key).BigEndian64(version.value());
  return key;
}

}  // namespace cairn::replication::state_keys

#endif  // CAIRN_SRC_REPLICATION_STATE_KEYS_H_
