// Transactions, and the plain data that clients and transactions read and write.
//
// A transaction reads at one version and commits only if nothing it read has changed since. It sees
// its own writes. Nothing is sent but reads until Commit; then everything is applied at once, or
// nothing.
//
//   cairn::Result<std::uint64_t> done = client->Run([](cairn::Transaction& tx) -> cairn::Status {
//     cairn::Result<cairn::GetResult> stock = tx.Get("stock/apple");
//     if (!stock.ok()) return stock.status();
//     tx.Set("stock/apple", OneLess(stock->value));
//     return {};
//   });
//
// Run (client.h) runs the body again when the commit conflicts. So the body must be free of effects
// outside the transaction.
//
// This header uses the standard library alone and compiles as C++17.
#ifndef CAIRN_TRANSACTION_H_
#define CAIRN_TRANSACTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/future.h"
#include "cairn/status.h"

namespace cairn {

namespace client {
class TransactionState;
}

// A position among the keys, in FoundationDB's meaning: find the last key < `key` (<= with
// or_equal), then move `offset` keys onwards. So the first key >= k is {k, false, 1}, the first key
// > k is {k, true, 1}, the last key < k is {k, false, 0}, the last key <= k is {k, true, 0}.
// Running off either end stays at that end.
struct KeySelector {
  std::string key;          // need not exist
  bool or_equal = false;    // whether `key` itself may be the one that is found
  std::int32_t offset = 1;  // keys onwards from there; negative: backwards

  // The first key >= `key`, and `more` keys onwards.
  static KeySelector FirstGreaterOrEqual(std::string key, std::int32_t more = 0) {
    return {std::move(key), false, 1 + more};
  }
  // The first key > `key`, and `more` keys onwards.
  static KeySelector FirstGreaterThan(std::string key, std::int32_t more = 0) {
    return {std::move(key), true, 1 + more};
  }
  // The last key <= `key`.
  static KeySelector LastLessOrEqual(std::string key) { return {std::move(key), true, 0}; }
  // The last key < `key`.
  static KeySelector LastLessThan(std::string key) { return {std::move(key), false, 0}; }
};

// Which keys to read: those from `begin` up to but not including `end`.
struct RangeRequest {
  KeySelector begin = KeySelector::FirstGreaterOrEqual("");  // the first key
  std::optional<KeySelector> end;  // the key behind the last; nothing: the end of the family
  std::uint64_t limit = 0;         // pairs; 0: no bound but the bytes
  std::uint64_t max_bytes = 0;     // keys and values of one answer; 0: the node's limit (16 MiB)
  bool reverse = false;            // from the end backwards
  bool keys_only = false;          // without values; over gRPC they are not sent

  // The keys k with begin <= k < end; an empty `end` is the end of the column family.
  static RangeRequest Between(std::string begin, std::string end) {
    RangeRequest range;
    range.begin = KeySelector::FirstGreaterOrEqual(std::move(begin));
    if (!end.empty()) range.end = KeySelector::FirstGreaterOrEqual(std::move(end));
    return range;
  }
  // The keys that start with `prefix`.
  static RangeRequest WithPrefix(std::string prefix) {
    std::string end = prefix;
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return Between(std::move(prefix), std::move(end));
  }
};

// What Get found.
struct GetResult {
  bool found = false;         // whether the key has a value
  std::string value;          // empty if it has none
  std::uint64_t version = 0;  // of the commit that wrote it; 0 if not found, and of an own write
};

struct KeyValue {     // a key and its value
  std::string key;    // any bytes
  std::string value;  // any bytes; empty with RangeRequest::keys_only
  // Alike in both.
  friend bool operator==(const KeyValue& a, const KeyValue& b) {
    return a.key == b.key && a.value == b.value;
  }
};

// What GetRange found.
struct RangeResult {
  std::vector<KeyValue> key_values;  // in the order they were asked for
  bool has_more = false;             // a bound was reached, and a further key of the range exists
  std::uint64_t read_version = 0;    // the version that the whole answer was read at
};

// What a read promises.
enum class ReadLevel : std::uint8_t {
  kDefault,    // as the node is configured
  kLocal,      // what the node that answers has applied
  kLeader,     // linearizable, served by the leader
  kReadIndex,  // linearizable, served by any node after a barrier at the leader
};

// The 10 bytes that a versionstamp is: `version` of the commit, big-endian, and `order`, the index
// of the operation in its transaction (counted from 0 over all its writes), big-endian. Later
// commits have larger stamps, for ever.
std::string MakeVersionstamp(std::uint64_t version, std::uint16_t order);

struct TransactionOptions {  // how a transaction reads, and for how long it may go on
  // Bounds everything the transaction waits for, commit and retries of Run included, from when it
  // is made (Run: from when Run is called). 0: as ClientOptions::timeout says.
  std::chrono::milliseconds timeout{0};
  // How the read version is found. kLeader and kReadIndex: the transaction sees everything that was
  // committed before its first read. kLocal: cheaper, but it may see a past state; commits are
  // serializable all the same.
  ReadLevel read_level = ReadLevel::kLeader;
  // Read at this version instead of the newest; 0: the newest.
  std::uint64_t read_version = 0;
};

// One transaction.
//
// Reads (Get, GetRange, GetKey) see the transaction's own writes and what was committed at its read
// version, which is taken when the first read needs it. Each adds what it read to the conflict set:
// if any of it is changed by another commit before this one commits, Commit fails with kConflict.
// The snapshot forms read the same data and add nothing.
//
// Writes are kept here until Commit. Keys must not be empty. A read of what a versionstamped write
// of the same transaction may produce fails with kFailedPrecondition: the stamp is not known yet.
//
// Errors of every read, besides those of the network: kTransactionTooOld (the transaction has been
// open for longer than the node keeps old versions; begin again), kTimeout, kFailedPrecondition
// (after Commit).
//
// Thread safety: all methods from any threads, but the order of a write and a concurrent read is
// then open. Once its client is closed, what a Transaction asks for fails with CANCELLED.
class Transaction {
 public:
  // Takes another one over, which can't be used afterwards but for assigning to it.
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  // Abandons the transaction unless it has been committed: nothing was sent, nothing is undone.
  ~Transaction();

  // The value of `key`. An empty `column_family` is the default one, here and below.
  Result<GetResult> Get(std::string_view key, std::string_view column_family = {});
  Future<GetResult> GetAsync(std::string_view key, std::string_view column_family = {});
  // The same without a conflict: another commit to `key` will not make this one fail.
  Result<GetResult> SnapshotGet(std::string_view key, std::string_view column_family = {});
  Future<GetResult> SnapshotGetAsync(std::string_view key, std::string_view column_family = {});

  // The pairs of a range. The conflict set gets the part of the range that was looked at: up to the
  // last key of the answer if a bound (limit, max_bytes) ended it.
  Result<RangeResult> GetRange(const RangeRequest& range, std::string_view column_family = {});
  Future<RangeResult> GetRangeAsync(const RangeRequest& range, std::string_view column_family = {});
  Result<RangeResult> SnapshotGetRange(const RangeRequest& range,
                                       std::string_view column_family = {});
  Future<RangeResult> SnapshotGetRangeAsync(const RangeRequest& range,
                                            std::string_view column_family = {});

  // The key that a selector stands for, among those the transaction sees. Nothing: it ran off
  // either end.
  Result<std::optional<std::string>> GetKey(const KeySelector& selector,
                                            std::string_view column_family = {});
  Future<std::optional<std::string>> GetKeyAsync(const KeySelector& selector,
                                                 std::string_view column_family = {});
  // The same without a conflict.
  Result<std::optional<std::string>> SnapshotGetKey(const KeySelector& selector,
                                                    std::string_view column_family = {});
  Future<std::optional<std::string>> SnapshotGetKeyAsync(const KeySelector& selector,
                                                         std::string_view column_family = {});

  // Sets `key` to `value`.
  void Set(std::string_view key, std::string_view value, std::string_view column_family = {});
  // Deletes `key`, whether or not it exists.
  void Delete(std::string_view key, std::string_view column_family = {});
  // Deletes the keys k with begin <= k < end (an empty end: to the end of the family). It reads
  // them, so the range joins the conflict set, and each key counts as one write of the commit (at
  // most 65,535). The error is that of the read; nothing is deleted then.
  Status DeleteRange(std::string_view begin, std::string_view end,
                     std::string_view column_family = {});
  // Sets the key that `key_template` becomes when the last 10 of its bytes are replaced by the
  // commit's versionstamp. A template under 10 bytes makes Commit fail with kInvalidOperation.
  void SetVersionstampedKey(std::string_view key_template, std::string_view value,
                            std::string_view column_family = {});
  // Sets `key` to `value_template` with its last 10 bytes replaced in the same way.
  void SetVersionstampedValue(std::string_view key, std::string_view value_template,
                              std::string_view column_family = {});

  // Adds to the conflict set by hand, as a read would.
  void AddReadConflictKey(std::string_view key, std::string_view column_family = {});
  // [begin, end); an empty end is the end of the family. With begin > end, Commit fails with
  // kInvalidArgument.
  void AddReadConflictRange(std::string_view begin, std::string_view end,
                            std::string_view column_family = {});

  // The version that this transaction reads at; takes it from the node if no read has.
  Result<std::uint64_t> GetReadVersion();
  Future<std::uint64_t> GetReadVersionAsync();

  // Commits; the version of the commit, or the read version if nothing was written (nothing is sent
  // then). kConflict: something that was read has changed, nothing was applied. An error with
  // maybe_applied(): no answer came in time; everything or nothing was applied. Under a session
  // (ClientOptions::sessions) the client itself sends again until the deadline, and the node
  // applies it once. The transaction can't be used afterwards, unless OnError revives it.
  Result<std::uint64_t> Commit();
  Future<std::uint64_t> CommitAsync();

  // The version of the commit; 0 before it and for a transaction that wrote nothing.
  [[nodiscard]] std::uint64_t committed_version() const;

  // For loops of one's own: OK if `status` is worth another try: the transaction is then empty
  // again, with a new read version to come, after a wait with jitter that grows with each try
  // (after a conflict, which is no sign of trouble, to 100 ms at most). Else the status itself.
  // Worth a try are kConflict, kTransactionTooOld, kStale, kUnavailable, kResourceExhausted and
  // kSessionExpired, before the deadline, unless maybe_applied().
  Status OnError(const Status& status);
  // The same without waiting: how many tries have failed, once the transaction is ready for
  // another.
  Future<std::uint64_t> OnErrorAsync(const Status& status);

  // Forgets all reads and writes, and takes a new read version when one is needed. The deadline
  // stays.
  void Reset();

  // Ends what waits in this transaction, on whatever threads (reads, a commit, the wait of OnError,
  // and so Run), with kCancelled; it goes on so with all that is begun, until Reset. A commit that
  // was on its way may have been applied: its status says maybe_applied(). From any thread, as long
  // as the transaction lives; that of Run lives until Run returns.
  void Cancel();
  // The same as something to keep: may be called at any time, also when the transaction is gone.
  [[nodiscard]] std::function<void()> Canceller() const;

  // How many writes wait for the commit.
  [[nodiscard]] std::size_t pending_writes() const;

 private:
  friend class Client;
  explicit Transaction(std::shared_ptr<client::TransactionState> state);
  std::shared_ptr<client::TransactionState> state_;
};

}  // namespace cairn

#endif  // CAIRN_TRANSACTION_H_
