#include "apps/cairn/line_source.h"

#include <histedit.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <string_view>
#include <utility>

#include "apps/cairn/streams.h"

namespace cairn::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr std::size_t kLongestLine = 64 << 20;

class Stream : public LineSource {
 public:
  explicit Stream(std::istream* in) : in_(*in) {}

  // Takes what has come, without waiting for a buffer to fill: whoever writes the lines may wait
  // for answers in between.
  Result<bool> Next(const std::string&, std::string* line) override {
    line->clear();
    for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
      if (c == '\n') return true;
      if (line->size() == kLongestLine) return InvalidArgumentError("a line is over 64 MiB long");
      *line += static_cast<char>(c);
    }
    CAIRN_RETURN_IF_ERROR(CheckRead(in_, "the lines"));
    return !line->empty();
  }

 private:
  std::istream& in_;
};

// What all words begin with.
std::string CommonBeginning(const std::vector<std::string>& words) {
  std::string common = words.empty() ? std::string() : words.front();
  for (const std::string& word : words) {
    const auto [end, other] = std::mismatch(common.begin(), common.end(), word.begin(), word.end());
    common.erase(end, common.end());
  }
  return common;
}

// Keys that libedit binds to functions of C reach the object by way of its client data.
class Terminal : public LineSource {
 public:
  Terminal(std::string history_file, LineCompleter completer)
      : history_file_(std::move(history_file)), completer_(std::move(completer)) {
    std::setlocale(LC_CTYPE, "");
    editor_ = el_init("cairn", stdin, stdout, stderr);
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &Terminal::Prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_ADDFN, "cairn-complete", "Completes a word", &Terminal::Complete);
    el_set(editor_, EL_BIND, "^I", "cairn-complete", nullptr);
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // Control-C as a key, not as a signal, while a line is edited.
    el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor_, EL_ADDFN, "cairn-interrupt", "Empties the line", &Terminal::Interrupt);
    el_set(editor_, EL_BIND, "^C", "cairn-interrupt", nullptr);
  }
  ~Terminal() override {
    history_end(history_);
    el_end(editor_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Result<bool> Next(const std::string& prompt, std::string* line) override {
    prompt_ = prompt;
    interrupted_ = false;
    int length = 0;
    const char* text = el_gets(editor_, &length);
    line->clear();
    if (interrupted_) return true;
    if (text == nullptr || length <= 0) {
      std::fputs("\n", stdout);
      return false;
    }
    line->assign(text, static_cast<std::size_t>(length));
    while (!line->empty() && line->back() == '\n') line->pop_back();
    if (line->find_first_not_of(" \t") != std::string::npos) Remember(*line);
    return true;
  }

 private:
  static Terminal* Of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return static_cast<Terminal*>(self);
  }

  static const char* Prompt(EditLine* editor) { return Of(editor)->prompt_.c_str(); }

  static unsigned char Interrupt(EditLine* editor, int) {
    Of(editor)->interrupted_ = true;
    std::fputs("^C\n", stdout);
    return CC_NEWLINE;
  }

  static unsigned char Complete(EditLine* editor, int key) {
    const LineInfo* info = el_line(editor);
    const std::string line(info->buffer, info->cursor);
    const LineCompletions found = Of(editor)->completer_(line);
    if (found.path) return _el_fn_complete(editor, key);
    if (found.words.empty()) return CC_ERROR;
    std::string rest = CommonBeginning(found.words).substr(found.typed);
    if (found.words.size() == 1) rest += ' ';
    if (!rest.empty()) return el_insertstr(editor, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    std::fputs("\n", stdout);
    for (const std::string& word : found.words) std::fprintf(stdout, "%s\n", word.c_str());
    return CC_REDISPLAY;
  }

  void Remember(const std::string& line) {
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    if (!history_file_.empty()) history(history_, &event, H_SAVE, history_file_.c_str());
  }

  const std::string history_file_;
  const LineCompleter completer_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineSource> StreamLines(std::istream* in) { return std::make_unique<Stream>(in); }

std::unique_ptr<LineSource> TerminalLines(const std::string& history_file,
                                          LineCompleter completer) {
  return std::make_unique<Terminal>(history_file, std::move(completer));
}

}  // namespace cairn::cli
