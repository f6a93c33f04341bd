// Where the shell's lines come from: a terminal, with editing, history and completion by libedit
// (BSD licence), or any stream.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_LINE_SOURCE_H_
#define CAIRN_APPS_CAIRN_LINE_SOURCE_H_

#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"

namespace cairn::cli {

class LineSource {
 public:
  virtual ~LineSource() = default;

  // The next line, without its newline. False: there are no more.
  virtual Result<bool> Next(const std::string& prompt, std::string* line) = 0;
};

// Lines of a stream, without a prompt.
std::unique_ptr<LineSource> StreamLines(std::istream* in);

// What may follow a line up to the cursor.
struct LineCompletions {
  std::size_t typed = 0;           // how many bytes of the line the words below go on from
  std::vector<std::string> words;  // sorted; each begins with those bytes
  bool path = false;               // a path is expected
};
using LineCompleter = std::function<LineCompletions(const std::string& line)>;

// Lines of the terminal that standard input is. Control-C empties the line, control-D on an empty
// one ends. History is read from `history_file` and added to it after each line, unless empty; a
// file that can't be read or written is no error. It is readable by its owner alone.
std::unique_ptr<LineSource> TerminalLines(const std::string& history_file, LineCompleter completer);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_LINE_SOURCE_H_
