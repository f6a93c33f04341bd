// A closed loop: each client has a connection of its own and sends its next request when the last
// one is answered. A client is a thread that blocks or, if asked for and the driver can, what runs
// when an answer comes. The same loop drives every system, so that the figures compare.
//
// A run has a warm-up, which is not measured, and a measured part. Keys are drawn uniformly and
// reproducibly from `keys` keys; values are random bytes, so that no compression helps anyone.
//
// Thread safety: RunLoad and Fill make their own threads and join them before they return; clients
// without threads run on those of the system's own client.
#ifndef CAIRN_BENCH_LOAD_WORKLOAD_H_
#define CAIRN_BENCH_LOAD_WORKLOAD_H_

#include <cstdint>
#include <string>

#include "bench/load/driver.h"
#include "src/load/histogram.h"

namespace cairn::bench {

struct LoadOptions {
  int clients = 64;
  bool async = false;  // clients have no threads; Fill has threads all the same
  double warmup_s = 2;
  double measure_s = 10;
  std::uint64_t keys = 100000;
  std::uint32_t value_bytes = 256;
  int read_percent = 0;  // 0: Sets alone; 100: Gets alone
  std::uint64_t seed = 1;
};

struct LoadReport {
  double measured_s = 0;  // from the first thread's start to the last one's end
  Histogram reads;        // latencies of the measured part
  Histogram writes;
  std::uint64_t total_writes = 0;  // answered ones, the warm-up's too
  std::uint64_t errors = 0;        // of the whole run; the first error ends its thread
  std::string first_error;
};

// Runs the load. Fails if a connection can't be made; errors of requests are in the report.
Result<LoadReport> RunLoad(Driver& driver, const LoadOptions& options);

// Sets every key of the key space once, the threads sharing it. Takes clients, keys, value_bytes
// and seed from `options`; fails on the first error.
Result<LoadReport> Fill(Driver& driver, const LoadOptions& options);

// The key of a number: 16 bytes, in the order of the numbers.
std::string KeyOf(std::uint64_t number);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_LOAD_WORKLOAD_H_
