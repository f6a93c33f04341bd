// A transaction of the command line: a read version, what was read, and what is to be written.
// Reads are of that one version and see the transaction's own writes; the commit succeeds only if
// nothing that was read has changed.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_TRANSACTION_H_
#define CAIRN_APPS_CAIRN_TRANSACTION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cairn/context.h"
#include "apps/cairn/range_reader.h"

namespace cairn::cli {

// A value, or that there is none.
using MaybeValue = std::optional<std::string>;

class Transaction {
 public:
  // Column family, read level and deadlines are those of the context at each call.
  explicit Transaction(Context* context) : context_(*context) {}

  // Takes the newest version as the one to read at.
  MaybeFailure Begin();
  MaybeFailure Get(const std::string& key, MaybeValue* value);
  // The pairs of a range, in order; at most `limit` of them (0: all).
  MaybeFailure Range(const Bounds& bounds, std::uint64_t limit,
                     std::vector<std::pair<std::string, std::string>>* pairs);
  // Sets, or with no value deletes.
  void Write(const std::string& key, MaybeValue value);
  // CONFLICT if something that was read has changed since; nothing is written then.
  MaybeFailure Commit(std::int64_t* version);

  [[nodiscard]] std::int64_t read_version() const { return read_version_; }
  [[nodiscard]] std::size_t writes() const { return operations_.size(); }

 private:
  // A key of a column family.
  using FamilyKey = std::pair<std::string, std::string>;

  Context& context_;
  std::int64_t read_version_ = 0;
  std::map<FamilyKey, MaybeValue> reads_;   // what the conflict check is about
  std::map<FamilyKey, MaybeValue> writes_;  // what reads see
  std::vector<thrift_api::ConflictRange> ranges_;
  std::vector<thrift_api::Operation> operations_;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_TRANSACTION_H_
