// cluster members, add, promote, remove, replace, transfer-leader, snapshot.
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "api/cairn.pb.h"
#include "apps/cairn/admin_channel.h"
#include "apps/cairn/context.h"
#include "apps/cairn/member_view.h"
#include "apps/cairn/patience.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;
using std::chrono::milliseconds;
using v1::ListMembersResponse;
using v1::Member;

ExitCode RunMembers(Context& context, const Invocation&) {
  AdminChannel channel(&context);
  ListMembersResponse all;
  if (const auto failure = channel.ListMembers(&all)) return context.Fail(*failure);
  if (context.options().json) {
    Context::Print(MembersJson(all));
  } else {
    std::cout << MembersTable(all) << std::flush;
  }
  return kSuccess;
}

const Member* Find(const ListMembersResponse& all, std::uint32_t node) {
  for (const Member& member : all.members()) {
    if (member.node_id() == node && member.kind() != Member::KIND_LEAVING) return &member;
  }
  return nullptr;
}

// ---- Changes

std::uint32_t NodeArgument(const Invocation& in, const char* name) {
  return static_cast<std::uint32_t>(*in.Number(name));
}

// A command that has taken so long says what it waits for.
constexpr std::chrono::seconds kSilence(2);
// How often something is asked for that a node may have dropped.
constexpr std::chrono::seconds kAskEvery(2);

using Reached = std::function<bool(const ListMembersResponse&)>;
using AskAgain = std::function<MaybeFailure()>;

// Waits until the members are as `reached` says, in what is committed; reports what came of it.
// `ask_again`, of what does not go on by itself, is called every now and then meanwhile.
ExitCode Await(Context& context, AdminChannel* channel, const Invocation& in,
               const Reached& reached, const std::string& done,
               const AskAgain& ask_again = nullptr) {
  const milliseconds bound(*in.Number("wait-ms"));
  const Patience patience(bound);
  std::uint64_t seen_slot = 0;
  ListMembersResponse all;
  std::string why = "it is under way";
  bool told = false;
  auto asked = patience.Waited();
  bool missing = false;
  do {
    if (ask_again && missing && patience.Waited() - asked >= kAskEvery) {
      if (const auto failure = ask_again()) why = failure->message;
      asked = patience.Waited();
    }
    if (!told && patience.Waited() >= kSilence) {
      told = true;
      std::cerr << (ask_again
                        ? "cairn: waiting for the other node to lead; it is asked again and again\n"
                        : "cairn: waiting for it to be complete; a new node must run, and reach "
                          "the others\n");
    }
    // While leadership moves nobody may answer.
    if (const auto failure = channel->ListMembers(&all)) {
      why = failure->message;
      continue;
    }
    missing = !reached(all);
    if (missing) continue;
    if (seen_slot == 0) seen_slot = all.last_slot();
    if (all.committed_slot() < seen_slot) continue;
    if (context.options().json) {
      Context::Print({{"ok", true}, {"done", true}});
    } else {
      std::cout << done << std::endl;
    }
    return kSuccess;
  } while (patience.Wait());
  if (bound == milliseconds(0)) {
    if (context.options().json) {
      Context::Print({{"ok", true}, {"done", false}});
    } else {
      std::cout << "begun; `cairn cluster members` shows how far it is" << std::endl;
    }
    return kSuccess;
  }
  const std::string within = " within " + std::to_string(bound.count()) + " ms (" + why + "); ";
  return context.Fail(
      {kTimedOut, "TIMEOUT",
       ask_again ? "the other node does not lead" + within +
                       "`cairn cluster members` shows whether it answers and has caught up"
                 : "it has begun and has not ended" + within +
                       "it goes on by itself, and `cairn cluster members` shows how far it is"});
}

ExitCode RunAdd(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  v1::AddMemberRequest request;
  request.set_node_id(NodeArgument(in, "NODE"));
  request.set_peer_endpoint(in.Required("PEER"));
  if (const auto failure = channel.Add(request)) return context.Fail(*failure);
  const auto reached = [&](const ListMembersResponse& all) {
    return Find(all, request.node_id()) != nullptr;
  };
  return Await(context, &channel, in, reached,
               fmt::format("node {} is a learner; start it, and promote it when it has caught up",
                           request.node_id()));
}

ExitCode RunPromote(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  v1::PromoteMemberRequest request;
  request.set_node_id(NodeArgument(in, "NODE"));
  if (const auto failure = channel.Promote(request)) return context.Fail(*failure);
  const auto reached = [&](const ListMembersResponse& all) {
    const Member* const member = Find(all, request.node_id());
    return member != nullptr && member->kind() == Member::KIND_VOTER && !all.changing();
  };
  return Await(context, &channel, in, reached,
               fmt::format("node {} is a voter", request.node_id()));
}

ExitCode RunRemove(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  v1::RemoveMemberRequest request;
  request.set_node_id(NodeArgument(in, "NODE"));
  request.set_force(in.Has("force"));
  if (const auto failure = channel.Remove(request)) return context.Fail(*failure);
  const auto reached = [&](const ListMembersResponse& all) {
    return Find(all, request.node_id()) == nullptr && !all.changing();
  };
  return Await(context, &channel, in, reached,
               fmt::format("node {} is no member any more; stop it if it runs", request.node_id()));
}

ExitCode RunReplace(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  v1::ReplaceMemberRequest request;
  request.set_old_node_id(NodeArgument(in, "OLD"));
  request.set_node_id(NodeArgument(in, "NODE"));
  request.set_peer_endpoint(in.Text("PEER").value_or(""));
  request.set_force(in.Has("force"));
  if (request.peer_endpoint().empty()) {
    ListMembersResponse all;
    if (const auto failure = channel.ListMembers(&all)) return context.Fail(*failure);
    if (Find(all, request.node_id()) == nullptr) {
      return context.Fail(UsageFailure(fmt::format(
          "node {0} is no member; say where the others reach it: cairn cluster replace {1} {0} "
          "HOST:PORT",
          request.node_id(), request.old_node_id())));
    }
  }
  if (const auto failure = channel.Replace(request)) return context.Fail(*failure);
  const auto reached = [&](const ListMembersResponse& all) {
    return Find(all, request.node_id()) != nullptr && !all.changing() &&
           Find(all, request.old_node_id()) == nullptr;
  };
  return Await(
      context, &channel, in, reached,
      fmt::format("node {} has the place of node {}", request.node_id(), request.old_node_id()));
}

ExitCode RunTransfer(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  ListMembersResponse before;
  if (const auto failure = channel.ListMembers(&before)) return context.Fail(*failure);
  v1::TransferLeadershipRequest request;
  if (const auto node = in.Number("NODE")) {
    request.set_to_node_id(static_cast<std::uint32_t>(*node));
  }
  if (const auto failure = channel.TransferLeadership(request)) return context.Fail(*failure);
  const auto reached = [&](const ListMembersResponse& all) {
    if (!all.has_leader_id()) return false;
    return request.has_to_node_id() ? all.leader_id() == request.to_node_id()
                                    : all.leader_id() != before.leader_id();
  };
  // A leader drops a transfer that has not come about within an election timeout.
  return Await(context, &channel, in, reached, "leadership was handed over",
               [&] { return channel.TransferLeadership(request); });
}

ExitCode RunSnapshot(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  ListMembersResponse all;
  if (const auto failure = channel.ListMembers(&all)) return context.Fail(*failure);
  ordered_json nodes = ordered_json::array();
  ExitCode exit = kSuccess;
  for (const Member& member : all.members()) {
    if (in.Has("NODE") && *in.Number("NODE") != member.node_id()) continue;
    ordered_json one = {{"node_id", member.node_id()}};
    v1::TakeSnapshotResponse response;
    MaybeFailure failure;
    if (member.grpc_endpoint().empty()) {
      failure = Failure{kUnreachable, "UNAVAILABLE", "where it serves gRPC is not known"};
    } else {
      failure = channel.TakeSnapshot(member.grpc_endpoint(), &response);
    }
    if (failure) {
      exit = failure->exit;
      one["error"] = failure->message;
    } else {
      one["slot"] = response.slot();
    }
    if (!context.options().json) {
      std::cout << (failure ? fmt::format("node {}: {}", member.node_id(), failure->message)
                            : fmt::format("node {}: the state of slot {} is on disk",
                                          member.node_id(), response.slot()))
                << "\n";
    }
    nodes.push_back(std::move(one));
  }
  if (nodes.empty()) {
    return context.Fail({kRefused, "NOT_FOUND",
                         "node " + in.Text("NODE").value_or("") + " is no member of this cluster"});
  }
  if (context.options().json) Context::Print({{"nodes", std::move(nodes)}});
  std::cout << std::flush;
  return exit;
}

ExitCode RunUpgrade(Context& context, const Invocation& in) {
  AdminChannel channel(&context);
  v1::UpgradeRequest request;
  request.set_check(in.Has("check"));
  v1::UpgradeResponse response;
  if (const auto failure = channel.Upgrade(request, &response)) return context.Fail(*failure);
  std::string older;
  ordered_json nodes = ordered_json::array();
  for (const std::uint32_t node : response.older_nodes()) {
    nodes.push_back(node);
    older += (older.empty() ? "" : ", ") + std::to_string(node);
  }
  if (context.options().json) {
    Context::Print({{"active", response.active()},
                    {"known_by_all", response.known_by_all()},
                    {"known_by_leader", response.known_by_leader()},
                    {"older_nodes", std::move(nodes)}});
  } else {
    std::cout << fmt::format("features switched on: {}, known to all members: {}\n",
                             response.active(), response.known_by_all());
    if (!older.empty()) {
      std::cout << "older than the leader, or silent: node " << older
                << "; upgrade or start these, and run this again\n";
    }
    std::cout << std::flush;
  }
  return older.empty() ? kSuccess : kRefused;
}

// ---- The table

ArgumentDef NodeArgumentDef(const std::string& name, const std::string& help,
                            bool required = true) {
  return {
      .name = name, .kind = ValueKind::kNumber, .help = help, .required = required, .max = 0xFFFF};
}

OptionDef WaitDef() {
  return {.name = "wait-ms",
          .kind = ValueKind::kNumber,
          .value_name = "N",
          .help = "How long to wait until the change is complete; 0: not at all",
          .default_value = "60000",
          .max = 86'400'000};
}

OptionDef ForceDef() {
  return {.name = "force",
          .help =
              "Do it even if the cluster can write nothing afterwards, because too few voters "
              "answer"};
}

CommandDef MembersDef() {
  return {
      .name = "cluster members",
      .summary = "Shows the members of the cluster and how far each is",
      .description = {"\"log\" is up to where a member holds the log, and \"slots behind\" what "
                      "it lacks of the leader's: as it has acknowledged to the leader, this "
                      "moment. \"applied\", and a problem that is shown, are as of its last "
                      "report, \"reported\" says when that came; nodes report about once a "
                      "second. The node that answers knows its own."},
      .common = kNodeOptions,
      .examples = {{"cairn cluster members", "Who votes, who lags, who is silent?"}}};
}

CommandDef AddDef() {
  return {.name = "cluster add",
          .summary = "Takes a new node into the cluster, without a vote",
          .description = {"The node gets all data and becomes a voter with cluster promote. Start "
                          "it, before or after, on an empty data folder, with a configuration "
                          "that names the members and itself (docs/operations.md)."},
          .arguments = {NodeArgumentDef("NODE", "The number of the new node, its instance_id"),
                        {.name = "PEER",
                         .help = "Where the other nodes reach it: its peer endpoint, HOST:PORT"}},
          .options = {WaitDef()},
          .common = kNodeOptions,
          .examples = {{"cairn cluster add 3 10.0.0.4:7093", "A fourth node"}}};
}

CommandDef PromoteDef() {
  return {.name = "cluster promote",
          .summary = "Makes a learner that has caught up a voter",
          .arguments = {NodeArgumentDef("NODE", "The learner")},
          .options = {WaitDef()},
          .common = kNodeOptions,
          .examples = {{"cairn cluster promote 3", "Node 3 votes from now on"}}};
}

CommandDef RemoveDef() {
  return {.name = "cluster remove",
          .summary = "Takes a node out of the cluster, for good",
          .description = {"Its data folder is of no use afterwards: to come back, the node is "
                          "emptied and added as a new one."},
          .arguments = {NodeArgumentDef("NODE", "The member that goes")},
          .options = {ForceDef(), WaitDef()},
          .common = kNodeOptions,
          .examples = {{"cairn cluster remove 4", "Back from five nodes to four"}}};
}

CommandDef ReplaceDef() {
  return {.name = "cluster replace",
          .summary = "Puts a new node in the place of one that is gone",
          .description = {"The new node joins, and when it has caught up it takes the vote of the "
                          "old one, which goes. A node that lost its disk and comes back under "
                          "its own number needs no command: start it on an empty folder."},
          .arguments = {NodeArgumentDef("OLD", "The member that goes"),
                        NodeArgumentDef("NODE", "The number of the new node, or a learner"),
                        {.name = "PEER",
                         .help = "Where the other nodes reach the new one, HOST:PORT; not needed "
                                 "for a learner",
                         .required = false}},
          .options = {ForceDef(), WaitDef()},
          .common = kNodeOptions,
          .examples = {{"cairn cluster replace 1 3 10.0.0.4:7093",
                        "Node 1 will not come back; node 3 takes its place"}}};
}

CommandDef TransferDef() {
  return {
      .name = "cluster transfer-leader",
      .summary = "Hands leadership over to another voter",
      .arguments = {NodeArgumentDef(
          "NODE", "Who is to lead; unless given, the well voter that is furthest along", false)},
      .options = {WaitDef()},
      .common = kNodeOptions,
      .examples = {{"cairn cluster transfer-leader", "Before the leader is stopped"}}};
}

CommandDef UpgradeDef() {
  return {.name = "cluster upgrade",
          .summary = "Switches on what every member's version of Cairn knows",
          .description = {"After all nodes run a new version. From then on a node of an older one "
                          "can't take part. The exit code is 0 if no member is older than the "
                          "leader."},
          .options = {{.name = "check", .help = "Only says how it stands"}},
          .common = kNodeOptions,
          .examples = {{"cairn cluster upgrade --check", "Do all members run the new version?"},
                       {"cairn cluster upgrade", "Use what is new"}}};
}

CommandDef SnapshotDef() {
  return {.name = "cluster snapshot",
          .summary = "Has members write their state to disk and drop the log before it",
          .description = {"Nodes do so by themselves; the next start of a node that has just done "
                          "it has little to replay."},
          .arguments = {NodeArgumentDef("NODE", "The member; unless given, all of them", false)},
          .common = kNodeOptions,
          .examples = {{"cairn cluster snapshot", "All members"}}};
}

}  // namespace

std::vector<Command> MemberCommands() {
  return {{MembersDef(), RunMembers},   {AddDef(), RunAdd},         {PromoteDef(), RunPromote},
          {RemoveDef(), RunRemove},     {ReplaceDef(), RunReplace}, {TransferDef(), RunTransfer},
          {SnapshotDef(), RunSnapshot}, {UpgradeDef(), RunUpgrade}};
}

}  // namespace cairn::cli
