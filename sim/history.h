// What clients saw, checked as it comes in. Every commit names its version, so the order of all
// commits is known and the checks are exact:
//   * versions of commits are unique, and grow in real time: a write that begins after another was
//     acknowledged has a higher version;
//   * a read returns the newest write of its key among those acknowledged before it began, or a
//     later one; never a value that nobody wrote, never one whose write failed for sure;
//   * so nothing acknowledged is ever lost (the checks go on after crashes, and every key is read
//     at the end), and what was applied twice shows as a version that nobody was told.
//
// Thread safety: none.
#ifndef CAIRN_SIM_HISTORY_H_
#define CAIRN_SIM_HISTORY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/ids.h"

namespace cairn::sim {

class History {
 public:
  // A write in flight.
  struct WriteToken {
    std::string key;
    std::optional<std::string> value;  // nothing: a delete
    Version floor;                     // newest version acknowledged before it began
    std::uint64_t number = 0;
  };
  struct ReadToken {
    std::string key;
    Version floor;      // newest version acknowledged before it began, of any key
    Version key_floor;  // and of this key
  };

  WriteToken BeginWrite(const std::string& key, std::optional<std::string> value);
  // It was acknowledged at `version`.
  void WriteDone(const WriteToken& write, Version version);
  // It failed, and surely was not applied.
  void WriteFailed(const WriteToken& write);
  // Nobody knows. It may turn up in reads, now or later.
  void WriteUnknown(const WriteToken& write);

  ReadToken BeginRead(const std::string& key);
  void ReadDone(const ReadToken& read, const std::optional<std::string>& value, Version version);

  // The newest version that anybody was told of.
  [[nodiscard]] Version newest() const { return newest_; }
  // A read version was given out; `floor` is newest() as of the request.
  void ReadVersionGiven(Version version, Version floor);

  // Every key that was written.
  [[nodiscard]] std::vector<std::string> Keys() const;

  // What is wrong; empty so far so good.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  void Violation(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

 private:
  struct Key {
    std::map<Version, std::optional<std::string>> acknowledged;
    // Open or unknown writes by number.
    std::map<std::uint64_t, std::optional<std::string>> open;
    // Values of writes that failed for sure.
    std::set<std::string> failed;
  };

  std::map<std::string, Key> keys_;
  std::map<Version, std::string> versions_;  // acknowledged commits, for uniqueness
  Version newest_;
  std::uint64_t next_number_ = 1;
  std::string violation_;
};

}  // namespace cairn::sim

#endif  // CAIRN_SIM_HISTORY_H_
