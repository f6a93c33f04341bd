#include "apps/cairn/timed_transaction.h"

#include <utility>

namespace cairn::cli {
namespace {

// As long as a person may leave a shell alone.
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 30);
constexpr std::size_t kStampBytes = 10;
// Of one answer.
constexpr std::uint64_t kPageBytes = 1 << 20;

}  // namespace

template <class T>
Result<T> TimedTransaction::Await(Future<T> future) const {
  if (future.WaitFor(context_.options().timeout)) return future.Get();
  future.Cancel();
  Result<T> result = future.Get();
  if (result.ok() || result.status().code() != StatusCode::kCancelled) return result;
  Status status = TimeoutError("no answer within " +
                               std::to_string(context_.options().timeout.count()) + " ms");
  if (result.status().maybe_applied()) status = std::move(status).WithMaybeApplied();
  return status;
}

MaybeFailure TimedTransaction::Begin() {
  Client* client = nullptr;
  if (auto failure = context_.Connect(&client)) return failure;
  client_ = context_.client();
  const auto newest = client->GetReadVersion(context_.Reading());
  if (!newest.ok()) return FailureOf(newest.status());
  read_version_ = *newest;
  TransactionOptions options;
  options.timeout = kLongest;
  options.read_version = read_version_;
  options.read_level = context_.read_level();
  transaction_.emplace(client->Begin(options));
  return std::nullopt;
}

MaybeFailure TimedTransaction::Get(const std::string& key, const std::string& family,
                                   GetResult* result) {
  auto got = Await(transaction_->GetAsync(key, family));
  if (!got.ok()) return FailureOf(got.status());
  *result = *std::move(got);
  return std::nullopt;
}

MaybeFailure TimedTransaction::Range(RangeRequest range, const std::string& family,
                                     const Each& each, bool* has_more) {
  const std::uint64_t limit = range.limit;
  range.max_bytes = kPageBytes;
  for (std::uint64_t count = 0;;) {
    if (limit > 0) range.limit = limit - count;
    const auto page = Await(transaction_->GetRangeAsync(range, family));
    if (!page.ok()) return FailureOf(page.status());
    for (const KeyValue& pair : page->key_values) each(pair.key, pair.value);
    count += page->key_values.size();
    *has_more = page->has_more;
    if (!page->has_more || page->key_values.empty() || (limit > 0 && count >= limit)) {
      return std::nullopt;
    }
    const std::string& last = page->key_values.back().key;
    if (range.reverse) {
      range.end = KeySelector::FirstGreaterOrEqual(last);
    } else {
      range.begin = KeySelector::FirstGreaterThan(last);
    }
  }
}

void TimedTransaction::SetVersionstampedKey(const std::string& prefix, const std::string& value,
                                            const std::string& family) {
  stamps_.push_back({true, static_cast<std::uint16_t>(transaction_->pending_writes())});
  stamped_.push_back({prefix, value});
  transaction_->SetVersionstampedKey(prefix + std::string(kStampBytes, '\0'), value, family);
}

void TimedTransaction::SetVersionstampedValue(const std::string& key, const std::string& prefix,
                                              const std::string& family) {
  stamps_.push_back({false, static_cast<std::uint16_t>(transaction_->pending_writes())});
  stamped_.push_back({key, prefix});
  transaction_->SetVersionstampedValue(key, prefix + std::string(kStampBytes, '\0'), family);
}

MaybeFailure TimedTransaction::Commit(std::uint64_t* version) {
  const auto committed = Await(transaction_->CommitAsync());
  if (!committed.ok()) return FailureOf(committed.status());
  *version = *committed;
  for (std::size_t i = 0; i < stamps_.size(); ++i) {
    std::string& stamped = stamps_[i].in_key ? stamped_[i].key : stamped_[i].value;
    stamped += MakeVersionstamp(*version, stamps_[i].order);
  }
  return std::nullopt;
}

}  // namespace cairn::cli
