#include "apps/cairn/range_scan.h"

namespace cairn::cli {
namespace {

// Of one answer or batch.
constexpr std::uint64_t kPageBytes = 1 << 20;

}  // namespace

MaybeFailure RangeScan::Run(const Each& each) {
  Client* client = nullptr;
  if (auto failure = context_.Connect(&client)) return failure;
  if (version_ == 0) {
    const auto newest = client->GetReadVersion(context_.Reading());
    if (!newest.ok()) return FailureOf(newest.status());
    version_ = *newest;
    own_version_ = true;
  }
  ReadOptions options = context_.Reading(version_);
  if (family_.has_value()) options.column_family = *family_;
  // It exists, so another node that lags will have it soon.
  if (own_version_) options.min_version = version_;
  range_.max_bytes = kPageBytes;
  const Status status = client->Scan(
      RangeRequest(range_),
      [&](const std::string& key, const std::string& value) {
        const bool more = each(key, value);
        if (range_.limit > 0) --range_.limit;
        if (range_.reverse) {
          range_.end = KeySelector::FirstGreaterOrEqual(key);
        } else {
          range_.begin = KeySelector::FirstGreaterThan(key);
        }
        return more;
      },
      options);
  if (!status.ok()) return FailureOf(status);
  return std::nullopt;
}

}  // namespace cairn::cli
