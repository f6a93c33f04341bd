#include "apps/cairn/context.h"

#include <algorithm>
#include <iostream>
#include <utility>

namespace cairn::cli {
namespace {

Result<std::vector<Endpoint>> SplitEndpoints(const std::string& text) {
  std::vector<Endpoint> endpoints;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string_view part = std::string_view(text).substr(begin, end - begin);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    auto endpoint = ParseEndpoint(part);
    if (!endpoint.ok()) return InvalidArgumentError("--endpoints: " + endpoint.status().message());
    endpoints.push_back(*std::move(endpoint));
    begin = end + 1;
  }
  return endpoints;
}

}  // namespace

MaybeFailure Context::Configure(const Invocation& in) {
  CommonOptions options;
  options.json = in.Takes("json") && in.Has("json");
  options_.json = options.json;  // how a failure below is reported
  if (in.Takes("endpoints")) {
    auto endpoints = SplitEndpoints(in.Required("endpoints"));
    if (!endpoints.ok()) return UsageFailure(endpoints.status());
    options.endpoints = *std::move(endpoints);
  }
  if (in.Takes("timeout-ms")) {
    options.timeout = std::chrono::milliseconds(*in.Number("timeout-ms"));
  }
  if (in.Takes("column-family")) options.column_family = in.Text("column-family").value_or("");
  if (in.Takes("read-level")) options.read_level = in.Text("read-level").value_or("");
  if (in.Takes("hex") && in.Has("hex")) options.form = TextForm::kHex;
  if (in.Takes("base64") && in.Has("base64")) options.form = TextForm::kBase64;
  if (connection_ != nullptr && (options.timeout != options_.timeout ||
                                 std::find(options.endpoints.begin(), options.endpoints.end(),
                                           connection_->endpoint()) == options.endpoints.end())) {
    connection_.reset();
  }
  options_ = std::move(options);
  return std::nullopt;
}

MaybeFailure Context::Call(const std::function<void(client::ThriftClient&)>& call) {
  if (connection_ == nullptr) {
    auto connection = client::NodeConnection::ConnectToAny(options_.endpoints, options_.timeout);
    if (!connection.ok()) {
      return Failure{kUnreachable, "UNAVAILABLE",
                     connection.status().message() +
                         "; is the node running? --endpoints or CAIRN_ENDPOINTS name others"};
    }
    connection_ = std::move(connection).value();
  }
  const Status status = connection_->Call(call);
  if (status.ok()) return std::nullopt;
  connection_.reset();
  const bool timed_out = status.code() == StatusCode::kTimeout;
  return Failure{timed_out ? kTimedOut : kUnreachable, std::string(StatusCodeName(status.code())),
                 status.message()};
}

ExitCode Context::Fail(const Failure& failure) const {
  if (options_.json) {
    Print({{"error", {{"code", failure.code}, {"message", failure.message}}}});
  } else {
    std::cerr << "cairn: " << (failure.exit == kUsage ? "" : failure.code + ": ") << failure.message
              << "\n";
  }
  return failure.exit;
}

void Context::Print(const nlohmann::ordered_json& document) {
  // A server's text is not trusted to be UTF-8.
  std::cout << document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
            << std::endl;
}

Result<std::string> Context::Bytes(std::string_view text, const std::string& what) const {
  auto bytes = text::FromText(text, options_.form);
  if (bytes.ok()) return bytes;
  return InvalidArgumentError(what + ": " + bytes.status().message());
}

void PutBytes(nlohmann::ordered_json* object, const std::string& name, std::string_view bytes) {
  if (text::IsUtf8(bytes)) (*object)[name] = std::string(bytes);
  (*object)[name + "_base64"] = text::ToText(bytes, TextForm::kBase64);
}

}  // namespace cairn::cli
