// The command line: flags to options, then one command. docs/command_line.md describes it all.
#include <thrift/Thrift.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include "apps/cairn/commands.h"

namespace cairn::cli {
namespace {

// What was typed, as text.
struct Typed {
  std::string endpoints = "127.0.0.1:9090";
  std::uint64_t timeout_ms = 5000;
  bool hex = false;
  bool base64 = false;
  std::string key;
  std::string value;
  std::optional<std::string> begin;
  std::optional<std::string> end;
  std::optional<std::string> prefix;
  std::optional<std::int64_t> at_version;
};

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::vector<Endpoint> SplitEndpoints(const std::string& text) {
  std::vector<Endpoint> endpoints;
  for (const std::string& part : CLI::detail::split(text, ',')) {
    const auto endpoint = ParseEndpoint(CLI::detail::trim_copy(part));
    if (!endpoint.ok()) throw UsageError("--endpoints: " + endpoint.status().message());
    endpoints.push_back(*endpoint);
  }
  if (endpoints.empty()) throw UsageError("--endpoints: expected host:port,...");
  return endpoints;
}

std::string Decode(const std::string& text, TextForm form, const char* what) {
  auto bytes = FromText(text, form);
  if (!bytes.ok()) throw UsageError(std::string(what) + ": " + bytes.status().message());
  return *std::move(bytes);
}

std::optional<std::string> Decode(const std::optional<std::string>& text, TextForm form,
                                  const char* what) {
  if (!text.has_value()) return std::nullopt;
  return Decode(*text, form, what);
}

// VALUE of put: text, or "-" for standard input. That is taken as it is, but in hex and base64
// read as such, without the newline that ends it.
std::string ReadValue(const Typed& typed, TextForm form) {
  if (typed.value != "-") return Decode(typed.value, form, "VALUE");
  std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  if (form == TextForm::kEscaped) return bytes;
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == '\r')) bytes.pop_back();
  return Decode(bytes, form, "VALUE");
}

void AddCommonOptions(CLI::App* app, Typed* typed, CommonOptions* options) {
  app->add_option("--endpoints", typed->endpoints,
                  "Nodes, host:port,...; the first that can be reached is used")
      ->envname("CAIRN_ENDPOINTS")
      ->capture_default_str();
  app->add_option("--timeout-ms", typed->timeout_ms, "How long to wait for a node")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{86'400'000}))
      ->capture_default_str();
  app->add_option("--column-family", options->column_family, "Column family of the keys");
  app->add_option("--read-level", options->read_level,
                  "What reads promise; unless given, as the node is configured")
      ->check(CLI::IsMember({"local", "leader", "read_index"}));
  app->add_flag("--json", options->json, "One JSON document on standard output");
  auto* hex = app->add_flag("--hex", typed->hex, "Keys and values are given and shown in hex");
  app->add_flag("--base64", typed->base64, "Keys and values are given and shown in base64")
      ->excludes(hex);
  app->set_version_flag("--version", std::string("cairn ") + CAIRN_VERSION);
}

int Dispatch(const CLI::App& app, const Typed& typed, CommonOptions options, RangeArguments range,
             const TxnArguments& txn) {
  options.endpoints = SplitEndpoints(typed.endpoints);
  options.timeout = std::chrono::milliseconds(typed.timeout_ms);
  options.form =
      typed.hex ? TextForm::kHex : (typed.base64 ? TextForm::kBase64 : TextForm::kEscaped);
  if (app.got_subcommand("status")) return RunStatus(options);
  if (app.got_subcommand("txn")) return RunTxn(options, txn);
  if (app.got_subcommand("range")) {
    range.begin = Decode(typed.begin, options.form, "--begin");
    range.end = Decode(typed.end, options.form, "--end");
    range.prefix = Decode(typed.prefix, options.form, "--prefix");
    return RunRange(options, range);
  }
  const std::string key = Decode(typed.key, options.form, "KEY");
  if (app.got_subcommand("get")) return RunGet(options, key, typed.at_version);
  if (app.got_subcommand("put")) return RunPut(options, key, ReadValue(typed, options.form));
  return RunDelete(options, key);
}

int Main(int argc, char** argv) {
  Typed typed;
  CommonOptions options;
  RangeArguments range;
  TxnArguments txn;
  CLI::App app("Reads and writes a Cairn node.", "cairn");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Keys and values: \\\\ is a backslash, \\n \\t \\r \\0 as in C, \\xNN any byte.\n"
      "Exit codes: 0 done, 1 no such key (get), 2 usage, 3 the node said no, 4 no node can be\n"
      "reached, 5 no answer in time.");
  AddCommonOptions(&app, &typed, &options);

  auto* get = app.add_subcommand("get", "Shows the value of a key");
  get->add_option("KEY", typed.key)->required();
  get->add_option("--at-version", typed.at_version, "As of this version");
  get->add_flag("--raw", options.raw, "The value as it is, without a newline");
  auto* put = app.add_subcommand("put", "Sets the value of a key");
  put->add_option("KEY", typed.key)->required();
  put->add_option("VALUE", typed.value, "'-' reads standard input")->required();
  auto* erase = app.add_subcommand("delete", "Removes a key, whether it exists or not");
  erase->add_option("KEY", typed.key)->required();
  auto* scan = app.add_subcommand("range", "Shows keys and values in order, as of one version");
  scan->add_option("BEGIN,--begin", typed.begin, "First key; unless given, the first there is");
  scan->add_option("END,--end", typed.end, "Key to stop before; unless given, \\xff");
  scan->add_option("--prefix", typed.prefix, "Only keys that start with this")
      ->excludes("--begin")
      ->excludes("--end");
  scan->add_option("--limit", range.limit, "At most this many; 0: all");
  scan->add_flag("--keys-only", range.keys_only, "Without the values");
  app.add_subcommand("status", "Shows the health and figures of the node");
  auto* transaction = app.add_subcommand("txn", "Runs a script of steps as one transaction");
  transaction->add_option("SCRIPT", txn.file, "'-': standard input")->capture_default_str();
  transaction->add_option("--retry", txn.retries, "Tries again this often after a conflict")
      ->capture_default_str();
  transaction->footer(
      "Steps, one a line: get KEY | set KEY VALUE | delete KEY | add KEY N | exec COMMAND |\n"
      "exec-once COMMAND | commit");
  try {
    app.parse(argc, argv);
    return Dispatch(app, typed, options, range, txn);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSuccess : kUsage;
  } catch (const UsageError& error) {
    std::cerr << "cairn: " << error.what() << "\n";
    return kUsage;
  }
}

}  // namespace
}  // namespace cairn::cli

int main(int argc, char** argv) {
  // Thrift reports connection errors on standard error by itself; the commands report them once.
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
  return cairn::cli::Main(argc, argv);
}
