// cluster verify: do all members hold the same state at one version?
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/cairn.pb.h"
#include "apps/cairn/admin_channel.h"
#include "apps/cairn/context.h"
#include "src/digest/state_digest.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;

// How far ahead in the log the slot is chosen: more each time that a node was past it already.
constexpr std::uint64_t kAhead[] = {16, 256, 4096, 65'536};
constexpr std::size_t kDifferencesShown = 20;

struct Sight {
  std::uint32_t node = 0;
  std::string endpoint;              // of its gRPC service
  std::optional<std::string> error;  // why it is not compared
  bool past = false;                 // its state was beyond the slot already
  digest::StateDigest digest;
};

digest::StateDigest FromWire(const v1::GetDigestResponse& wire) {
  digest::StateDigest state;
  state.slot = wire.slot();
  state.version = wire.version();
  for (const v1::DigestSection& from : wire.sections()) {
    digest::Section section;
    section.name = from.name();
    section.pairs = from.pairs();
    section.bytes = from.bytes();
    section.sum = {from.sum_low(), from.sum_high()};
    section.mask = from.mask();
    for (const v1::DigestRange& range : from.ranges()) {
      section.ranges.push_back({range.begin(), range.pairs(), {range.sum_low(), range.sum_high()}});
    }
    state.sections.push_back(std::move(section));
  }
  return state;
}

// Runs `what` for every node that has not failed, side by side.
void ForAll(std::vector<Sight>* nodes, const std::function<void(Sight*)>& what) {
  std::vector<std::thread> threads;
  for (Sight& node : *nodes) {
    if (!node.error.has_value()) threads.emplace_back([&what, &node] { what(&node); });
  }
  for (std::thread& thread : threads) thread.join();
}

// One attempt: digests of all nodes at one slot. False if some node was past it.
bool Gather(Context& context, std::uint64_t slot, milliseconds patience,
            std::vector<Sight>* nodes) {
  const std::uint64_t token = (std::uint64_t{std::random_device()()} << 32 | slot) | 1;
  ForAll(nodes, [&](Sight* node) {
    AdminChannel channel(&context);
    const MaybeFailure failure = channel.PrepareDigest(node->endpoint, slot, token);
    if (!failure) return;
    node->past = failure->code == "FAILED_PRECONDITION";
    if (!node->past) node->error = failure->message;
  });
  const bool past =
      std::any_of(nodes->begin(), nodes->end(), [](const Sight& node) { return node.past; });
  for (Sight& node : *nodes) node.past = false;
  if (past) return false;
  AdminChannel leader(&context);
  if (const auto failure = leader.AdvanceLog(slot)) {
    for (Sight& node : *nodes) node.error = failure->message;
    return true;
  }
  ForAll(nodes, [&](Sight* node) {
    AdminChannel channel(&context);
    v1::GetDigestResponse response;
    const auto failure = channel.GetDigest(node->endpoint, token, patience, &response);
    if (failure) {
      node->error = failure->message;
    } else if (response.slot() != slot) {
      node->error = "it answered for slot " + std::to_string(response.slot()) + ", not " +
                    std::to_string(slot);
    } else {
      node->digest = FromWire(response);
    }
  });
  return true;
}

// The digest that most nodes have; null if none has one.
const Sight* Reference(const std::vector<Sight>& nodes) {
  std::map<std::string, std::size_t> votes;
  for (const Sight& node : nodes) {
    if (!node.error.has_value()) ++votes[node.digest.ToString()];
  }
  const Sight* best = nullptr;
  for (const Sight& node : nodes) {
    if (node.error.has_value()) continue;
    if (best == nullptr || votes[node.digest.ToString()] > votes[best->digest.ToString()]) {
      best = &node;
    }
  }
  return best;
}

std::string KeyRange(Context& context, const digest::Difference& difference) {
  const std::string from =
      difference.begin.empty() ? "the first key" : "'" + context.Text(difference.begin) + "'";
  const std::string to =
      difference.end.empty() ? "the last" : "before '" + context.Text(difference.end) + "'";
  return "keys from " + from + " to " + to;
}

struct Verdict {
  const Sight* reference = nullptr;
  std::vector<std::pair<const Sight*, std::vector<digest::Difference>>> differences;
  bool all_compared = true;
};

Verdict Judge(const std::vector<Sight>& nodes) {
  Verdict verdict;
  verdict.reference = Reference(nodes);
  for (const Sight& node : nodes) {
    if (node.error.has_value()) {
      verdict.all_compared = false;
      continue;
    }
    auto found = digest::Compare(verdict.reference->digest, node.digest, kDifferencesShown);
    if (!found.empty()) verdict.differences.emplace_back(&node, std::move(found));
  }
  return verdict;
}

void PrintText(Context& context, const std::vector<Sight>& nodes, const Verdict& verdict) {
  for (const Sight& node : nodes) {
    std::cout << fmt::format("node {}: {}\n", node.node,
                             node.error.value_or(node.digest.ToString()));
  }
  if (verdict.reference == nullptr) return;
  for (const auto& [node, differences] : verdict.differences) {
    for (const digest::Difference& d : differences) {
      std::cout << fmt::format("node {} differs from node {}: {}, {}: {} pairs there, {} here\n",
                               node->node, verdict.reference->node, d.section, KeyRange(context, d),
                               d.pairs_here, d.pairs_there);
    }
  }
  std::uint64_t pairs = 0;
  for (const digest::Section& section : verdict.reference->digest.sections) pairs += section.pairs;
  const auto compared = std::count_if(nodes.begin(), nodes.end(),
                                      [](const Sight& node) { return !node.error.has_value(); });
  std::cout << fmt::format(
      "{} of {} members compared at version {}, slot {}: {}\n", compared, nodes.size(),
      verdict.reference->digest.version, verdict.reference->digest.slot,
      verdict.differences.empty() ? fmt::format("the same, {} pairs", pairs)
                                  : fmt::format("{} differ", verdict.differences.size()));
}

void PrintJson(const std::vector<Sight>& nodes, const Verdict& verdict) {
  ordered_json list = ordered_json::array();
  for (const Sight& node : nodes) {
    ordered_json one = {{"node_id", node.node}};
    if (!node.error.has_value()) {
      one["digest"] = node.digest.ToString();
    } else {
      one["error"] = *node.error;
    }
    list.push_back(std::move(one));
  }
  ordered_json differences = ordered_json::array();
  for (const auto& [node, found] : verdict.differences) {
    for (const digest::Difference& d : found) {
      ordered_json one = {
          {"node_id", node->node}, {"against", verdict.reference->node}, {"section", d.section}};
      PutBytes(&one, "begin", d.begin);
      PutBytes(&one, "end", d.end);
      one["pairs"] = d.pairs_there;
      one["pairs_against"] = d.pairs_here;
      differences.push_back(std::move(one));
    }
  }
  ordered_json document = {{"same", verdict.reference != nullptr && verdict.differences.empty()},
                           {"all_compared", verdict.all_compared}};
  if (verdict.reference != nullptr) {
    document["slot"] = verdict.reference->digest.slot;
    document["version"] = verdict.reference->digest.version;
  }
  document["nodes"] = std::move(list);
  document["differences"] = std::move(differences);
  Context::Print(document);
}

ExitCode RunVerify(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  std::vector<Sight> nodes;
  bool gathered = false;
  for (const std::uint64_t ahead : kAhead) {
    v1::ListMembersResponse all;
    if (const auto failure = channel.ListMembers(&all)) return context.Fail(*failure);
    nodes.clear();
    for (const v1::Member& member : all.members()) {
      Sight node;
      node.node = member.node_id();
      node.endpoint = member.grpc_endpoint();
      if (node.endpoint.empty()) node.error = "not heard of yet";
      // Its answer would be waited for in vain.
      if (member.has_answers() && !member.answers()) node.error = "silent, not asked";
      nodes.push_back(std::move(node));
    }
    gathered =
        Gather(context, all.last_slot() + ahead, milliseconds(*in.Number("wait-ms")), &nodes);
    if (gathered) break;
  }
  if (!gathered) {
    return context.Fail(
        {kRefused, "UNAVAILABLE", "the log grows faster than the nodes can be asked; try again"});
  }
  const Verdict verdict = Judge(nodes);
  if (context.options().json) {
    PrintJson(nodes, verdict);
  } else {
    PrintText(context, nodes, verdict);
    std::cout << std::flush;
  }
  if (!verdict.differences.empty()) return kRefused;
  return verdict.all_compared ? kSuccess : kUnreachable;
}

CommandDef VerifyDef() {
  return {.name = "cluster verify",
          .summary = "Compares the state of all members at one version",
          .description =
              {"Every member reads its whole state as it was at one slot of the log, while it goes "
               "on serving: the pairs of all column families, sessions, and what stands beside "
               "them. A difference is named by column family and range of keys. The exit code is 0 "
               "only if all members were compared and hold the same."},
          .options = {{.name = "wait-ms",
                       .kind = ValueKind::kNumber,
                       .value_name = "N",
                       .help = "How long a member may take to read its state",
                       .default_value = "600000",
                       .min = 1,
                       .max = 86'400'000}},
          .common = kNodeOptions,
          .examples = {{"cairn cluster verify", "Do the replicas agree?"}}};
}

}  // namespace

std::vector<Command> VerifyCommands() { return {{VerifyDef(), RunVerify}}; }

}  // namespace cairn::cli
