// Answers that a client gets from whoever listens where it connects, over both wires: nothing may
// crash, and an answer that is taken for one is of the kind that was asked for, which the client
// relies on. The first byte chooses the request, the second the wire and how the message begins.
#include <grpcpp/support/status.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "api/cairn.pb.h"
#include "src/base/check.h"
#include "src/client/grpc_wire/errors.h"
#include "src/client/grpc_wire/messages.h"
#include "src/client/request.h"
#include "src/client/thrift_wire/codec.h"

namespace {

using namespace std::string_literals;  // NOLINT: for strings with NULs
using namespace cairn;                 // NOLINT(google-build-using-namespace): a fuzzer's own file
using client::Answer;
using client::Request;

// A request, and whether an answer is one to it.
struct Kind {
  Request request;
  bool (*is)(const Answer&);
};
template <class T>
bool Is(const Answer& answer) {
  return std::holds_alternative<T>(answer);
}

const Kind kKinds[] = {
    {kv::KvOperation(kv::Get{"k", ""}), Is<kv::GetResult>},
    {kv::KvOperation(kv::SnapshotRead{"k", Version(1), ""}), Is<kv::GetResult>},
    {kv::KvOperation(kv::GetRange{{}, ""}), Is<kv::RangeResult>},
    {kv::KvOperation(kv::SnapshotGetRange{{}, Version(1), ""}), Is<kv::RangeResult>},
    {kv::KvOperation(kv::GetReadVersion{}), Is<kv::VersionResult>},
    {kv::KvOperation(kv::GetCommittedVersion{}), Is<kv::VersionResult>},
    {kv::KvOperation(kv::Set{"k", "v", ""}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::Delete{"k", ""}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::AtomicCommit{}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::SetVersionstampedKey{"k", "v", ""}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::SetVersionstampedValue{"k", "v", ""}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::OpenSession{}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::CloseSession{SessionId(1)}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::CreateColumnFamily{"f"}), Is<kv::WriteResult>},
    {kv::KvOperation(kv::DropColumnFamily{"f"}), Is<kv::WriteResult>},
    {client::ListFamilies{}, Is<client::FamilyNames>},
    {client::Ping{}, Is<client::Pong>},
    {client::GetClusterInfo{}, Is<ClusterInfo>},
    {client::GetNodeInfo{}, Is<NodeInfo>},
};

// How answers over Thrift begin: a reply, with a result struct and a response in it; a reply whose
// response reports an error; an exception.
const std::string kHeads[] = {
    ""s,
    "\x80\x01\x00\x02\x00\x00\x00\x03get\x00\x00\x00\x01"s,
    "\x80\x01\x00\x02\x00\x00\x00\x03get\x00\x00\x00\x01\x0c\x00\x00"s,
    "\x80\x01\x00\x03\x00\x00\x00\x03get\x00\x00\x00\x01\x0b\x00\x01"s,
};

void CheckThrift(const Kind& kind, const std::string& frame) {
  const bool ends = client::EndsThriftConnection(frame);
  const auto outcome = client::DecodeThriftAnswer(kind.request, frame);
  if (outcome.answer.ok()) {
    CAIRN_CHECK(outcome.answered);
    CAIRN_CHECK(kind.is(*outcome.answer));
    CAIRN_CHECK(!ends);
  }
}

template <class Message>
void CheckMessage(std::string_view bytes, bool (*is)(const Answer&)) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  CAIRN_CHECK(is(client::Take(&message)));
}

void CheckGrpc(std::uint8_t choice, std::string_view bytes) {
  switch (choice % 15) {
    case 0:
      return CheckMessage<v1::GetResponse>(bytes, Is<kv::GetResult>);
    case 1:
      return CheckMessage<v1::GetRangeResponse>(bytes, Is<kv::RangeResult>);
    case 2:
      return CheckMessage<v1::GetReadVersionResponse>(bytes, Is<kv::VersionResult>);
    case 3:
      return CheckMessage<v1::GetCommittedVersionResponse>(bytes, Is<kv::VersionResult>);
    case 4:
      return CheckMessage<v1::WriteResponse>(bytes, Is<kv::WriteResult>);
    case 5:
      return CheckMessage<v1::VersionstampedResponse>(bytes, Is<kv::WriteResult>);
    case 6:
      return CheckMessage<v1::CommitResponse>(bytes, Is<kv::WriteResult>);
    case 7:
      return CheckMessage<v1::OpenSessionResponse>(bytes, Is<kv::WriteResult>);
    case 8:
      return CheckMessage<v1::ListColumnFamiliesResponse>(bytes, Is<client::FamilyNames>);
    case 9:
      return CheckMessage<v1::PingResponse>(bytes, Is<client::Pong>);
    case 10:
      return CheckMessage<v1::GetClusterStatusResponse>(bytes, Is<ClusterInfo>);
    case 11:
      return CheckMessage<v1::GetNodeStatusResponse>(bytes, Is<NodeInfo>);
    case 12: {
      v1::ScanResponse message;
      if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        const std::size_t pairs = static_cast<std::size_t>(message.pairs_size());
        CAIRN_CHECK(client::Take(&message).pairs.size() == pairs);
      }
      return;
    }
    case 13: {
      v1::PipelinedAnswer message;
      if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
      if (message.has_error()) {
        for (const bool is_write : {false, true}) {
          CAIRN_CHECK(!client::FromGrpc(message.error(), is_write, "node").status.ok());
        }
      } else if (message.answer_case() != v1::PipelinedAnswer::ANSWER_NOT_SET) {
        const bool get = message.has_get();
        const bool version = message.has_get_read_version();
        CAIRN_CHECK((get       ? Is<kv::GetResult>
                     : version ? Is<kv::VersionResult>
                               : Is<kv::WriteResult>)(client::Take(&message)));
      }
      return;
    }
    default: {
      // The end of a call: one of gRPC's codes, and what comes with it.
      if (bytes.empty()) return;
      const auto code = static_cast<grpc::StatusCode>(static_cast<std::uint8_t>(bytes[0]) % 17);
      if (code == grpc::StatusCode::OK) return;
      const grpc::Status status(code, "said by the node", std::string(bytes.substr(1)));
      for (const bool is_write : {false, true}) {
        const client::CallError error = client::FromGrpc(status, is_write, "node", false);
        CAIRN_CHECK(!error.status.ok());
        CAIRN_CHECK(is_write || !error.status.maybe_applied() || error.answered);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[1] % 2 == 0) {
    CheckGrpc(data[0], bytes);
  } else {
    CheckThrift(kKinds[data[0] % std::size(kKinds)],
                kHeads[data[1] / 2 % std::size(kHeads)] + std::string(bytes));
  }
  return 0;
}
