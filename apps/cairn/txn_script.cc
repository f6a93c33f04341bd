#include "apps/cairn/txn_script.h"

#include <charconv>
#include <string_view>

namespace cairn::cli {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Takes the next word off `rest`, as it stands between blanks or double quotes. A backslash keeps
// the character after it from ending a quoted word.
Result<std::string_view> TakeWord(std::string_view* rest) {
  *rest = Trim(*rest);
  if (rest->empty() || rest->front() != '"') {
    const std::size_t end = std::min(rest->find_first_of(kBlank), rest->size());
    const std::string_view word = rest->substr(0, end);
    rest->remove_prefix(end);
    return word;
  }
  std::size_t end = 1;
  while (end < rest->size() && (*rest)[end] != '"') end += (*rest)[end] == '\\' ? 2 : 1;
  if (end >= rest->size()) return InvalidArgumentError("a quote is not closed");
  const std::string_view word = rest->substr(1, end - 1);
  rest->remove_prefix(end + 1);
  return word;
}

// Takes exactly `count` words off `rest`, decoded.
Result<std::vector<std::string>> TakeArguments(std::string_view rest, std::size_t count,
                                               TextForm form, std::string_view usage) {
  std::vector<std::string> words;
  while (!(rest = Trim(rest)).empty()) {
    CAIRN_ASSIGN_OR_RETURN(const std::string_view word, TakeWord(&rest));
    CAIRN_ASSIGN_OR_RETURN(std::string bytes, text::FromText(word, form));
    words.push_back(std::move(bytes));
  }
  if (words.size() != count) return InvalidArgumentError("expected: " + std::string(usage));
  return words;
}

Result<TxnStep> ParseAdd(std::string_view rest, TextForm form) {
  const std::string_view usage = "add KEY N";
  CAIRN_ASSIGN_OR_RETURN(const std::string_view word, TakeWord(&rest));
  CAIRN_ASSIGN_OR_RETURN(std::string key, text::FromText(word, form));
  rest = Trim(rest);
  std::int64_t amount = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), amount);
  if (key.empty() || error != std::errc() || end != rest.data() + rest.size()) {
    return InvalidArgumentError("expected: " + std::string(usage) + ", with a whole number N");
  }
  return TxnStep(AddStep{std::move(key), amount});
}

Result<TxnStep> ParseStep(std::string_view verb, std::string_view rest, TextForm form) {
  if (verb == "get") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 1, form, "get KEY"));
    return TxnStep(GetStep{std::move(words[0])});
  }
  if (verb == "set") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 2, form, "set KEY VALUE"));
    return TxnStep(SetStep{std::move(words[0]), std::move(words[1])});
  }
  if (verb == "delete") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 1, form, "delete KEY"));
    return TxnStep(DeleteStep{std::move(words[0])});
  }
  if (verb == "add") return ParseAdd(rest, form);
  if (verb == "range") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 2, form, "range BEGIN END"));
    if (!words[1].empty() && words[1] < words[0]) {
      return InvalidArgumentError("range BEGIN END: END is before BEGIN");
    }
    return TxnStep(RangeStep{std::move(words[0]), std::move(words[1])});
  }
  if (verb == "set-versionstamped-key") {
    CAIRN_ASSIGN_OR_RETURN(auto words,
                           TakeArguments(rest, 2, form, "set-versionstamped-key PREFIX VALUE"));
    return TxnStep(StampStep{std::move(words[0]), std::move(words[1]), true});
  }
  if (verb == "set-versionstamped-value") {
    CAIRN_ASSIGN_OR_RETURN(auto words,
                           TakeArguments(rest, 2, form, "set-versionstamped-value KEY PREFIX"));
    return TxnStep(StampStep{std::move(words[0]), std::move(words[1]), false});
  }
  if (verb == "conflict-key") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 1, form, "conflict-key KEY"));
    return TxnStep(ConflictKeyStep{std::move(words[0])});
  }
  if (verb == "conflict-range") {
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 2, form, "conflict-range BEGIN END"));
    return TxnStep(ConflictRangeStep{std::move(words[0]), std::move(words[1])});
  }
  if (verb == "in") {
    // Names have escapes, whatever form keys have.
    CAIRN_ASSIGN_OR_RETURN(auto words, TakeArguments(rest, 1, TextForm::kEscaped, "in FAMILY"));
    if (words[0].empty()) return InvalidArgumentError("expected: in FAMILY");
    return TxnStep(InStep{std::move(words[0])});
  }
  if (verb == "exec" || verb == "exec-once") {
    if (rest.empty()) return InvalidArgumentError("expected: " + std::string(verb) + " COMMAND");
    return TxnStep(ExecStep{std::string(rest), verb == "exec-once"});
  }
  return InvalidArgumentError("unknown step '" + std::string(verb) +
                              "'; there are get, range, set, delete, add, set-versionstamped-key, "
                              "set-versionstamped-value, conflict-key, conflict-range, in, exec, "
                              "exec-once and commit");
}

}  // namespace

Result<std::vector<TxnStep>> ParseTxnScript(std::istream& in, TextForm form) {
  std::vector<TxnStep> steps;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    std::string_view rest = Trim(line);
    if (rest.empty() || rest.front() == '#') continue;
    const std::size_t end = std::min(rest.find_first_of(kBlank), rest.size());
    const std::string_view verb = rest.substr(0, end);
    rest = Trim(rest.substr(end));
    if (verb == "commit") {
      if (rest.empty()) return steps;
      return InvalidArgumentError("line " + std::to_string(number) + ": commit stands alone");
    }
    Result<TxnStep> step = ParseStep(verb, rest, form);
    if (!step.ok()) {
      return InvalidArgumentError("line " + std::to_string(number) + ": " +
                                  step.status().message());
    }
    steps.push_back(*std::move(step));
  }
  return steps;
}

}  // namespace cairn::cli
