// What a load asks of a system, and what the system is to it.
#ifndef CAIRN_SRC_LOAD_OPERATION_H_
#define CAIRN_SRC_LOAD_OPERATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::bench {

enum class OperationKind : std::uint8_t {
  kRead,
  kUpdate,
  kInsert,
  kScan,
  kReadModifyWrite,
  kDelete,
  kTransaction,
};
inline constexpr std::size_t kOperationKinds = 7;
inline constexpr std::array<std::string_view, kOperationKinds> kOperationNames = {
    "read", "update", "insert", "scan", "rmw", "delete", "txn"};

struct Operation {
  OperationKind kind = OperationKind::kRead;
  std::size_t lane = 0;           // who asks; one operation of a lane is under way at a time
  std::uint64_t record = 0;       // the number that `key` was made of
  std::string key;                // for a scan: the first key
  std::string_view value;         // of writes
  std::uint32_t scan_length = 0;  // pairs
};

struct Outcome {
  Status status;
  bool found = true;            // of reads
  std::uint32_t commits = 0;    // that the system acknowledged
  std::uint32_t conflicts = 0;  // after which the operation was tried again
  std::uint32_t pairs = 0;      // that a scan read
};

// A system under load.
//
// Thread safety: Start is called from many threads.
class Target {
 public:
  virtual ~Target() = default;

  // Begins the operation, and returns at once. `done` is called once, from any thread, maybe before
  // Start returns. `operation` stays as it is until then.
  virtual void Start(const Operation& operation, std::function<void(const Outcome&)> done) = 0;
};

// Where operations come from.
//
// Thread safety: all methods from any threads, but Next of one lane from one thread at a time.
class Source {
 public:
  virtual ~Source() = default;

  // Fills in all but `lane`. False: there are no more.
  virtual bool Next(std::size_t lane, Operation* operation) = 0;
  // An operation of this source has ended.
  virtual void Ended(const Operation& operation, const Outcome& outcome) = 0;
};

}  // namespace cairn::bench

#endif  // CAIRN_SRC_LOAD_OPERATION_H_
