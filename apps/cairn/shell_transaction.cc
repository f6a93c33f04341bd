#include "apps/cairn/shell_transaction.h"

#include <iostream>
#include <utility>

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
  std::int64_t version = 0;
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
  MaybeValue value;
  if (const auto failure = transaction_.Get(*key, &value)) return context_.Fail(*failure);
  return ShowValue(context_, *key, value, std::nullopt, in.Has("raw"));
}

ExitCode ShellTransaction::Put(const Invocation& in) {
  const auto key = context_.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context_.Fail(UsageFailure(key.status()));
  if (in.Required("VALUE") == "-") {
    if (const auto failure = context_.NeedStandardInput()) return context_.Fail(*failure);
  }
  auto value = context_.Bytes(in.Required("VALUE"), "VALUE");
  if (!value.ok()) return context_.Fail(UsageFailure(value.status()));
  transaction_.Write(*key, *std::move(value));
  return Waiting();
}

ExitCode ShellTransaction::Delete(const Invocation& in) {
  const auto key = context_.Bytes(in.Required("KEY"), "KEY");
  if (!key.ok()) return context_.Fail(UsageFailure(key.status()));
  transaction_.Write(*key, std::nullopt);
  return Waiting();
}

ExitCode ShellTransaction::Waiting() const {
  if (context_.options().json) {
    Context::Print({{"ok", true}, {"pending_writes", transaction_.writes()}});
  }
  return kSuccess;
}

ExitCode ShellTransaction::Range(const Invocation& in) {
  Bounds bounds;
  if (const Status taken = TakeBounds(context_, in, &bounds); !taken.ok()) {
    return context_.Fail(UsageFailure(taken));
  }
  const std::uint64_t limit = *in.Number("limit");
  std::vector<std::pair<std::string, std::string>> pairs;
  // One more than asked for tells whether there are more.
  if (const auto failure = transaction_.Range(bounds, limit == 0 ? 0 : limit + 1, &pairs)) {
    return context_.Fail(*failure);
  }
  const bool more = limit > 0 && pairs.size() > limit;
  if (more) pairs.resize(limit);
  PairPrinter printer(&context_, in.Has("keys-only"));
  for (const auto& [key, value] : pairs) printer.Print(key, value);
  printer.Finish(more, transaction_.read_version());
  return kSuccess;
}

}  // namespace cairn::cli
