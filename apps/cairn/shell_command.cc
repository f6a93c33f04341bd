// shell: the commands of the table, line by line, on one connection, and transactions.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "apps/cairn/command_table.h"
#include "apps/cairn/context.h"
#include "apps/cairn/line_source.h"
#include "apps/cairn/shell_transaction.h"
#include "apps/cairn/shell_words.h"
#include "src/cli/completion.h"
#include "src/cli/help.h"

namespace cairn::cli {
namespace {

constexpr std::uint64_t kMostKeysOffered = 50;

// What lines of the shell may say: every command but `shell` itself, and the shell's own.
const ProgramDef& ShellProgram() {
  static const ProgramDef program = [] {
    ProgramDef shell = Program();
    shell.help_word = "help";
    std::erase_if(shell.commands,
                  [](const CommandDef& one) { return one.name == "shell" || one.name == "help"; });
    const std::vector<CommandDef> own = {
        {.name = "begin",
         .summary = "Begins a transaction",
         .description = {"get, put, delete and range are then its steps: they read at its version, "
                         "see its writes, and write nothing before the commit."},
         .common = {"endpoints", "timeout-ms", "json", "read-level"}},
        {.name = "commit",
         .summary = "Commits the transaction; fails if something it has read was changed",
         .common = {"endpoints", "timeout-ms", "json"}},
        {.name = "abort", .summary = "Gives the transaction up", .common = {"json"}},
        {.name = "in",
         .summary = "Lines that follow are about this column family",
         .description = {"In a transaction too, which may be over several of them. 'in default' "
                         "goes back; --column-family of a line counts more."},
         .arguments = {{.name = "FAMILY", .help = "The column family"}}},
        HelpDef(),
        {.name = "exit", .summary = "Ends the shell; a transaction that was begun is given up"}};
    shell.commands.insert(shell.commands.begin(), own.begin(), own.end());
    const auto& steps = ShellTransaction::OwnSteps();
    shell.commands.insert(shell.commands.begin() + 3, steps.begin(), steps.end());
    return shell;
  }();
  return program;
}

class Shell {
 public:
  Shell(Context* context, const Invocation& in, std::unique_ptr<LineSource> lines, bool interactive)
      : context_(*context),
        session_(SessionOptions(in)),
        lines_(std::move(lines)),
        interactive_(interactive) {}

  ExitCode Run() {
    std::string line;
    for (std::uint64_t number = 1; !ended_; ++number) {
      const auto more = lines_->Next(transaction_.has_value() ? "cairn*> " : "cairn> ", &line);
      if (!more.ok()) return context_.Fail(UsageFailure(more.status()));
      if (!*more) break;
      const ExitCode code = Take(line);
      if (interactive_ || code == kSuccess || code == kKeyNotFound) continue;
      std::cerr << "cairn: stopped at line " << number << Abandoned() << "\n";
      return code;
    }
    if (!transaction_.has_value() || transaction_->writes() == 0) return kSuccess;
    std::cerr << "cairn: ended without commit" << Abandoned() << "\n";
    return interactive_ ? kSuccess : kRefused;
  }

 private:
  // The common options that the shell was given, as words for the commands that take them.
  static std::vector<std::pair<std::string, std::string>> SessionOptions(const Invocation& in) {
    std::vector<std::pair<std::string, std::string>> given;
    for (const OptionDef& option : Program().common) {
      if (in.Takes(option.name) && in.Has(option.name)) {
        given.emplace_back(option.name, in.Text(option.name).value_or(""));
      }
    }
    return given;
  }

  [[nodiscard]] std::string Abandoned() const {
    return transaction_.has_value() ? "; the transaction was given up, nothing of it was written"
                                    : "";
  }

  ExitCode Take(const std::string& line) {
    auto words = SplitWords(line);
    if (!words.ok()) return context_.Fail(UsageFailure(words.status()));
    // A line that was copied from a terminal.
    if (!words->empty() && words->front() == Program().name) words->erase(words->begin());
    if (words->empty()) return kSuccess;
    if (words->front() == "quit") words->front() = "exit";
    const auto outcome = Parse(ShellProgram(), WithSessionOptions(*std::move(words)));
    if (!outcome.ok()) return context_.Fail(UsageFailure(outcome.status()));
    if (const auto* help = std::get_if<HelpRequest>(&*outcome)) {
      std::cout << HelpText(ShellProgram(), *help) << std::flush;
      return kSuccess;
    }
    if (std::holds_alternative<VersionRequest>(*outcome)) {
      std::cout << "cairn " << Program().version << std::endl;
      return kSuccess;
    }
    return Execute(std::get<Invocation>(*outcome));
  }

  // The session's options stand before the line's own, so that those count. One that excludes an
  // option of the line is left out.
  std::vector<std::string> WithSessionOptions(std::vector<std::string> words) const {
    const CommandDef* command = FindCommand(ShellProgram(), words.front());
    if (command == nullptr && words.size() > 1) {
      command = FindCommand(ShellProgram(), words[0] + " " + words[1]);
    }
    if (command == nullptr) return words;
    const auto given = [&](const std::string& name) {
      return std::find(words.begin(), words.end(), "--" + name) != words.end();
    };
    std::vector<std::string> all;
    for (const auto& [name, value] : session_) {
      const OptionDef* option = FindOption(ShellProgram(), *command, name);
      if (option == nullptr) continue;
      if (name == "column-family" && given("all-families")) continue;
      if ((name == "hex" && given("base64")) || (name == "base64" && given("hex"))) continue;
      all.push_back("--" + name);
      if (option->kind != ValueKind::kFlag) all.push_back(value);
    }
    all.insert(all.end(), std::make_move_iterator(words.begin()),
               std::make_move_iterator(words.end()));
    return all;
  }

  ExitCode Execute(const Invocation& in) {
    const std::string& name = in.command().name;
    if (name == "exit") {
      ended_ = true;
      return kSuccess;
    }
    if (name == "help") return Help(in);
    if (name == "in") return In(in);
    const bool own = name == "begin" || name == "commit" || name == "abort" ||
                     FindCommand(Program(), name) == nullptr;
    const bool step = transaction_.has_value() && ShellTransaction::IsStep(name);
    if (!own && !step) return RunOutside(in);
    if (const auto failure = context_.Configure(in)) return context_.Fail(*failure);
    if (name == "begin") return Begin();
    if (!transaction_.has_value()) {
      return context_.Fail(UsageFailure("there is no transaction; 'begin' begins one"));
    }
    if (name == "commit") return Commit();
    if (name == "abort") return Abort();
    return transaction_->Step(in);
  }

  ExitCode RunOutside(const Invocation& in) {
    static const std::vector<std::string> writers = {"txn", "load"};
    const bool writes =
        std::find(writers.begin(), writers.end(), in.command().name) != writers.end();
    if (transaction_.has_value() && writes) {
      return context_.Fail(UsageFailure("'" + in.command().name +
                                        "' makes transactions of its own; commit or abort first"));
    }
    return cli::Run(context_, in);
  }

  ExitCode Begin() {
    if (transaction_.has_value()) {
      return context_.Fail(
          UsageFailure("a transaction has been begun already; commit or abort it first"));
    }
    transaction_.emplace(&context_);
    const ExitCode code = transaction_->Begin();
    if (code != kSuccess) transaction_.reset();
    return code;
  }

  ExitCode Commit() {
    const ExitCode code = transaction_->Commit();
    transaction_.reset();
    return code;
  }

  ExitCode Abort() {
    transaction_.reset();
    if (context_.options().json) Context::Print({{"aborted", true}});
    return kSuccess;
  }

  // The column family becomes an option of the session.
  ExitCode In(const Invocation& in) {
    const auto family = FamilyName(in.Required("FAMILY"), "FAMILY");
    if (!family.ok()) return context_.Fail(UsageFailure(family.status()));
    std::erase_if(session_, [](const auto& option) { return option.first == "column-family"; });
    if (*family != "default") session_.emplace_back("column-family", ShownFamily(*family));
    return kSuccess;
  }

  ExitCode Help(const Invocation& in) {
    if (!in.Has("COMMAND")) {
      std::cout
          << CommandListText(ShellProgram())
          << "\n'help COMMAND' explains a command. Tab completes commands, options and keys.\n"
          << std::flush;
      return kSuccess;
    }
    const auto text = HelpFor(ShellProgram(), in);
    if (!text.ok()) return context_.Fail(UsageFailure(text.status()));
    std::cout << *text << std::flush;
    return kSuccess;
  }

  Context& context_;
  std::vector<std::pair<std::string, std::string>> session_;
  const std::unique_ptr<LineSource> lines_;
  const bool interactive_;
  std::optional<ShellTransaction> transaction_;
  bool ended_ = false;
};

// Keys of the node that begin so, as words of a line.
std::vector<std::string> KeysFrom(Context* context, const std::string& beginning) {
  std::vector<std::string> words;
  const auto prefix = context->Bytes(beginning, "KEY");
  if (!prefix.ok()) return words;
  Client* client = nullptr;
  if (context->Connect(&client).has_value()) return words;
  RangeRequest range = RangeRequest::WithPrefix(*prefix);
  range.limit = kMostKeysOffered;
  const auto found = client->GetRange(range, context->Reading());
  if (!found.ok()) return words;
  for (const KeyValue& pair : found->key_values) {
    std::string word = context->Text(pair.key);
    // What is no single word as it stands would need quotes.
    const bool plain = word.find_first_of(" \"'#") == std::string::npos;
    if (plain && word.starts_with(beginning)) words.push_back(std::move(word));
  }
  return words;
}

LineCompletions CompleteLine(Context* context, const Invocation& shell, const std::string& line) {
  PartialLine partial = SplitPartialLine(line);
  if (partial.quoted) return {};
  if (!partial.before.empty() && partial.before.front() == Program().name) {
    partial.before.erase(partial.before.begin());
  }
  Candidates found = Complete(ShellProgram(), partial.before, partial.beginning);
  // In the shell's own form, whatever the last line asked for.
  if (found.bytes && !context->Configure(shell).has_value()) {
    found.words = KeysFrom(context, partial.beginning);
  }
  return {partial.beginning.size(), std::move(found.words), found.path};
}

std::string HistoryFile(const Invocation& in) {
  if (in.Has("no-history")) return {};
  if (auto path = in.Text("history")) return *path;
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == 0 ? std::string() : std::string(home) + "/.cairn_history";
}

ExitCode RunShell(Context& context, const Invocation& in) {
  const bool interactive = ::isatty(STDIN_FILENO) != 0;
  context.TakeStandardInput();
  std::unique_ptr<LineSource> lines =
      interactive
          ? TerminalLines(HistoryFile(in),
                          [&](const std::string& line) { return CompleteLine(&context, in, line); })
          : StreamLines(&std::cin);
  if (interactive) {
    std::cout << "cairn " << Program().version << "; 'help' lists the commands, Tab completes them"
              << std::endl;
  }
  return Shell(&context, in, std::move(lines), interactive).Run();
}

CommandDef ShellDef() {
  return {
      .name = "shell",
      .summary = "Takes commands line by line, with transactions",
      .description =
          {"A line is a command of cairn, without the word cairn. Words with blanks stand in "
           "quotes; "
           "a # begins a comment. All lines use one connection. Common options that the shell was "
           "given hold for every line that takes them.",
           "begin, commit and abort make a transaction: between them, get, put, delete and range "
           "read at one version and see its own writes, and nothing is written before the commit.",
           "On a terminal, lines can be edited, Tab completes commands, options and keys, and the "
           "history is kept. Otherwise lines are read from standard input, and the first that "
           "fails "
           "ends the shell with its exit code; that a key was not found is no failure."},
      .options = {{.name = "history",
                   .kind = ValueKind::kFile,
                   .value_name = "FILE",
                   .help = "Where lines are kept; unless given, ~/.cairn_history"},
                  {.name = "no-history", .help = "Keeps no lines", .excludes = {"history"}}},
      .common = kReadOptions,
      .examples = {
          {"cairn shell", "Type commands"},
          {"printf 'begin\\nput a 1\\nput b 2\\ncommit\\n' | cairn shell", "Two writes at once"}}};
}

}  // namespace

std::vector<Command> ShellCommands() { return {{ShellDef(), RunShell}}; }

}  // namespace cairn::cli
