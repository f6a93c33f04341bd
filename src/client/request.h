// What a client asks of a node and what comes back, without a wire: kv's operations, and what only
// a wire offers beside data.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_CLIENT_REQUEST_H_
#define CAIRN_SRC_CLIENT_REQUEST_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cairn/client.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"

namespace cairn::client {

struct ListFamilies {};
struct Ping {};
struct GetClusterInfo {};
// Of the node that answers.
struct GetNodeInfo {};

using Request = std::variant<kv::KvOperation, ListFamilies, Ping, GetClusterInfo, GetNodeInfo>;

struct Pong {};
using FamilyNames = std::vector<std::string>;
// A write's WriteResult::version is the session id for OpenSession.
using Answer = std::variant<kv::GetResult, kv::RangeResult, kv::VersionResult, kv::WriteResult,
                            FamilyNames, ClusterInfo, NodeInfo, Pong>;

// True if the request goes through the log.
inline bool IsWrite(const Request& request) {
  const auto* operation = std::get_if<kv::KvOperation>(&request);
  return operation != nullptr && kv::requires_consensus(*operation);
}
// True for the writes that can carry a session: all but those about sessions. A column family that
// is dropped twice may be two: somebody else made it anew in between.
inline bool TakesSession(const Request& request) {
  const auto* operation = std::get_if<kv::KvOperation>(&request);
  return operation != nullptr && (std::holds_alternative<kv::Set>(*operation) ||
                                  std::holds_alternative<kv::Delete>(*operation) ||
                                  std::holds_alternative<kv::AtomicCommit>(*operation) ||
                                  std::holds_alternative<kv::SetVersionstampedKey>(*operation) ||
                                  std::holds_alternative<kv::SetVersionstampedValue>(*operation) ||
                                  std::holds_alternative<kv::CreateColumnFamily>(*operation) ||
                                  std::holds_alternative<kv::DropColumnFamily>(*operation));
}

// True for the writes that do no harm when they are applied twice: a session that nobody knows of
// expires.
inline bool MayRepeat(const Request& request) {
  const auto* operation = std::get_if<kv::KvOperation>(&request);
  return operation != nullptr && (std::holds_alternative<kv::OpenSession>(*operation) ||
                                  std::holds_alternative<kv::CloseSession>(*operation));
}

// What travels beside a request, in one try.
struct CallContext {
  // The answer, or kTimeout, comes by then.
  MonotonicTime deadline = MonotonicTime::Max();
  ReadLevel read_level = ReadLevel::kDefault;
  Version min_version;
  // The node is to answer kNotLeader rather than forward.
  bool no_forwarding = false;
  SessionId session;  // 0: none
  std::uint64_t sequence = 0;
  std::uint64_t first_outstanding = 0;
  // The caller's thread will Drive the call (channel.h).
  bool driven = false;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_REQUEST_H_
