// family list, create, drop: the column families of a node.
#include <iostream>
#include <utility>

#include "apps/cairn/context.h"

namespace cairn::cli {
namespace {

ExitCode RunList(Context& context, const Invocation&) {
  std::vector<std::string> names;
  if (const auto failure = ListFamilies(&context, &names)) return context.Fail(*failure);
  if (context.options().json) {
    Context::Print({{"column_families", names}});
  } else {
    for (const std::string& name : names)
      std::cout << text::ToText(name, TextForm::kEscaped) << "\n";
    std::cout << std::flush;
  }
  return kSuccess;
}

ExitCode Report(const Context& context, const thrift_api::AdminResponse& response) {
  if (const auto failure = FailureOf(response)) return context.Fail(*failure);
  if (context.options().json) Context::Print({{"ok", true}, {"version", response.version}});
  return kSuccess;
}

ExitCode RunCreate(Context& context, const Invocation& in) {
  thrift_api::CreateColumnFamilyRequest request;
  request.name = in.Required("NAME");
  context.Prepare(&request);
  thrift_api::AdminResponse response;
  if (const auto failure =
          context.Call([&](auto& node) { node.createColumnFamily(response, request); })) {
    return context.Fail(*failure);
  }
  return Report(context, response);
}

ExitCode RunDrop(Context& context, const Invocation& in) {
  thrift_api::DropColumnFamilyRequest request;
  request.name = in.Required("NAME");
  context.Prepare(&request);
  thrift_api::AdminResponse response;
  if (const auto failure =
          context.Call([&](auto& node) { node.dropColumnFamily(response, request); })) {
    return context.Fail(*failure);
  }
  return Report(context, response);
}

ArgumentDef NameDef() {
  return {.name = "NAME", .kind = ValueKind::kText, .help = "The column family"};
}

}  // namespace

MaybeFailure ListFamilies(Context* context, std::vector<std::string>* names) {
  thrift_api::ListColumnFamiliesResponse response;
  if (auto failure = context->Call([&](auto& node) { node.listColumnFamilies(response, {}); })) {
    return failure;
  }
  if (auto failure = FailureOf(response)) return failure;
  *names = std::move(response.names);
  return std::nullopt;
}

std::vector<Command> FamilyCommands() {
  return {{{.name = "family list",
            .summary = "Shows the column families, the default one first",
            .common = kNodeOptions,
            .examples = {{"cairn family list", "What is there besides the default one?"}}},
           RunList},
          {{.name = "family create",
            .summary = "Creates a column family",
            .description = {"One that exists is fine."},
            .arguments = {NameDef()},
            .common = kNodeOptions,
            .examples = {{"cairn family create orders", "A family for orders"}}},
           RunCreate},
          {{.name = "family drop",
            .summary = "Drops a column family and all that is in it",
            .description = {"For good: there is no way back but a backup. One that does not exist "
                            "is fine."},
            .arguments = {NameDef()},
            .common = kNodeOptions,
            .examples = {{"cairn family drop orders", "Nobody orders any more"}}},
           RunDrop}};
}

}  // namespace cairn::cli
