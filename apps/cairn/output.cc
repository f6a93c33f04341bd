#include "apps/cairn/output.h"

#include <iostream>
#include <optional>

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

namespace {

// A bound that may stand as an argument or as an option.
Status TakeBound(const Context& context, const Invocation& in, const char* argument,
                 const char* option, std::optional<std::string>* bound) {
  for (const std::string name : {argument, option}) {
    if (!in.Has(name)) continue;
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
  if (in.Has("prefix")) {
    CAIRN_ASSIGN_OR_RETURN(const std::string prefix,
                           context.Bytes(in.Required("prefix"), "--prefix"));
    *range = RangeRequest::WithPrefix(prefix);
  } else {
    range->begin = KeySelector::FirstGreaterOrEqual(begin.value_or(""));
    if (end.has_value()) range->end = KeySelector::FirstGreaterOrEqual(*end);
  }
  range->limit = *in.Number("limit");
  return Status::Ok();
}

void PairPrinter::Print(std::string_view key, std::string_view value) {
  if (json_) {
    ordered_json element;
    PutBytes(&element, "key", key);
    if (!keys_only_) PutBytes(&element, "value", value);
    std::cout << (count_ == 0 ? "{\"key_values\":[" : ",") << element.dump();
  } else {
    std::cout << context_.Text(key);
    if (!keys_only_) std::cout << '\t' << context_.Text(value);
    std::cout << '\n';
  }
  ++count_;
}

void PairPrinter::Finish(bool has_more, std::uint64_t version) {
  if (json_) {
    std::cout << (count_ == 0 ? "{\"key_values\":[" : "") << "],\"count\":" << count_
              << ",\"has_more\":" << (has_more ? "true" : "false");
    std::cout << ",\"version\":" << version << "}\n";
  }
  std::cout << std::flush;
}

ExitCode PairPrinter::Fail(const Failure& failure) const {
  if (!json_ || count_ == 0) return context_.Fail(failure);
  std::cout << "],\"error\":"
            << ErrorDocument(failure).dump(-1, ' ', false, ordered_json::error_handler_t::replace)
            << "}" << std::endl;
  return failure.exit;
}

}  // namespace cairn::cli
