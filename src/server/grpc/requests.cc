#include "src/server/grpc/requests.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "api/cairn.pb.h"
#include "src/kv/stamp_template.h"

namespace cairn::server {
namespace {

// A deadline far in the future must not overflow into the past.
constexpr Duration kLongest = std::chrono::hours(24 * 365);

}  // namespace

MonotonicTime DeadlineOf(const grpc::ServerContextBase& call, MonotonicTime now) {
  using std::chrono::system_clock;
  const system_clock::time_point deadline = call.deadline();
  if (deadline == system_clock::time_point::max()) return MonotonicTime::Max();
  return DeadlineAfter(deadline - system_clock::now(), now);
}

MonotonicTime DeadlineAfter(Duration left, MonotonicTime now) {
  const Duration bounded = std::min(left, kLongest);
  // The client's own clock ends the wait at the deadline; the verdict must be on its way before.
  const Duration margin =
      std::clamp<Duration>(bounded / 10, Duration::zero(), std::chrono::milliseconds(20));
  return now + (bounded - margin);
}

Status ReadReadOptions(const v1::ReadOptions& options, replication::RequestContext* context) {
  switch (options.level()) {
    case v1::READ_LEVEL_UNSPECIFIED:
      break;
    case v1::READ_LEVEL_LOCAL:
      context->read_level = replication::ReadLevel::kLocal;
      break;
    case v1::READ_LEVEL_LEADER:
      context->read_level = replication::ReadLevel::kLeader;
      break;
    case v1::READ_LEVEL_READ_INDEX:
      context->read_level = replication::ReadLevel::kReadIndex;
      break;
    default:
      return InvalidArgumentError("there is no read level " +
                                  std::to_string(static_cast<int>(options.level())) +
                                  "; the levels are 1 (local), 2 (leader) and 3 (read_index)");
  }
  context->min_version = Version(options.min_version());
  context->allow_forwarding = !options.no_forwarding();
  return Status::Ok();
}

Status ReadWriteOptions(const v1::WriteOptions& options, replication::RequestContext* context) {
  context->allow_forwarding = !options.no_forwarding();
  if (!options.has_session()) return Status::Ok();
  const v1::SessionStamp& session = options.session();
  if (session.id() == 0 || session.sequence() == 0) {
    return InvalidArgumentError("session.id and session.sequence are counted from 1; they are " +
                                std::to_string(session.id()) + " and " +
                                std::to_string(session.sequence()));
  }
  context->session = SessionId(session.id());
  context->sequence = session.sequence();
  context->first_outstanding = session.first_outstanding();
  return Status::Ok();
}

kv::KeySelector TakeSelector(const v1::KeySelector& selector) {
  return {Take(selector.key()), selector.or_equal(), selector.offset()};
}

kv::RangeQuery TakeRange(const v1::Range& range) {
  kv::RangeQuery query;
  if (range.has_begin()) query.begin = TakeSelector(range.begin());
  if (range.has_end()) query.end = TakeSelector(range.end());
  query.reverse = range.reverse();
  query.keys_only = range.keys_only();
  return query;
}

Result<kv::AtomicCommit> TakeCommit(const v1::CommitRequest& request) {
  kv::AtomicCommit commit;
  commit.read_version = Version(request.read_version());
  commit.operations.reserve(static_cast<std::size_t>(request.mutations_size()));
  for (const v1::Mutation& wire : request.mutations()) {
    if (wire.type() < v1::Mutation::TYPE_SET ||
        wire.type() > v1::Mutation::TYPE_SET_VERSIONSTAMPED_VALUE) {
      return InvalidOperationError(
          "operation " + std::to_string(commit.operations.size()) + ": there is no type " +
          std::to_string(static_cast<int>(wire.type())) +
          "; the types are 1 (set), 2 (delete), 3 and 4 (versionstamped key, value)");
    }
    kv::Mutation mutation;
    mutation.type = static_cast<kv::MutationType>(wire.type());
    mutation.key = Take(wire.key());
    if (mutation.type != kv::MutationType::kDelete) mutation.value = Take(wire.value());
    mutation.column_family = Take(wire.column_family());
    commit.operations.push_back(std::move(mutation));
  }
  commit.read_conflict_keys.reserve(static_cast<std::size_t>(request.read_conflict_keys_size()));
  for (const v1::ConflictKey& wire : request.read_conflict_keys()) {
    kv::ConflictKey key{Take(wire.key()), std::nullopt};
    if (!wire.every_family()) key.column_family = Take(wire.column_family());
    commit.read_conflict_keys.push_back(std::move(key));
  }
  commit.read_conflict_ranges.reserve(
      static_cast<std::size_t>(request.read_conflict_ranges_size()));
  for (const v1::ConflictRange& wire : request.read_conflict_ranges()) {
    commit.read_conflict_ranges.push_back(
        {Take(wire.begin()), Take(wire.end()), Take(wire.column_family())});
  }
  return commit;
}

Result<kv::KvOperation> TakeOperation(const v1::GetRequest& request) {
  return MakeGet(Take(request.key()), Take(request.column_family()),
                 Version(request.read().at_version()));
}

Result<kv::KvOperation> TakeOperation(const v1::GetReadVersionRequest&) {
  return kv::KvOperation(kv::GetReadVersion{});
}

Result<kv::KvOperation> TakeOperation(const v1::SetRequest& request) {
  return kv::KvOperation(
      kv::Set{Take(request.key()), Take(request.value()), Take(request.column_family())});
}

Result<kv::KvOperation> TakeOperation(const v1::DeleteRequest& request) {
  return kv::KvOperation(kv::Delete{Take(request.key()), Take(request.column_family())});
}

Result<kv::KvOperation> TakeOperation(const v1::SetVersionstampedKeyRequest& request) {
  CAIRN_RETURN_IF_ERROR(kv::CheckStampTemplate("key_template", request.key_template()));
  return kv::KvOperation(kv::SetVersionstampedKey{
      Take(request.key_template()), Take(request.value()), Take(request.column_family())});
}

Result<kv::KvOperation> TakeOperation(const v1::SetVersionstampedValueRequest& request) {
  CAIRN_RETURN_IF_ERROR(kv::CheckStampTemplate("value_template", request.value_template()));
  return kv::KvOperation(kv::SetVersionstampedValue{
      Take(request.key()), Take(request.value_template()), Take(request.column_family())});
}

Result<kv::KvOperation> TakeOperation(const v1::CommitRequest& request) {
  CAIRN_ASSIGN_OR_RETURN(kv::AtomicCommit commit, TakeCommit(request));
  return kv::KvOperation(std::move(commit));
}

void FillAnswer(kv::GetResult answer, v1::GetResponse* to) {
  to->set_found(answer.found);
  to->set_value(std::move(answer.value));
  to->set_version(answer.version.value());
}

void FillAnswer(const kv::VersionResult& answer, v1::GetReadVersionResponse* to) {
  to->set_version(answer.version.value());
}

void FillAnswer(const kv::WriteResult& answer, v1::WriteResponse* to) {
  to->set_version(answer.version.value());
}

void FillAnswer(const kv::WriteResult& answer, v1::CommitResponse* to) {
  to->set_version(answer.version.value());
}

void FillAnswer(kv::WriteResult answer, v1::VersionstampedResponse* to) {
  to->set_version(answer.version.value());
  to->set_generated(std::move(answer.generated));
}

kv::KvOperation MakeGet(std::string key, std::string column_family, Version at) {
  if (at.value() == 0) return kv::Get{std::move(key), std::move(column_family)};
  return kv::SnapshotRead{std::move(key), at, std::move(column_family)};
}

kv::KvOperation MakeGetRange(kv::RangeQuery range, std::string column_family, Version at) {
  if (at.value() == 0) return kv::GetRange{std::move(range), std::move(column_family)};
  return kv::SnapshotGetRange{std::move(range), at, std::move(column_family)};
}

SingleKeyQuery MakeSingleKeyQuery(kv::KeySelector selector) {
  SingleKeyQuery query;
  query.range.limit = 1;
  query.range.keys_only = true;
  query.forward = selector.offset >= 1;
  if (query.forward) {
    query.range.begin = std::move(selector);
  } else {
    // The last key below the one that follows. (The offset is 0 or less: one more can't overflow.)
    ++selector.offset;
    query.range.end = std::move(selector);
    query.range.reverse = true;
  }
  return query;
}

}  // namespace cairn::server
