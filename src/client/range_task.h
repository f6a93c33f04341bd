// A range read of a transaction: what is committed at a version, with the transaction's own writes
// laid over it. It resolves the key selectors, reads page after page, and says at the end what it
// looked at. It does no input or output itself:
//
//   RangeTask task(...);
//   while (auto request = task.Next()) task.Feed(answer to *request);
//   task.TakeResult(), task.looked_at()
//
// Key selectors count the keys that the transaction sees, its own writes included.
//
// Thread safety: none.
#ifndef CAIRN_SRC_CLIENT_RANGE_TASK_H_
#define CAIRN_SRC_CLIENT_RANGE_TASK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cairn/transaction.h"
#include "src/base/ids.h"
#include "src/client/write_set.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"

namespace cairn::client {

// Reads the pairs of [begin, end) in one direction, until it has one more than asked for.
class MergedScan {
 public:
  struct Bounds {
    std::string begin;
    std::string end;  // empty: unbounded
    std::uint64_t limit = 0;
    std::uint64_t max_bytes = 0;
    bool reverse = false;
    bool keys_only = false;
  };
  MergedScan(Bounds bounds, WrittenKeys written);

  // What to ask the node next; nothing when done.
  [[nodiscard]] std::optional<kv::RangeQuery> Next() const;
  void Feed(kv::RangeResult page);

  std::vector<KeyValue> pairs;
  bool has_more = false;

 private:
  // Adds a pair, or notes that there is more and ends.
  void Take(std::string key, std::string value);
  void TakeWrittenBefore(const std::string* key);

  Bounds bounds_;
  WrittenKeys written_;
  std::uint64_t bytes_ = 0;
  bool done_ = false;
};

class RangeTask {
 public:
  using WrittenIn =
      std::function<Result<WrittenKeys>(const std::string& begin, const std::string& end)>;

  // `written_in` gives the transaction's writes of a range; it is called within the constructor and
  // Feed.
  RangeTask(const RangeRequest& range, std::string column_family, Version version,
            WrittenIn written_in);
  // The task that resolves one selector: TakeResult has its key, or nothing.
  static RangeTask ForKey(const KeySelector& selector, std::string column_family, Version version,
                          WrittenIn written_in);

  // The next request; nothing when there is a result.
  [[nodiscard]] std::optional<kv::KvOperation> Next() const;
  // Takes the answer to Next().
  void Feed(Result<kv::RangeResult> page);

  Result<RangeResult> TakeResult() { return std::move(result_); }
  // [begin, end), an empty end unbounded.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& looked_at() const {
    return looked_at_;
  }

 private:
  enum class Phase : std::uint8_t { kBegin, kEnd, kRead, kDone };
  RangeTask(std::string column_family, Version version, WrittenIn written_in);
  void Resolve(const KeySelector& selector, Phase phase);
  void StartReading();
  void StartScan(MergedScan::Bounds bounds);
  void OnScanDone();
  void OnResolved();
  void Fail(Status status);
  void Advance();

  const std::string column_family_;
  const Version version_;
  const WrittenIn written_in_;
  RangeRequest range_;
  bool key_only_ = false;
  Phase phase_ = Phase::kBegin;
  MergedScan::Bounds bounds_;
  std::optional<MergedScan> scan_;
  // Resolved bounds. Nothing: past the end of the family.
  std::optional<std::string> begin_;
  std::optional<std::string> end_;
  Result<RangeResult> result_{RangeResult()};
  std::vector<std::pair<std::string, std::string>> looked_at_;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_RANGE_TASK_H_
