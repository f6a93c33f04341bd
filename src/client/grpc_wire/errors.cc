#include "src/client/grpc_wire/errors.h"

#include <grpcpp/support/status.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "api/cairn.pb.h"
#include "src/client/address.h"

namespace cairn::client {
namespace {

constexpr std::string_view kTooLarge = "larger than max";
constexpr const char* kSendLess = "; send less at once, or raise the limit ([limits]) there";
constexpr const char* kAskForLess =
    "; ask for less at once, or raise this client's max_message_bytes";
// No answer is longer that holds no data.
constexpr std::size_t kShortAnswer = 1024;

std::optional<v1::ErrorDetail> DetailOf(const grpc::Status& status) {
  v1::RpcStatus wire;
  if (!wire.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& any : wire.details()) {
    v1::ErrorDetail detail;
    if (any.Is<v1::ErrorDetail>() && any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

// The node's endpoints are those of its own wire; addresses here name the wire.
std::string LeaderAddress(const std::string& endpoint) {
  const auto parsed = ParseEndpoint(endpoint);
  return parsed.ok() ? Address{Wire::kGrpc, *parsed}.ToString() : std::string();
}

Status FromDetail(const v1::ErrorDetail& detail, const std::string& message) {
  StatusCode code = StatusCode::kUnavailable;
  if (detail.reason() > v1::REASON_OK && v1::Reason_IsValid(detail.reason())) {
    code = static_cast<StatusCode>(detail.reason());
  }
  Status status(code, message);
  if (code == StatusCode::kNotLeader && !detail.leader_endpoint().empty()) {
    status = std::move(status).WithLeaderHint(LeaderAddress(detail.leader_endpoint()));
  }
  if (code == StatusCode::kInjectedFault) {
    status = std::move(status).WithFaultName(detail.fault_name());
  }
  if (detail.maybe_applied()) status = std::move(status).WithMaybeApplied();
  return status;
}

// Of a status that gRPC made. Nothing: it is about the way to the node.
std::optional<StatusCode> OfRequest(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNIMPLEMENTED:
      return StatusCode::kUnimplemented;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return StatusCode::kInvalidArgument;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      // A message over a limit stays over it; any other resource may be there again later.
      return status.error_message().find(kTooLarge) != std::string::npos
                 ? StatusCode::kInvalidArgument
                 : StatusCode::kResourceExhausted;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return StatusCode::kPermissionDenied;
    default:
      return std::nullopt;
  }
}

// Whether gRPC had no connection to give the call to. Only its words tell; if they change, a write
// is in doubt that need not be, and never the other way round.
bool NeverLeft(const grpc::Status& status) {
  const std::string message = status.error_message();
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         (message.rfind("failed to connect to all addresses", 0) == 0 ||
          message.rfind("DNS resolution failed", 0) == 0);
}

// What may be wrong with an address at which something accepts connections and then ends them, or
// answers in another protocol.
const char* Hint(const grpc::Status& status) {
  if (!NeverLeft(status)) return "";
  for (const char* words : {"Socket closed", "Connection reset", "http1.x"}) {
    if (status.error_message().find(words) != std::string::npos) {
      return "; nothing that speaks gRPC has answered there: is it the node's Thrift port "
             "(HOST:PORT without grpc://) or its HTTP port?";
    }
  }
  return "";
}

// Takes a number and `after` off the front of `text`.
std::optional<std::size_t> TakeNumber(std::string_view* text, std::string_view after) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  if (text->substr(0, after.size()) != after) return std::nullopt;
  text->remove_prefix(after.size());
  return number;
}

// Whether the node refused the request for its size. Only gRPC's words tell, "Received message
// larger than max (SIZE vs. LIMIT)"; if they change, a write is in doubt that need not be.
bool RequestRefused(const std::string& message, const MessageSizes& sizes) {
  constexpr std::string_view kWords = "Received message larger than max (";
  const std::size_t at = message.find(kWords);
  if (at == std::string::npos || sizes.request == 0) return false;
  std::string_view rest = std::string_view(message).substr(at + kWords.size());
  const auto size = TakeNumber(&rest, " vs. ");
  const auto limit = TakeNumber(&rest, ")");
  if (!size || !limit || *size != sizes.request) return false;
  // An answer just as long, and over this client's limit?
  return *limit != sizes.longest_answer || (!sizes.long_answer && *size > kShortAnswer);
}

// A code as the other side wrote it, which may be none of gRPC's: the enum holds only these.
grpc::StatusCode CodeOf(const v1::RpcStatus& error) {
  const bool known =
      error.code() >= grpc::StatusCode::OK && error.code() <= grpc::StatusCode::UNAUTHENTICATED;
  return known ? static_cast<grpc::StatusCode>(error.code()) : grpc::StatusCode::UNKNOWN;
}

}  // namespace

CallError FromGrpc(const grpc::Status& status, bool is_write, const std::string& node, bool closed,
                   const MessageSizes& sizes) {
  if (const auto detail = DetailOf(status)) {
    return {FromDetail(*detail, status.error_message()), true};
  }
  const std::string message = node + ": " + status.error_message() + Hint(status);
  if (const auto code = OfRequest(status)) {
    if (message.find(kTooLarge) == std::string::npos) {
      Status other(*code, message);
      // A server that is short of memory also cuts calls whose request it has taken.
      if (is_write && *code == StatusCode::kResourceExhausted) {
        other = std::move(other).WithMaybeApplied();
      }
      return {std::move(other), true};
    }
    const bool clear = RequestRefused(message, sizes);
    Status refused(*code, message + (clear ? kSendLess : kAskForLess));
    if (is_write && !clear) refused = std::move(refused).WithMaybeApplied();
    return {std::move(refused), true};
  }
  StatusCode code = StatusCode::kUnavailable;
  if (closed && status.error_code() == grpc::StatusCode::CANCELLED) code = StatusCode::kCancelled;
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) code = StatusCode::kTimeout;
  Status cut(code, message);
  if (is_write && !NeverLeft(status)) cut = std::move(cut).WithMaybeApplied();
  return {std::move(cut), false};
}

CallError FromGrpc(const v1::RpcStatus& error, bool is_write, const std::string& node) {
  return FromGrpc(grpc::Status(CodeOf(error), error.message(), error.SerializeAsString()), is_write,
                  node, /*closed=*/false);
}

}  // namespace cairn::client
