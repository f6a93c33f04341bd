// The command line: words to one command of the table, which then runs. docs/command_line.md
// describes it all.
#include <thrift/Thrift.h>

#include <algorithm>
#include <iostream>

#include "apps/cairn/command_table.h"
#include "apps/cairn/context.h"
#include "apps/cairn/streams.h"
#include "src/base/abseil/lock_checks.h"
#include "src/cli/help.h"

namespace cairn::cli {
namespace {

int Main(const std::vector<std::string>& words) {
  Context context;
  const auto outcome = Parse(Program(), words);
  if (!outcome.ok()) {
    if (std::find(words.begin(), words.end(), "--json") != words.end()) {
      Context::Print({{"error", {{"code", "USAGE"}, {"message", outcome.status().message()}}}});
    } else {
      std::cerr << "cairn: " << outcome.status().message() << "\n";
    }
    return kUsage;
  }
  if (const auto* help = std::get_if<HelpRequest>(&*outcome)) {
    std::cout << HelpText(Program(), *help) << std::flush;
    return kSuccess;
  }
  if (std::holds_alternative<VersionRequest>(*outcome)) {
    std::cout << "cairn " << Program().version << std::endl;
    return kSuccess;
  }
  return Run(context, std::get<Invocation>(*outcome));
}

}  // namespace
}  // namespace cairn::cli

int main(int argc, char** argv) {
  // Bulk goes through these streams. Before their first use: later, what they hold would be lost.
  std::ios::sync_with_stdio(false);
  // Thrift reports connection errors on standard error by itself; the commands report them once.
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
  cairn::SkipAbseilLockChecks();
  const int code = cairn::cli::Main({argv + 1, argv + argc});
  // Results that did not get out, to a full disk or a closed stream, are no success. Of its bulk on
  // stdio's stream, dump has said so.
  const cairn::Status written = cairn::cli::FlushStandardOutput(code == cairn::cli::kSuccess);
  if (written.ok()) return code;
  std::cerr << "cairn: " << written.message() << std::endl;
  return code <= cairn::cli::kKeyNotFound ? cairn::cli::kRefused : code;
}
