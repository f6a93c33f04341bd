// range: shows keys and values in order, a page at a time.
#include <iostream>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"
#include "apps/cairn/range_reader.h"

namespace cairn::cli {
namespace {

ExitCode RunRange(Context& context, const Invocation& in) {
  Bounds bounds;
  if (const Status status = TakeBounds(context, in, &bounds); !status.ok()) {
    return context.Fail(UsageFailure(status));
  }
  std::optional<std::int64_t> version;
  if (in.Has("at-version")) version = static_cast<std::int64_t>(*in.Number("at-version"));
  RangeReader reader(&context, std::move(bounds), *in.Number("limit"), version);
  PairPrinter printer(&context, in.Has("keys-only"));
  std::vector<thrift_api::KeyValue> pairs;
  while (!reader.done()) {
    if (const auto failure = reader.Next(&pairs)) return printer.Fail(*failure);
    for (const auto& pair : pairs) printer.Print(pair.key, pair.value);
  }
  printer.Finish(reader.has_more(), reader.version());
  return kSuccess;
}

CommandDef RangeDef() {
  return {
      .name = "range",
      .summary = "Shows keys and values in order, as of one version",
      .description = {"The keys from BEGIN up to but not including END, one a line, a tab between "
                      "key and value. However long the range, it is read a page at a time, all "
                      "pages as of one version."},
      .arguments = {{.name = "BEGIN",
                     .kind = ValueKind::kBytes,
                     .help = "First key; unless given, the first there is",
                     .required = false},
                    {.name = "END",
                     .kind = ValueKind::kBytes,
                     .help = "Key to stop before; unless given, \\xff",
                     .required = false}},
      .options = {{.name = "begin",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "The same as BEGIN",
                   .excludes = {"BEGIN"}},
                  {.name = "end",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "The same as END",
                   .excludes = {"END"}},
                  {.name = "prefix",
                   .kind = ValueKind::kBytes,
                   .value_name = "KEY",
                   .help = "Only keys that start with this",
                   .excludes = {"BEGIN", "END", "begin", "end"}},
                  {.name = "limit",
                   .kind = ValueKind::kNumber,
                   .value_name = "N",
                   .help = "At most this many keys; 0: all",
                   .default_value = "0"},
                  {.name = "at-version",
                   .kind = ValueKind::kNumber,
                   .value_name = "V",
                   .help = "As of this version, as long as the node keeps it",
                   .max = std::numeric_limits<std::int64_t>::max()},
                  {.name = "keys-only", .help = "Without the values"}},
      .common = kReadOptions,
      .examples = {{"cairn range fruit/ fruit0", "Keys from one to another"},
                   {"cairn range --prefix fruit/ --keys-only", "Keys with a prefix"}}};
}

}  // namespace

std::vector<Command> RangeCommands() { return {{RangeDef(), RunRange}}; }

}  // namespace cairn::cli
