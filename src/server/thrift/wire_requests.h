// From the fields of a Thrift request to what NodeService takes.
//
// Requests are taken apart: their strings are moved from. The generated dispatcher hands them to
// the handler as const, but owns them alone and reads nothing of them afterwards.
//
// Thread safety: pure functions, but for what they take from the request.
#ifndef CAIRN_SRC_SERVER_THRIFT_WIRE_REQUESTS_H_
#define CAIRN_SRC_SERVER_THRIFT_WIRE_REQUESTS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "api/kvstore_types.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/legacy_range.h"
#include "src/kv/operation.h"
#include "src/replication/routing_manager.h"
#include "src/server/thrift/caller.h"

namespace cairn::server {

// Moves a field out of a request (see the head of this file).
inline std::string&& Take(const std::string& field) {
  return std::move(const_cast<std::string&>(field));
}

// A number of the wire that can't be negative. kInvalidArgument names the field.
Result<std::uint64_t> NotNegative(const char* field, std::int64_t value);
inline Result<Version> WireVersion(const char* field, std::int64_t value) {
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t version, NotNegative(field, value));
  return Version(version);
}

// "local", "leader" or "read_index"; kInvalidArgument names the others.
Result<replication::ReadLevel> ParseReadLevel(std::string_view name);

// `wait` from now, bounded: a deadline far in the future must not overflow into the past.
inline MonotonicTime DeadlineAfter(MonotonicTime now, std::uint64_t wait, Duration unit) {
  constexpr Duration kLongest = std::chrono::hours(24 * 365);
  const auto most = static_cast<std::uint64_t>(kLongest / unit);
  return now + unit * static_cast<std::int64_t>(std::min(wait, most));
}

// The session of a write; all of its fields or none.
template <class Request>
Status ReadSession(const Request& request, replication::RequestContext* context) {
  const auto& set = request.__isset;
  if (!set.session_id && !set.session_sequence && !set.session_first_outstanding) {
    return Status::Ok();
  }
  if (!set.session_id || !set.session_sequence) {
    return InvalidArgumentError("session_id and session_sequence must be given together");
  }
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t id, NotNegative("session_id", request.session_id));
  CAIRN_ASSIGN_OR_RETURN(context->sequence,
                         NotNegative("session_sequence", request.session_sequence));
  if (id == 0 || context->sequence == 0) {
    return InvalidArgumentError("session_id and session_sequence are counted from 1");
  }
  context->session = SessionId(id);
  if (set.session_first_outstanding) {
    CAIRN_ASSIGN_OR_RETURN(
        context->first_outstanding,
        NotNegative("session_first_outstanding", request.session_first_outstanding));
  }
  return Status::Ok();
}

// The context that a request's own fields ask for. kInvalidArgument names the field that is wrong.
template <class Request>
Result<replication::RequestContext> MakeContext(const Request& request, MonotonicTime now) {
  replication::RequestContext context;
  context.caller = CurrentCaller();
  if constexpr (requires { request.read_level; }) {
    if (request.__isset.read_level) {
      CAIRN_ASSIGN_OR_RETURN(context.read_level, ParseReadLevel(request.read_level));
    }
  }
  if constexpr (requires { request.min_version; }) {
    if (request.__isset.min_version) {
      CAIRN_ASSIGN_OR_RETURN(context.min_version, WireVersion("min_version", request.min_version));
    }
  }
  if constexpr (requires { request.no_forwarding; }) {
    context.allow_forwarding = !(request.__isset.no_forwarding && request.no_forwarding);
  }
  if constexpr (requires { request.timeout_seconds; }) {
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t wait,
                           NotNegative("timeout_seconds", request.timeout_seconds));
    context.deadline = DeadlineAfter(now, wait, std::chrono::seconds(1));
  }
  if constexpr (requires { request.deadline_ms; }) {
    if (request.__isset.deadline_ms) {
      CAIRN_ASSIGN_OR_RETURN(const std::uint64_t wait,
                             NotNegative("deadline_ms", request.deadline_ms));
      context.deadline =
          std::min(context.deadline, DeadlineAfter(now, wait, std::chrono::milliseconds(1)));
    }
  }
  if constexpr (requires { request.session_sequence; }) {
    CAIRN_RETURN_IF_ERROR(ReadSession(request, &context));
  }
  return context;
}

inline kv::KeySelector MakeSelector(const thrift_api::KeySelector& wire) {
  return {Take(wire.key), wire.or_equal, wire.offset};
}

// The range of a getRange or a snapshotGetRange: by key selectors if the request has them, else in
// the old wire's meaning.
template <class Request>
kv::RangeQuery MakeRangeQuery(const Request& request, const kv::Limits& limits) {
  if (request.__isset.begin_selector) {
    kv::RangeQuery query;
    query.begin = MakeSelector(request.begin_selector);
    if (request.__isset.end_selector) query.end = MakeSelector(request.end_selector);
    query.reverse = request.reverse;
    query.limit = static_cast<std::uint64_t>(std::max(request.limit, 0));
    const auto most = static_cast<std::int64_t>(limits.range_answer_bytes);
    const std::int64_t asked = request.__isset.max_bytes ? request.max_bytes : 0;
    query.max_bytes = static_cast<std::uint64_t>(asked > 0 ? std::min(asked, most) : most);
    return query;
  }
  kv::LegacyRange range;
  if (request.__isset.begin_key) range.begin_key = Take(request.begin_key);
  if (request.__isset.end_key) range.end_key = Take(request.end_key);
  range.begin_offset = request.begin_offset;
  range.begin_or_equal = request.begin_or_equal;
  range.end_offset = request.end_offset;
  range.end_or_equal = request.end_or_equal;
  range.limit = request.limit;
  return kv::ToRangeQuery(std::move(range), limits);
}

// kInvalidOperation for a type that is none, or an operation without the value that its type needs;
// kInvalidArgument for a negative read version.
Result<kv::AtomicCommit> MakeAtomicCommit(const thrift_api::AtomicCommitRequest& request);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_WIRE_REQUESTS_H_
