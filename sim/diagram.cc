// Which part of a story matters, and how Mermaid draws it.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/story.h"

namespace cairn::sim {
namespace {

using Kind = StoryLine::Kind;

constexpr std::size_t kMostText = 110;

// ---- What matters

// The words of a violation that its causes share with it: keys, values, and numbers of slots,
// versions and sessions with what they are numbers of.
std::vector<std::string> WordsOf(const std::string& violation) {
  static const std::set<std::string> kNumbered = {"slot", "version", "session", "epoch"};
  const std::vector<std::string> words =
      absl::StrSplit(violation, absl::ByAnyChar(" ,;:()"), absl::SkipEmpty());
  std::vector<std::string> marks;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() > 2 && (word.find('/') != std::string::npos || word.front() == '\'')) {
      marks.push_back(word);
    } else if (kNumbered.contains(word) && i + 1 < words.size()) {
      marks.push_back(word + " " + words[i + 1]);
      // Slots in messages and syncs look like "8/3".
      if (word == "slot") marks.push_back(words[i + 1] + "/");
    }
  }
  return marks;
}

// `mark` as words of its own: "slot 1" is not in "slot 12".
bool Mentions(std::string_view text, std::string_view mark) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = text.find(mark); at != std::string_view::npos;
       at = text.find(mark, at + 1)) {
    const std::size_t end = at + mark.size();
    const bool begins = at == 0 || !is_part(text[at - 1]) || !is_part(mark.front());
    const bool ends = end == text.size() || !is_part(text[end]) || !is_part(mark.back());
    if (begins && ends) return true;
  }
  return false;
}

// What a violation is about: the words it shares with its causes, and the operations it names, as
// "client 2, 1.234567..1.300000".
class Subject {
 public:
  explicit Subject(const std::string& violation) : words_(WordsOf(violation)) {
    static const std::regex kOperation(R"(client (-?\d+), (\d+\.\d+)\.\.(\d+\.\d+)?)");
    for (std::sregex_iterator it(violation.begin(), violation.end(), kOperation), end; it != end;
         ++it) {
      const std::smatch& match = *it;
      operations_.push_back(
          {std::stoi(match[1]), std::stod(match[2]), match[3].matched ? std::stod(match[3]) : 1e9});
    }
  }

  // The higher, the more the line belongs into the picture.
  [[nodiscard]] int RankOf(const StoryLine& line) const {
    if (line.kind == Kind::kTrouble) return 5;
    const double at = static_cast<double>(line.at.ns) / 1e9;
    const bool of_operation =
        (line.kind == Kind::kCall || line.kind == Kind::kAnswer) &&
        std::any_of(operations_.begin(), operations_.end(), [&](const Operation& operation) {
          return line.client == operation.client && at > operation.begin - 1e-5 &&
                 at < operation.end + 1e-5;
        });
    if (of_operation) return 4;
    if (line.kind == Kind::kFault) return 3;
    const bool marked = std::any_of(words_.begin(), words_.end(), [&](const std::string& word) {
      return Mentions(line.text, word);
    });
    if (marked) return 3;
    switch (line.kind) {
      case Kind::kNode:
        // Everybody starts, as a follower of nobody.
        return line.at.ns < 1'000'000 ? 0 : 2;
      case Kind::kCall:
      case Kind::kAnswer:
        return 1;
      case Kind::kApply:
        return -1;  // soon after the commit
      default:
        return 0;
    }
  }

 private:
  struct Operation {
    int client;
    double begin;
    double end;
  };
  const std::vector<std::string> words_;
  std::vector<Operation> operations_;
};

// Positions of the lines to draw, in order.
std::vector<std::size_t> Relevant(const Story& story, std::size_t most) {
  const Subject subject(story.report.violation);
  std::vector<std::pair<int, std::size_t>> ranked;
  for (std::size_t i = 0; i < story.lines.size(); ++i) {
    const StoryLine& line = story.lines[i];
    if (line.routine || line.kind == Kind::kClient) continue;
    ranked.emplace_back(subject.RankOf(line), i);
  }
  // By rank, the latest first.
  std::sort(ranked.rbegin(), ranked.rend());
  if (ranked.size() > most) ranked.resize(most);
  std::vector<std::size_t> chosen;
  for (const auto& [rank, i] : ranked) chosen.push_back(i);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// ---- How it is drawn

// Semicolons end a statement in Mermaid and a # begins a character's code.
std::string Escaped(const std::string& text) {
  std::string safe =
      absl::StrReplaceAll(text, {{";", ","}, {"#", "no. "}, {"\n", " "}, {"<", "("}, {">", ")"}});
  if (safe.size() > kMostText) safe = safe.substr(0, kMostText) + "..";
  return safe;
}

std::string Draw(const StoryLine& line, std::uint32_t nodes) {
  const std::string text =
      fmt::format("{:.3f} {}", static_cast<double>(line.at.ns) / 1e9, Escaped(line.text));
  const std::string everybody = nodes == 1 ? "n0" : fmt::format("n0,n{}", nodes - 1);
  switch (line.kind) {
    case Kind::kMessage:
      return fmt::format("    n{}->>n{}: {}\n", line.from, line.to, text);
    case Kind::kCall:
      return fmt::format("    {}->>n{}: {}\n", ClientName(line.client), line.to, text);
    case Kind::kAnswer:
      return fmt::format("    n{}-->>{}: {}\n", line.from, ClientName(line.client), text);
    case Kind::kTrouble:
      return fmt::format("    Note over {}: WRONG at {}\n", everybody, text);
    case Kind::kFault:
      return fmt::format("    Note over n{}: fault at {}\n", line.to, text);
    default:
      if (line.to < 0) return fmt::format("    Note over {}: {}\n", everybody, text);
      return fmt::format("    Note over n{}: {}\n", line.to, text);
  }
}

}  // namespace

std::string SequenceDiagram(const Story& story, std::size_t most_events) {
  const std::vector<std::size_t> chosen = Relevant(story, most_events);
  std::string text = "sequenceDiagram\n";
  std::set<int> clients;
  for (const std::size_t i : chosen) {
    const StoryLine& line = story.lines[i];
    if (line.kind == Kind::kCall || line.kind == Kind::kAnswer) clients.insert(line.client);
  }
  for (const int client : clients) {
    absl::StrAppend(&text, "    participant ", ClientName(client), " as ",
                    client < 0 ? "the examiner" : absl::StrCat("client ", client), "\n");
  }
  for (std::uint32_t n = 0; n < story.plan.nodes; ++n) {
    absl::StrAppend(&text, "    participant n", n, " as node ", n, "\n");
  }
  for (const std::size_t i : chosen) text += Draw(story.lines[i], story.plan.nodes);
  return text;
}

}  // namespace cairn::sim
