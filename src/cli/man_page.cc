#include "src/cli/man_page.h"

#include <algorithm>
#include <cctype>

#include "src/cli/help.h"

namespace cairn::cli {
namespace {

// Text as roff shows it as it is.
std::string Roff(const std::string& words) {
  std::string text;
  for (const char c : words) {
    if (text.empty() && (c == '.' || c == '\'')) text += "\\&";
    if (c == '\\') {
      text += "\\e";
    } else if (c == '-') {
      text += "\\-";
    } else {
      text += c;
    }
  }
  return text;
}

std::string Bold(const std::string& words) { return "\\fB" + Roff(words) + "\\fR"; }
std::string Italic(const std::string& words) { return "\\fI" + Roff(words) + "\\fR"; }

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// A page in the making.
class Page {
 public:
  Page(const ProgramDef& program, const std::string& name) {
    text_ = ".\\\" Made of the table of commands; changes here are lost.\n.TH " +
            Roff(Upper(name)) + " 1 \"\" \"" + Roff(program.name + " " + program.version) +
            "\" \"User Commands\"\n";
  }

  void Section(const std::string& heading) {
    text_ += ".SH " + heading + "\n";
    fresh_ = true;
  }
  void Line(const std::string& roff) {
    text_ += roff + "\n";
    fresh_ = false;
  }
  // Begins a paragraph, unless a section has just begun.
  void Break() {
    if (!fresh_) text_ += ".PP\n";
    fresh_ = false;
  }
  // The first one follows its heading without a macro.
  void Paragraphs(const std::vector<std::string>& paragraphs) {
    for (const std::string& paragraph : paragraphs) {
      Break();
      if (paragraph.starts_with(" ")) {
        text_ += ".nf\n" + Roff(paragraph) + "\n.fi\n";
      } else {
        text_ += Roff(paragraph) + "\n";
      }
    }
  }
  void Entry(const std::string& tag, const std::string& words) {
    text_ += ".TP\n" + tag + "\n" + Roff(words) + "\n";
  }
  void Option(const OptionDef& option) {
    std::string tag = Bold("--" + option.name);
    if (!option.value_name.empty()) tag += " " + Italic(option.value_name);
    Entry(tag, option.help + Remarks(option) + ".");
  }
  void ExitCodes(const ProgramDef& program) {
    Section("EXIT STATUS");
    for (const ExitCodeDef& code : program.exit_codes) {
      Entry(Bold(std::to_string(code.code)), code.meaning);
    }
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool fresh_ = false;
};

std::string Reference(const std::string& page) { return Bold(page) + "(1)"; }

std::string PageOfProgram(const ProgramDef& program) {
  Page page(program, program.name);
  page.Section("NAME");
  page.Line(Roff(program.name) + " \\- " + Roff(program.summary));
  page.Section("SYNOPSIS");
  page.Line(Bold(program.name) + " " + Italic("COMMAND") + " [" + Italic("OPTIONS") + "] [" +
            Italic("ARGUMENTS") + "]");
  page.Section("DESCRIPTION");
  page.Paragraphs(program.description);
  page.Section("COMMANDS");
  for (const CommandDef& command : program.commands) {
    page.Entry(Reference(ManPageName(program, &command)), command.summary + ".");
  }
  page.Section("OPTIONS OF SEVERAL COMMANDS");
  for (const OptionDef& option : program.common) page.Option(option);
  page.Entry(Bold("--help") + ", " + Bold("-h"),
             "Explains the program, or the command that it stands behind.");
  page.Entry(Bold("--version"), "Shows the version.");
  page.ExitCodes(program);
  return page.text();
}

std::string PageOfCommand(const ProgramDef& program, const CommandDef& command) {
  const std::string name = ManPageName(program, &command);
  Page page(program, name);
  page.Section("NAME");
  page.Line(Roff(name) + " \\- " + Roff(command.summary));
  page.Section("SYNOPSIS");
  std::string synopsis = Bold(program.name + " " + command.name);
  if (!command.options.empty() || !command.common.empty()) {
    synopsis += " [" + Italic("OPTIONS") + "]";
  }
  for (const ArgumentDef& argument : command.arguments) {
    synopsis +=
        argument.required ? " " + Italic(argument.name) : " [" + Italic(argument.name) + "]";
  }
  page.Line(synopsis);
  page.Section("DESCRIPTION");
  page.Line(Roff(command.summary) + ".");
  page.Paragraphs(command.description);
  if (!command.arguments.empty()) page.Section("ARGUMENTS");
  for (const ArgumentDef& argument : command.arguments) {
    page.Entry(Italic(argument.name), argument.help + Remarks(argument) + ".");
  }
  const auto common = CommonOptionsOf(program, command);
  if (!command.options.empty() || !common.empty()) page.Section("OPTIONS");
  for (const OptionDef& option : command.options) page.Option(option);
  for (const OptionDef* option : common) page.Option(*option);
  page.ExitCodes(program);
  if (!command.examples.empty()) page.Section("EXAMPLES");
  for (const ExampleDef& example : command.examples) {
    page.Break();
    page.Line(Roff(example.what) + ":\n.PP\n.nf\n.RS\n" + Roff(example.command) + "\n.RE\n.fi");
  }
  page.Section("SEE ALSO");
  page.Line(Reference(program.name));
  return page.text();
}

}  // namespace

std::string ManPageName(const ProgramDef& program, const CommandDef* command) {
  if (command == nullptr) return program.name;
  std::string name = program.name + "-" + command->name;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string ManPage(const ProgramDef& program, const CommandDef* command) {
  return command == nullptr ? PageOfProgram(program) : PageOfCommand(program, *command);
}

}  // namespace cairn::cli
