// get and put.
#include <iostream>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"
#include "apps/cairn/streams.h"

namespace cairn::cli {
namespace {

ExitCode ReportWrite(const Context& context, const Result<std::uint64_t>& version) {
  if (!version.ok()) return context.Fail(FailureOf(version.status()));
  if (context.options().json) Context::Print({{"ok", true}, {"version", *version}});
  return kSuccess;
}

// VALUE of put: text, or "-" for standard input. That is taken as it is, but in hex and base64
// read as such, without the newline that ends it.
Result<std::string> ReadValue(const Context& context, const std::string& given) {
  if (given != "-") return context.Bytes(given, "VALUE");
  if (const auto failure = context.BeginStandardInput("the value")) {
    return InvalidArgumentError(failure->message);
  }
  CAIRN_ASSIGN_OR_RETURN(std::string bytes, ReadAll(std::cin, "standard input"));
  if (context.options().form == TextForm::kEscaped) return bytes;
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == '\r')) bytes.pop_back();
  return context.Bytes(bytes, "standard input");
}

ExitCode RunGet(Context& context, const Invocation& in) {
  const auto key = context.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  Client* client = nullptr;
  if (const auto failure = context.Connect(&client)) return context.Fail(*failure);
  const auto got = client->Get(*key, context.Reading(in.Number("at-version").value_or(0)));
  if (!got.ok()) return context.Fail(FailureOf(got.status()));
  return ShowValue(context, *key, *got, in.Has("raw"));
}

ExitCode RunPut(Context& context, const Invocation& in) {
  const auto key = context.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  auto value = ReadValue(context, in.Required("VALUE"));
  if (!value.ok()) return context.Fail(UsageFailure(value.status()));
  Client* client = nullptr;
  if (const auto failure = context.Connect(&client)) return context.Fail(*failure);
  return ReportWrite(context, client->Set(*key, *value, context.Writing()));
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
                       .min = 1,
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

}  // namespace

std::vector<Command> PointCommands() { return {{GetDef(), RunGet}, {PutDef(), RunPut}}; }

}  // namespace cairn::cli
