// config check, show and default: a node's configuration without a node.
#include <cstdlib>
#include <iostream>
#include <utility>

#include "apps/cairn/context.h"
#include "src/config/keys.h"
#include "src/config/machine/machine_check.h"
#include "src/config/node_config.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// The file's configuration, or the defaults without one, under the environment's overrides: what
// cairnd would start from.
Result<config::NodeConfig> Load(const Invocation& in) {
  config::NodeConfig config;
  if (const auto path = in.Text("FILE")) {
    CAIRN_ASSIGN_OR_RETURN(config, config::LoadConfig(*path));
  }
  config::Overrides overrides;
  if (const char* port = std::getenv("THRIFT_PORT")) overrides.thrift_port_environment = port;
  CAIRN_RETURN_IF_ERROR(config::ApplyOverrides(overrides, &config));
  return config;
}

// What is left to a rule gets its value.
void FillIn(config::NodeConfig* config) {
  config->server.thrift_port = config::ThriftPort(*config);
  config->server.grpc_port = config::GrpcPort(*config);
  config->server.http_port = config::HttpPort(*config);
}

// {"section": {"key": value}}. TOML's values, as they are rendered, are JSON's as well.
ordered_json ToJson(const config::NodeConfig& config) {
  ordered_json document = ordered_json::object();
  for (const config::KeySpec& key : config::Keys()) {
    const std::string value = config::RenderValue(key.field, config);
    ordered_json parsed = ordered_json::parse(value, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_discarded()) parsed = value;
    if (value.empty()) parsed = nullptr;
    document[std::string(key.section)][std::string(key.name)] = std::move(parsed);
  }
  return document;
}

ExitCode RunCheck(Context& context, const Invocation& in) {
  const auto config = Load(in);
  if (!config.ok()) return context.Fail(UsageFailure(config.status()));
  const Status runnable = config::CheckRunnable(*config);
  if (!runnable.ok()) return context.Fail(UsageFailure(runnable));
  const Status fits = config::CheckMachine(*config);
  if (!fits.ok()) return context.Fail(UsageFailure(fits));
  std::vector<std::string> warnings = config::Warnings(*config);
  for (std::string& warning : config::PeerTlsWarnings(*config)) {
    warnings.push_back(std::move(warning));
  }
  if (context.options().json) {
    Context::Print({{"valid", true},
                    {"warnings", warnings},
                    {"thrift_port", config::ThriftPort(*config)},
                    {"grpc_port", config::GrpcPort(*config)},
                    {"data_directory", config::DataDirectory(*config)}});
    return kSuccess;
  }
  std::cout << "the configuration is valid\n  Thrift on " << config->server.bind << " port "
            << config::ThriftPort(*config) << ", gRPC on port " << config::GrpcPort(*config)
            << ", data in " << config::DataDirectory(*config) << "\n";
  for (const std::string& warning : warnings) std::cout << "  warning: " << warning << "\n";
  std::cout << std::flush;
  return kSuccess;
}

ExitCode Show(const Context& context, const config::NodeConfig& config, bool documented) {
  if (context.options().json) {
    Context::Print(ToJson(config));
  } else {
    std::cout << config::RenderToml(config, documented) << std::flush;
  }
  return kSuccess;
}

ExitCode RunShow(Context& context, const Invocation& in) {
  auto config = Load(in);
  if (!config.ok()) return context.Fail(UsageFailure(config.status()));
  FillIn(&*config);
  return Show(context, *config, in.Has("documented"));
}

ExitCode RunDefault(Context& context, const Invocation& in) {
  return Show(context, {}, in.Has("documented"));
}

OptionDef DocumentedOption() {
  return {.name = "documented", .help = "Each key behind a comment that explains it"};
}

CommandDef CheckDef() {
  return {.name = "config check",
          .summary = "Checks a configuration file of a node",
          .description =
              {"Every wrong key is named with its line. Then what the file names is looked at: "
               "that certificate, key and authority of [peer_tls] can be read, belong together "
               "and are valid now, that the spec of [dram] can be, that no port is used twice, "
               "and that the folders of data and logs are there or can be made, by the user "
               "who asks. 'cairnd --check-config --config FILE' also asks RocksDB whether it "
               "has the compressions, and leaves the folders to the start."},
          .arguments = {{.name = "FILE", .kind = ValueKind::kFile, .help = "The file (TOML)"}},
          .common = {"json"},
          .examples = {{"cairn config check node.toml", "Would a node take this file?"}}};
}

CommandDef ShowDef() {
  return {
      .name = "config show",
      .summary = "Shows all values that a node would run with",
      .description = {"Those of the file, and the defaults of all other keys; ports that follow "
                      "from the node's number are filled in, and THRIFT_PORT counts. What is "
                      "shown can be given to a node. It holds no secrets: keys and certificates "
                      "are named by path."},
      .arguments = {{.name = "FILE",
                     .kind = ValueKind::kFile,
                     .help = "The file; unless given, defaults alone",
                     .required = false}},
      .options = {DocumentedOption()},
      .common = {"json"},
      .examples = {{"cairn config show node.toml", "What does this file mean?"}}};
}

CommandDef DefaultDef() {
  return {.name = "config default",
          .summary = "Shows the defaults of all keys",
          .options = {DocumentedOption()},
          .common = {"json"},
          .examples = {{"cairn config default --documented > node.toml", "A file to start from"}}};
}

}  // namespace

std::vector<Command> ConfigCommands() {
  return {{CheckDef(), RunCheck}, {ShowDef(), RunShow}, {DefaultDef(), RunDefault}};
}

}  // namespace cairn::cli
