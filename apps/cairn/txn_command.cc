// txn: runs a script as one transaction, again from the start on a conflict.
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <utility>

#include "apps/cairn/session.h"
#include "apps/cairn/txn_script.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// A value, or that there is none.
using MaybeValue = std::optional<std::string>;

// One attempt: a read version, what was read and what is to be written. Reads see the
// transaction's own writes.
class Attempt {
 public:
  Attempt(Session* session, bool first) : session_(*session), first_(first) {}

  MaybeFailure Begin() {
    thrift_api::GetReadVersionRequest request;
    session_.Prepare(&request);
    thrift_api::GetReadVersionResponse response;
    if (auto failure = session_.Call([&](auto& node) { node.getReadVersion(response, request); })) {
      return failure;
    }
    read_version_ = response.read_version;
    return FailureOf(response);
  }

  MaybeFailure operator()(const GetStep& step) {
    MaybeValue value;
    if (auto failure = Read(step.key, &value)) return failure;
    shown_.emplace_back(step.key, std::move(value));
    return std::nullopt;
  }
  MaybeFailure operator()(const SetStep& step) {
    Write(step.key, step.value);
    return std::nullopt;
  }
  MaybeFailure operator()(const DeleteStep& step) {
    Write(step.key, std::nullopt);
    return std::nullopt;
  }
  MaybeFailure operator()(const AddStep& step);
  MaybeFailure operator()(const ExecStep& step) {
    if (step.once && !first_) return std::nullopt;
    std::cout << std::flush;
    const int result = std::system(step.command.c_str());
    if (result == 0) return std::nullopt;
    return Failure{kRefused, "COMMAND_FAILED", "'" + step.command + "' failed; not committed"};
  }

  MaybeFailure Commit(std::int64_t* version);

  [[nodiscard]] const std::vector<std::pair<std::string, MaybeValue>>& shown() const {
    return shown_;
  }

 private:
  MaybeFailure Read(const std::string& key, MaybeValue* value);
  void Write(const std::string& key, MaybeValue value);

  Session& session_;
  const bool first_;
  std::int64_t read_version_ = 0;
  std::map<std::string, MaybeValue> reads_;   // what the conflict check is about
  std::map<std::string, MaybeValue> writes_;  // what reads see
  std::vector<thrift_api::Operation> operations_;
  std::vector<std::pair<std::string, MaybeValue>> shown_;
};

MaybeFailure Attempt::Read(const std::string& key, MaybeValue* value) {
  for (const auto* known : {&writes_, &reads_}) {
    const auto found = known->find(key);
    if (found != known->end()) {
      *value = found->second;
      return std::nullopt;
    }
  }
  thrift_api::SnapshotReadRequest request;
  request.__set_key(key);
  request.__set_read_version(read_version_);
  session_.Prepare(&request);
  thrift_api::SnapshotReadResponse response;
  if (auto failure = session_.Call([&](auto& node) { node.snapshotRead(response, request); })) {
    return failure;
  }
  if (auto failure = FailureOf(response)) return failure;
  if (response.found) *value = std::move(response.value);
  reads_[key] = *value;
  return std::nullopt;
}

void Attempt::Write(const std::string& key, MaybeValue value) {
  thrift_api::Operation operation;
  operation.__set_type(value.has_value() ? "set" : "delete");
  operation.__set_key(key);
  if (value.has_value()) operation.__set_value(*value);
  const std::string& family = session_.options().column_family;
  if (!family.empty()) operation.__set_column_family(family);
  operations_.push_back(std::move(operation));
  writes_[key] = std::move(value);
}

MaybeFailure Attempt::operator()(const AddStep& step) {
  MaybeValue value;
  if (auto failure = Read(step.key, &value)) return failure;
  std::int64_t number = 0;
  const std::string text = value.value_or("0");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::int64_t sum = 0;
  if (error != std::errc() || end != text.data() + text.size() ||
      __builtin_add_overflow(number, step.amount, &sum)) {
    return Failure{kRefused, "NOT_A_NUMBER",
                   "'" + session_.Text(step.key) + "' holds '" + session_.Text(text) +
                       "', to which a number can't be added; not committed"};
  }
  Write(step.key, std::to_string(sum));
  return std::nullopt;
}

MaybeFailure Attempt::Commit(std::int64_t* version) {
  thrift_api::AtomicCommitRequest request;
  request.__set_read_version(read_version_);
  request.__set_operations(operations_);
  std::vector<thrift_api::ConflictKey> conflict_keys;
  for (const auto& [key, value] : reads_) {
    thrift_api::ConflictKey conflict;
    conflict.__set_key(key);
    const std::string& family = session_.options().column_family;
    if (!family.empty()) conflict.__set_column_family(family);
    conflict_keys.push_back(std::move(conflict));
  }
  request.__set_scoped_read_conflict_keys(conflict_keys);
  session_.Prepare(&request);
  thrift_api::AtomicCommitResponse response;
  if (auto failure = session_.Call([&](auto& node) { node.atomicCommit(response, request); })) {
    return failure;
  }
  *version = response.committed_version;
  return FailureOf(response);
}

MaybeFailure RunOnce(Attempt* attempt, const std::vector<TxnStep>& steps, std::int64_t* version) {
  if (auto failure = attempt->Begin()) return failure;
  for (const TxnStep& step : steps) {
    if (auto failure = std::visit(*attempt, step)) return failure;
  }
  return attempt->Commit(version);
}

void Report(const Session& session, const Attempt& attempt, std::int64_t version,
            std::uint32_t attempts) {
  if (session.options().json) {
    ordered_json reads = ordered_json::array();
    for (const auto& [key, value] : attempt.shown()) {
      ordered_json read = {{"found", value.has_value()}};
      PutBytes(&read, "key", key);
      if (value.has_value()) PutBytes(&read, "value", *value);
      reads.push_back(std::move(read));
    }
    Session::Print({{"committed", true},
                    {"version", version},
                    {"attempts", attempts},
                    {"reads", std::move(reads)}});
    return;
  }
  for (const auto& [key, value] : attempt.shown()) {
    std::cout << session.Text(key)
              << (value.has_value() ? "\t" + session.Text(*value) : " (not found)") << '\n';
  }
  std::cout << "committed at version " << version << " after " << attempts
            << (attempts == 1 ? " attempt" : " attempts") << std::endl;
}

}  // namespace

ExitCode RunTxn(const CommonOptions& options, const TxnArguments& arguments) {
  Session session(options);
  std::ifstream file;
  if (arguments.file != "-") file.open(arguments.file);
  if (!file) return session.Fail({kUsage, "USAGE", "cannot read '" + arguments.file + "'"});
  const auto steps = ParseTxnScript(
      arguments.file == "-" ? std::cin : static_cast<std::istream&>(file), options.form);
  if (!steps.ok()) return session.Fail({kUsage, "USAGE", steps.status().message()});
  for (std::uint32_t attempts = 1;; ++attempts) {
    Attempt attempt(&session, attempts == 1);
    std::int64_t version = 0;
    const MaybeFailure failure = RunOnce(&attempt, *steps, &version);
    if (!failure.has_value()) {
      Report(session, attempt, version, attempts);
      return kSuccess;
    }
    const bool retriable = failure->code == "CONFLICT" || failure->code == "TRANSACTION_TOO_OLD";
    if (!retriable || attempts > arguments.retries) return session.Fail(*failure);
    if (!options.json) {
      std::cerr << "cairn: attempt " << attempts << ": " << failure->code << ": "
                << failure->message << "; trying again\n";
    }
  }
}

}  // namespace cairn::cli
