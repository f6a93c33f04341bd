#include "sim/story.h"

#include <absl/strings/str_cat.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/testing/planted_bug_names.h"

namespace cairn::sim {
namespace {

using Kind = StoryLine::Kind;

double Seconds(MonotonicTime time) { return static_cast<double>(time.ns) / 1e9; }

bool IsTold(const StoryLine& line) { return !line.routine && line.kind != Kind::kClient; }

std::string Summary(const Story& story) {
  const Plan full = MakePlan(story.seed);
  std::string text =
      fmt::format("seed {}: {} nodes, {} clients, {} faults, {:.1f} s", story.seed,
                  story.plan.nodes, story.plan.clients.size(), story.plan.faults.size(),
                  static_cast<double>(story.plan.duration.count()) / 1e9);
  if (story.thinning != Thinning()) {
    text += fmt::format(", of {} nodes, {} clients, {} faults, {:.1f} s", full.nodes,
                        full.clients.size(), full.faults.size(),
                        static_cast<double>(full.duration.count()) / 1e9);
  }
  return text;
}

}  // namespace

std::string ClientName(int client) { return client < 0 ? "x" : absl::StrCat("c", client); }

std::string ToString(const StoryLine& line) {
  std::string who;
  switch (line.kind) {
    case Kind::kMessage:
      who = fmt::format("n{} -> n{}", line.from, line.to);
      break;
    case Kind::kCall:
      who = fmt::format("{} -> n{}", ClientName(line.client), line.to);
      break;
    case Kind::kAnswer:
      who = fmt::format("{} <- n{}", ClientName(line.client), line.from);
      break;
    case Kind::kClient:
      who = ClientName(line.client);
      break;
    case Kind::kTrouble:
      who = "WRONG";
      break;
    default:
      who = line.to < 0 ? "all" : fmt::format("n{}", line.to);
  }
  const char* const mark = line.kind == Kind::kFault ? "FAULT: " : "";
  return fmt::format("{:12.6f}  {:<8}  {}{}", Seconds(line.at), who, mark, line.text);
}

Story TellStory(std::uint64_t seed, const Thinning& thinning, const SimulationOptions& options) {
  Story story;
  story.seed = seed;
  story.thinning = thinning;
  story.plan = Thin(MakePlan(seed), thinning);
  SimulationOptions listening = options;
  listening.story = [&story](const StoryLine& line) { story.lines.push_back(line); };
  story.report = RunPlan(story.plan, listening);
  if (story.report.violation.empty()) return story;
  std::erase_if(story.lines, [&](const StoryLine& line) {
    return line.at > story.report.violation_at || line.kind == Kind::kTrouble;
  });
  StoryLine trouble;
  trouble.kind = Kind::kTrouble;
  trouble.at = story.report.violation_at;
  trouble.text = std::string(NameOf(story.report.kind)) + ": " + story.report.violation;
  story.lines.push_back(std::move(trouble));
  return story;
}

std::string ReplayCommand(const Story& story, const SimulationOptions& options) {
  std::string command = absl::StrCat("cairn-sim --seed ", story.seed);
  if (options.bug != PlantedBug::kNone) command += " --plant " + std::string(NameOf(options.bug));
  const std::string thinning = ToString(story.thinning);
  if (!thinning.empty()) absl::StrAppend(&command, " --only ", thinning);
  return command + " --trace";
}

std::string ReadableTrace(const Story& story, std::size_t most_lines) {
  std::vector<const StoryLine*> told;
  for (const StoryLine& line : story.lines) {
    if (IsTold(line)) told.push_back(&line);
  }
  const std::size_t cut = told.size() > most_lines ? told.size() - most_lines : 0;
  std::string text = Summary(story) + "\n";
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (i == cut && cut > 0) {
      text += fmt::format("{:12}  {} lines are left out before this, but for faults\n", "", cut);
    }
    if (i >= cut || told[i]->kind == Kind::kFault) text += ToString(*told[i]) + "\n";
  }
  return text;
}

}  // namespace cairn::sim
