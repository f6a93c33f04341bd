#include "sim/shrink.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace cairn::sim {
namespace {

// Variations of one candidate that are tried.
constexpr std::uint64_t kVariations = 3;

class Shrinker {
 public:
  Shrinker(std::uint64_t seed, Shrunk start, const SimulationOptions& options,
           std::uint64_t most_runs)
      : plan_(MakePlan(seed)),
        options_(options),
        kind_(start.report.kind),
        most_runs_(most_runs),
        best_(std::move(start)) {
    options_.story = nullptr;
  }

  Shrunk Run() {
    CutTheEnd();
    bool progress = true;
    while (progress && !Spent()) {
      progress = ThinFaults();
      progress = ThinClients() || progress;
      progress = Simplify() || progress;
      progress = Shorten() || progress;
      progress = ThinOperations() || progress;
    }
    return std::move(best_);
  }

 private:
  [[nodiscard]] bool Spent() const { return best_.runs >= most_runs_; }

  // Keeps the candidate if one of its variations fails in the same way.
  bool Try(Thinning candidate) {
    if (candidate == best_.thinning) return false;
    const std::uint64_t first = candidate.variation;
    for (std::uint64_t v = 0; v < kVariations && !Spent(); ++v) {
      candidate.variation = v == 0 ? first : next_variation_++;
      ++best_.runs;
      const SimulationReport report = RunPlan(Thin(plan_, candidate), options_);
      if (report.kind != kind_) continue;
      best_.thinning = std::move(candidate);
      best_.report = report;
      DropWhatCannotStrike();
      return true;
    }
    return false;
  }

  // Faults of nodes that are gone, and those after the end, are none; nor are operations of clients
  // that are gone.
  void DropWhatCannotStrike() {
    const Plan plan = BestPlan();
    if (best_.thinning.operations) {
      std::erase_if(*best_.thinning.operations, [&](const OperationNumber& operation) {
        return std::find(plan.clients.begin(), plan.clients.end(), operation.client) ==
               plan.clients.end();
      });
    }
    std::vector<std::size_t> faults = Faults();
    std::erase_if(faults, [&](std::size_t position) {
      const Fault& fault = plan_.faults[position];
      return fault.node >= plan.nodes || fault.at >= plan.duration;
    });
    best_.thinning.faults = std::move(faults);
  }

  [[nodiscard]] Plan BestPlan() const { return Thin(plan_, best_.thinning); }
  // The faults that are left, by their position in the seed's plan.
  [[nodiscard]] std::vector<std::size_t> Faults() const {
    if (best_.thinning.faults) return *best_.thinning.faults;
    std::vector<std::size_t> all(plan_.faults.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }
  // The operations that the best run came to.
  [[nodiscard]] std::vector<OperationNumber> Operations() const {
    if (best_.thinning.operations) return *best_.thinning.operations;
    std::vector<OperationNumber> all;
    for (const auto& [client, count] : best_.report.operations_of) {
      for (std::uint64_t number = 1; number <= count; ++number) all.push_back({client, number});
    }
    return all;
  }
  static std::int64_t Millis(MonotonicTime time) { return time.ns / 1'000'000 + 5; }

  // Nothing after the violation matters. Where the run ended there, leaving it out changes nothing.
  bool CutTheEnd() {
    Thinning candidate = best_.thinning;
    candidate.any_operations = true;
    const std::int64_t ms = std::max<std::int64_t>(Millis(best_.report.violation_at), 5);
    if (MonotonicTime{ms * 1'000'000} < MonotonicTime{BestPlan().duration.count()}) {
      candidate.duration_ms = ms;
    }
    std::vector<std::size_t> struck = Faults();
    std::erase_if(struck, [&](std::size_t position) {
      return plan_.faults[position].at.count() > best_.report.violation_at.ns;
    });
    candidate.faults = std::move(struck);
    return Try(std::move(candidate));
  }

  // Delta debugging: leaves out chunks of a list, ever smaller ones. `list` gives what is left now,
  // `set` puts a shorter one into a candidate.
  template <class List, class Set>
  bool Reduce(List list, Set set) {
    bool progress = false;
    std::size_t chunk = list().size();
    while (chunk > 0 && !Spent()) {
      const auto items = list();
      bool removed = false;
      // From the end: what came last matters most, and leaving it out moves the least.
      for (std::size_t end = items.size(); end > 0 && !removed && !Spent();) {
        const std::size_t begin = end > chunk ? end - chunk : 0;
        auto rest = items;
        rest.erase(rest.begin() + static_cast<long>(begin), rest.begin() + static_cast<long>(end));
        Thinning candidate = best_.thinning;
        set(&candidate, std::move(rest));
        removed = Try(std::move(candidate));
        end = begin;
      }
      progress = progress || removed;
      if (!removed) chunk /= 2;
      chunk = std::min(chunk, list().size());
    }
    return progress;
  }

  bool ThinFaults() {
    return Reduce(
        [this] { return Faults(); },
        [](Thinning* t, std::vector<std::size_t> faults) { t->faults = std::move(faults); });
  }

  bool ThinOperations() {
    return Reduce([this] { return Operations(); },
                  [](Thinning* t, std::vector<OperationNumber> operations) {
                    t->operations = std::move(operations);
                  });
  }

  bool ThinClients() {
    return Reduce([this] { return BestPlan().clients; },
                  [](Thinning* t, std::vector<int> clients) { t->clients = std::move(clients); });
  }

  bool Simplify() {
    const Plan plan = BestPlan();
    bool progress = false;
    const auto with = [&](auto change) {
      Thinning candidate = best_.thinning;
      change(&candidate);
      if (!Spent() && Try(std::move(candidate))) progress = true;
    };
    if (plan.nodes > 3) with([](Thinning* t) { t->nodes = 3; });
    if (plan.lanes > 1) with([](Thinning* t) { t->lanes = 1; });
    if (plan.lost_per_mille > 0) with([](Thinning* t) { t->clean_links = true; });
    if (plan.most_drift_ppm > 0) with([](Thinning* t) { t->steady_clocks = true; });
    return progress;
  }

  bool Shorten() {
    bool progress = CutTheEnd();
    while (!Spent() && BestPlan().duration > std::chrono::milliseconds(500)) {
      Thinning candidate = best_.thinning;
      candidate.duration_ms = BestPlan().duration.count() / 2'000'000;
      if (!Try(std::move(candidate))) break;
      progress = true;
    }
    return progress;
  }

  const Plan plan_;
  SimulationOptions options_;
  const ViolationKind kind_;
  const std::uint64_t most_runs_;
  std::uint64_t next_variation_ = 1;
  Shrunk best_;
};

}  // namespace

Shrunk Shrink(std::uint64_t seed, const Thinning& thinning, const SimulationReport& report,
              const SimulationOptions& options, std::uint64_t most_runs) {
  return Shrinker(seed, {thinning, report, 0}, options, most_runs).Run();
}

}  // namespace cairn::sim
