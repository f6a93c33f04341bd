#include "sim/totals.h"

#include <fmt/format.h>

#include <chrono>

namespace cairn::sim {

void Totals::Add(const SimulationReport& report) {
  ++seeds_;
  if (!report.violation.empty()) ++failed_;
  simulated_us_ += static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(report.simulated).count());
  operations_ += report.operations;
  faults_ += report.faults;
  restarts_ += report.restarts;
  snapshots_ += report.snapshots;
  wipes_ += report.wipes;
  voter_changes_ += report.voter_changes;
  transfers_ += report.transfers;
  elections_ += report.elections;
  searches_given_up_ += report.searches_given_up;
  effects_.Add(report.effects);
}

std::vector<std::pair<std::string_view, std::uint64_t>> Totals::All() const {
  std::vector<std::pair<std::string_view, std::uint64_t>> all = {
      {"seeds", seeds_},
      {"simulated_us", simulated_us_},
      {"operations", operations_},
      {"faults", faults_},
      {"restarts", restarts_},
      {"snapshots", snapshots_},
      {"wipes", wipes_},
      {"voter_changes", voter_changes_},
      {"transfers", transfers_},
      {"elections", elections_},
      {"searches_given_up", searches_given_up_},
      {"failed", failed_}};
  for (std::size_t i = 0; i < kEffects; ++i) {
    const auto effect = static_cast<Effect>(i);
    all.emplace_back(NameOf(effect), effects_.Of(effect));
  }
  return all;
}

std::string Totals::Line() const {
  std::string line;
  for (const auto& [name, sum] : All())
    line += fmt::format("{}{}={}", line.empty() ? "" : " ", name, sum);
  return line;
}

std::string Totals::Readable() const {
  std::string text = fmt::format(
      "{} seeds, {:.2f} simulated hours, {} operations, {} faults, {} restarts, {} snapshots, {} "
      "wiped disks, {} changes of voters, {} transfers, {} elections, {} searches for an order "
      "given "
      "up, {} failed",
      seeds_, static_cast<double>(simulated_us_) / 3.6e9, operations_, faults_, restarts_,
      snapshots_, wipes_, voter_changes_, transfers_, elections_, searches_given_up_, failed_);
  for (std::size_t i = 0; i < kEffects; ++i) {
    const auto effect = static_cast<Effect>(i);
    text += fmt::format("\n{:>12}  {}", effects_.Of(effect), DescriptionOf(effect));
  }
  return text;
}

}  // namespace cairn::sim
