// What the commands of `cairn dram` share: their options, and the pool that these name.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_DRAM_STORE_H_
#define CAIRN_APPS_CAIRN_DRAM_STORE_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/cairn/context.h"
#include "cairn/remote_dram.h"

namespace cairn::cli {

// Common options of the commands, by name.
inline const std::vector<std::string> kDramOptions = {"timeout-ms", "json"};
inline const std::vector<std::string> kDramByteOptions = {"timeout-ms", "json", "hex", "base64"};

// --spec and --remote.
std::vector<OptionDef> DramStoreOptions();
// The spec that --spec gives, as JSON or as a file of it; an empty object without --spec.
Result<nlohmann::json> DramSpec(const Invocation& in);
// --remote, split.
std::vector<std::string> DramRemotes(const Invocation& in);
// The pool as a client. Nothing but errors is logged from here on. A spec of a node is taken for
// one of its pool's clients.
Result<std::unique_ptr<RemoteDram>> OpenDram(const Context& context, const Invocation& in);

// Why an operation failed, with the exit code that goes with it.
Failure DramFailure(const Status& status);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_DRAM_STORE_H_
