// Linearizability of registers, key by key (a history is linearizable if that of each key is:
// Herlihy and Wing, 1990).
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

// An operation on one register. Values are numbers; 0 is "nothing".
struct Operation {
  std::uint64_t begin = 0;
  std::uint64_t end = Interval::kNever;
  bool write = false;
  std::uint32_t value = 0;
  std::string text;
};

std::string Show(const Value& value) { return value ? "'" + *value + "'" : "nothing"; }

// The search: operations are taken one after another, each at a time when no other one has ended
// that was not taken yet; what was tried before (the set of those taken, and the value) is not
// tried again.
class Search {
 public:
  Search(std::vector<Operation> operations, std::uint64_t max_steps)
      : operations_(std::move(operations)), steps_left_(max_steps) {
    std::sort(operations_.begin(), operations_.end(),
              [](const Operation& a, const Operation& b) { return a.begin < b.begin; });
    taken_.assign((operations_.size() + 63) / 64, 0);
    for (const Operation& op : operations_) {
      if (op.end != Interval::kNever) ++must_;
    }
  }

  enum class Found : std::uint8_t { kOrder, kNone, kGaveUp };

  Found Run() {
    std::vector<std::pair<std::size_t, std::uint32_t>>
        path;              // what was taken, and the value before
    std::size_t next = 0;  // where to look on
    while (true) {
      if (must_ == 0) return Found::kOrder;
      if (steps_left_ == 0) return Found::kGaveUp;
      const std::optional<std::size_t> candidate = Candidate(next);
      if (candidate) {
        --steps_left_;
        const Operation& op = operations_[*candidate];
        next = *candidate + 1;
        if (!op.write && op.value != value_) continue;
        Take(*candidate, true);
        const std::uint32_t after = op.write ? op.value : value_;
        if (!tried_.emplace(taken_, after).second) {
          Take(*candidate, false);
          continue;
        }
        path.emplace_back(*candidate, value_);
        value_ = after;
        longest_ = std::max(longest_, path.size());
        if (path.size() == longest_) stuck_ = taken_;
        next = 0;
        continue;
      }
      if (path.empty()) return Found::kNone;
      // Take the last one back, and try what comes after it.
      Take(path.back().first, false);
      value_ = path.back().second;
      next = path.back().first + 1;
      path.pop_back();
    }
  }

  // The first answered operation that the longest attempt could not place.
  [[nodiscard]] const Operation& Stuck() const {
    const Operation* first = nullptr;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const bool placed = i / 64 < stuck_.size() && ((stuck_[i / 64] >> (i % 64)) & 1) != 0;
      const Operation& op = operations_[i];
      if (!placed && op.end != Interval::kNever && (first == nullptr || op.end < first->end)) {
        first = &op;
      }
    }
    return first == nullptr ? operations_.front() : *first;
  }

 private:
  [[nodiscard]] bool Taken(std::size_t i) const { return ((taken_[i / 64] >> (i % 64)) & 1) != 0; }
  void Take(std::size_t i, bool take) {
    taken_[i / 64] ^= std::uint64_t{1} << (i % 64);
    if (operations_[i].end != Interval::kNever) must_ += take ? -1 : 1;
    while (first_open_ < operations_.size() && Taken(first_open_)) ++first_open_;
    if (!take) first_open_ = std::min(first_open_, i);
  }

  // The first one from `from` on that may come next: it began before any open one ended.
  [[nodiscard]] std::optional<std::size_t> Candidate(std::size_t from) const {
    std::uint64_t first_end = Interval::kNever;
    for (std::size_t i = first_open_; i < operations_.size(); ++i) {
      if (Taken(i)) continue;
      if (operations_[i].begin > first_end) return std::nullopt;
      first_end = std::min(first_end, operations_[i].end);
      if (i < from) continue;
      return i;
    }
    return std::nullopt;
  }

  using Taken_t = std::vector<std::uint64_t>;

  std::vector<Operation> operations_;  // by begin
  std::uint64_t steps_left_;
  Taken_t taken_;
  Taken_t stuck_;
  std::size_t longest_ = 0;
  std::size_t first_open_ = 0;  // everything before it is taken
  std::int64_t must_ = 0;       // answered operations that are not taken
  std::uint32_t value_ = 0;
  absl::flat_hash_set<std::pair<Taken_t, std::uint32_t>> tried_;
};

struct Register {
  std::vector<Operation> operations;
  absl::flat_hash_map<std::string, std::uint32_t> numbers;
  std::set<std::uint32_t> read;  // numbers that a read returned

  std::uint32_t Number(const Value& value) {
    if (!value) return 0;
    return numbers.try_emplace(*value, static_cast<std::uint32_t>(numbers.size() + 1))
        .first->second;
  }
};

}  // namespace

std::string CheckLinearizable(const History& history, std::uint64_t* given_up,
                              std::uint64_t max_steps) {
  std::map<std::string, Register> registers;
  for (const ReadRecord& read : history.reads) {
    if (!read.promise.linearizable || read.at.value() != 0) continue;
    Register& reg = registers[read.key];
    const std::uint32_t value = reg.Number(read.value);
    reg.read.insert(value);
    reg.operations.push_back({read.when.begin, read.when.end, false, value,
                              "read " + Show(read.value) + " (" + read.when.Describe() + ")"});
  }
  for (const WriteRecord& write : history.writes) {
    if (write.outcome == Outcome::kFailed) continue;
    const auto found = registers.find(write.key);
    if (found == registers.end()) continue;
    Register& reg = found->second;
    const std::uint32_t value = reg.Number(write.value);
    const bool known = write.outcome == Outcome::kOk;
    // A write that nobody read and whose fate is open may as well never have happened.
    if (!known && value != 0 && reg.read.count(value) == 0) continue;
    reg.operations.push_back({write.when.begin, known ? write.when.end : Interval::kNever, true,
                              value,
                              "write " + Show(write.value) + " (" + write.when.Describe() + ")"});
  }
  for (auto& [key, reg] : registers) {
    if (reg.operations.empty()) continue;
    Search search(std::move(reg.operations), max_steps);
    const Search::Found found = search.Run();
    if (found == Search::Found::kGaveUp && given_up != nullptr) ++*given_up;
    if (found == Search::Found::kNone) {
      return "not linearizable: key " + key + ", no order has a place for: " + search.Stuck().text;
    }
  }
  return {};
}

}  // namespace cairn::sim
