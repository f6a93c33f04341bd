// A transaction of the command line. It may stay open for as long as somebody types; each of its
// calls takes at most --timeout-ms. Reads are of one version and see the transaction's own writes;
// the commit succeeds only if nothing that was read has changed.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_TIMED_TRANSACTION_H_
#define CAIRN_APPS_CAIRN_TIMED_TRANSACTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cairn/context.h"

namespace cairn::cli {

class TimedTransaction {
 public:
  // Takes a pair of a range.
  using Each = std::function<void(const std::string& key, const std::string& value)>;

  // Read level and timeout are those of the context at each call.
  explicit TimedTransaction(Context* context) : context_(*context) {}

  // Takes the newest version as the one to read at. Before everything else.
  MaybeFailure Begin();
  MaybeFailure Get(const std::string& key, const std::string& family, GetResult* result);
  // The pairs of a range, in order. `has_more`: beyond range.limit.
  MaybeFailure Range(RangeRequest range, const std::string& family, const Each& each,
                     bool* has_more);
  // Writes whose key or value ends with the versionstamp of the commit: 10 bytes behind `prefix`.
  void SetVersionstampedKey(const std::string& prefix, const std::string& value,
                            const std::string& family);
  void SetVersionstampedValue(const std::string& key, const std::string& prefix,
                              const std::string& family);
  // What these have stored; after Commit.
  [[nodiscard]] const std::vector<KeyValue>& stamped() const { return stamped_; }

  // CONFLICT if something that was read has changed since; nothing is written then.
  MaybeFailure Commit(std::uint64_t* version);

  // For writes and conflicts, which wait here for the commit.
  [[nodiscard]] Transaction& writes() { return *transaction_; }

  [[nodiscard]] std::uint64_t read_version() const { return read_version_; }
  [[nodiscard]] std::size_t pending_writes() const { return transaction_->pending_writes(); }

 private:
  // Where the stamp of a write goes.
  struct Stamp {
    bool in_key = false;
    std::uint16_t order = 0;  // among the writes of the transaction
  };

  template <class T>
  Result<T> Await(Future<T> future) const;

  Context& context_;
  std::shared_ptr<Client> client_;  // outlives the transaction, whatever the context connects to
  std::optional<Transaction> transaction_;
  std::uint64_t read_version_ = 0;
  std::vector<KeyValue> stamped_;  // before Commit: without the stamps
  std::vector<Stamp> stamps_;      // of each of these
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_TIMED_TRANSACTION_H_
