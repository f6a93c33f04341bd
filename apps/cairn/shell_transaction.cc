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
  return command == "get" || command == "put" || command == "delete" || command == "range";
}

ExitCode ShellTransaction::Step(const Invocation& in) {
  if (in.Takes("at-version") && in.Has("at-version")) {
    return context_.Fail(
        UsageFailure("a transaction reads at its own version; --at-version is for others"));
  }
  const std::string& command = in.command().name;
  if (command == "get") return Get(in);
  if (command == "put") return Put(in);
  return command == "delete" ? Delete(in) : Range(in);
}

ExitCode ShellTransaction::Commit() {
  std::uint64_t version = 0;
  if (auto failure = transaction_.Commit(&version)) {
    failure->message += "; the transaction has ended";
    return context_.Fail(*failure);
  }
  if (context_.options().json) {
    Context::Print({{"committed", true}, {"version", version}});
  } else {
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
