#include "apps/cairn/output.h"

#include <iostream>

namespace cairn::cli {

using nlohmann::ordered_json;

ExitCode ShowValue(const Context& context, const std::string& key,
                   const std::optional<std::string>& value, std::optional<std::int64_t> version,
                   bool raw) {
  if (context.options().json) {
    ordered_json document = {{"found", value.has_value()}};
    PutBytes(&document, "key", key);
    if (value.has_value()) PutBytes(&document, "value", *value);
    if (version.has_value()) document["version"] = *version;
    Context::Print(document);
  } else if (value.has_value() && raw) {
    std::cout << *value << std::flush;
  } else if (value.has_value()) {
    std::cout << context.Text(*value) << std::endl;
  } else {
    std::cerr << "cairn: not found: " << context.Text(key) << "\n";
  }
  return value.has_value() ? kSuccess : kKeyNotFound;
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

void PairPrinter::Finish(bool has_more, std::optional<std::int64_t> version) {
  if (json_) {
    std::cout << (count_ == 0 ? "{\"key_values\":[" : "") << "],\"count\":" << count_
              << ",\"has_more\":" << (has_more ? "true" : "false");
    if (version.has_value()) std::cout << ",\"version\":" << *version;
    std::cout << "}\n";
  }
  std::cout << std::flush;
}

ExitCode PairPrinter::Fail(const Failure& failure) const {
  if (!json_ || count_ == 0) return context_.Fail(failure);
  const ordered_json error = {{"code", failure.code}, {"message", failure.message}};
  std::cout << "],\"error\":" << error.dump(-1, ' ', false, ordered_json::error_handler_t::replace)
            << "}" << std::endl;
  return failure.exit;
}

}  // namespace cairn::cli
