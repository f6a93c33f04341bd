// get, put, delete and range inside a transaction of the shell: reads are of its version and see
// its writes, and writes wait for the commit.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_SHELL_TRANSACTION_H_
#define CAIRN_APPS_CAIRN_SHELL_TRANSACTION_H_

#include <string>
#include <vector>

#include "apps/cairn/context.h"
#include "apps/cairn/timed_transaction.h"

namespace cairn::cli {

class ShellTransaction {
 public:
  explicit ShellTransaction(Context* context) : context_(*context), transaction_(context) {}

  // Takes the read version, and says which it is.
  ExitCode Begin();
  // Can this command be a step of a transaction?
  static bool IsStep(const std::string& command);
  ExitCode Step(const Invocation& in);
  // The steps that are no commands outside a transaction.
  static const std::vector<CommandDef>& OwnSteps();
  // Commits, and says at which version.
  ExitCode Commit();

  [[nodiscard]] std::size_t writes() const { return transaction_.pending_writes(); }

 private:
  static const CommandDef* FindOwnStep(const std::string& command);
  ExitCode OwnStep(const Invocation& in);
  ExitCode Get(const Invocation& in);
  ExitCode Put(const Invocation& in);
  ExitCode Delete(const Invocation& in);
  ExitCode Range(const Invocation& in);
  // Says in JSON that a write waits.
  ExitCode Waiting() const;

  [[nodiscard]] const std::string& family() const { return context_.options().column_family; }

  Context& context_;
  TimedTransaction transaction_;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_SHELL_TRANSACTION_H_
