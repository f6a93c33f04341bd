#include "apps/cairn/shell_transaction.h"

#include <iostream>
#include <vector>

#include "apps/cairn/output.h"

namespace cairn::cli {

using nlohmann::ordered_json;

ExitCode ShellTransaction::Begin() {
  if (const auto failure = transaction_.Begin()) return context_.Fail(*failure);
  if (context_.options().json) {
    Context::Print({{"begun", true}, {"read_version", transaction_.read_version()}});
  } else {
    std::cout << "reading at version " << transaction_.read_version() << std::endl;
  }
  return kSuccess;
}

bool ShellTransaction::IsStep(const std::string& command) {
  return command == "get" || command == "put" || command == "delete" || command == "range" ||
         FindOwnStep(command) != nullptr;
}

const std::vector<CommandDef>& ShellTransaction::OwnSteps() {
  static const std::vector<std::string> common = {"endpoints",     "timeout-ms", "json",
                                                  "column-family", "hex",        "base64"};
  const auto bytes = [](const char* name, const char* help) {
    return ArgumentDef{.name = name, .kind = ValueKind::kBytes, .help = help};
  };
  static const std::vector<CommandDef> steps = {
      {.name = "set-versionstamped-key",
       .summary = "Step: writes under PREFIX and the versionstamp of the commit, which shows it",
       .arguments = {bytes("PREFIX", "The key without the 10 bytes of the stamp"),
                     bytes("VALUE", "The value")},
       .common = common},
      {.name = "set-versionstamped-value",
       .summary = "Step: writes PREFIX and the versionstamp of the commit, which shows it",
       .arguments = {bytes("KEY", "The key"),
                     bytes("PREFIX", "The value without the 10 bytes of the stamp")},
       .common = common},
      {.name = "conflict-key",
       .summary = "Step: conflicts as if KEY had been read",
       .arguments = {bytes("KEY", "The key")},
       .common = common},
      {.name = "conflict-range",
       .summary = "Step: conflicts as if the range had been read",
       .arguments = {bytes("BEGIN", "The first key"),
                     bytes("END", "Key to stop before; '': all from BEGIN on")},
       .common = common}};
  return steps;
}

const CommandDef* ShellTransaction::FindOwnStep(const std::string& command) {
  for (const CommandDef& step : OwnSteps()) {
    if (step.name == command) return &step;
  }
  return nullptr;
}

ExitCode ShellTransaction::Step(const Invocation& in) {
  if (in.Takes("at-version") && in.Has("at-version")) {
    return context_.Fail(
        UsageFailure("a transaction reads at its own version; --at-version is for others"));
  }
  const std::string& command = in.command().name;
  if (command == "get") return Get(in);
  if (command == "put") return Put(in);
  if (FindOwnStep(command) != nullptr) return OwnStep(in);
  return command == "delete" ? Delete(in) : Range(in);
}

ExitCode ShellTransaction::OwnStep(const Invocation& in) {
  std::vector<std::string> words;
  for (const ArgumentDef& argument : in.command().arguments) {
    auto bytes = context_.Bytes(in.Required(argument.name), argument.name);
    if (!bytes.ok()) return context_.Fail(UsageFailure(bytes.status()));
    words.push_back(*std::move(bytes));
  }
  const std::string& name = in.command().name;
  if (name == "set-versionstamped-key") {
    transaction_.SetVersionstampedKey(words[0], words[1], family());
  } else if (name == "set-versionstamped-value") {
    transaction_.SetVersionstampedValue(words[0], words[1], family());
  } else if (name == "conflict-key") {
    transaction_.writes().AddReadConflictKey(words[0], family());
  } else {
    transaction_.writes().AddReadConflictRange(words[0], words[1], family());
  }
  return Waiting();
}

ExitCode ShellTransaction::Commit() {
  std::uint64_t version = 0;
  if (auto failure = transaction_.Commit(&version)) {
    failure->message += "; the transaction has ended";
    return context_.Fail(*failure);
  }
  if (context_.options().json) {
    ordered_json document = {{"committed", true}, {"version", version}};
    if (!transaction_.stamped().empty()) {
      document["stamped"] = StampedDocument(transaction_.stamped());
    }
    Context::Print(document);
  } else {
    PrintStamped(context_, transaction_.stamped());
    std::cout << "committed at version " << version << std::endl;
  }
  return kSuccess;
}

ExitCode ShellTransaction::Get(const Invocation& in) {
  const auto key = context_.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context_.Fail(UsageFailure(key.status()));
  GetResult result;
  if (const auto failure = transaction_.Get(*key, family(), &result)) {
    return context_.Fail(*failure);
  }
  return ShowValue(context_, *key, result, in.Has("raw"));
}

ExitCode ShellTransaction::Put(const Invocation& in) {
  const auto key = context_.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context_.Fail(UsageFailure(key.status()));
  if (in.Required("VALUE") == "-") {
    if (const auto failure = context_.NeedStandardInput()) return context_.Fail(*failure);
  }
  const auto value = context_.Bytes(in.Required("VALUE"), "VALUE");
  if (!value.ok()) return context_.Fail(UsageFailure(value.status()));
  transaction_.writes().Set(*key, *value, family());
  return Waiting();
}

ExitCode ShellTransaction::Delete(const Invocation& in) {
  RangeRequest range;
  const auto key = TakeDeletion(context_, in, &range);
  if (!key.ok()) return context_.Fail(UsageFailure(key.status()));
  std::vector<std::string> keys;
  if (key->has_value()) {
    keys.push_back(**key);
  } else {
    bool more = false;
    const auto failure = transaction_.Range(
        range, family(), [&](const std::string& one, const std::string&) { keys.push_back(one); },
        &more);
    if (failure.has_value()) return context_.Fail(*failure);
  }
  for (const std::string& one : keys) transaction_.writes().Delete(one, family());
  return Waiting();
}

ExitCode ShellTransaction::Waiting() const {
  if (context_.options().json) {
    Context::Print({{"ok", true}, {"pending_writes", transaction_.pending_writes()}});
  }
  return kSuccess;
}

ExitCode ShellTransaction::Range(const Invocation& in) {
  RangeRequest range;
  if (const Status taken = TakeRange(context_, in, &range); !taken.ok()) {
    return context_.Fail(UsageFailure(taken));
  }
  PairPrinter printer(&context_, PairPrinter::ShowOf(in));
  bool more = false;
  const auto failure = transaction_.Range(
      range, family(),
      [&](const std::string& key, const std::string& value) { printer.Print(key, value); }, &more);
  if (failure.has_value()) return printer.Fail(*failure);
  printer.Finish(more, transaction_.read_version());
  return kSuccess;
}

}  // namespace cairn::cli
