#include "src/client/thrift_wire/codec.h"

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "api/kvstore_types.h"

namespace cairn::client {
namespace {

namespace api = thrift_api;
using apache::thrift::protocol::TBinaryProtocolT;
using apache::thrift::transport::TMemoryBuffer;
using Protocol = TBinaryProtocolT<TMemoryBuffer>;

constexpr std::size_t kLengthBytes = 4;
// A thread keeps a buffer of up to this size for its next message.
constexpr std::uint32_t kKeptBytes = 64 << 10;

std::int64_t Signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// ---- Encoding

// A struct of one field, `request`, as the generated code wraps it.
template <class T>
std::string Message(const char* method, const T& request) {
  thread_local const auto buffer = std::make_shared<TMemoryBuffer>(256);
  buffer->resetBuffer();
  Protocol protocol(buffer);
  const std::uint8_t room[kLengthBytes] = {};
  buffer->write(room, kLengthBytes);
  protocol.writeMessageBegin(method, apache::thrift::protocol::T_CALL, 0);
  protocol.writeStructBegin("args");
  protocol.writeFieldBegin("request", apache::thrift::protocol::T_STRUCT, 1);
  request.write(&protocol);
  protocol.writeFieldEnd();
  protocol.writeFieldStop();
  protocol.writeStructEnd();
  protocol.writeMessageEnd();
  std::uint8_t* bytes = nullptr;
  std::uint32_t size = 0;
  buffer->getBuffer(&bytes, &size);
  std::string message(reinterpret_cast<const char*>(bytes), size);
  if (size > kKeptBytes) buffer->resetBuffer(256);
  const std::uint32_t length = __builtin_bswap32(size - kLengthBytes);
  std::memcpy(message.data(), &length, sizeof(length));
  return message;
}

// The node is to give up a little before the client does, so that the client hears its verdict.
std::int64_t NodeDeadlineMs(const CallContext& context, MonotonicTime now) {
  const std::int64_t left = std::max<std::int64_t>((context.deadline - now).count(), 0);
  const std::int64_t margin = std::min<std::int64_t>(left / 10, 20'000'000);
  return std::max<std::int64_t>((left - margin) / 1'000'000, 1);
}

// Fills in what the request has of the fields that mean the same everywhere.
template <class T>
void FillContext(const CallContext& context, MonotonicTime now, T* request) {
  if constexpr (requires { request->read_level; }) {
    switch (context.read_level) {
      case ReadLevel::kDefault:
        break;
      case ReadLevel::kLocal:
        request->__set_read_level("local");
        break;
      case ReadLevel::kLeader:
        request->__set_read_level("leader");
        break;
      case ReadLevel::kReadIndex:
        request->__set_read_level("read_index");
        break;
    }
  }
  if constexpr (requires { request->min_version; }) {
    if (context.min_version != Version()) {
      request->__set_min_version(Signed(context.min_version.value()));
    }
  }
  if constexpr (requires { request->no_forwarding; }) {
    if (context.no_forwarding) request->__set_no_forwarding(true);
  }
  if constexpr (requires { request->deadline_ms; }) {
    request->__set_deadline_ms(NodeDeadlineMs(context, now));
  }
  if constexpr (requires { request->session_sequence; }) {
    if (context.session != SessionId()) {
      request->__set_session_id(Signed(context.session.value()));
      request->__set_session_sequence(Signed(context.sequence));
      request->__set_session_first_outstanding(Signed(context.first_outstanding));
    }
  }
  if constexpr (requires { request->timeout_seconds; }) {
    // Its default of 60 s would bound a longer deadline.
    request->__set_timeout_seconds(NodeDeadlineMs(context, now) / 1000 + 1);
  }
}

template <class T>
void FillFamily(const std::string& family, T* request) {
  if (!family.empty()) request->__set_column_family(family);
}

api::KeySelector ToWire(const kv::KeySelector& selector) {
  api::KeySelector wire;
  wire.key = selector.key;
  wire.or_equal = selector.or_equal;
  wire.offset = selector.offset;
  return wire;
}

template <class T>
void FillRange(const kv::RangeQuery& range, T* request) {
  request->__set_begin_selector(ToWire(range.begin));
  if (range.end) request->__set_end_selector(ToWire(*range.end));
  if (range.reverse) request->__set_reverse(true);
  if (range.max_bytes != 0) request->__set_max_bytes(Signed(range.max_bytes));
  constexpr std::uint64_t kMost = INT32_MAX;
  request->__set_limit(static_cast<std::int32_t>(std::min(range.limit, kMost)));
}

api::Operation ToWire(const kv::Mutation& mutation) {
  api::Operation operation;
  operation.key = mutation.key;
  FillFamily(mutation.column_family, &operation);
  switch (mutation.type) {
    case kv::MutationType::kSet:
      operation.type = "set";
      break;
    case kv::MutationType::kDelete:
      operation.type = "delete";
      return operation;
    case kv::MutationType::kSetVersionstampedKey:
      operation.type = "SET_VERSIONSTAMPED_KEY";
      break;
    case kv::MutationType::kSetVersionstampedValue:
      operation.type = "SET_VERSIONSTAMPED_VALUE";
      break;
  }
  operation.__set_value(mutation.value);
  return operation;
}

struct Encoder {
  const CallContext& context;
  MonotonicTime now;

  template <class T>
  Result<std::string> Send(const char* method, T request) const {
    FillContext(context, now, &request);
    return Message(method, request);
  }

  Result<std::string> operator()(const kv::Get& op) const {
    api::GetRequest request;
    request.key = op.key;
    FillFamily(op.column_family, &request);
    return Send("get", std::move(request));
  }
  Result<std::string> operator()(const kv::SnapshotRead& op) const {
    api::SnapshotReadRequest request;
    request.key = op.key;
    request.read_version = Signed(op.read_version.value());
    FillFamily(op.column_family, &request);
    return Send("snapshotRead", std::move(request));
  }
  Result<std::string> operator()(const kv::GetRange& op) const {
    api::GetRangeRequest request;
    FillRange(op.range, &request);
    FillFamily(op.column_family, &request);
    return Send("getRange", std::move(request));
  }
  Result<std::string> operator()(const kv::SnapshotGetRange& op) const {
    api::SnapshotGetRangeRequest request;
    FillRange(op.range, &request);
    request.read_version = Signed(op.read_version.value());
    FillFamily(op.column_family, &request);
    return Send("snapshotGetRange", std::move(request));
  }
  Result<std::string> operator()(const kv::GetReadVersion&) const {
    return Send("getReadVersion", api::GetReadVersionRequest());
  }
  Result<std::string> operator()(const kv::GetCommittedVersion&) const {
    return Send("getCommittedVersion", api::GetCommittedVersionRequest());
  }
  Result<std::string> operator()(const kv::Set& op) const {
    api::SetRequest request;
    request.key = op.key;
    request.value = op.value;
    FillFamily(op.column_family, &request);
    return Send("setKey", std::move(request));
  }
  Result<std::string> operator()(const kv::Delete& op) const {
    api::DeleteRequest request;
    request.key = op.key;
    FillFamily(op.column_family, &request);
    return Send("deleteKey", std::move(request));
  }
  Result<std::string> operator()(const kv::SetVersionstampedKey& op) const {
    api::SetVersionstampedKeyRequest request;
    request.key_prefix = op.key_template;
    request.value = op.value;
    FillFamily(op.column_family, &request);
    return Send("setVersionstampedKey", std::move(request));
  }
  Result<std::string> operator()(const kv::SetVersionstampedValue& op) const {
    api::SetVersionstampedValueRequest request;
    request.key = op.key;
    request.value_prefix = op.value_template;
    FillFamily(op.column_family, &request);
    return Send("setVersionstampedValue", std::move(request));
  }
  Result<std::string> operator()(const kv::AtomicCommit& op) const {
    api::AtomicCommitRequest request;
    request.read_version = Signed(op.read_version.value());
    request.operations.reserve(op.operations.size());
    for (const kv::Mutation& mutation : op.operations) {
      request.operations.push_back(ToWire(mutation));
    }
    std::vector<api::ConflictKey> keys;
    for (const kv::ConflictKey& key : op.read_conflict_keys) {
      if (!key.column_family) {
        request.read_conflict_keys.push_back(key.key);
        continue;
      }
      api::ConflictKey wire;
      wire.key = key.key;
      FillFamily(*key.column_family, &wire);
      keys.push_back(std::move(wire));
    }
    if (!keys.empty()) request.__set_scoped_read_conflict_keys(keys);
    std::vector<api::ConflictRange> ranges;
    for (const kv::ConflictRange& range : op.read_conflict_ranges) {
      api::ConflictRange wire;
      wire.begin_key = range.begin;
      wire.end_key = range.end;
      FillFamily(range.column_family, &wire);
      ranges.push_back(std::move(wire));
    }
    if (!ranges.empty()) request.__set_read_conflict_ranges(ranges);
    return Send("atomicCommit", std::move(request));
  }
  Result<std::string> operator()(const kv::CreateColumnFamily& op) const {
    api::CreateColumnFamilyRequest request;
    request.name = op.name;
    return Send("createColumnFamily", std::move(request));
  }
  Result<std::string> operator()(const kv::DropColumnFamily& op) const {
    api::DropColumnFamilyRequest request;
    request.name = op.name;
    return Send("dropColumnFamily", std::move(request));
  }
  Result<std::string> operator()(const kv::OpenSession&) const {
    return Send("openSession", api::OpenSessionRequest());
  }
  Result<std::string> operator()(const kv::CloseSession& op) const {
    api::CloseSessionRequest request;
    request.session_id = Signed(op.session.value());
    return Send("closeSession", std::move(request));
  }
  Result<std::string> operator()(const ListFamilies&) const {
    return Send("listColumnFamilies", api::ListColumnFamiliesRequest());
  }
  Result<std::string> operator()(const Ping&) const { return Send("ping", api::PingRequest()); }
  Result<std::string> operator()(const GetClusterInfo&) const {
    return Send("getClusterHealth", api::GetClusterHealthRequest());
  }
  Result<std::string> operator()(const GetNodeInfo&) const {
    return Send("getNodeInfo", api::GetNodeInfoRequest());
  }
  Result<std::string> operator()(const kv::KvOperation& op) const { return std::visit(*this, op); }
  // What only a node proposes.
  template <class Other>
  Result<std::string> operator()(const Other&) const {
    return UnimplementedError("clients do not send this operation");
  }
};

}  // namespace

Result<std::string> EncodeThriftCall(const Request& request, const CallContext& context,
                                     MonotonicTime now) {
  return std::visit(Encoder{context, now}, request);
}

}  // namespace cairn::client
