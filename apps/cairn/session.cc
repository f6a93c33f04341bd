#include "apps/cairn/session.h"

#include <iostream>
#include <utility>

namespace cairn::cli {

MaybeFailure Session::Call(const std::function<void(client::ThriftClient&)>& call) {
  if (connection_ == nullptr) {
    auto connection = client::NodeConnection::ConnectToAny(options_.endpoints, options_.timeout);
    if (!connection.ok()) {
      return Failure{kUnreachable, "UNAVAILABLE", connection.status().message()};
    }
    connection_ = std::move(connection).value();
  }
  const Status status = connection_->Call(call);
  if (status.ok()) return std::nullopt;
  const bool timed_out = status.code() == StatusCode::kTimeout;
  return Failure{timed_out ? kTimedOut : kUnreachable, std::string(StatusCodeName(status.code())),
                 status.message()};
}

ExitCode Session::Fail(const Failure& failure) const {
  if (options_.json) {
    Print({{"error", {{"code", failure.code}, {"message", failure.message}}}});
  } else {
    std::cerr << "cairn: " << failure.code << ": " << failure.message << "\n";
  }
  return failure.exit;
}

void Session::Print(const nlohmann::ordered_json& document) {
  // A server's text is not trusted to be UTF-8.
  std::cout << document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
            << std::endl;
}

void PutBytes(nlohmann::ordered_json* object, const std::string& name, std::string_view bytes) {
  if (IsUtf8(bytes)) (*object)[name] = std::string(bytes);
  (*object)[name + "_base64"] = ToText(bytes, TextForm::kBase64);
}

}  // namespace cairn::cli
