// cairn-sim: runs simulated histories. Every failure prints the seed that replays it.
#include <CLI/CLI.hpp>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/history_file.h"
#include "sim/simulation.h"
#include "src/base/log.h"

namespace {

using cairn::sim::RunSeed;
using cairn::sim::SimulationOptions;
using cairn::sim::SimulationReport;
using cairn::sim::StoryLine;

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

void PrintLine(const StoryLine& line) {
  std::string who;
  if (line.kind == StoryLine::Kind::kMessage) {
    who = "n" + std::to_string(line.from) + " -> n" + std::to_string(line.to) + "  ";
  } else if (line.to >= 0) {
    who = "n" + std::to_string(line.to) + "  ";
  }
  std::printf("%12.6f  %s%s\n", static_cast<double>(line.at.ns) / 1e9, who.c_str(),
              line.text.c_str());
}

// All seeds of a range, on some threads.
class Range {
 public:
  Range(std::uint64_t first, std::uint64_t last, bool trace)
      : last_(last), trace_(trace), next_(first) {}

  // Runs them and returns how many failed.
  std::uint64_t Run(unsigned threads) {
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) running.emplace_back([this] { Work(); });
    for (std::thread& thread : running) thread.join();
    return failed_;
  }
  const SimulationReport& total() const { return total_; }

 private:
  void Work() {
    while (true) {
      std::uint64_t seed = 0;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (done_) return;
        seed = next_;
        if (next_++ == last_) done_ = true;
      }
      SimulationOptions options;
      if (trace_) options.story = PrintLine;
      Take(seed, RunSeed(seed, options));
    }
  }

  void Take(std::uint64_t seed, const SimulationReport& report) {
    const std::lock_guard<std::mutex> lock(mutex_);
    total_.simulated += report.simulated;
    total_.operations += report.operations;
    total_.faults += report.faults;
    total_.restarts += report.restarts;
    total_.snapshots += report.snapshots;
    total_.wipes += report.wipes;
    total_.voter_changes += report.voter_changes;
    total_.transfers += report.transfers;
    total_.elections += report.elections;
    if (report.violation.empty()) return;
    ++failed_;
    std::printf("FAILED seed %llu: %s\n  replay: cairn-sim --seed %llu --trace\n",
                static_cast<unsigned long long>(seed), report.violation.c_str(),
                static_cast<unsigned long long>(seed));
    std::fflush(stdout);
  }

  const std::uint64_t last_;
  const bool trace_;
  std::mutex mutex_;
  std::uint64_t next_;
  bool done_ = false;
  std::uint64_t failed_ = 0;
  SimulationReport total_;
};

// --check-history.
int Judge(const std::string& file) {
  const cairn::Result<cairn::sim::History> history = cairn::sim::LoadHistory(file);
  if (!history.ok()) {
    std::fprintf(stderr, "cairn-sim: %s\n", history.status().message().c_str());
    return 2;
  }
  const std::string wrong = cairn::sim::CheckHistory(*history);
  if (!wrong.empty()) {
    std::printf("FAILED %s: %s\n", file.c_str(), wrong.c_str());
    return 1;
  }
  std::printf("%s is right: %zu writes, %zu reads, %zu scans, %zu transactions, %zu stamps\n",
              file.c_str(), history->writes.size(), history->reads.size(), history->scans.size(),
              history->transactions.size(), history->stamps.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Runs production replicas over virtual time, networks and disks, one history a seed."};
  std::string seeds = "1..10";
  std::string seed;
  bool trace = false;
  unsigned threads = std::thread::hardware_concurrency();
  app.add_option("--seeds", seeds, "seeds to run, as A..B, both included");
  app.add_option("--seed", seed, "one seed to run");
  app.add_option("--threads", threads, "seeds that run at once; all cores by default");
  app.add_flag("--trace", trace, "print every step");
  std::string history;
  app.add_option("--check-history", history,
                 "judges a recorded history instead (docs/formats/history.md)");
  CLI11_PARSE(app, argc, argv);
  if (!history.empty()) return Judge(history);

  std::uint64_t first = 0;
  std::uint64_t last = 0;
  const std::string& wanted = seed.empty() ? seeds : seed;
  if (!ParseSeeds(wanted, &first, &last)) {
    std::fprintf(stderr, "cairn-sim: '%s' is no seed and no range A..B of 64-bit numbers\n",
                 wanted.c_str());
    return 2;
  }
  cairn::LoggingOptions logging;
  logging.level = cairn::LogLevel::kOff;
  if (const cairn::Status s = cairn::InitLogging(logging); !s.ok()) {
    std::fprintf(stderr, "cairn-sim: %s\n", s.ToString().c_str());
    return 1;
  }
  std::printf("seeds %llu..%llu\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(last));
  std::fflush(stdout);
  Range range(first, last, trace);
  const std::uint64_t failed = range.Run(trace || threads == 0 ? 1 : threads);
  const SimulationReport& total = range.total();
  std::printf(
      "%llu seeds, %.2f simulated hours, %llu operations, %llu faults, %llu restarts, %llu "
      "snapshots, %llu wiped disks, %llu changes of voters, %llu transfers, "
      "%llu elections, %llu failed\n",
      static_cast<unsigned long long>(last - first + 1),
      static_cast<double>(total.simulated.count()) / 3.6e12,
      static_cast<unsigned long long>(total.operations),
      static_cast<unsigned long long>(total.faults),
      static_cast<unsigned long long>(total.restarts),
      static_cast<unsigned long long>(total.snapshots),
      static_cast<unsigned long long>(total.wipes),
      static_cast<unsigned long long>(total.voter_changes),
      static_cast<unsigned long long>(total.transfers),
      static_cast<unsigned long long>(total.elections), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
