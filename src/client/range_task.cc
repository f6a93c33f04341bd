#include "src/client/range_task.h"

#include <algorithm>

namespace cairn::client {
namespace {

constexpr std::uint64_t kDefaultMaxBytes = 16 << 20;

std::string After(const std::string& key) { return key + '\0'; }

}  // namespace

MergedScan::MergedScan(Bounds bounds, WrittenKeys written)
    : bounds_(std::move(bounds)), written_(std::move(written)) {
  if (bounds_.max_bytes == 0) bounds_.max_bytes = kDefaultMaxBytes;
  if (!bounds_.end.empty() && bounds_.begin >= bounds_.end) done_ = true;
}

std::optional<kv::RangeQuery> MergedScan::Next() const {
  if (done_) return std::nullopt;
  kv::RangeQuery query;
  query.begin = kv::KeySelector::FirstGreaterOrEqual(bounds_.begin);
  if (!bounds_.end.empty()) query.end = kv::KeySelector::FirstGreaterOrEqual(bounds_.end);
  query.reverse = bounds_.reverse;
  query.keys_only = bounds_.keys_only;
  query.max_bytes = bounds_.max_bytes;
  // Own deletes may hide what comes; one more tells whether there is more.
  if (bounds_.limit != 0) query.limit = bounds_.limit - pairs.size() + written_.size() + 1;
  return query;
}

void MergedScan::Take(std::string key, std::string value) {
  if (done_) return;
  if (bounds_.keys_only) value.clear();
  const std::uint64_t bytes = key.size() + value.size();
  if ((bounds_.limit != 0 && pairs.size() == bounds_.limit) ||
      (!pairs.empty() && bytes_ + bytes > bounds_.max_bytes)) {
    has_more = true;
    done_ = true;
    return;
  }
  bytes_ += bytes;
  pairs.push_back({std::move(key), std::move(value)});
}

// Takes the own writes that come before `key` in the direction of the scan; all, without a key.
void MergedScan::TakeWrittenBefore(const std::string* key) {
  while (!written_.empty() && !done_) {
    const auto it = bounds_.reverse ? std::prev(written_.end()) : written_.begin();
    if (key != nullptr && (bounds_.reverse ? it->first <= *key : it->first >= *key)) return;
    if (it->second.kind == Written::Kind::kSet) Take(it->first, it->second.value);
    written_.erase(it);
  }
}

void MergedScan::Feed(kv::RangeResult page) {
  for (kv::KeyValue& pair : page.key_values) {
    TakeWrittenBefore(&pair.key);
    if (bounds_.reverse) {
      bounds_.end = pair.key;
    } else {
      bounds_.begin = After(pair.key);
    }
    const auto own = written_.find(pair.key);
    if (own == written_.end()) {
      Take(std::move(pair.key), std::move(pair.value));
      continue;
    }
    if (own->second.kind == Written::Kind::kSet) Take(own->first, own->second.value);
    written_.erase(own);
  }
  if (page.has_more) return;
  TakeWrittenBefore(nullptr);
  done_ = true;
}

RangeTask::RangeTask(std::string column_family, Version version, WrittenIn written_in)
    : column_family_(std::move(column_family)),
      version_(version),
      written_in_(std::move(written_in)) {}

RangeTask::RangeTask(const RangeRequest& range, std::string column_family, Version version,
                     WrittenIn written_in)
    : RangeTask(std::move(column_family), version, std::move(written_in)) {
  range_ = range;
  Resolve(range_.begin, Phase::kBegin);
}

RangeTask RangeTask::ForKey(const KeySelector& selector, std::string column_family, Version version,
                            WrittenIn written_in) {
  RangeTask task(std::move(column_family), version, std::move(written_in));
  task.key_only_ = true;
  task.range_.begin = selector;
  task.Resolve(selector, Phase::kBegin);
  return task;
}

void RangeTask::Fail(Status status) {
  phase_ = Phase::kDone;
  scan_.reset();
  result_ = std::move(status);
}

void RangeTask::StartScan(MergedScan::Bounds bounds) {
  Result<WrittenKeys> written = written_in_(bounds.begin, bounds.end);
  if (!written.ok()) return Fail(std::move(written).status());
  bounds_ = bounds;
  scan_.emplace(std::move(bounds), std::move(written).value());
  if (!scan_->Next()) OnScanDone();
}

// The selector's key is the offset-th one from `start` on, or the one that many before it.
void RangeTask::Resolve(const KeySelector& selector, Phase phase) {
  phase_ = phase;
  std::string start = selector.or_equal ? After(selector.key) : selector.key;
  if (selector.offset == 1 && !key_only_) {
    // As a bound, "the first key >= start" and "start" mean the same.
    (phase == Phase::kBegin ? begin_ : end_) = std::move(start);
    return Advance();
  }
  MergedScan::Bounds bounds;
  bounds.keys_only = true;
  if (selector.offset >= 1) {
    bounds.begin = std::move(start);
    bounds.limit = static_cast<std::uint64_t>(selector.offset);
  } else {
    bounds.end = start;
    bounds.limit = static_cast<std::uint64_t>(1 - static_cast<std::int64_t>(selector.offset));
    bounds.reverse = true;
    if (start.empty()) {  // nothing is before the first key
      scan_.reset();
      bounds_ = bounds;
      return OnResolved();
    }
  }
  StartScan(std::move(bounds));
}

void RangeTask::OnResolved() {
  std::optional<std::string> key;
  if (scan_ && scan_->pairs.size() == bounds_.limit) key = scan_->pairs.back().key;
  const bool found = key.has_value();
  if (bounds_.reverse) {
    if (!found) key.emplace();  // ran off the front: stays there
    if (scan_) looked_at_.emplace_back(*key, bounds_.end);
  } else {
    looked_at_.emplace_back(bounds_.begin, found ? After(*key) : std::string());
  }
  scan_.reset();
  if (key_only_) {
    phase_ = Phase::kDone;
    RangeResult result;
    result.read_version = version_.value();
    if (found) result.key_values.push_back({*key, {}});
    result_ = std::move(result);
    return;
  }
  (phase_ == Phase::kBegin ? begin_ : end_) = std::move(key);
  Advance();
}

void RangeTask::Advance() {
  if (phase_ == Phase::kBegin && range_.end) return Resolve(*range_.end, Phase::kEnd);
  StartReading();
}

void RangeTask::StartReading() {
  phase_ = Phase::kRead;
  const bool empty = !begin_ || (range_.end && end_ && *begin_ >= *end_);
  MergedScan::Bounds bounds;
  if (empty) {
    phase_ = Phase::kDone;
    RangeResult result;
    result.read_version = version_.value();
    result_ = std::move(result);
    return;
  }
  bounds.begin = *begin_;
  bounds.end = end_.value_or(std::string());
  bounds.limit = range_.limit;
  bounds.max_bytes = range_.max_bytes;
  bounds.reverse = range_.reverse;
  bounds.keys_only = range_.keys_only;
  StartScan(std::move(bounds));
}

std::optional<kv::KvOperation> RangeTask::Next() const {
  if (!scan_) return std::nullopt;
  std::optional<kv::RangeQuery> query = scan_->Next();
  if (!query) return std::nullopt;
  return kv::SnapshotGetRange{std::move(*query), version_, column_family_};
}

void RangeTask::Feed(Result<kv::RangeResult> page) {
  if (!page.ok()) return Fail(std::move(page).status());
  scan_->Feed(std::move(page).value());
  if (!scan_->Next()) OnScanDone();
}

void RangeTask::OnScanDone() {
  if (phase_ != Phase::kRead) return OnResolved();
  phase_ = Phase::kDone;
  RangeResult result;
  result.key_values = std::move(scan_->pairs);
  result.has_more = scan_->has_more;
  result.read_version = version_.value();
  std::string from = bounds_.begin;
  std::string to = bounds_.end;
  if (result.has_more && bounds_.reverse) from = result.key_values.back().key;
  if (result.has_more && !bounds_.reverse) to = After(result.key_values.back().key);
  looked_at_.emplace_back(std::move(from), std::move(to));
  scan_.reset();
  result_ = std::move(result);
}

}  // namespace cairn::client
