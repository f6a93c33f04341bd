// get, put and delete.
#include <iostream>
#include <iterator>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// What get and snapshotRead answer alike.
struct Found {
  std::optional<std::string> value;
  std::optional<std::int64_t> version;
};

template <class Response>
MaybeFailure Take(Response response, Found* found) {
  if (MaybeFailure failure = FailureOf(response)) return failure;
  if (response.found) found->value = std::move(response.value);
  if (response.__isset.version && response.found) found->version = response.version;
  return std::nullopt;
}

MaybeFailure Read(Context* context, const std::string& key, std::optional<std::int64_t> at_version,
                  Found* found) {
  if (at_version.has_value()) {
    thrift_api::SnapshotReadRequest request;
    request.__set_key(key);
    request.__set_read_version(*at_version);
    context->Prepare(&request);
    thrift_api::SnapshotReadResponse response;
    MaybeFailure failure = context->Call([&](auto& node) { node.snapshotRead(response, request); });
    return failure.has_value() ? failure : Take(std::move(response), found);
  }
  thrift_api::GetRequest request;
  request.__set_key(key);
  context->Prepare(&request);
  thrift_api::GetResponse response;
  MaybeFailure failure = context->Call([&](auto& node) { node.get(response, request); });
  return failure.has_value() ? failure : Take(std::move(response), found);
}

template <class Response>
ExitCode ReportWrite(const Context& context, const Response& response) {
  if (const MaybeFailure failure = FailureOf(response)) return context.Fail(*failure);
  if (!context.options().json) return kSuccess;
  ordered_json document = {{"ok", true}};
  if (response.__isset.version) document["version"] = response.version;
  Context::Print(document);
  return kSuccess;
}

// VALUE of put: text, or "-" for standard input. That is taken as it is, but in hex and base64
// read as such, without the newline that ends it.
Result<std::string> ReadValue(const Context& context, const std::string& given) {
  if (given != "-") return context.Bytes(given, "VALUE");
  if (const auto failure = context.NeedStandardInput()) {
    return InvalidArgumentError(failure->message);
  }
  std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  if (context.options().form == TextForm::kEscaped) return bytes;
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == '\r')) bytes.pop_back();
  return context.Bytes(bytes, "standard input");
}

ExitCode RunGet(Context& context, const Invocation& in) {
  const auto key = context.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  std::optional<std::int64_t> at_version;
  if (in.Has("at-version")) at_version = static_cast<std::int64_t>(*in.Number("at-version"));
  Found found;
  if (const auto failure = Read(&context, *key, at_version, &found)) return context.Fail(*failure);
  return ShowValue(context, *key, found.value, found.version, in.Has("raw"));
}

ExitCode RunPut(Context& context, const Invocation& in) {
  const auto key = context.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  auto value = ReadValue(context, in.Required("VALUE"));
  if (!value.ok()) return context.Fail(UsageFailure(value.status()));
  thrift_api::SetRequest request;
  request.__set_key(*key);
  request.__set_value(*std::move(value));
  context.Prepare(&request);
  thrift_api::SetResponse response;
  const auto failure = context.Call([&](auto& node) { node.setKey(response, request); });
  return failure.has_value() ? context.Fail(*failure) : ReportWrite(context, response);
}

ExitCode RunDelete(Context& context, const Invocation& in) {
  const auto key = context.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  thrift_api::DeleteRequest request;
  request.__set_key(*key);
  context.Prepare(&request);
  thrift_api::DeleteResponse response;
  const auto failure = context.Call([&](auto& node) { node.deleteKey(response, request); });
  return failure.has_value() ? context.Fail(*failure) : ReportWrite(context, response);
}

CommandDef GetDef() {
  return {.name = "get",
          .summary = "Shows the value of a key",
          .description = {"The value ends with a newline that is not part of it, unless --raw is "
                          "given. A key that does not exist is exit code 1."},
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"}},
          .options = {{.name = "at-version",
                       .kind = ValueKind::kNumber,
                       .value_name = "V",
                       .help = "As of this version, as long as the node keeps it",
                       .max = std::numeric_limits<std::int64_t>::max()},
                      {.name = "raw", .help = "The value as it is, without a newline"}},
          .common = kReadOptions,
          .examples = {{"cairn get fruit/apple", "Show a value"},
                       {"cairn get --raw logo > copy.png", "Write a value to a file"}}};
}

CommandDef PutDef() {
  return {.name = "put",
          .summary = "Sets the value of a key",
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"},
                        {.name = "VALUE",
                         .kind = ValueKind::kBytes,
                         .help = "The value. '-' reads standard input, as it is; with --hex or "
                                 "--base64, as such"}},
          .common = kWriteOptions,
          .examples = {{"cairn put fruit/apple red", "Set a value"},
                       {"cairn put logo - < logo.png", "Set a value from a file"}}};
}

CommandDef DeleteDef() {
  return {.name = "delete",
          .summary = "Removes a key, whether it exists or not",
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"}},
          .common = kWriteOptions,
          .examples = {{"cairn delete fruit/apple", "Remove a key"}}};
}

}  // namespace

std::vector<Command> PointCommands() {
  return {{GetDef(), RunGet}, {PutDef(), RunPut}, {DeleteDef(), RunDelete}};
}

}  // namespace cairn::cli
