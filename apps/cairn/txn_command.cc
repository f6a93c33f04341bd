// txn: runs a script as one transaction, again from the start on a conflict.
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"
#include "apps/cairn/streams.h"
#include "apps/cairn/timed_transaction.h"
#include "apps/cairn/txn_script.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// One run of a script.
class Attempt {
 public:
  Attempt(Context* context, bool first)
      : context_(*context),
        transaction_(context),
        family_(context->options().column_family),
        first_(first) {}

  MaybeFailure Run(const std::vector<TxnStep>& steps, std::uint64_t* version) {
    if (auto failure = transaction_.Begin()) return failure;
    for (const TxnStep& step : steps) {
      if (auto failure = std::visit(*this, step)) return failure;
    }
    return transaction_.Commit(version);
  }

  MaybeFailure operator()(const GetStep& step) {
    GetResult result;
    if (auto failure = transaction_.Get(step.key, family(), &result)) return failure;
    shown_.emplace_back(step.key, std::move(result));
    return std::nullopt;
  }
  MaybeFailure operator()(const SetStep& step) {
    transaction_.writes().Set(step.key, step.value, family());
    return std::nullopt;
  }
  MaybeFailure operator()(const DeleteStep& step) {
    transaction_.writes().Delete(step.key, family());
    return std::nullopt;
  }
  MaybeFailure operator()(const AddStep& step);
  MaybeFailure operator()(const RangeStep& step) {
    bool more = false;
    return transaction_.Range(
        RangeRequest::Between(step.begin, step.end), family(),
        [&](const std::string& key, const std::string& value) {
          shown_.emplace_back(key, GetResult{true, value, 0});
        },
        &more);
  }
  MaybeFailure operator()(const StampStep& step) {
    if (step.in_key) {
      transaction_.SetVersionstampedKey(step.key, step.value, family());
    } else {
      transaction_.SetVersionstampedValue(step.key, step.value, family());
    }
    return std::nullopt;
  }
  MaybeFailure operator()(const ConflictKeyStep& step) {
    transaction_.writes().AddReadConflictKey(step.key, family());
    return std::nullopt;
  }
  MaybeFailure operator()(const ConflictRangeStep& step) {
    transaction_.writes().AddReadConflictRange(step.begin, step.end, family());
    return std::nullopt;
  }
  MaybeFailure operator()(const InStep& step) {
    family_ = step.family;
    return std::nullopt;
  }
  MaybeFailure operator()(const ExecStep& step) const {
    if (step.once && !first_) return std::nullopt;
    std::cout << std::flush;
    // With --json, standard output holds one document and nothing else.
    const std::string redirect = context_.options().json ? "exec 1>&2\n" : "";
    const int result = std::system((redirect + step.command).c_str());
    if (result == 0) return std::nullopt;
    return Failure{kRefused, "COMMAND_FAILED", "'" + step.command + "' failed; not committed"};
  }

  [[nodiscard]] const std::vector<std::pair<std::string, GetResult>>& shown() const {
    return shown_;
  }
  [[nodiscard]] const std::vector<KeyValue>& stamped() const { return transaction_.stamped(); }

 private:
  [[nodiscard]] const std::string& family() const { return family_; }

  Context& context_;
  TimedTransaction transaction_;
  std::string family_;  // of the steps that come
  const bool first_;
  std::vector<std::pair<std::string, GetResult>> shown_;
};

MaybeFailure Attempt::operator()(const AddStep& step) {
  GetResult result;
  if (auto failure = transaction_.Get(step.key, family(), &result)) return failure;
  std::int64_t number = 0;
  const std::string text = result.found ? result.value : "0";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::int64_t sum = 0;
  if (error != std::errc() || end != text.data() + text.size() ||
      __builtin_add_overflow(number, step.amount, &sum)) {
    return Failure{kRefused, "NOT_A_NUMBER",
                   "'" + context_.Text(step.key) + "' holds '" + context_.Text(text) +
                       "', to which a number can't be added; not committed"};
  }
  transaction_.writes().Set(step.key, std::to_string(sum), family());
  return std::nullopt;
}

void Report(const Context& context, const Attempt& attempt, std::uint64_t version,
            std::uint64_t attempts) {
  if (context.options().json) {
    ordered_json reads = ordered_json::array();
    for (const auto& [key, result] : attempt.shown()) {
      ordered_json read = {{"found", result.found}};
      PutBytes(&read, "key", key);
      if (result.found) PutBytes(&read, "value", result.value);
      reads.push_back(std::move(read));
    }
    Context::Print({{"committed", true},
                    {"version", version},
                    {"attempts", attempts},
                    {"reads", std::move(reads)},
                    {"stamped", StampedDocument(attempt.stamped())}});
    return;
  }
  for (const auto& [key, result] : attempt.shown()) {
    std::cout << context.Text(key)
              << (result.found ? "\t" + context.Text(result.value) : " (not found)") << '\n';
  }
  PrintStamped(context, attempt.stamped());
  std::cout << "committed at version " << version << " after " << attempts
            << (attempts == 1 ? " attempt" : " attempts") << std::endl;
}

ExitCode RunTxn(Context& context, const Invocation& in) {
  const std::string path = in.Required("SCRIPT");
  std::ifstream file;
  if (path == "-") {
    if (const auto failure = context.BeginStandardInput(
            "the steps of a transaction (cairn txn SCRIPT reads a file)")) {
      return context.Fail(*failure);
    }
  } else {
    file.open(path);
  }
  if (!file) return context.Fail(UsageFailure("cannot read '" + path + "'"));
  const auto steps = ParseTxnScript(path == "-" ? std::cin : static_cast<std::istream&>(file),
                                    context.options().form);
  if (!steps.ok()) return context.Fail(UsageFailure(steps.status()));
  const Status read = CheckRead(path == "-" ? std::cin : static_cast<std::istream&>(file),
                                path == "-" ? "standard input" : "'" + path + "'");
  if (!read.ok()) return context.Fail(UsageFailure(read));
  for (std::uint64_t attempts = 1;; ++attempts) {
    Attempt attempt(&context, attempts == 1);
    std::uint64_t version = 0;
    const MaybeFailure failure = attempt.Run(*steps, &version);
    if (!failure.has_value()) {
      Report(context, attempt, version, attempts);
      return kSuccess;
    }
    const bool retriable = failure->code == "CONFLICT" || failure->code == "TRANSACTION_TOO_OLD";
    if (!retriable || attempts > *in.Number("retry")) return context.Fail(*failure);
    if (!context.options().json) {
      std::cerr << "cairn: attempt " << attempts << ": " << failure->code << ": "
                << failure->message << "; trying again\n";
    }
  }
}

CommandDef TxnDef() {
  return {
      .name = "txn",
      .summary = "Runs a script of steps as one transaction",
      .description =
          {"All reads are of one version, and see the transaction's own writes. If a key that was "
           "read has changed by the time of the commit, nothing is written and the script runs "
           "again from the start.",
           "A script has one step a line. Words with blanks stand in double quotes; empty lines "
           "and "
           "lines that start with # are skipped. The steps:",
           "  get KEY                   reads; shown when the transaction has committed\n"
           "  range BEGIN END           the same of the keys from BEGIN up to END; \"\": all "
           "there\n"
           "                            are\n"
           "  set KEY VALUE             writes\n"
           "  delete KEY                removes\n"
           "  add KEY N                 reads KEY as a decimal number (0 if there is none), "
           "writes\n"
           "                            it with N added\n"
           "  set-versionstamped-key PREFIX VALUE\n"
           "                            writes VALUE under PREFIX and the 10 bytes of the "
           "commit's\n"
           "                            versionstamp; shown when the transaction has committed\n"
           "  set-versionstamped-value KEY PREFIX\n"
           "                            writes PREFIX and the versionstamp under KEY; shown, too\n"
           "  conflict-key KEY          conflicts as if KEY had been read\n"
           "  conflict-range BEGIN END  conflicts as if the range had been read\n"
           "  in FAMILY                 the steps that follow are in this column family\n"
           "  exec COMMAND              runs a shell command at this point; if it fails, nothing "
           "is\n"
           "                            committed\n"
           "  exec-once COMMAND         the same, in the first attempt only\n"
           "  commit                    ends the script; its end does the same"},
      .arguments = {{.name = "SCRIPT",
                     .kind = ValueKind::kFile,
                     .help = "A file; '-': standard input",
                     .required = false,
                     .default_value = "-"}},
      .options = {{.name = "retry",
                   .kind = ValueKind::kNumber,
                   .value_name = "N",
                   .help = "Tries again this often after a conflict",
                   .default_value = "10",
                   .max = 1'000'000}},
      .common = kReadOptions,
      .examples = {{"printf 'add stock/apple -1\\nset last-sale apple\\n' | cairn txn",
                    "Take one apple, and note it"}}};
}

}  // namespace

std::vector<Command> TxnCommands() { return {{TxnDef(), RunTxn}}; }

}  // namespace cairn::cli
