// cairn-sim: runs simulated histories. Every failure prints the seed that replays it, and the
// shortest story of it that was found.
#include <CLI/CLI.hpp>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/history_file.h"
#include "sim/shrink.h"
#include "sim/simulation.h"
#include "sim/story.h"
#include "sim/thinning.h"
#include "sim/totals.h"
#include "src/base/log.h"
#include "src/base/testing/planted_bug_names.h"

namespace {

using cairn::sim::MakePlan;
using cairn::sim::NameOf;
using cairn::sim::ReadableTrace;
using cairn::sim::ReplayCommand;
using cairn::sim::RunPlan;
using cairn::sim::SequenceDiagram;
using cairn::sim::Shrink;
using cairn::sim::Shrunk;
using cairn::sim::SimulationOptions;
using cairn::sim::SimulationReport;
using cairn::sim::Story;
using cairn::sim::StoryLine;
using cairn::sim::TellStory;
using cairn::sim::Thin;
using cairn::sim::Thinning;
using cairn::sim::Totals;

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

// A seed that nobody has chosen: what a run is about is random, the run itself is not. Small enough
// that there are seeds behind it.
std::uint64_t AnySeed() {
  std::random_device device;
  return std::uniform_int_distribution<std::uint64_t>(1, std::uint64_t{1} << 53)(device);
}

struct Wanted {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  // Of real time: no seed is begun after it, but the first one. Histories know nothing of it.
  std::optional<std::chrono::duration<double>> time;
  Thinning thinning;
  SimulationOptions options;
  bool trace = false;
  std::string trace_file;    // empty: standard output
  std::string diagram_file;  // empty: standard output
  std::uint64_t shrink_runs = 300;
};

// Adds to a file, or prints. False, with a message, if it can't be written.
bool Put(const std::string& file, const std::string& text) {
  if (file.empty()) return std::fputs(text.c_str(), stdout) >= 0;
  std::FILE* const out = std::fopen(file.c_str(), "a");
  const bool written = out != nullptr && std::fputs(text.c_str(), out) >= 0;
  if (out == nullptr || std::fclose(out) != 0 || !written) {
    std::fprintf(stderr, "cairn-sim: %s can't be written\n", file.c_str());
    return false;
  }
  return true;
}

// All seeds of a range, in order, on some threads.
class Range {
 public:
  explicit Range(const Wanted& wanted)
      : wanted_(wanted), began_(std::chrono::steady_clock::now()), next_(wanted.first) {}

  void Run(unsigned threads) {
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) running.emplace_back([this] { Work(); });
    for (std::thread& thread : running) thread.join();
  }
  const Totals& totals() const { return totals_; }
  // The last seed that was run; it and all before it were run to their ends.
  [[nodiscard]] std::uint64_t last() const { return wanted_.first + (totals_.seeds() - 1); }
  // Everything that was to be written was.
  [[nodiscard]] bool written() const { return written_; }

 private:
  // Failures that are shrunk and told. The others are like them more often than not.
  static constexpr std::uint64_t kMostStories = 3;

  void Work() {
    while (true) {
      std::uint64_t seed = 0;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (done_ || TimeIsUp()) return;
        seed = next_;
        if (next_++ == wanted_.last) done_ = true;
      }
      if (wanted_.trace) {
        Trace(seed);
      } else {
        Take(seed, RunPlan(Thin(MakePlan(seed), wanted_.thinning), wanted_.options));
      }
    }
  }

  [[nodiscard]] bool TimeIsUp() const {
    return wanted_.time && next_ != wanted_.first &&
           std::chrono::steady_clock::now() - began_ >= *wanted_.time;
  }

  // One history as it is, every step of it.
  void Trace(std::uint64_t seed) {
    const Story story = TellStory(seed, wanted_.thinning, wanted_.options);
    std::string text;
    for (const StoryLine& line : story.lines) text += ToString(line) + "\n";
    const std::lock_guard<std::mutex> lock(mutex_);
    written_ = Put(wanted_.trace_file, text) && written_;
    if (!wanted_.diagram_file.empty()) {
      written_ = Put(wanted_.diagram_file, Fenced(SequenceDiagram(story))) && written_;
    }
    totals_.Add(story.report);
    if (story.report.violation.empty()) return;
    Announce(seed, story.report);
  }

  void Take(std::uint64_t seed, const SimulationReport& report) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      totals_.Add(report);
      if (report.violation.empty()) return;
      Announce(seed, report);
      if (totals_.failed() > kMostStories || wanted_.shrink_runs == 0) return;
    }
    const Shrunk shrunk =
        Shrink(seed, wanted_.thinning, report, wanted_.options, wanted_.shrink_runs);
    const Story story = TellStory(seed, shrunk.thinning, wanted_.options);
    const std::lock_guard<std::mutex> lock(mutex_);
    std::printf("\nThe shortest story of seed %llu, found in %llu runs:\n%s\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(shrunk.runs),
                ReadableTrace(story).c_str());
    written_ = Put(wanted_.diagram_file, Fenced(SequenceDiagram(story))) && written_;
    std::printf("\nreplay it, every step: %s\n\n", ReplayCommand(story, wanted_.options).c_str());
    std::fflush(stdout);
  }

  void Announce(std::uint64_t seed, const SimulationReport& report) const {
    Story whole;
    whole.seed = seed;
    whole.thinning = wanted_.thinning;
    std::printf("FAILED seed %llu: %s: %s\n  replay: %s\n", static_cast<unsigned long long>(seed),
                std::string(NameOf(report.kind)).c_str(), report.violation.c_str(),
                ReplayCommand(whole, wanted_.options).c_str());
    std::fflush(stdout);
  }

  static std::string Fenced(const std::string& diagram) {
    return "```mermaid\n" + diagram + "```\n";
  }

  const Wanted wanted_;
  const std::chrono::steady_clock::time_point began_;
  std::mutex mutex_;
  std::uint64_t next_;
  bool done_ = false;
  bool written_ = true;
  Totals totals_;
};

// Before and after: a run that does not come to its end can be replayed, too.
void PrintBeginning(const Wanted& wanted) {
  const auto first = static_cast<unsigned long long>(wanted.first);
  if (wanted.last != std::numeric_limits<std::uint64_t>::max()) {
    std::printf("seeds %llu..%llu\n", first, static_cast<unsigned long long>(wanted.last));
  } else {
    std::printf("seeds from %llu on\n", first);
  }
  if (wanted.time) std::printf("for %.0f s\n", wanted.time->count());
  std::fflush(stdout);
}

// False, with a message, if the totals can't be written.
bool PrintEnd(const Wanted& wanted, const Range& range, const std::string& totals_file) {
  const std::string seeds = std::to_string(wanted.first) + ".." + std::to_string(range.last());
  std::printf("%s\n", range.totals().Readable().c_str());
  if (range.last() != wanted.last) std::printf("again: cairn-sim --seeds %s\n", seeds.c_str());
  if (totals_file.empty()) return true;
  return Put(totals_file, seeds + " " + range.totals().Line() + "\n");
}

// What the command line's texts mean. False, with a message, if they mean nothing.
bool Understand(const std::string& seeds, const std::string& only, const std::string& bug,
                Wanted* wanted) {
  if (!ParseSeeds(seeds, &wanted->first, &wanted->last)) {
    std::fprintf(stderr, "cairn-sim: '%s' is no seed and no range A..B of 64-bit numbers\n",
                 seeds.c_str());
    return false;
  }
  const auto thinning = cairn::sim::ParseThinning(only);
  if (!thinning.ok()) {
    std::fprintf(stderr, "cairn-sim: --only: %s\n", thinning.status().message().c_str());
    return false;
  }
  wanted->thinning = *thinning;
  if (bug.empty()) return true;
  const auto planted = cairn::PlantedBugByName(bug);
  if (!planted) {
    std::fprintf(stderr, "cairn-sim: no bug is named '%s'; there are:\n", bug.c_str());
    for (const auto& [name, what] : cairn::kPlantedBugNames) {
      std::fprintf(stderr, "  %-30s %s\n", std::string(name).c_str(), std::string(what).c_str());
    }
    return false;
  }
  wanted->options.bug = *planted;
  return true;
}

// --check-history.
int Judge(const std::string& file) {
  const cairn::Result<cairn::sim::History> history = cairn::sim::LoadHistory(file);
  if (!history.ok()) {
    std::fprintf(stderr, "cairn-sim: %s\n", history.status().message().c_str());
    return 2;
  }
  std::uint64_t given_up = 0;
  const std::string wrong = cairn::sim::CheckHistory(*history, &given_up);
  if (!wrong.empty()) {
    std::printf("FAILED %s: %s\n", file.c_str(), wrong.c_str());
    return 1;
  }
  if (given_up != 0) {
    std::printf("%s is not known to be right: the search for an order was given up for %llu keys\n",
                file.c_str(), static_cast<unsigned long long>(given_up));
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
      "Runs production replicas over virtual time, networks and disks, one history a seed. A "
      "failure is shrunk, told, and drawn as a Mermaid sequence diagram."};
  Wanted wanted;
  std::string seeds = "1..10";
  std::string seed;
  std::string only;
  std::string bug;
  std::string totals_file;
  double seconds = 0;
  bool random = false;
  unsigned threads = std::thread::hardware_concurrency();
  app.add_option("--seeds", seeds, "seeds to run, as A..B, both included");
  app.add_option("--seed", seed, "one seed to run");
  app.add_flag("--random", random, "seeds from a random one on, for --for or three minutes")
      ->excludes("--seeds")
      ->excludes("--seed");
  app.add_option("--for", seconds, "begin no further seed after this time, as 180s, 3m or 1h")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}}));
  app.add_option("--totals", totals_file,
                 "add a line to this file: the seeds that were run, and every sum as name=number");
  app.add_option("--threads", threads, "seeds that run at once; all cores by default");
  app.add_option("--trace", wanted.trace_file,
                 "tell every step, to a file or to standard output, and shrink nothing")
      ->expected(0, 1);
  app.add_option("--diagram", wanted.diagram_file,
                 "add the diagrams to this file instead of printing them");
  app.add_option("--only", only,
                 "the part of the seed's plan to run, as a shrunk failure names it");
  app.add_option("--shrink-runs", wanted.shrink_runs,
                 "how many runs shrinking a failure may take; 0: print the seed alone");
  app.add_option("--plant", bug, "break the product by a known bug, to see it found");
  std::string history;
  app.add_option("--check-history", history,
                 "judges a recorded history instead (docs/formats/history.md)");
  CLI11_PARSE(app, argc, argv);
  if (!history.empty()) return Judge(history);

  wanted.trace = app.count("--trace") > 0;
  if (!Understand(seed.empty() ? seeds : seed, only, bug, &wanted)) return 2;
  if (app.count("--for") > 0 && seconds <= 0) {
    std::fprintf(stderr, "cairn-sim: --for: %g s is no time to run for\n", seconds);
    return 2;
  }
  if (random) {
    wanted.first = AnySeed();
    wanted.last = std::numeric_limits<std::uint64_t>::max();
    if (seconds == 0) seconds = 180;
  }
  if (seconds > 0) wanted.time.emplace(seconds);
  cairn::LoggingOptions logging;
  logging.level = cairn::LogLevel::kOff;
  if (const cairn::Status s = cairn::InitLogging(logging); !s.ok()) {
    std::fprintf(stderr, "cairn-sim: %s\n", s.ToString().c_str());
    return 1;
  }
  PrintBeginning(wanted);
  Range range(wanted);
  range.Run(wanted.trace || threads == 0 ? 1 : threads);
  const bool written = PrintEnd(wanted, range, totals_file) && range.written();
  return range.totals().failed() == 0 && written ? 0 : 1;
}
