// cairn-sim: runs simulated histories. Every failure prints the seed that replays it.
#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>

#include "sim/simulation.h"
#include "src/base/log.h"

namespace {

using cairn::sim::RunSeed;
using cairn::sim::SimulationOptions;
using cairn::sim::SimulationReport;

// "7" or "1..100", inclusive.
bool ParseSeeds(const std::string& text, std::uint64_t* first, std::uint64_t* last) {
  const auto number = [](const char* begin, const char* end, std::uint64_t* out) {
    const auto [stop, error] = std::from_chars(begin, end, *out);
    return error == std::errc() && stop == end;
  };
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) {
    if (!number(begin, end, first)) return false;
    *last = *first;
    return true;
  }
  return number(begin, begin + dots, first) && number(begin + dots + 2, end, last) &&
         *first <= *last;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs production replicas over virtual time and disks, one history a seed."};
  std::string seeds = "1..10";
  std::string seed;
  bool trace = false;
  app.add_option("--seeds", seeds, "seeds to run, as A..B, both included");
  app.add_option("--seed", seed, "one seed to run");
  app.add_flag("--trace", trace, "print what happens to the nodes");
  CLI11_PARSE(app, argc, argv);

  std::uint64_t first = 0;
  std::uint64_t last = 0;
  const std::string& wanted = seed.empty() ? seeds : seed;
  if (!ParseSeeds(wanted, &first, &last)) {
    std::fprintf(stderr, "cairn-sim: '%s' is no seed and no range A..B of 64-bit numbers\n",
                 wanted.c_str());
    return 2;
  }
  cairn::LoggingOptions logging;
  logging.level = trace ? cairn::LogLevel::kInfo : cairn::LogLevel::kOff;
  if (const cairn::Status s = cairn::InitLogging(logging); !s.ok()) {
    std::fprintf(stderr, "cairn-sim: %s\n", s.ToString().c_str());
    return 1;
  }

  std::printf("seeds %llu..%llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(last));
  SimulationReport total;
  std::uint64_t failed = 0;
  for (std::uint64_t s = first;; ++s) {
    SimulationOptions options;
    options.seed = s;
    if (trace) {
      options.trace = [](cairn::MonotonicTime at, const std::string& line) {
        std::printf("%12.6f  %s\n", static_cast<double>(at.ns) / 1e9, line.c_str());
      };
    }
    const SimulationReport report = RunSeed(options);
    total.simulated += report.simulated;
    total.operations += report.operations;
    total.faults += report.faults;
    total.restarts += report.restarts;
    if (!report.violation.empty()) {
      ++failed;
      std::printf("FAILED seed %llu: %s\n  replay: cairn-sim --seed %llu --trace\n",
                  static_cast<unsigned long long>(s), report.violation.c_str(),
                  static_cast<unsigned long long>(s));
      std::fflush(stdout);
    }
    if (s == last) break;
  }
  std::printf(
      "%llu seeds, %.2f simulated hours, %llu operations, %llu faults, %llu restarts, "
      "%llu failed\n",
      static_cast<unsigned long long>(last - first + 1),
      static_cast<double>(total.simulated.count()) / 3.6e12,
      static_cast<unsigned long long>(total.operations),
      static_cast<unsigned long long>(total.faults),
      static_cast<unsigned long long>(total.restarts), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
