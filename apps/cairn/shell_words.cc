#include "apps/cairn/shell_words.h"

#include <utility>

namespace cairn::cli {
namespace {

bool Blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Reads a line character by character.
class Splitter {
 public:
  void Take(std::string_view line) {
    for (std::size_t i = 0; i < line.size() && !comment_; ++i) {
      const char c = line[i];
      if (quote_ != 0) {
        if (quote_ == '"' && c == '\\' && i + 1 < line.size()) {
          ++i;
          if (line[i] != '"') word_ += c;
          word_ += line[i];
        } else if (c == quote_) {
          quote_ = 0;
        } else {
          word_ += c;
        }
      } else if (Blank(c)) {
        EndWord();
      } else if (c == '#' && !in_word_) {
        comment_ = true;
      } else if (c == '"' || c == '\'') {
        quote_ = c;
        quoted_ = in_word_ = true;
      } else {
        word_ += c;
        in_word_ = true;
      }
    }
  }
  void EndWord() {
    if (in_word_) words_.push_back(std::exchange(word_, {}));
    in_word_ = quoted_ = false;
  }
  [[nodiscard]] bool open() const { return quote_ != 0; }
  [[nodiscard]] bool quoted() const { return quoted_; }
  [[nodiscard]] bool comment() const { return comment_; }
  [[nodiscard]] const std::string& word() const { return word_; }
  std::vector<std::string> TakeWords() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
  std::string word_;
  bool in_word_ = false;
  bool quoted_ = false;
  bool comment_ = false;
  char quote_ = 0;
};

}  // namespace

Result<std::vector<std::string>> SplitWords(std::string_view line) {
  Splitter splitter;
  splitter.Take(line);
  if (splitter.open()) return InvalidArgumentError("a quote is not closed");
  splitter.EndWord();
  return splitter.TakeWords();
}

PartialLine SplitPartialLine(std::string_view line) {
  Splitter splitter;
  splitter.Take(line);
  PartialLine partial;
  partial.beginning = splitter.word();
  partial.quoted = splitter.quoted() || splitter.comment();
  partial.before = splitter.TakeWords();
  return partial;
}

}  // namespace cairn::cli
