// What share of a load each kind of operation has, and the workloads of the Yahoo! Cloud Serving
// Benchmark (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", 2010).
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_LOAD_MIX_H_
#define CAIRN_SRC_LOAD_MIX_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/load/keys.h"
#include "src/load/operation.h"

namespace cairn::bench {

struct Mix {
  // By OperationKind; at least one is not 0.
  std::array<std::uint32_t, kOperationKinds> shares = {};

  [[nodiscard]] std::uint32_t Total() const;
  // The kind that a number below Total() stands for.
  [[nodiscard]] OperationKind KindOf(std::uint64_t number) const;
  friend bool operator==(const Mix&, const Mix&) = default;
};

// "read=95,update=5". kInvalidArgument names what is wrong.
Result<Mix> ParseMix(std::string_view text);
// The same text from a mix.
std::string ToText(const Mix& mix);

struct Workload {
  std::string_view name;
  Mix mix;
  Distribution distribution = Distribution::kUniform;
};

// YCSB's a to f, or null.
//   a  half reads, half updates; Zipf             b  95 % reads, 5 % updates; Zipf
//   c  reads alone; Zipf                          d  95 % reads of the latest, 5 % inserts
//   e  95 % short scans, 5 % inserts; Zipf        f  half reads, half read-modify-writes; Zipf
//   f-txn  as f, with transactions in place of the read-modify-writes
// and those of one kind: read, update, insert, scan, rmw, txn; uniform.
const Workload* FindWorkload(std::string_view name);

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_MIX_H_
