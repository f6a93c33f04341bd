#include "apps/cairn/dram_store.h"

#include <fstream>
#include <utility>

#include "apps/cairn/streams.h"
#include "src/base/log.h"
#include "src/dram/routing/spec.h"

namespace cairn::cli {

using nlohmann::json;

std::vector<OptionDef> DramStoreOptions() {
  return {{.name = "spec",
           .kind = ValueKind::kText,
           .value_name = "JSON|FILE",
           .help = "The pool, as JSON or a file of it; that of one of its nodes will do",
           .excludes = {"remote"}},
          {.name = "remote",
           .kind = ValueKind::kEndpoints,
           .value_name = "HOST:PORT,...",
           .help = "The servers of the pool; keys are spread by hash if they are several"}};
}

Result<json> DramSpec(const Invocation& in) {
  const std::string given = in.Text("spec").value_or("");
  if (given.empty()) return json(json::object());
  std::string text = given;
  if (given.find('{') == std::string::npos) {
    std::ifstream file(given);
    if (!file) return InvalidArgumentError("--spec: can't read the file '" + given + "'");
    CAIRN_ASSIGN_OR_RETURN(text, ReadAll(file, "'" + given + "'"));
  }
  json spec = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!spec.is_object()) return InvalidArgumentError("--spec: '" + given + "' is no JSON object");
  return spec;
}

std::vector<std::string> DramRemotes(const Invocation& in) {
  std::vector<std::string> remotes;
  const std::string text = in.Text("remote").value_or("");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    remotes.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return remotes;
}

Result<std::unique_ptr<RemoteDram>> OpenDram(const Context& context, const Invocation& in) {
  LoggingOptions quiet;
  quiet.level = LogLevel::kOff;
  CAIRN_RETURN_IF_ERROR(InitLogging(quiet));
  CAIRN_ASSIGN_OR_RETURN(json spec, DramSpec(in));
  const auto remotes = DramRemotes(in);
  if (!remotes.empty()) spec = {{"remote_addrs", remotes}};
  if (spec.empty()) {
    return InvalidArgumentError("which pool? Give --remote HOST:PORT[,...] or --spec");
  }
  if (!spec.contains("timeout_ms")) spec["timeout_ms"] = context.options().timeout.count();
  CAIRN_ASSIGN_OR_RETURN(const std::string client, dram::ClientSpecOf(spec.dump()));
  return RemoteDram::Open(client);
}

Failure DramFailure(const Status& status) {
  ExitCode exit = kRefused;
  if (status.code() == StatusCode::kUnavailable) exit = kUnreachable;
  if (status.code() == StatusCode::kTimeout) exit = kTimedOut;
  return {exit, std::string(StatusCodeName(status.code())), status.message()};
}

}  // namespace cairn::cli
