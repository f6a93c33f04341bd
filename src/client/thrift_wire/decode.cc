#include <thrift/TApplicationException.h>
#include <thrift/transport/TBufferTransports.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "api/kvstore_types.h"
#include "src/client/thrift_wire/answer_protocol.h"
#include "src/client/thrift_wire/codec.h"

namespace cairn::client {
namespace {

namespace api = thrift_api;
using apache::thrift::TApplicationException;
using apache::thrift::TException;
using apache::thrift::protocol::T_EXCEPTION;
using apache::thrift::protocol::TMessageType;
using apache::thrift::transport::TMemoryBuffer;
using Protocol = AnswerProtocol;

// What a node says in an answer's place. Its type is whatever number the wire brought, which may be
// none that the library's enum can hold: looking at it there, as what() does too, is undefined.
class ToldException : public TApplicationException {
 public:
  [[nodiscard]] bool Is(TApplicationExceptionType type) const {
    return std::memcmp(&type_, &type, sizeof(type)) == 0;
  }
  [[nodiscard]] std::string text() const {
    return message_.empty() ? "the node gives no reason" : message_;
  }
};

Version ToVersion(std::int64_t value) { return Version(static_cast<std::uint64_t>(value)); }

// Codes of the old wire that stand for "it broke".
StatusCode CodeOf(const std::string& name, bool* known) {
  *known = true;
  for (int i = 1; i <= static_cast<int>(StatusCode::kAlreadyAnswered); ++i) {
    const auto code = static_cast<StatusCode>(i);
    if (name == StatusCodeName(code)) return code;
  }
  for (const char* broke : {"PUT_FAILED", "DELETE_FAILED", "COMMIT_FAILED", "OPERATION_FAILED"}) {
    if (name == broke) return StatusCode::kIoError;
  }
  *known = false;
  return StatusCode::kInjectedFault;
}

// The failure that a response reports in its fields, or OK.
template <class T>
Status InBand(const T& response) {
  if (!response.__isset.error) return Status::Ok();
  StatusCode code = StatusCode::kIoError;
  bool known = true;
  std::string name;
  if constexpr (requires { response.error_code; }) {
    if (response.__isset.error_code) {
      name = response.error_code;
      code = CodeOf(name, &known);
    }
  }
  Status status(code, response.error);
  if (!known) status = std::move(status).WithFaultName(std::move(name));
  if constexpr (requires { response.leader_hint; }) {
    if (response.__isset.leader_hint) {
      status = std::move(status).WithLeaderHint(response.leader_hint);
    }
  }
  if constexpr (requires { response.maybe_applied; }) {
    if (response.maybe_applied) status = std::move(status).WithMaybeApplied();
  }
  return status;
}

template <class T>
Result<Answer> ToPointRead(T response) {
  CAIRN_RETURN_IF_ERROR(InBand(response));
  kv::GetResult result;
  result.found = response.found;
  result.value = std::move(response.value);
  result.version = ToVersion(response.version);
  return Answer(std::move(result));
}

template <class T>
Result<Answer> ToRange(T response) {
  CAIRN_RETURN_IF_ERROR(InBand(response));
  kv::RangeResult result;
  result.key_values.reserve(response.key_values.size());
  for (api::KeyValue& pair : response.key_values) {
    result.key_values.push_back({std::move(pair.key), std::move(pair.value)});
  }
  result.has_more = response.has_more;
  result.read_version = ToVersion(response.version);
  return Answer(std::move(result));
}

template <class T>
Result<Answer> ToWrite(const T& response) {
  CAIRN_RETURN_IF_ERROR(InBand(response));
  kv::WriteResult result;
  if constexpr (requires { response.committed_version; }) {
    result.version = ToVersion(response.committed_version);
  } else {
    result.version = ToVersion(response.version);
  }
  return Answer(std::move(result));
}

NodeInfo ToInfo(const api::NodeStatus& status) {
  NodeInfo info;
  info.node_id = status.node_id;
  info.endpoint = status.endpoint;
  info.status = status.status;
  info.is_leader = status.is_leader;
  info.term = status.term;
  return info;
}

struct Decoder {
  Protocol* protocol;

  // The `success` field of the generated result struct.
  template <class T>
  T Read() const {
    T response;
    std::string name;
    apache::thrift::protocol::TType type;
    std::int16_t id = 0;
    protocol->readStructBegin(name);
    for (;;) {
      protocol->readFieldBegin(name, type, id);
      if (type == apache::thrift::protocol::T_STOP) break;
      if (id == 0 && type == apache::thrift::protocol::T_STRUCT) {
        response.read(protocol);
      } else {
        protocol->skip(type);
      }
      protocol->readFieldEnd();
    }
    protocol->readStructEnd();
    return response;
  }

  Result<Answer> operator()(const kv::Get&) const { return ToPointRead(Read<api::GetResponse>()); }
  Result<Answer> operator()(const kv::SnapshotRead&) const {
    return ToPointRead(Read<api::SnapshotReadResponse>());
  }
  Result<Answer> operator()(const kv::GetRange&) const {
    return ToRange(Read<api::GetRangeResponse>());
  }
  Result<Answer> operator()(const kv::SnapshotGetRange&) const {
    return ToRange(Read<api::SnapshotGetRangeResponse>());
  }
  Result<Answer> operator()(const kv::GetReadVersion&) const {
    const auto response = Read<api::GetReadVersionResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    return Answer(kv::VersionResult{ToVersion(response.read_version)});
  }
  Result<Answer> operator()(const kv::GetCommittedVersion&) const {
    const auto response = Read<api::GetCommittedVersionResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    return Answer(kv::VersionResult{ToVersion(response.version)});
  }
  Result<Answer> operator()(const kv::Set&) const { return ToWrite(Read<api::SetResponse>()); }
  Result<Answer> operator()(const kv::Delete&) const {
    return ToWrite(Read<api::DeleteResponse>());
  }
  Result<Answer> operator()(const kv::SetVersionstampedKey&) const {
    return ToWrite(Read<api::SetVersionstampedKeyResponse>());
  }
  Result<Answer> operator()(const kv::SetVersionstampedValue&) const {
    return ToWrite(Read<api::SetVersionstampedValueResponse>());
  }
  Result<Answer> operator()(const kv::AtomicCommit&) const {
    return ToWrite(Read<api::AtomicCommitResponse>());
  }
  Result<Answer> operator()(const kv::CreateColumnFamily&) const {
    return ToWrite(Read<api::AdminResponse>());
  }
  Result<Answer> operator()(const kv::DropColumnFamily&) const {
    return ToWrite(Read<api::AdminResponse>());
  }
  Result<Answer> operator()(const kv::CloseSession&) const {
    return ToWrite(Read<api::AdminResponse>());
  }
  Result<Answer> operator()(const kv::OpenSession&) const {
    const auto response = Read<api::OpenSessionResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    return Answer(kv::WriteResult{ToVersion(response.session_id), {}});
  }
  Result<Answer> operator()(const ListFamilies&) const {
    auto response = Read<api::ListColumnFamiliesResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    return Answer(FamilyNames(std::move(response.names)));
  }
  Result<Answer> operator()(const Ping&) const {
    (void)Read<api::PingResponse>();
    return Answer(Pong());
  }
  Result<Answer> operator()(const GetClusterInfo&) const {
    const auto response = Read<api::GetClusterHealthResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    ClusterInfo info;
    for (const api::NodeStatus& node : response.cluster_health.nodes) {
      info.nodes.push_back(ToInfo(node));
    }
    if (response.cluster_health.__isset.leader) {
      info.leader_endpoint = response.cluster_health.leader.endpoint;
    }
    info.status = response.cluster_health.cluster_status;
    info.term = response.cluster_health.current_term;
    return Answer(std::move(info));
  }
  Result<Answer> operator()(const GetNodeInfo&) const {
    const auto response = Read<api::GetNodeInfoResponse>();
    CAIRN_RETURN_IF_ERROR(InBand(response));
    return Answer(ToInfo(response.node_info));
  }
  Result<Answer> operator()(const kv::KvOperation& op) const { return std::visit(*this, op); }
  template <class Other>
  Result<Answer> operator()(const Other&) const {
    return UnimplementedError("clients do not send this operation");
  }
};

NodeChannel::Outcome Refused(const Request& request, std::string why, bool answered) {
  Status status = UnavailableError(std::move(why));
  if (IsWrite(request)) status = std::move(status).WithMaybeApplied();
  return {std::move(status), answered};
}

// The protocol on a frame, which it reads where it lies.
Protocol Open(std::string_view frame) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(frame.data()));
  // Made once: each transport would make one of its own.
  thread_local const auto configuration = std::make_shared<apache::thrift::TConfiguration>();
  const auto buffer = std::make_shared<TMemoryBuffer>(
      bytes, static_cast<std::uint32_t>(frame.size()), TMemoryBuffer::OBSERVE, configuration);
  // A length in a message is at most the message's own.
  return {buffer, static_cast<std::int32_t>(std::min<std::size_t>(frame.size(), INT32_MAX))};
}

TMessageType ReadHead(Protocol* protocol) {
  std::string method;
  TMessageType type;
  std::int32_t sequence = 0;
  protocol->readMessageBegin(method, type, sequence);
  return type;
}

}  // namespace

NodeChannel::Outcome DecodeThriftAnswer(const Request& request, std::string_view frame) {
  try {
    Protocol protocol = Open(frame);
    if (ReadHead(&protocol) == T_EXCEPTION) {
      ToldException exception;
      exception.read(&protocol);
      const std::string why = exception.text();
      if (exception.Is(TApplicationException::UNKNOWN_METHOD)) {
        return {UnimplementedError(why), true};
      }
      // Of the request: the node says so while it reads it, before it begins. It stays over the
      // limit however often it is sent.
      if (exception.Is(TApplicationException::PROTOCOL_ERROR) &&
          why.find(" is over the limit of ") != std::string::npos) {
        return {
            InvalidArgumentError(why + "; send less at once, or raise the limit ([limits]) there"),
            true};
      }
      return Refused(request, why, true);
    }
    return {std::visit(Decoder{&protocol}, request), true};
  } catch (const TException& e) {
    return Refused(request, std::string("the node's answer can't be read: ") + e.what(), false);
  } catch (const std::bad_alloc&) {
    return Refused(request, "the node's answer does not fit into memory", false);
  }
}

bool EndsThriftConnection(std::string_view frame) {
  constexpr std::string_view kExceptionHead("\x80\x01\x00\x03", 4);
  if (frame.substr(0, kExceptionHead.size()) != kExceptionHead) return false;
  try {
    Protocol protocol = Open(frame);
    (void)ReadHead(&protocol);
    ToldException exception;
    exception.read(&protocol);
    return exception.Is(TApplicationException::PROTOCOL_ERROR) ||
           exception.Is(TApplicationException::INTERNAL_ERROR);
  } catch (const std::exception&) {
    return true;  // what follows on the connection can be trusted no more than this
  }
}

}  // namespace cairn::client
