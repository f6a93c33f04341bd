// range: shows keys and values in order, a page at a time.
#include <iostream>
#include <limits>
#include <utility>

#include "apps/cairn/context.h"
#include "apps/cairn/range_reader.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// Writes pairs as they come, so that a range of any size fits in memory.
class Printer {
 public:
  Printer(const Context* context, bool keys_only)
      : context_(*context), keys_only_(keys_only), json_(context->options().json) {}

  void Print(const thrift_api::KeyValue& pair) {
    if (json_) {
      ordered_json element;
      PutBytes(&element, "key", pair.key);
      if (!keys_only_) PutBytes(&element, "value", pair.value);
      std::cout << (count_ == 0 ? "{\"key_values\":[" : ",") << element.dump();
    } else {
      std::cout << context_.Text(pair.key);
      if (!keys_only_) std::cout << '\t' << context_.Text(pair.value);
      std::cout << '\n';
    }
    ++count_;
  }

  void Finish(bool has_more, std::optional<std::int64_t> version) {
    if (json_) {
      std::cout << (count_ == 0 ? "{\"key_values\":[" : "") << "],\"count\":" << count_
                << ",\"has_more\":" << (has_more ? "true" : "false");
      if (version.has_value()) std::cout << ",\"version\":" << *version;
      std::cout << "}\n";
    }
    std::cout << std::flush;
  }

  // A document that was begun must end as one: the error becomes its last field.
  [[nodiscard]] ExitCode Fail(const Failure& failure) const {
    if (!json_ || count_ == 0) return context_.Fail(failure);
    const ordered_json error = {{"code", failure.code}, {"message", failure.message}};
    std::cout << "],\"error\":"
              << error.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << "}"
              << std::endl;
    return failure.exit;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  const Context& context_;
  const bool keys_only_;
  const bool json_;
  std::uint64_t count_ = 0;
};

// A bound that may stand as an argument or as an option.
Status TakeBound(const Context& context, const Invocation& in, const char* argument,
                 const char* option, std::optional<std::string>* bound) {
  for (const std::string name : {argument, option}) {
    if (!in.Has(name)) continue;
    CAIRN_ASSIGN_OR_RETURN(*bound, context.Bytes(in.Required(name), name));
  }
  return Status::Ok();
}

Status TakeBounds(const Context& context, const Invocation& in, Bounds* bounds) {
  CAIRN_RETURN_IF_ERROR(TakeBound(context, in, "BEGIN", "begin", &bounds->begin));
  CAIRN_RETURN_IF_ERROR(TakeBound(context, in, "END", "end", &bounds->end));
  if (in.Has("prefix")) {
    CAIRN_ASSIGN_OR_RETURN(const std::string prefix,
                           context.Bytes(in.Required("prefix"), "--prefix"));
    *bounds = PrefixBounds(prefix);
  }
  return Status::Ok();
}

ExitCode RunRange(Context& context, const Invocation& in) {
  Bounds bounds;
  if (const Status status = TakeBounds(context, in, &bounds); !status.ok()) {
    return context.Fail(UsageFailure(status));
  }
  std::optional<std::int64_t> version;
  if (in.Has("at-version")) version = static_cast<std::int64_t>(*in.Number("at-version"));
  RangeReader reader(&context, std::move(bounds), *in.Number("limit"), version);
  Printer printer(&context, in.Has("keys-only"));
  std::vector<thrift_api::KeyValue> pairs;
  while (!reader.done()) {
    if (const auto failure = reader.Next(&pairs)) return printer.Fail(*failure);
    for (const auto& pair : pairs) printer.Print(pair);
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
