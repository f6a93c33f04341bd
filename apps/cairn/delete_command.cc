// delete: of one key, or of a range, in steps of bounded size.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"
#include "apps/cairn/range_scan.h"

namespace cairn::cli {
namespace {

// Of one step, which is a transaction.
constexpr std::size_t kMostKeys = 1000;
constexpr std::size_t kMostBytes = 1 << 20;

// Deletes the keys that a range has when it begins.
class RangeDeletion {
 public:
  RangeDeletion(Context* context, RangeRequest range) : context_(*context), range_(range) {}

  // How many keys would be deleted; then Run deletes those of the same version.
  MaybeFailure Count(std::uint64_t* keys) {
    RangeScan scan(&context_, range_, 0);
    *keys = 0;
    auto failure = scan.Run([&](const std::string&, const std::string&) { return ++*keys > 0; });
    scanned_ = scan.version();
    return failure;
  }

  // On a failure, the steps before it are done.
  MaybeFailure Run() {
    RangeScan scan(&context_, range_, scanned_);
    MaybeFailure failed;
    auto failure = scan.Run([&](const std::string& key, const std::string&) {
      keys_.push_back(key);
      bytes_ += key.size();
      if (keys_.size() >= kMostKeys || bytes_ >= kMostBytes) failed = Step();
      return !failed.has_value();
    });
    if (failed.has_value()) return failed;
    return failure.has_value() ? failure : Step();
  }

  [[nodiscard]] std::uint64_t deleted() const { return deleted_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  MaybeFailure Step() {
    if (keys_.empty()) return std::nullopt;
    Client* client = nullptr;
    if (auto failure = context_.Connect(&client)) return failure;
    Transaction transaction = client->Begin({.timeout = context_.options().timeout});
    for (const std::string& key : keys_) {
      transaction.Delete(key, context_.options().column_family);
    }
    const auto version = transaction.Commit();
    if (!version.ok()) return FailureOf(version.status());
    version_ = *version;
    deleted_ += keys_.size();
    ++steps_;
    keys_.clear();
    bytes_ = 0;
    return std::nullopt;
  }

  Context& context_;
  const RangeRequest range_;
  std::uint64_t scanned_ = 0;
  std::vector<std::string> keys_;
  std::size_t bytes_ = 0;
  std::uint64_t deleted_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t version_ = 0;  // of the last step
};

// Asks at the terminal whether to go on. A failure if the answer is not yes, or nobody is there.
MaybeFailure Confirm(const Context& context, std::uint64_t keys) {
  if (::isatty(STDIN_FILENO) == 0 || context.NeedStandardInput().has_value()) {
    return UsageFailure("--yes says that all keys of the range are to be deleted (there are " +
                        std::to_string(keys) + "); without it, 'delete' asks at a terminal");
  }
  std::cerr << "cairn: delete " << keys << (keys == 1 ? " key" : " keys")
            << " for good? Type yes: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "yes") return std::nullopt;
  return UsageFailure("nothing was deleted");
}

ExitCode DeleteRange(Context& context, const Invocation& in, RangeRequest range) {
  RangeDeletion deletion(&context, std::move(range));
  if (!in.Has("yes")) {
    std::uint64_t keys = 0;
    if (const auto failure = deletion.Count(&keys)) return context.Fail(*failure);
    if (const auto failure = Confirm(context, keys)) return context.Fail(*failure);
  }
  if (auto failure = deletion.Run()) {
    failure->message += " (" + std::to_string(deletion.deleted()) +
                        " keys are deleted; the same command deletes the others)";
    return context.Fail(*failure);
  }
  if (context.options().json) {
    Context::Print({{"ok", true},
                    {"deleted", deletion.deleted()},
                    {"steps", deletion.steps()},
                    {"version", deletion.version()}});
  } else {
    std::cout << "deleted " << deletion.deleted() << (deletion.deleted() == 1 ? " key" : " keys")
              << std::endl;
  }
  return kSuccess;
}

ExitCode RunDelete(Context& context, const Invocation& in) {
  RangeRequest range;
  const auto key = TakeDeletion(context, in, &range);
  if (!key.ok()) return context.Fail(UsageFailure(key.status()));
  if (!key->has_value()) return DeleteRange(context, in, std::move(range));
  Client* client = nullptr;
  if (const auto failure = context.Connect(&client)) return context.Fail(*failure);
  const auto version = client->Delete(**key, context.Writing());
  if (!version.ok()) return context.Fail(FailureOf(version.status()));
  if (context.options().json) Context::Print({{"ok", true}, {"version", *version}});
  return kSuccess;
}

CommandDef DeleteDef() {
  return {
      .name = "delete",
      .summary = "Removes a key, whether it exists or not, or all keys of a range",
      .description =
          {"A range is named by --prefix, or by --begin and --end. The keys that it has when the "
           "command begins are deleted in steps of at most 1000 keys, each a transaction of its "
           "own, after a question at the terminal, or with --yes without one. What was "
           "interrupted can be done again."},
      .arguments =
          {{.name = "KEY", .kind = ValueKind::kBytes, .help = "The key", .required = false}},
      .options = {{.name = "prefix",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "All keys that start with this",
                   .excludes = {"KEY", "begin", "end"}},
                  {.name = "begin",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "All keys from this one on",
                   .excludes = {"KEY"}},
                  {.name = "end",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "All keys before this one",
                   .excludes = {"KEY"}},
                  {.name = "yes", .help = "Deletes a range without asking"}},
      .common = kWriteOptions,
      .examples = {
          {"cairn delete fruit/apple", "Remove a key"},
          {"cairn delete --prefix fruit/", "Remove all keys that start so, after asking"}}};
}

}  // namespace

std::vector<Command> DeleteCommands() { return {{DeleteDef(), RunDelete}}; }

}  // namespace cairn::cli
