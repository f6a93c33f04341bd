#include "src/replication/forward_messages.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {

// A day is more than anybody waits, and can't overflow. A deadline beyond it is sent as a day: the
// node that forwards keeps the real one, and sends again what it has no answer to.
constexpr std::int64_t kLongestWaitUs = 86'400'000'000;

Status Damaged(const char* what, std::string_view bytes) {
  return CorruptionError(std::string(what) + " of " + std::to_string(bytes.size()) +
                         " bytes does not decode: " + Printable(bytes, 32));
}

}  // namespace

std::string Encode(const ForwardRequest& request) {
  std::string out;
  out.reserve(48 + request.command.size());
  Encoder e(&out);
  e.Fixed64(request.boot);
  e.Varint(request.id);
  e.Varint(request.floor);
  e.Varint(request.epoch.value());
  e.SignedVarint(
      std::min(kLongestWaitUs,
               std::chrono::duration_cast<std::chrono::microseconds>(request.time_left).count()));
  e.Bytes(request.command);
  return out;
}

std::string Encode(const ForwardResponse& response) {
  std::string out;
  Encoder e(&out);
  e.Fixed64(response.boot);
  e.Varint(response.id);
  e.U8(static_cast<std::uint8_t>(response.status.code()));
  e.U8(response.status.maybe_applied() ? 1 : 0);
  e.Bytes(response.status.message());
  e.Varint(response.result.version.value());
  e.Bytes(response.result.generated);
  return out;
}

Result<ForwardRequest> DecodeForwardRequest(std::string_view bytes) {
  Decoder d(bytes);
  ForwardRequest request;
  request.boot = d.Fixed64();
  request.id = d.Varint();
  request.floor = d.Varint();
  request.epoch = Epoch(d.Varint());
  const std::int64_t left_us = d.SignedVarint();
  if (left_us >= 0 && left_us <= kLongestWaitUs) {
    request.time_left = std::chrono::microseconds(left_us);
  } else {
    d.Fail();
  }
  request.command = std::string(d.Bytes());
  if (!d.AtEnd()) return Damaged("a forwarded write", bytes);
  return request;
}

Result<ForwardResponse> DecodeForwardResponse(std::string_view bytes) {
  Decoder d(bytes);
  ForwardResponse response;
  response.boot = d.Fixed64();
  response.id = d.Varint();
  const auto code = static_cast<StatusCode>(d.U8());
  const std::uint8_t maybe_applied = d.U8();
  std::string message(d.Bytes());
  response.result.version = Version(d.Varint());
  response.result.generated = std::string(d.Bytes());
  if (!d.AtEnd() || maybe_applied > 1) return Damaged("the answer to a forwarded write", bytes);
  // A code of a later version is passed on as what it is: an answer nobody here can act upon.
  if (code != StatusCode::kOk) response.status = Status(code, std::move(message));
  if (maybe_applied == 1) response.status = std::move(response.status).WithMaybeApplied();
  return response;
}

}  // namespace cairn::replication
