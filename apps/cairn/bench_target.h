// A Cairn node or cluster as the system under load of `cairn bench`, by way of the C++ client.
//
// Thread safety: as bench::Target says. Operations end on the threads of the clients.
#ifndef CAIRN_APPS_CAIRN_BENCH_TARGET_H_
#define CAIRN_APPS_CAIRN_BENCH_TARGET_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cairn/client.h"
#include "src/load/operation.h"

namespace cairn::cli {

struct BenchSystem {
  std::vector<std::string> endpoints;  // as NodeClient::Connect takes them
  std::size_t clients = 1;             // each with connections and a thread of its own
  std::size_t lanes = 1;
  ReadLevel read_level = ReadLevel::kDefault;
  bool sessions = true;
  std::chrono::milliseconds timeout{5000};  // of an operation, and of making a connection
  std::string column_family;
};

// kUnavailable if no node answers within the system's timeout.
Result<std::unique_ptr<bench::Target>> ConnectBenchTarget(const BenchSystem& system);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_BENCH_TARGET_H_
