#include "src/replication/reader.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {

constexpr std::uint32_t kStepsBetweenChecks = 1000;

// A resolved selector: the first key at or after it that the range may hold. `unbounded`: beyond
// the last key.
struct Bound {
  std::string key;
  bool unbounded = false;
};

// A selector finds the last key below this place, and moves from there.
std::string PlaceOf(const kv::KeySelector& selector) {
  return selector.or_equal ? KeyAfter(selector.key) : selector.key;
}

class RangeScan {
 public:
  RangeScan(storage::ReadIterator* it, const ScanCheck& check) : it_(it), check_(check) {}

  Result<Bound> Resolve(const kv::KeySelector& selector);
  Result<kv::RangeResult> Collect(const kv::RangeQuery& query, const Bound& begin, const Bound& end,
                                  std::uint64_t max_bytes);

 private:
  Status Tick() {
    if (++steps_ % kStepsBetweenChecks != 0) return Status::Ok();
    return check_();
  }
  // Moves on from the position by `n` keys, or back by -n.
  Status Move(std::int64_t n) {
    for (; n > 0 && it_->Valid(); --n) {
      it_->Next();
      CAIRN_RETURN_IF_ERROR(Tick());
    }
    for (; n < 0 && it_->Valid(); ++n) {
      it_->Prev();
      CAIRN_RETURN_IF_ERROR(Tick());
    }
    return it_->status();
  }

  storage::ReadIterator* const it_;
  const ScanCheck& check_;
  std::uint32_t steps_ = 0;
};

Result<Bound> RangeScan::Resolve(const kv::KeySelector& selector) {
  // "The last key < k, then `offset` on" is, for offset >= 1, "the first key >= k, then offset - 1
  // on"; for offset <= 0 it is counted back from the last key < k.
  std::string from = PlaceOf(selector);
  // As a bound, the place itself will do.
  if (selector.offset == 1) return Bound{std::move(from), false};
  if (selector.offset > 1) {
    it_->SeekGreaterOrEqual(from);
    CAIRN_RETURN_IF_ERROR(Move(static_cast<std::int64_t>(selector.offset) - 1));
    if (!it_->Valid()) return Bound{{}, true};
    return Bound{std::string(it_->key()), false};
  }
  if (from.empty()) return Bound{};  // Nothing is below the empty key.
  it_->SeekLess(from);
  CAIRN_RETURN_IF_ERROR(Move(selector.offset));
  if (!it_->Valid()) return Bound{};  // Ran off the front: stay there.
  return Bound{std::string(it_->key()), false};
}

Result<kv::RangeResult> RangeScan::Collect(const kv::RangeQuery& query, const Bound& begin,
                                           const Bound& end, std::uint64_t max_bytes) {
  kv::RangeResult result;
  if (begin.unbounded || (!end.unbounded && end.key <= begin.key)) return result;
  if (!query.reverse) {
    it_->SeekGreaterOrEqual(begin.key);
  } else {
    it_->SeekLess(end.unbounded ? std::string_view() : std::string_view(end.key));
  }
  std::uint64_t bytes = 0;
  while (it_->Valid()) {
    const std::string_view key = it_->key();
    if (query.reverse ? key < begin.key : (!end.unbounded && key >= end.key)) break;
    const bool full = (query.limit != 0 && result.key_values.size() >= query.limit) ||
                      (bytes >= max_bytes && !result.key_values.empty());
    if (full) {
      result.has_more = true;
      return result;
    }
    const std::string_view value = query.keys_only ? std::string_view() : it_->value();
    // At least one pair; beyond that the answer stays within its bound.
    if (!result.key_values.empty() && bytes + key.size() + value.size() > max_bytes) {
      result.has_more = true;
      return result;
    }
    bytes += key.size() + value.size();
    result.key_values.push_back({std::string(key), std::string(value)});
    query.reverse ? it_->Prev() : it_->Next();
    CAIRN_RETURN_IF_ERROR(Tick());
  }
  CAIRN_RETURN_IF_ERROR(it_->status());
  return result;
}

}  // namespace

Result<kv::RangeResult> ReadRange(const storage::Engine& engine, FamilyId family,
                                  const kv::RangeQuery& query, Version at, const kv::Limits& limits,
                                  const ScanCheck& check) {
  // A bound that is known beforehand is given to the iterator, so that it need not step over what
  // lies beyond. Not if the other selector could have to look beyond it.
  storage::KeyRange within;
  const bool plain_end = !query.end || query.end->offset == 1;
  if (plain_end && query.begin.offset == 1) within.begin = PlaceOf(query.begin);
  if (query.end && plain_end && query.begin.offset >= 1) {
    within.end = PlaceOf(*query.end);
    if (within.end.empty()) return kv::RangeResult{{}, false, at};  // Nothing is below "".
  }
  CAIRN_ASSIGN_OR_RETURN(auto it, engine.NewIterator(family, within, at));
  RangeScan scan(it.get(), check);
  CAIRN_ASSIGN_OR_RETURN(const Bound begin, scan.Resolve(query.begin));
  Bound end{{}, true};
  if (query.end) {
    CAIRN_ASSIGN_OR_RETURN(end, scan.Resolve(*query.end));
  }
  const std::uint64_t max_bytes =
      query.max_bytes == 0 ? limits.range_answer_bytes
                           : std::min<std::uint64_t>(query.max_bytes, limits.range_answer_bytes);
  CAIRN_ASSIGN_OR_RETURN(kv::RangeResult result, scan.Collect(query, begin, end, max_bytes));
  CAIRN_RETURN_IF_ERROR(check());
  result.read_version = at;
  return result;
}

}  // namespace cairn::replication
