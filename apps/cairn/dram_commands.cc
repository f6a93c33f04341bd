// cairn dram put, get, list, delete, stat, route: a pool's values from the command line.
#include <charconv>
#include <iostream>
#include <utility>

#include "apps/cairn/dram_store.h"
#include "apps/cairn/streams.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// A key and the pool that it is asked of.
struct Target {
  std::unique_ptr<RemoteDram> store;
  std::string key;
};

Result<Target> KeyAndStore(const Context& context, const Invocation& in) {
  Target target;
  CAIRN_ASSIGN_OR_RETURN(target.key, context.Bytes(in.Text("KEY").value_or(""), "KEY"));
  CAIRN_ASSIGN_OR_RETURN(target.store, OpenDram(context, in));
  return target;
}

ExitCode FailUsage(const Context& context, const Status& status) {
  return context.Fail(status.code() == StatusCode::kInvalidArgument ? UsageFailure(status)
                                                                    : DramFailure(status));
}

ExitCode NotFound(const Context& context, const std::string& key) {
  if (context.options().json) {
    ordered_json document = {{"found", false}};
    PutBytes(&document, "key", key);
    Context::Print(document);
  } else {
    std::cerr << "cairn: not found: " << context.Text(key) << "\n";
  }
  return kKeyNotFound;
}

std::string ToText(const dram::Generation& generation) {
  return std::to_string(generation.boot_id) + ":" + std::to_string(generation.counter);
}

// With the text that --if-generation takes, as not every JSON reader keeps 64 bits.
ordered_json ToJson(const dram::Generation& generation) {
  return {{"boot_id", generation.boot_id},
          {"counter", generation.counter},
          {"text", ToText(generation)}};
}

// The generation of --if-generation; unknown, which is no condition, without it.
Result<dram::Generation> Condition(const Invocation& in) {
  dram::Generation generation;
  const auto text = in.Text("if-generation");
  if (!text.has_value()) return generation;
  const char* const end = text->data() + text->size();
  const auto boot_id = std::from_chars(text->data(), end, generation.boot_id);
  if (boot_id.ec == std::errc() && boot_id.ptr != end && *boot_id.ptr == ':') {
    const auto counter = std::from_chars(boot_id.ptr + 1, end, generation.counter);
    if (counter.ec == std::errc() && counter.ptr == end && !generation.IsUnknown()) {
      return generation;
    }
  }
  return InvalidArgumentError("--if-generation is '" + *text +
                              "': give BOOT_ID:COUNTER, the \"text\" of a generation that dram get "
                              "or dram put shows with --json");
}

ExitCode ConditionFailed(const Context& context, const std::string& key, const char* why) {
  return context.Fail({kRefused, "CONDITION_FAILED", "the key '" + context.Text(key) + "' " + why});
}

constexpr const char* kOtherGeneration = "has no value or another generation";

ExitCode RunGet(Context& context, const Invocation& in) {
  const auto target = KeyAndStore(context, in);
  if (!target.ok()) return FailUsage(context, target.status());
  dram::ReadOptions options;
  options.byte_range.inclusive_min = static_cast<std::int64_t>(*in.Number("offset"));
  if (const auto last = in.Number("last")) {
    options.byte_range.inclusive_min = -static_cast<std::int64_t>(*last);
  }
  if (const auto length = in.Number("length")) {
    options.byte_range.exclusive_max =
        options.byte_range.inclusive_min + static_cast<std::int64_t>(*length);
  }
  const auto read = target->store->Read(target->key, options).Get();
  if (!read.ok()) return context.Fail(DramFailure(read.status()));
  if (read->state != dram::ReadResult::State::kValue) return NotFound(context, target->key);
  if (context.options().json) {
    ordered_json document = {{"found", true}};
    PutBytes(&document, "key", target->key);
    PutBytes(&document, "value", read->value.view());
    document["value_bytes"] = read->value_bytes;
    document["generation"] = ToJson(read->generation);
    Context::Print(document);
  } else if (in.Has("raw")) {
    std::cout << read->value.view() << std::flush;
  } else {
    std::cout << context.Text(read->value.view()) << std::endl;
  }
  return kSuccess;
}

ExitCode RunPut(Context& context, const Invocation& in) {
  const std::string given = in.Required("VALUE");
  Result<std::string> value = std::string();
  if (given == "-") {
    if (const auto failure = context.BeginStandardInput("the value")) return context.Fail(*failure);
    value = ReadAll(std::cin, "standard input");
  } else {
    value = context.Bytes(given, "VALUE");
  }
  if (!value.ok()) return context.Fail(UsageFailure(value.status()));
  const auto target = KeyAndStore(context, in);
  if (!target.ok()) return FailUsage(context, target.status());
  const auto condition = Condition(in);
  if (!condition.ok()) return FailUsage(context, condition.status());
  dram::WriteOptions options;
  options.if_equal = in.Has("if-absent") ? dram::Generation::NoValue() : *condition;
  const auto written =
      target->store->Write(target->key, dram::Buffer::Borrow(*value), options).Get();
  if (!written.ok()) return context.Fail(DramFailure(written.status()));
  if (written->generation.IsUnknown()) {
    return ConditionFailed(context, target->key,
                           in.Has("if-absent") ? "has a value already" : kOtherGeneration);
  }
  if (context.options().json) {
    Context::Print({{"ok", true}, {"generation", ToJson(written->generation)}});
  }
  return kSuccess;
}

ExitCode RunDelete(Context& context, const Invocation& in) {
  if (in.Has("KEY") == in.Has("prefix")) {
    return context.Fail(UsageFailure("give KEY or --prefix P"));
  }
  const auto target = KeyAndStore(context, in);
  if (!target.ok()) return FailUsage(context, target.status());
  if (!in.Has("prefix")) {
    const auto condition = Condition(in);
    if (!condition.ok()) return FailUsage(context, condition.status());
    const auto deleted = target->store->Delete(target->key, {*condition, {}}).Get();
    if (!deleted.ok()) return context.Fail(DramFailure(deleted.status()));
    if (deleted->generation.IsUnknown()) {
      return ConditionFailed(context, target->key, kOtherGeneration);
    }
    if (context.options().json) Context::Print({{"ok", true}});
    return kSuccess;
  }
  const auto prefix = context.Bytes(in.Required("prefix"), "--prefix");
  if (!prefix.ok()) return context.Fail(UsageFailure(prefix.status()));
  const auto deleted = target->store->DeleteRange(dram::KeyRange::Prefix(*prefix)).Get();
  if (!deleted.ok()) return context.Fail(DramFailure(deleted.status()));
  if (context.options().json) {
    Context::Print({{"ok", true}, {"deleted", *deleted}});
  } else {
    std::cout << "deleted " << *deleted << std::endl;
  }
  return kSuccess;
}

ExitCode RunList(Context& context, const Invocation& in) {
  const auto prefix = context.Bytes(in.Text("PREFIX").value_or(""), "PREFIX");
  if (!prefix.ok()) return context.Fail(UsageFailure(prefix.status()));
  const auto store = OpenDram(context, in);
  if (!store.ok()) return FailUsage(context, store.status());
  const auto listed = (*store)->List({dram::KeyRange::Prefix(*prefix), 0, {}}).Get();
  if (!listed.ok()) return context.Fail(DramFailure(listed.status()));
  if (!context.options().json) {
    for (const dram::ListEntry& entry : *listed) {
      std::cout << context.Text(entry.key) << "\t" << entry.value_bytes << "\n";
    }
    std::cout << std::flush;
    return kSuccess;
  }
  ordered_json keys = ordered_json::array();
  for (const dram::ListEntry& entry : *listed) {
    ordered_json key = {{"value_bytes", entry.value_bytes}};
    PutBytes(&key, "key", entry.key);
    keys.push_back(std::move(key));
  }
  Context::Print({{"keys", std::move(keys)}});
  return kSuccess;
}

ExitCode RunStat(Context& context, const Invocation& in) {
  const auto store = OpenDram(context, in);
  if (!store.ok()) return FailUsage(context, store.status());
  const auto stats = (*store)->Stat().Get();
  if (!stats.ok()) return context.Fail(DramFailure(stats.status()));
  ExitCode exit = kSuccess;
  ordered_json servers = ordered_json::array();
  for (const dram::ServerStat& stat : *stats) {
    ordered_json server = {{"address", stat.address}};
    if (!stat.status.ok()) {
      exit = DramFailure(stat.status).exit;
      server["error"] = stat.status.ToString();
    }
    for (const auto& [name, value] : stat.figures) server[name] = value;
    servers.push_back(std::move(server));
  }
  if (context.options().json) {
    Context::Print({{"servers", std::move(servers)}});
    return exit;
  }
  for (const ordered_json& server : servers) {
    std::cout << server["address"].get<std::string>() << "\n";
    for (const auto& [name, value] : server.items()) {
      if (name == "address") continue;
      std::cout << "  " << name << "\t"
                << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
    }
  }
  std::cout << std::flush;
  return exit;
}

ExitCode RunRoute(Context& context, const Invocation& in) {
  const auto target = KeyAndStore(context, in);
  if (!target.ok()) return FailUsage(context, target.status());
  const auto route = target->store->RouteOf(target->key);
  if (!route.ok()) return context.Fail(DramFailure(route.status()));
  const std::string table = target->store->RoutingTable();
  if (context.options().json) {
    Context::Print({{"server", route->server}, {"reason", route->reason}, {"table", table}});
  } else {
    std::cout << route->server << "\n  because: " << route->reason
              << "\n  table: " << (table.empty() ? "none; one server" : table) << std::endl;
  }
  return kSuccess;
}

CommandDef GetDef() {
  return {.name = "dram get",
          .summary = "Shows a value of a pool",
          .description = {"The value ends with a newline that is not part of it, unless --raw is "
                          "given. A key that does not exist is exit code 1."},
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"}},
          .options = {{.name = "offset",
                       .kind = ValueKind::kSize,
                       .value_name = "N",
                       .help = "Begin behind so many bytes",
                       .default_value = "0",
                       .max = dram::kMaxValueBytes},
                      {.name = "length",
                       .kind = ValueKind::kSize,
                       .value_name = "N",
                       .help = "So many bytes; unless given, to the end",
                       .max = dram::kMaxValueBytes},
                      {.name = "last",
                       .kind = ValueKind::kSize,
                       .value_name = "N",
                       .help = "The last so many bytes, which it must have",
                       .min = 1,
                       .max = dram::kMaxValueBytes,
                       .excludes = {"offset", "length"}},
                      {.name = "raw", .help = "The value as it is, without a newline"}},
          .common = kDramByteOptions,
          .examples = {{"cairn dram get --remote node1:12345 weights", "Show a value"},
                       {"cairn dram get --remote node1:12345 --last 16 log", "Show its end"}}};
}

OptionDef IfGeneration(std::vector<std::string> excludes) {
  return {.name = "if-generation",
          .kind = ValueKind::kText,
          .value_name = "BOOT_ID:COUNTER",
          .help = "Only if the value is still this one, as --json shows it",
          .excludes = std::move(excludes)};
}

CommandDef PutDef() {
  return {.name = "dram put",
          .summary = "Stores a value in a pool",
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"},
                        {.name = "VALUE",
                         .kind = ValueKind::kBytes,
                         .help = "The value. '-' reads standard input, as it is"}},
          .options = {{.name = "if-absent",
                       .help = "Only if the key has no value",
                       .excludes = {"if-generation"}},
                      IfGeneration({})},
          .common = kDramByteOptions,
          .examples = {
              {"cairn dram put --remote node1:12345 logo - < logo.png", "Store a file's bytes"}}};
}

CommandDef DeleteDef() {
  return {
      .name = "dram delete",
      .summary = "Removes a key of a pool, or all with a prefix",
      .arguments =
          {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key", .required = false}},
      .options = {{.name = "prefix",
                   .kind = ValueKind::kBytes,
                   .value_name = "P",
                   .help = "All keys that begin with it, on all servers",
                   .excludes = {"KEY"}},
                  IfGeneration({"prefix"})},
      .common = kDramByteOptions,
      .examples = {{"cairn dram delete --remote node1:12345 --prefix array/", "Remove an array"}}};
}

CommandDef ListDef() {
  return {.name = "dram list",
          .summary = "Lists the keys of a pool and the sizes of their values",
          .arguments = {{.name = "PREFIX",
                         .kind = ValueKind::kBytes,
                         .help = "Only keys that begin with it",
                         .required = false}},
          .common = kDramByteOptions,
          .examples = {{"cairn dram list --remote node1:12345,node2:12345", "List two servers"}}};
}

CommandDef StatDef() {
  return {.name = "dram stat",
          .summary = "Shows the figures of a pool's servers",
          .common = kDramOptions,
          .examples = {{"cairn dram stat --remote node1:12345", "Show one server's figures"}}};
}

CommandDef RouteDef() {
  return {.name = "dram route",
          .summary = "Shows which server holds a key, and why",
          .description = {"Computed here, without asking the servers."},
          .arguments = {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key"}},
          .common = kDramByteOptions,
          .examples = {{"cairn dram route --spec pool.json array/0.0", "Explain a key's way"}}};
}

}  // namespace

std::vector<Command> DramServeCommands();
std::vector<Command> DramBenchCommands();

std::vector<Command> DramCommands() {
  std::vector<Command> commands = {{GetDef(), RunGet},       {PutDef(), RunPut},
                                   {DeleteDef(), RunDelete}, {ListDef(), RunList},
                                   {StatDef(), RunStat},     {RouteDef(), RunRoute}};
  for (auto some : {DramServeCommands(), DramBenchCommands()}) {
    commands.insert(commands.end(), some.begin(), some.end());
  }
  for (Command& command : commands) {
    if (command.definition.name == "dram serve") continue;
    for (OptionDef& option : DramStoreOptions()) {
      command.definition.options.push_back(std::move(option));
    }
  }
  return commands;
}

}  // namespace cairn::cli
