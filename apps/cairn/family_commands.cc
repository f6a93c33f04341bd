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
    for (const std::string& name : names) std::cout << ShownFamily(name) << "\n";
    std::cout << std::flush;
  }
  return kSuccess;
}

ExitCode Report(const Context& context, const Result<std::uint64_t>& version) {
  if (!version.ok()) return context.Fail(FailureOf(version.status()));
  if (context.options().json) Context::Print({{"ok", true}, {"version", *version}});
  return kSuccess;
}

ExitCode RunCreate(Context& context, const Invocation& in) {
  const auto name = FamilyName(in.Required("NAME"), "NAME");
  if (!name.ok()) return context.Fail(UsageFailure(name.status()));
  Client* client = nullptr;
  if (const auto failure = context.Connect(&client)) return context.Fail(*failure);
  return Report(context, client->CreateColumnFamily(*name, context.Writing()));
}

ExitCode RunDrop(Context& context, const Invocation& in) {
  const auto name = FamilyName(in.Required("NAME"), "NAME");
  if (!name.ok()) return context.Fail(UsageFailure(name.status()));
  Client* client = nullptr;
  if (const auto failure = context.Connect(&client)) return context.Fail(*failure);
  return Report(context, client->DropColumnFamily(*name, context.Writing()));
}

ArgumentDef NameDef() {
  return {.name = "NAME", .kind = ValueKind::kText, .help = "The column family"};
}

}  // namespace

MaybeFailure ListFamilies(Context* context, std::vector<std::string>* names) {
  Client* client = nullptr;
  if (auto failure = context->Connect(&client)) return failure;
  auto found = client->ListColumnFamilies(context->Reading());
  if (!found.ok()) return FailureOf(found.status());
  *names = *std::move(found);
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
