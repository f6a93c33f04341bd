// range: shows keys and values in order, a page at a time.
#include <algorithm>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/output.h"
#include "apps/cairn/range_scan.h"

namespace cairn::cli {
namespace {

ExitCode RunRange(Context& context, const Invocation& in) {
  RangeRequest range;
  if (const Status status = TakeRange(context, in, &range); !status.ok()) {
    return context.Fail(UsageFailure(status));
  }
  const std::uint64_t limit = range.limit;
  // One more than asked for tells whether there are more.
  if (limit > 0) range.limit = std::max(limit + 1, limit);
  RangeScan scan(&context, std::move(range), in.Number("at-version").value_or(0));
  PairPrinter printer(&context, PairPrinter::ShowOf(in));
  bool more = false;
  const auto failure = scan.Run([&](const std::string& key, const std::string& value) {
    more = limit > 0 && printer.count() == limit;
    if (!more) printer.Print(key, value);
    return !more;
  });
  if (failure.has_value()) return printer.Fail(*failure);
  printer.Finish(more, scan.version());
  return kSuccess;
}

CommandDef RangeDef() {
  return {
      .name = "range",
      .summary = "Shows keys and values in order, as of one version",
      .description = {"The keys from BEGIN up to but not including END, one a line, a tab between "
                      "key and value. However long the range, it is read a piece at a time, all "
                      "of it as of one version."},
      .arguments = {{.name = "BEGIN",
                     .kind = ValueKind::kBytes,
                     .help = "First key; unless given, the first there is",
                     .required = false},
                    {.name = "END",
                     .kind = ValueKind::kBytes,
                     .help = "Key to stop before; unless given, all there are",
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
                   .min = 1,
                   .max = std::numeric_limits<std::int64_t>::max()},
                  {.name = "reverse", .help = "From the last key to the first"},
                  {.name = "keys-only", .help = "Without the values"},
                  {.name = "count-only",
                   .help = "Only how many keys there are; with a + if --limit left some out",
                   .excludes = {"keys-only"}}},
      .common = kReadOptions,
      .examples = {{"cairn range fruit/ fruit0", "Keys from one to another"},
                   {"cairn range --prefix fruit/ --keys-only", "Keys with a prefix"},
                   {"cairn range --prefix log/ --reverse --limit 10", "The last ten"},
                   {"cairn range --count-only", "How many keys are there?"}}};
}

}  // namespace

std::vector<Command> RangeCommands() { return {{RangeDef(), RunRange}}; }

}  // namespace cairn::cli
