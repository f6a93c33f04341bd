// The two ways in which operations come: drawn from a mix, or every record once.
#ifndef CAIRN_SRC_LOAD_SOURCES_H_
#define CAIRN_SRC_LOAD_SOURCES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/base/mutex.h"
#include "src/load/keys.h"
#include "src/load/mix.h"
#include "src/load/operation.h"

namespace cairn::bench {

struct RecordOptions {
  std::string key_prefix;
  std::uint64_t records = 1;      // that exist before the run
  std::uint32_t value_bytes = 0;  // random, so that compression helps nobody
  std::uint64_t seed = 1;
};

// Numbers of inserted records. A record counts as there once it and all before it have ended, so
// that nobody reads one whose insert is still under way.
//
// Thread safety: all methods from any thread.
class InsertLedger {
 public:
  explicit InsertLedger(std::uint64_t existing) : next_(existing), there_(existing) {}

  std::uint64_t Take() { return next_.fetch_add(1); }
  void Ended(std::uint64_t number);
  [[nodiscard]] std::uint64_t there() const { return there_.load(); }

 private:
  std::atomic<std::uint64_t> next_;
  std::atomic<std::uint64_t> there_;
  Mutex mutex_;
  std::vector<std::uint64_t> early_ ABSL_GUARDED_BY(mutex_);  // a heap, the smallest on top
};

// Random bytes that values are cut from.
class ValuePool {
 public:
  ValuePool(std::uint32_t value_bytes, std::uint64_t seed);
  std::string_view Cut(Random* random) const;

 private:
  const std::uint32_t value_bytes_;
  std::string bytes_;
};

class MixSource : public Source {
 public:
  struct Options {
    RecordOptions records;
    Mix mix;
    Distribution distribution = Distribution::kUniform;
    double zipf_exponent = 0.99;
    std::uint32_t max_scan_length = 100;  // scans are of 1 to this many pairs, uniformly
  };
  MixSource(const Options& options, std::size_t lanes);

  bool Next(std::size_t lane, Operation* operation) override;
  void Ended(const Operation& operation, const Outcome& outcome) override;

  // How many records there are, inserted ones included.
  [[nodiscard]] std::uint64_t records() const { return ledger_.there(); }

 private:
  const Options options_;
  const RecordChooser chooser_;
  const ValuePool values_;
  InsertLedger ledger_;
  std::vector<SeededRandom> random_;  // one a lane
};

// Every record from 0 to records-1 once: `kind` is kInsert or kDelete.
class PassSource : public Source {
 public:
  PassSource(const RecordOptions& options, OperationKind kind, std::size_t lanes);

  bool Next(std::size_t lane, Operation* operation) override;
  void Ended(const Operation&, const Outcome&) override {}

 private:
  const RecordOptions options_;
  const OperationKind kind_;
  const ValuePool values_;
  std::atomic<std::uint64_t> next_{0};
  std::vector<SeededRandom> random_;
};

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_SOURCES_H_
