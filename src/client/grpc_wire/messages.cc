#include "src/client/grpc_wire/messages.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "api/cairn.pb.h"
#include "src/text/utf8.h"

namespace cairn::client {
namespace {

template <class T>
Status SetFamily(const std::string& family, T* to) {
  if (!text::IsUtf8(family)) {
    return InvalidArgumentError("the column family's name is no UTF-8, which gRPC needs");
  }
  to->set_column_family(family);
  return Status::Ok();
}

template <class T>
Status SetName(const std::string& name, T* to) {
  if (!text::IsUtf8(name)) {
    return InvalidArgumentError("the column family's name is no UTF-8, which gRPC needs");
  }
  to->set_name(name);
  return Status::Ok();
}

void SetRead(const CallContext& context, Version at, v1::ReadOptions* to) {
  switch (context.read_level) {
    case ReadLevel::kDefault:
      break;
    case ReadLevel::kLocal:
      to->set_level(v1::READ_LEVEL_LOCAL);
      break;
    case ReadLevel::kLeader:
      to->set_level(v1::READ_LEVEL_LEADER);
      break;
    case ReadLevel::kReadIndex:
      to->set_level(v1::READ_LEVEL_READ_INDEX);
      break;
  }
  to->set_min_version(context.min_version.value());
  to->set_at_version(at.value());
  to->set_no_forwarding(context.no_forwarding);
}

void SetWrite(const CallContext& context, v1::WriteOptions* to) {
  to->set_no_forwarding(context.no_forwarding);
  if (context.session == SessionId()) return;
  v1::SessionStamp* session = to->mutable_session();
  session->set_id(context.session.value());
  session->set_sequence(context.sequence);
  session->set_first_outstanding(context.first_outstanding);
}

void SetSelector(const kv::KeySelector& selector, v1::KeySelector* to) {
  to->set_key(selector.key);
  to->set_or_equal(selector.or_equal);
  to->set_offset(selector.offset);
}

Status SetRange(const kv::RangeQuery& range, const std::string& family, v1::Range* to) {
  SetSelector(range.begin, to->mutable_begin());
  if (range.end) SetSelector(*range.end, to->mutable_end());
  to->set_reverse(range.reverse);
  to->set_keys_only(range.keys_only);
  return SetFamily(family, to);
}

Status FillPage(const kv::RangeQuery& range, const std::string& family, const CallContext& context,
                Version at, v1::GetRangeRequest* to) {
  to->set_limit(range.limit);
  to->set_max_bytes(range.max_bytes);
  SetRead(context, at, to->mutable_read());
  return SetRange(range, family, to->mutable_range());
}

v1::Mutation::Type TypeOf(kv::MutationType type) {
  switch (type) {
    case kv::MutationType::kSet:
      return v1::Mutation::TYPE_SET;
    case kv::MutationType::kDelete:
      return v1::Mutation::TYPE_DELETE;
    case kv::MutationType::kSetVersionstampedKey:
      return v1::Mutation::TYPE_SET_VERSIONSTAMPED_KEY;
    case kv::MutationType::kSetVersionstampedValue:
      return v1::Mutation::TYPE_SET_VERSIONSTAMPED_VALUE;
  }
  return v1::Mutation::TYPE_UNSPECIFIED;
}

Answer Written(std::uint64_t version) { return kv::WriteResult{Version(version), {}}; }

std::vector<kv::KeyValue> TakePairs(google::protobuf::RepeatedPtrField<v1::KeyValue>* from) {
  std::vector<kv::KeyValue> pairs;
  pairs.reserve(static_cast<std::size_t>(from->size()));
  for (v1::KeyValue& pair : *from) {
    pairs.push_back({std::move(*pair.mutable_key()), std::move(*pair.mutable_value())});
  }
  return pairs;
}

NodeInfo ToInfo(const v1::NodeStatus& node) {
  NodeInfo info;
  info.node_id = static_cast<std::int32_t>(node.node_id());
  // A node knows the Thrift endpoints of the others, and of gRPC only its own.
  info.endpoint =
      node.grpc_endpoint().empty() ? node.thrift_endpoint() : "grpc://" + node.grpc_endpoint();
  info.status = node.status();
  info.is_leader = node.is_leader();
  info.term = static_cast<std::int64_t>(node.epoch());
  return info;
}

}  // namespace

// ---- Requests

Status Fill(const kv::Get& op, const CallContext& context, v1::GetRequest* to) {
  to->set_key(op.key);
  SetRead(context, Version(), to->mutable_read());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::SnapshotRead& op, const CallContext& context, v1::GetRequest* to) {
  to->set_key(op.key);
  SetRead(context, op.read_version, to->mutable_read());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::GetRange& op, const CallContext& context, v1::GetRangeRequest* to) {
  return FillPage(op.range, op.column_family, context, Version(), to);
}

Status Fill(const kv::SnapshotGetRange& op, const CallContext& context, v1::GetRangeRequest* to) {
  return FillPage(op.range, op.column_family, context, op.read_version, to);
}

Status Fill(const kv::GetReadVersion&, const CallContext& context, v1::GetReadVersionRequest* to) {
  SetRead(context, Version(), to->mutable_read());
  return Status::Ok();
}

Status Fill(const kv::GetCommittedVersion&, const CallContext& context,
            v1::GetCommittedVersionRequest* to) {
  SetRead(context, Version(), to->mutable_read());
  return Status::Ok();
}

Status Fill(const kv::Set& op, const CallContext& context, v1::SetRequest* to) {
  to->set_key(op.key);
  to->set_value(op.value);
  SetWrite(context, to->mutable_write());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::Delete& op, const CallContext& context, v1::DeleteRequest* to) {
  to->set_key(op.key);
  SetWrite(context, to->mutable_write());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::SetVersionstampedKey& op, const CallContext& context,
            v1::SetVersionstampedKeyRequest* to) {
  to->set_key_template(op.key_template);
  to->set_value(op.value);
  SetWrite(context, to->mutable_write());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::SetVersionstampedValue& op, const CallContext& context,
            v1::SetVersionstampedValueRequest* to) {
  to->set_key(op.key);
  to->set_value_template(op.value_template);
  SetWrite(context, to->mutable_write());
  return SetFamily(op.column_family, to);
}

Status Fill(const kv::AtomicCommit& op, const CallContext& context, v1::CommitRequest* to) {
  to->set_read_version(op.read_version.value());
  for (const kv::Mutation& mutation : op.operations) {
    v1::Mutation* wire = to->add_mutations();
    wire->set_type(TypeOf(mutation.type));
    wire->set_key(mutation.key);
    wire->set_value(mutation.value);
    CAIRN_RETURN_IF_ERROR(SetFamily(mutation.column_family, wire));
  }
  for (const kv::ConflictKey& key : op.read_conflict_keys) {
    v1::ConflictKey* wire = to->add_read_conflict_keys();
    wire->set_key(key.key);
    wire->set_every_family(!key.column_family.has_value());
    if (key.column_family) CAIRN_RETURN_IF_ERROR(SetFamily(*key.column_family, wire));
  }
  for (const kv::ConflictRange& range : op.read_conflict_ranges) {
    v1::ConflictRange* wire = to->add_read_conflict_ranges();
    wire->set_begin(range.begin);
    wire->set_end(range.end);
    CAIRN_RETURN_IF_ERROR(SetFamily(range.column_family, wire));
  }
  SetWrite(context, to->mutable_write());
  return Status::Ok();
}

Status Fill(const kv::OpenSession&, const CallContext& context, v1::OpenSessionRequest* to) {
  SetWrite(context, to->mutable_write());
  return Status::Ok();
}

Status Fill(const kv::CloseSession& op, const CallContext& context, v1::CloseSessionRequest* to) {
  to->set_session_id(op.session.value());
  SetWrite(context, to->mutable_write());
  return Status::Ok();
}

Status Fill(const kv::CreateColumnFamily& op, const CallContext& context,
            v1::CreateColumnFamilyRequest* to) {
  SetWrite(context, to->mutable_write());
  return SetName(op.name, to);
}

Status Fill(const kv::DropColumnFamily& op, const CallContext& context,
            v1::DropColumnFamilyRequest* to) {
  SetWrite(context, to->mutable_write());
  return SetName(op.name, to);
}

Status Fill(const ListFamilies&, const CallContext&, v1::ListColumnFamiliesRequest*) {
  return Status::Ok();
}
Status Fill(const Ping&, const CallContext&, v1::PingRequest*) { return Status::Ok(); }
Status Fill(const GetClusterInfo&, const CallContext&, v1::GetClusterStatusRequest*) {
  return Status::Ok();
}
Status Fill(const GetNodeInfo&, const CallContext&, v1::GetNodeStatusRequest*) {
  return Status::Ok();
}

namespace {

// The place of an operation in a pipeline's message; void for what has none.
struct PlaceOf {
  v1::PipelinedOperation* to;
  auto* operator()(const kv::Get&) const { return to->mutable_get(); }
  auto* operator()(const kv::SnapshotRead&) const { return to->mutable_get(); }
  auto* operator()(const kv::GetReadVersion&) const { return to->mutable_get_read_version(); }
  auto* operator()(const kv::Set&) const { return to->mutable_set(); }
  auto* operator()(const kv::Delete&) const { return to->mutable_delete_(); }
  auto* operator()(const kv::SetVersionstampedKey&) const {
    return to->mutable_set_versionstamped_key();
  }
  auto* operator()(const kv::SetVersionstampedValue&) const {
    return to->mutable_set_versionstamped_value();
  }
  auto* operator()(const kv::AtomicCommit&) const { return to->mutable_commit(); }
};

template <class Op>
constexpr bool kIsPoint = std::is_invocable_v<PlaceOf, const Op&>;

}  // namespace

bool IsPointOperation(const Request& request) {
  const auto* operation = std::get_if<kv::KvOperation>(&request);
  if (operation == nullptr) return false;
  return std::visit([]<class Op>(const Op&) { return kIsPoint<Op>; }, *operation);
}

Status Fill(const Request& request, const CallContext& context, v1::PipelinedOperation* to) {
  return std::visit(
      [&]<class Op>(const Op& op) -> Status {
        if constexpr (kIsPoint<Op>) {
          return Fill(op, context, PlaceOf{to}(op));
        } else {
          return UnimplementedError("no operation of a pipeline");
        }
      },
      std::get<kv::KvOperation>(request));
}

Status Fill(const StreamRequest& request, const CallContext& context, v1::ScanRequest* to) {
  to->set_limit(request.range.limit);
  to->set_batch_bytes(request.range.max_bytes);
  to->set_resume_after(request.resume_after);
  SetRead(context, request.at_version, to->mutable_read());
  return SetRange(request.range, request.column_family, to->mutable_range());
}

// ---- Answers

Answer Take(v1::GetResponse* from) {
  kv::GetResult result;
  result.found = from->found();
  result.value = std::move(*from->mutable_value());
  result.version = Version(from->version());
  return result;
}

Answer Take(v1::GetRangeResponse* from) {
  kv::RangeResult result;
  result.key_values = TakePairs(from->mutable_pairs());
  result.has_more = from->has_more();
  result.read_version = Version(from->read_version());
  return result;
}

Answer Take(v1::GetReadVersionResponse* from) {
  return kv::VersionResult{Version(from->version())};
}
Answer Take(v1::GetCommittedVersionResponse* from) {
  return kv::VersionResult{Version(from->version())};
}
Answer Take(v1::WriteResponse* from) { return Written(from->version()); }
Answer Take(v1::VersionstampedResponse* from) {
  return kv::WriteResult{Version(from->version()), std::move(*from->mutable_generated())};
}
Answer Take(v1::CommitResponse* from) { return Written(from->version()); }
Answer Take(v1::OpenSessionResponse* from) { return Written(from->session_id()); }

Answer Take(v1::ListColumnFamiliesResponse* from) {
  return FamilyNames(from->names().begin(), from->names().end());
}

Answer Take(v1::PipelinedAnswer* from) {
  switch (from->answer_case()) {
    case v1::PipelinedAnswer::kGet:
      return Take(from->mutable_get());
    case v1::PipelinedAnswer::kGetReadVersion:
      return Take(from->mutable_get_read_version());
    case v1::PipelinedAnswer::kVersionstamped:
      return Take(from->mutable_versionstamped());
    default:
      return Take(from->mutable_write());
  }
}

Answer Take(v1::PingResponse*) { return Pong(); }

Answer Take(v1::GetClusterStatusResponse* from) {
  ClusterInfo info;
  for (const v1::NodeStatus& node : from->nodes()) {
    info.nodes.push_back(ToInfo(node));
    if (from->has_leader_id() && node.node_id() == from->leader_id()) {
      info.leader_endpoint = info.nodes.back().endpoint;
    }
  }
  info.status = from->status();
  info.term = static_cast<std::int64_t>(from->epoch());
  return info;
}

Answer Take(v1::GetNodeStatusResponse* from) { return ToInfo(from->node()); }

RangeStream::Batch Take(v1::ScanResponse* from) {
  RangeStream::Batch batch;
  batch.pairs = TakePairs(from->mutable_pairs());
  batch.read_version = Version(from->read_version());
  batch.last = from->last();
  batch.has_more = from->has_more();
  return batch;
}

}  // namespace cairn::client
