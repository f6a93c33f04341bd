#include "apps/cairn/output.h"

#include <iostream>
#include <optional>
#include <utility>

namespace cairn::cli {

using nlohmann::ordered_json;

ExitCode ShowValue(const Context& context, const std::string& key, const GetResult& result,
                   bool raw) {
  if (context.options().json) {
    ordered_json document = {{"found", result.found}};
    PutBytes(&document, "key", key);
    if (result.found) PutBytes(&document, "value", result.value);
    if (result.version > 0) document["version"] = result.version;
    Context::Print(document);
  } else if (result.found && raw) {
    std::cout << result.value << std::flush;
  } else if (result.found) {
    std::cout << context.Text(result.value) << std::endl;
  } else {
    std::cerr << "cairn: not found: " << context.Text(key) << "\n";
  }
  return result.found ? kSuccess : kKeyNotFound;
}

void PrintStamped(const Context& context, const std::vector<KeyValue>& stamped) {
  for (const KeyValue& pair : stamped) {
    std::cout << "stamped " << context.Text(pair.key) << '\t' << context.Text(pair.value) << '\n';
  }
}

ordered_json StampedDocument(const std::vector<KeyValue>& stamped) {
  ordered_json pairs = ordered_json::array();
  for (const KeyValue& pair : stamped) {
    ordered_json element;
    PutBytes(&element, "key", pair.key);
    PutBytes(&element, "value", pair.value);
    pairs.push_back(std::move(element));
  }
  return pairs;
}

namespace {

// A bound that may stand as an argument or as an option.
Status TakeBound(const Context& context, const Invocation& in, const char* argument,
                 const char* option, std::optional<std::string>* bound) {
  for (const std::string name : {argument, option}) {
    if (!in.Takes(name) || !in.Has(name)) continue;
    CAIRN_ASSIGN_OR_RETURN(*bound, context.Bytes(in.Required(name), name));
  }
  return Status::Ok();
}

}  // namespace

Status TakeRange(const Context& context, const Invocation& in, RangeRequest* range) {
  std::optional<std::string> begin;
  std::optional<std::string> end;
  CAIRN_RETURN_IF_ERROR(TakeBound(context, in, "BEGIN", "begin", &begin));
  CAIRN_RETURN_IF_ERROR(TakeBound(context, in, "END", "end", &end));
  if (begin && end && *begin > *end) {
    return InvalidArgumentError("the range ends before it begins: '" + context.Text(*begin) +
                                "' to '" + context.Text(*end) + "'");
  }
  if (in.Has("prefix")) {
    CAIRN_ASSIGN_OR_RETURN(const std::string prefix,
                           context.Bytes(in.Required("prefix"), "--prefix"));
    *range = RangeRequest::WithPrefix(prefix);
  } else {
    range->begin = KeySelector::FirstGreaterOrEqual(begin.value_or(""));
    if (end.has_value()) range->end = KeySelector::FirstGreaterOrEqual(*end);
  }
  if (in.Takes("limit")) range->limit = *in.Number("limit");
  range->reverse = in.Takes("reverse") && in.Has("reverse");
  return Status::Ok();
}

Result<std::optional<std::string>> TakeDeletion(const Context& context, const Invocation& in,
                                                RangeRequest* range) {
  if (in.Has("KEY")) {
    CAIRN_ASSIGN_OR_RETURN(std::string key, context.Bytes(in.Required("KEY"), "KEY"));
    return std::optional(std::move(key));
  }
  if (!in.Has("prefix") && !in.Has("begin") && !in.Has("end")) {
    return InvalidArgumentError(
        "which key? Write KEY, or --prefix KEY or --begin KEY --end KEY for many");
  }
  CAIRN_RETURN_IF_ERROR(TakeRange(context, in, range));
  return std::optional<std::string>();
}

PairPrinter::Show PairPrinter::ShowOf(const Invocation& in) {
  if (in.Has("count-only")) return Show::kCount;
  return in.Has("keys-only") ? Show::kKeys : Show::kPairs;
}

void PairPrinter::Print(std::string_view key, std::string_view value) {
  const bool keys_only = show_ == Show::kKeys;
  if (show_ == Show::kCount) {
    // Nothing is shown before the end.
  } else if (json_) {
    ordered_json element;
    PutBytes(&element, "key", key);
    if (!keys_only) PutBytes(&element, "value", value);
    std::cout << (count_ == 0 ? "{\"key_values\":[" : ",") << element.dump();
  } else {
    std::cout << context_.Text(key);
    if (!keys_only) std::cout << '\t' << context_.Text(value);
    std::cout << '\n';
  }
  ++count_;
}

void PairPrinter::Finish(bool has_more, std::uint64_t version) {
  if (json_) {
    if (show_ == Show::kCount) {
      std::cout << "{";
    } else {
      std::cout << (count_ == 0 ? "{\"key_values\":[" : "") << "],";
    }
    std::cout << "\"count\":" << count_ << ",\"has_more\":" << (has_more ? "true" : "false");
    std::cout << ",\"version\":" << version << "}\n";
  } else if (show_ == Show::kCount) {
    std::cout << count_ << (has_more ? "+" : "") << "\n";
  }
  std::cout << std::flush;
}

ExitCode PairPrinter::Fail(const Failure& failure) const {
  if (!json_ || count_ == 0 || show_ == Show::kCount) return context_.Fail(failure);
  std::cout << "],\"error\":"
            << ErrorDocument(failure).dump(-1, ' ', false, ordered_json::error_handler_t::replace)
            << "}" << std::endl;
  return failure.exit;
}

}  // namespace cairn::cli
