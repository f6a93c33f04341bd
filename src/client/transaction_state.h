// The inside of cairn::Transaction: its read version, what it wrote, what it read, how it ends.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_TRANSACTION_STATE_H_
#define CAIRN_SRC_CLIENT_TRANSACTION_STATE_H_

#include <absl/container/flat_hash_set.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/transaction.h"
#include "src/base/mutex.h"
#include "src/client/cancellation.h"
#include "src/client/core.h"
#include "src/client/range_task.h"
#include "src/client/write_set.h"

namespace cairn::client {

class TransactionState : public std::enable_shared_from_this<TransactionState> {
 public:
  TransactionState(std::shared_ptr<ClientCore> core, const TransactionOptions& options);

  Result<GetResult> Get(std::string_view key, std::string_view family, bool snapshot);
  Future<GetResult> GetAsync(std::string_view key, std::string_view family, bool snapshot);
  Result<RangeResult> GetRange(const RangeRequest& range, std::string_view family, bool snapshot);
  Future<RangeResult> GetRangeAsync(const RangeRequest& range, std::string_view family,
                                    bool snapshot);
  Result<std::optional<std::string>> GetKey(const KeySelector& selector, std::string_view family,
                                            bool snapshot);
  Future<std::optional<std::string>> GetKeyAsync(const KeySelector& selector,
                                                 std::string_view family, bool snapshot);
  Result<Version> ReadVersion();
  Future<std::uint64_t> ReadVersionAsync();

  void Write(kv::Mutation mutation);
  void AddConflictKey(std::string_view key, std::string_view family);
  void AddConflictRange(std::string begin, std::string end, std::string_view family);

  Result<std::uint64_t> Commit();
  Future<std::uint64_t> CommitAsync();
  [[nodiscard]] std::uint64_t committed_version() const;
  Future<std::uint64_t> OnErrorAsync(const Status& status);
  void Reset();
  void Cancel();
  [[nodiscard]] std::size_t pending_writes() const;

 private:
  using GotVersion = absl::AnyInvocable<void(Result<Version>)>;
  struct PreparedCommit {
    kv::AtomicCommit commit;
    bool empty = false;
  };
  // A read of the same incarnation of the transaction: Reset begins a new one, to which what an
  // older read found does not belong.
  struct Reading {
    std::uint64_t life = 0;
    bool snapshot = false;
    std::string family;
  };

  // Of a request that is begun now.
  [[nodiscard]] RunOptions Options(ReadLevel level) const;
  // What the timer of OnErrorAsync does, for the incarnation that asked for it. False: it is over.
  bool BeginAnew(std::uint64_t life);
  void ResetLocked(std::vector<GotVersion>* waiting) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls back with the read version; takes it from the node for all who wait.
  void WithReadVersion(GotVersion got);
  void OnReadVersion(std::uint64_t life, Result<Version> version);
  // The transaction's own answer, if it wrote the key.
  Result<std::optional<GetResult>> FindWritten(std::string_view key, std::string_view family);
  Result<Reading> StartReading(std::string_view family, bool snapshot);
  RangeTask::WrittenIn WrittenIn(const std::string& family);
  void Noted(const Reading& reading, const std::string& key);
  void Noted(const Reading& reading, const RangeTask& task);
  // Runs a task to its end on this thread.
  void RunTask(RangeTask* task);
  void Step(const std::shared_ptr<RangeTask>& task, const Reading& reading,
            const Promise<RangeResult>& promise, const std::shared_ptr<StepCanceller>& steps);
  // Whether there are conflicts, added by hand, and no version to compare them with yet.
  [[nodiscard]] bool NeedsVersion() const;
  Result<PreparedCommit> Prepare();
  Result<std::uint64_t> Committed(Result<Answer> answer);
  Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddRangeLocked(std::string begin, std::string end, const std::string& family)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<ClientCore> core_;
  const TransactionOptions options_;
  const MonotonicTime deadline_;

  mutable Mutex mutex_;
  std::uint64_t life_ ABSL_GUARDED_BY(mutex_) = 0;
  Version read_version_ ABSL_GUARDED_BY(mutex_);  // 0: not taken yet
  bool taking_version_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<GotVersion> want_version_ ABSL_GUARDED_BY(mutex_);
  WriteSet writes_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::pair<std::string, std::string>> conflict_keys_
      ABSL_GUARDED_BY(mutex_);  // family, key
  std::vector<kv::ConflictRange> conflict_ranges_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Cancellation> cancellation_ ABSL_GUARDED_BY(mutex_);  // of this incarnation
  // Of OnErrorAsync, while it waits.
  std::vector<Promise<std::uint64_t>> backoffs_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t committed_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t tries_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_TRANSACTION_STATE_H_
