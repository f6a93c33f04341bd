#include "apps/cairn/range_reader.h"

#include <algorithm>
#include <utility>

namespace cairn::cli {
namespace {

// Pairs asked for at once.
constexpr std::uint64_t kPage = 1000;
// The longest key of a node on its defaults; bounds the keys that share a prefix of 0xFF bytes.
constexpr std::size_t kLongestKey = 10 << 10;

}  // namespace

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

template <class Request>
void RangeReader::Fill(Request* request) const {
  if (bounds_.begin.has_value()) request->__set_begin_key(*bounds_.begin);
  request->__set_begin_or_equal(bounds_.begin_included);
  if (bounds_.end.has_value()) request->__set_end_key(*bounds_.end);
  request->__set_end_or_equal(bounds_.end_included);
  const std::uint64_t left = limit_ == 0 ? kPage : std::min(kPage, limit_ - count_);
  request->__set_limit(static_cast<std::int32_t>(left));
  context_.Prepare(request);
}

template <class Response>
MaybeFailure RangeReader::Take(Response response, std::vector<thrift_api::KeyValue>* pairs) {
  if (MaybeFailure failure = FailureOf(response)) return failure;
  *pairs = std::move(response.key_values);
  has_more_ = response.has_more;
  if (response.__isset.version) version_ = response.version;
  count_ += pairs->size();
  if (!pairs->empty()) {
    bounds_.begin = pairs->back().key;
    bounds_.begin_included = false;
  }
  done_ = pairs->empty() || !has_more_ || (limit_ > 0 && count_ >= limit_);
  return std::nullopt;
}

MaybeFailure RangeReader::Next(std::vector<thrift_api::KeyValue>* pairs) {
  pairs->clear();
  if (version_.has_value()) {
    thrift_api::SnapshotGetRangeRequest request;
    Fill(&request);
    request.__set_read_version(*version_);
    thrift_api::SnapshotGetRangeResponse response;
    auto failure = context_.Call([&](auto& node) { node.snapshotGetRange(response, request); });
    return failure.has_value() ? failure : Take(std::move(response), pairs);
  }
  thrift_api::GetRangeRequest request;
  Fill(&request);
  thrift_api::GetRangeResponse response;
  auto failure = context_.Call([&](auto& node) { node.getRange(response, request); });
  return failure.has_value() ? failure : Take(std::move(response), pairs);
}

}  // namespace cairn::cli
