// range: pages through has_more, all pages at the version of the first one.
#include <algorithm>
#include <iostream>
#include <utility>

#include "apps/cairn/session.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// Pairs asked for at once.
constexpr std::uint64_t kPage = 1000;
// The longest key of a node on its defaults; bounds the keys that share a prefix of 0xFF bytes.
constexpr std::size_t kLongestKey = 10 << 10;

// The keys from begin to end; what is unset is as on the wire.
struct Bounds {
  std::optional<std::string> begin;
  bool begin_included = true;
  std::optional<std::string> end;
  bool end_included = false;
};

Bounds PrefixBounds(const std::string& prefix) {
  Bounds bounds;
  bounds.begin = prefix;
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  if (end.empty()) {
    // Nothing but 0xFF: no key comes after all of these but by length.
    end = prefix;
    end.resize(std::max(prefix.size(), kLongestKey), '\xFF');
    bounds.end_included = true;
  } else {
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  }
  bounds.end = std::move(end);
  return bounds;
}

struct Page {
  std::vector<thrift_api::KeyValue> pairs;
  bool has_more = false;
};

template <class Request>
void Fill(const Session& session, const Bounds& bounds, std::uint64_t limit, Request* request) {
  if (bounds.begin.has_value()) request->__set_begin_key(*bounds.begin);
  request->__set_begin_or_equal(bounds.begin_included);
  if (bounds.end.has_value()) request->__set_end_key(*bounds.end);
  request->__set_end_or_equal(bounds.end_included);
  request->__set_limit(static_cast<std::int32_t>(std::min(limit, kPage)));
  session.Prepare(request);
}

template <class Response>
MaybeFailure Take(Response response, Page* page, std::optional<std::int64_t>* version) {
  if (MaybeFailure failure = FailureOf(response)) return failure;
  page->pairs = std::move(response.key_values);
  page->has_more = response.has_more;
  if (response.__isset.version) *version = response.version;
  return std::nullopt;
}

// Reads one page; at `version` if it is set, else sets it if the node tells.
MaybeFailure ReadPage(Session* session, const Bounds& bounds, std::uint64_t limit,
                      std::optional<std::int64_t>* version, Page* page) {
  if (version->has_value()) {
    thrift_api::SnapshotGetRangeRequest request;
    Fill(*session, bounds, limit, &request);
    request.__set_read_version(**version);
    thrift_api::SnapshotGetRangeResponse response;
    auto failure = session->Call([&](auto& node) { node.snapshotGetRange(response, request); });
    return failure.has_value() ? failure : Take(std::move(response), page, version);
  }
  thrift_api::GetRangeRequest request;
  Fill(*session, bounds, limit, &request);
  thrift_api::GetRangeResponse response;
  auto failure = session->Call([&](auto& node) { node.getRange(response, request); });
  return failure.has_value() ? failure : Take(std::move(response), page, version);
}

// Writes pairs as they come, so that a range of any size fits in memory.
class Printer {
 public:
  Printer(const Session* session, bool keys_only)
      : session_(*session), keys_only_(keys_only), json_(session->options().json) {}

  void Print(const thrift_api::KeyValue& pair) {
    if (json_) {
      ordered_json element;
      PutBytes(&element, "key", pair.key);
      if (!keys_only_) PutBytes(&element, "value", pair.value);
      std::cout << (count_ == 0 ? "{\"key_values\":[" : ",") << element.dump();
    } else {
      std::cout << session_.Text(pair.key);
      if (!keys_only_) std::cout << '\t' << session_.Text(pair.value);
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
    if (!json_ || count_ == 0) return session_.Fail(failure);
    const ordered_json error = {{"code", failure.code}, {"message", failure.message}};
    std::cout << "],\"error\":"
              << error.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << "}"
              << std::endl;
    return failure.exit;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  const Session& session_;
  const bool keys_only_;
  const bool json_;
  std::uint64_t count_ = 0;
};

}  // namespace

ExitCode RunRange(const CommonOptions& options, const RangeArguments& arguments) {
  Session session(options);
  Bounds bounds;
  if (arguments.prefix.has_value()) {
    bounds = PrefixBounds(*arguments.prefix);
  } else {
    bounds.begin = arguments.begin;
    bounds.end = arguments.end;
  }
  Printer printer(&session, arguments.keys_only);
  std::optional<std::int64_t> version;
  Page page;
  do {
    const std::uint64_t left =
        arguments.limit == 0 ? kPage : std::min(kPage, arguments.limit - printer.count());
    if (const auto failure = ReadPage(&session, bounds, left, &version, &page)) {
      return printer.Fail(*failure);
    }
    for (const auto& pair : page.pairs) printer.Print(pair);
    if (page.pairs.empty()) break;
    bounds.begin = page.pairs.back().key;
    bounds.begin_included = false;
  } while (page.has_more && (arguments.limit == 0 || printer.count() < arguments.limit));
  printer.Finish(page.has_more, version);
  return kSuccess;
}

}  // namespace cairn::cli
