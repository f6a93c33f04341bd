// Puts a system under load, and measures how long it takes.
//
// Closed loop: each of `in_flight` lanes sends its next operation when the last one has ended. What
// a stall of the system kept from being sent is not in the measured times, so the report gives a
// corrected distribution beside them (Histogram::Corrected).
//
// Open loop (`rate`): operations are due at times that do not depend on the system. One that is due
// while all lanes are busy waits, and its latency counts from when it was due. That is what users
// see; it needs no correction (Schroeder et al., "Open versus closed: a cautionary tale", 2006).
#ifndef CAIRN_SRC_LOAD_RUNNER_H_
#define CAIRN_SRC_LOAD_RUNNER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/load/histogram.h"
#include "src/load/operation.h"

namespace cairn::bench {

struct LoopOptions {
  std::size_t lanes = 64;  // operations under way at once, at most
  double rate = 0;         // operations a second, of an open loop; 0: a closed loop
  bool poisson = false;    // open: exponential gaps between operations, not equal ones
  std::uint64_t seed = 1;  // of those gaps
  // Operations that begin (open: are due) in the measured time are measured. Zero: until the source
  // ends, all of them measured.
  std::chrono::nanoseconds warmup{0};
  std::chrono::nanoseconds measured{0};
};

// Of one kind of operation, in the measured time.
struct OperationFigures {
  std::uint64_t failed = 0;
  std::uint64_t not_found = 0;
  Histogram latency;  // open loop: from when it was due; closed: corrected
  Histogram service;  // from when it was sent
  // What the closed loop's correction took as the usual time between two operations of a lane: the
  // median service time of the kind. 0 in an open loop.
  std::uint64_t expected_interval_ns = 0;
};

struct LoopReport {
  std::array<OperationFigures, kOperationKinds> kinds;
  double seconds = 0;  // from the first measured operation's start to the last one's end
  std::uint64_t conflicts = 0;
  std::uint64_t pairs = 0;  // read by scans
  // Of the whole run, warm-up included.
  std::uint64_t commits = 0;
  std::uint64_t failed = 0;
  std::string first_error;
  // Operations that ended in each slot of the measured time, and the longest latency among them.
  std::chrono::nanoseconds slot{0};
  std::vector<std::uint64_t> ended;
  std::vector<std::uint64_t> longest_ns;

  [[nodiscard]] std::uint64_t operations() const;  // measured ones that did not fail
  // Of all kinds together.
  [[nodiscard]] Histogram Latency() const;
  [[nodiscard]] Histogram Service() const;
};

// Runs until time is up or the source ends, and all operations that were begun have ended. Blocks;
// operations go on on the threads of the target.
LoopReport RunLoop(Target* target, Source* source, const LoopOptions& options);

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_RUNNER_H_
