// The commands of `cairn`, each over one connection to a node.
//
// What a command has to say goes to standard output, as text or as one JSON document; why it failed
// goes to standard error, or with JSON into the document: {"error": {"code", "message"}}.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_COMMANDS_H_
#define CAIRN_APPS_CAIRN_COMMANDS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cairn/bytes_text.h"
#include "src/base/endpoint.h"

namespace cairn::cli {

// Exit codes: part of the interface (docs/command_line.md).
enum ExitCode : int {
  kSuccess = 0,
  kKeyNotFound = 1,  // get: there is no such key
  kUsage = 2,        // wrong flags or arguments
  kRefused = 3,      // the node answered with an error
  kUnreachable = 4,  // no node can be reached, or the connection broke
  kTimedOut = 5,     // no answer in time; a write may have been applied
};

// Options that all commands take.
struct CommonOptions {
  std::vector<Endpoint> endpoints;
  std::chrono::milliseconds timeout{5000};
  std::string column_family;  // empty: the default one
  std::string read_level;     // empty: as the node is configured
  TextForm form = TextForm::kEscaped;
  bool raw = false;  // values as they are, without a newline
  bool json = false;
};

struct RangeArguments {
  std::optional<std::string> begin;  // bytes
  std::optional<std::string> end;
  std::optional<std::string> prefix;
  std::uint64_t limit = 0;  // 0: all
  bool keys_only = false;
};

struct TxnArguments {
  std::string file = "-";  // "-": standard input
  std::uint32_t retries = 10;
};

// Keys and values are bytes, already decoded.
ExitCode RunGet(const CommonOptions& options, const std::string& key,
                std::optional<std::int64_t> at_version);
ExitCode RunPut(const CommonOptions& options, const std::string& key, const std::string& value);
ExitCode RunDelete(const CommonOptions& options, const std::string& key);
ExitCode RunRange(const CommonOptions& options, const RangeArguments& arguments);
ExitCode RunStatus(const CommonOptions& options);
ExitCode RunTxn(const CommonOptions& options, const TxnArguments& arguments);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_COMMANDS_H_
