// Requests of cairn.v1 as any bytes, translated as the services do: nothing may crash, what a
// request asks for is valid or refused by name, and a write that passes is the same after its way
// through the log. The first byte chooses the message.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "api/cairn.pb.h"
#include "src/base/check.h"
#include "src/kv/command.h"
#include "src/kv/limits.h"
#include "src/server/grpc/requests.h"

namespace {

using namespace cairn;  // NOLINT(google-build-using-namespace): a fuzzer's own file
using server::Take;

template <class Message>
bool Parse(std::string_view bytes, Message* message) {
  return message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// Through the checks of a node and, if it is a write, through the log.
void Run(const kv::KvOperation& operation) {
  const Status valid = kv::Validate(operation, kv::Limits());
  if (!valid.ok()) {
    CAIRN_CHECK(!valid.message().empty());
    return;
  }
  if (!kv::requires_consensus(operation)) return;
  kv::Command command;
  command.operation = operation;
  std::string encoded;
  kv::EncodeCommand(command, &encoded);
  const auto decoded = kv::DecodeCommand(encoded);
  CAIRN_CHECK(decoded.ok());
  std::string again;
  kv::EncodeCommand(*decoded, &again);
  CAIRN_CHECK(again == encoded);
}

void Read(const v1::ReadOptions& options, const kv::KvOperation& operation) {
  replication::RequestContext context;
  const Status status = server::ReadReadOptions(options, &context);
  CAIRN_CHECK(status.ok() || status.code() == StatusCode::kInvalidArgument);
  if (status.ok()) Run(operation);
}
void Write(const v1::WriteOptions& options, const kv::KvOperation& operation) {
  replication::RequestContext context;
  const Status status = server::ReadWriteOptions(options, &context);
  CAIRN_CHECK(status.ok() || status.code() == StatusCode::kInvalidArgument);
  // A session comes whole.
  CAIRN_CHECK(!status.ok() || (context.session.value() == 0) == (context.sequence == 0));
  if (status.ok()) Run(operation);
}

void ReadRequest(std::uint8_t choice, std::string_view bytes) {
  if (choice == 0) {
    v1::GetRequest request;
    if (!Parse(bytes, &request)) return;
    Read(request.read(), server::MakeGet(Take(request.key()), Take(request.column_family()),
                                         Version(request.read().at_version())));
  } else if (choice == 1) {
    v1::GetRangeRequest request;
    if (!Parse(bytes, &request)) return;
    kv::RangeQuery query = server::TakeRange(request.range());
    query.limit = request.limit();
    query.max_bytes = request.max_bytes();
    Read(request.read(),
         server::MakeGetRange(std::move(query), Take(request.range().column_family()),
                              Version(request.read().at_version())));
  } else {
    v1::GetKeyRequest request;
    if (!Parse(bytes, &request)) return;
    const std::int64_t offset = request.selector().offset();
    auto query = server::MakeSingleKeyQuery(server::TakeSelector(request.selector()));
    // The one key, from whichever side it is counted, and no overflow on the way.
    CAIRN_CHECK(query.range.limit == 1);
    CAIRN_CHECK(query.forward ? query.range.begin.offset == offset
                              : query.range.end->offset == offset + 1);
    Read(request.read(), server::MakeGetRange(std::move(query.range), Take(request.column_family()),
                                              Version(request.read().at_version())));
  }
}

void WriteRequest(std::uint8_t choice, std::string_view bytes) {
  if (choice == 0) {
    v1::CommitRequest request;
    if (!Parse(bytes, &request)) return;
    const int mutations = request.mutations_size();
    auto commit = server::TakeCommit(request);
    if (!commit.ok()) {
      CAIRN_CHECK(commit.status().code() == StatusCode::kInvalidOperation);
      return;
    }
    CAIRN_CHECK(commit->operations.size() == static_cast<std::size_t>(mutations));
    Write(request.write(), *std::move(commit));
  } else if (choice == 1) {
    v1::SetRequest request;
    if (!Parse(bytes, &request)) return;
    Write(request.write(),
          kv::Set{Take(request.key()), Take(request.value()), Take(request.column_family())});
  } else if (choice == 2) {
    v1::SetVersionstampedKeyRequest request;
    if (!Parse(bytes, &request)) return;
    Write(request.write(),
          kv::SetVersionstampedKey{Take(request.key_template()), Take(request.value()),
                                   Take(request.column_family())});
  } else {
    v1::SetVersionstampedValueRequest request;
    if (!Parse(bytes, &request)) return;
    Write(request.write(),
          kv::SetVersionstampedValue{Take(request.key()), Take(request.value_template()),
                                     Take(request.column_family())});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto choice = static_cast<std::uint8_t>(data[0] % 7);
  choice < 3 ? ReadRequest(choice, bytes)
             : WriteRequest(static_cast<std::uint8_t>(choice - 3), bytes);
  return 0;
}
