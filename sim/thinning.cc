#include "sim/thinning.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

namespace cairn::sim {
namespace {

Status BadPart(const std::string& part) {
  return InvalidArgumentError(
      "'" + part +
      "' is no part of a thinning; parts are faults=N,N clients=N,N ops=N.N,N.N lanes=N nodes=N "
      "ms=N "
      "variation=N any-operations clean-links steady-clocks, with a / between them");
}

std::vector<std::string> Split(const std::string& text, char at) {
  return absl::StrSplit(text, at, absl::SkipEmpty());
}

// "3,17", or nothing for none.
template <class Number>
bool ParseList(const std::string& text, std::optional<std::vector<Number>>* out) {
  out->emplace();
  for (const std::string& item : Split(text, ',')) {
    std::uint32_t number = 0;
    if (!absl::SimpleAtoi(item, &number)) return false;
    (*out)->push_back(static_cast<Number>(number));
  }
  return std::is_sorted((*out)->begin(), (*out)->end());
}

// "0.4,0.7".
bool ParseOperations(const std::string& text, std::optional<std::vector<OperationNumber>>* out) {
  out->emplace();
  for (const std::string& item : Split(text, ',')) {
    const std::vector<std::string> halves = Split(item, '.');
    OperationNumber op;
    if (halves.size() != 2 || !absl::SimpleAtoi(halves[0], &op.client) ||
        !absl::SimpleAtoi(halves[1], &op.number)) {
      return false;
    }
    (*out)->push_back(op);
  }
  return std::is_sorted((*out)->begin(), (*out)->end());
}

template <class Number>
bool ParseNumber(const std::string& text, std::optional<Number>* out) {
  std::uint32_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number == 0 || number > 1'000'000'000) return false;
  *out = static_cast<Number>(number);
  return true;
}

bool ParseFlag(std::string_view part, Thinning* thinning) {
  if (part == "any-operations") return thinning->any_operations = true;
  if (part == "clean-links") return thinning->clean_links = true;
  if (part == "steady-clocks") return thinning->steady_clocks = true;
  return false;
}

bool ParsePart(const std::string& part, Thinning* thinning) {
  const std::size_t equals = part.find('=');
  if (equals == std::string::npos) return ParseFlag(part, thinning);
  const std::string name = part.substr(0, equals);
  const std::string value = part.substr(equals + 1);
  if (name == "faults") return ParseList(value, &thinning->faults);
  if (name == "clients") return ParseList(value, &thinning->clients);
  if (name == "ops") return ParseOperations(value, &thinning->operations);
  if (name == "lanes") return ParseNumber(value, &thinning->lanes);
  if (name == "nodes") return ParseNumber(value, &thinning->nodes);
  if (name == "ms") return ParseNumber(value, &thinning->duration_ms);
  return name == "variation" && absl::SimpleAtoi(value, &thinning->variation);
}

}  // namespace

Plan Thin(const Plan& plan, const Thinning& thinning) {
  Plan thin = plan;
  if (thinning.faults) {
    thin.faults.clear();
    for (const std::size_t position : *thinning.faults) {
      if (position < plan.faults.size()) thin.faults.push_back(plan.faults[position]);
    }
  }
  if (thinning.clients) thin.clients = *thinning.clients;
  if (thinning.operations) thin.operations = thinning.operations;
  if (thinning.lanes) thin.lanes = *thinning.lanes;
  if (thinning.nodes) {
    thin.nodes = std::min(plan.nodes, *thinning.nodes);
    thin.founders = std::min(plan.founders, thin.nodes);
    std::erase_if(thin.faults, [&](const Fault& fault) { return fault.node >= thin.nodes; });
  }
  if (thinning.duration_ms) thin.duration = std::chrono::milliseconds(*thinning.duration_ms);
  std::erase_if(thin.faults, [&](const Fault& fault) { return fault.at >= thin.duration; });
  if (thinning.any_operations) thin.least_operations = 0;
  if (thinning.clean_links) thin.lost_per_mille = 0;
  if (thinning.steady_clocks) thin.most_drift_ppm = 0;
  thin.variation = thinning.variation;
  thin.demands_operations = thinning == Thinning();
  return thin;
}

std::string ToString(const Thinning& thinning) {
  std::vector<std::string> parts;
  if (thinning.faults) parts.push_back("faults=" + absl::StrJoin(*thinning.faults, ","));
  if (thinning.clients) parts.push_back("clients=" + absl::StrJoin(*thinning.clients, ","));
  if (thinning.operations) {
    const auto name = [](std::string* out, const OperationNumber& op) {
      *out += std::to_string(op.client) + "." + std::to_string(op.number);
    };
    parts.push_back("ops=" + absl::StrJoin(*thinning.operations, ",", name));
  }
  if (thinning.lanes) parts.push_back("lanes=" + std::to_string(*thinning.lanes));
  if (thinning.nodes) parts.push_back("nodes=" + std::to_string(*thinning.nodes));
  if (thinning.duration_ms) parts.push_back("ms=" + std::to_string(*thinning.duration_ms));
  if (thinning.any_operations) parts.emplace_back("any-operations");
  if (thinning.clean_links) parts.emplace_back("clean-links");
  if (thinning.steady_clocks) parts.emplace_back("steady-clocks");
  if (thinning.variation != 0) parts.push_back("variation=" + std::to_string(thinning.variation));
  return absl::StrJoin(parts, "/");
}

Result<Thinning> ParseThinning(std::string_view text) {
  Thinning thinning;
  for (const std::string& part : Split(std::string(text), '/')) {
    if (!ParsePart(part, &thinning)) return BadPart(part);
  }
  return thinning;
}

}  // namespace cairn::sim
