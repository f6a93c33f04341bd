#include "sim/history.h"

#include <algorithm>
#include <utility>

namespace cairn::sim {
namespace {

std::string Show(const std::optional<std::string>& value) {
  return value ? "'" + *value + "'" : "nothing";
}

}  // namespace

History::WriteToken History::BeginWrite(const std::string& key, std::optional<std::string> value) {
  WriteToken write{key, std::move(value), newest_, next_number_++};
  keys_[key].open.emplace(write.number, write.value);
  return write;
}

void History::WriteDone(const WriteToken& write, Version version) {
  Key& key = keys_[write.key];
  key.open.erase(write.number);
  if (version <= write.floor) {
    Violation("a write of " + write.key + " got version " + ToString(version) + ", but version " +
              ToString(write.floor) + " was acknowledged before it began");
  }
  const auto [it, first] = versions_.emplace(version, write.key);
  if (!first) {
    Violation("version " + ToString(version) + " was given to writes of " + it->second + " and " +
              write.key);
  }
  key.acknowledged.emplace(version, write.value);
  newest_ = std::max(newest_, version);
}

void History::WriteFailed(const WriteToken& write) {
  Key& key = keys_[write.key];
  key.open.erase(write.number);
  if (write.value) key.failed.insert(*write.value);
}

// It stays among the open ones for ever.
void History::WriteUnknown(const WriteToken&) {}

History::ReadToken History::BeginRead(const std::string& key) {
  ReadToken read{key, newest_, Version()};
  const auto it = keys_.find(key);
  if (it != keys_.end() && !it->second.acknowledged.empty()) {
    read.key_floor = it->second.acknowledged.rbegin()->first;
  }
  return read;
}

void History::ReadDone(const ReadToken& read, const std::optional<std::string>& value,
                       Version version) {
  const Key& key = keys_[read.key];
  const auto open_with = [&](const std::optional<std::string>& wanted) {
    return std::any_of(key.open.begin(), key.open.end(),
                       [&](const auto& write) { return write.second == wanted; });
  };
  if (!value) {
    // Deleted, or never written: by a delete at or after the floor, or one that is still open.
    const auto after = key.acknowledged.lower_bound(read.key_floor);
    const bool deleted =
        std::any_of(after, key.acknowledged.end(), [](const auto& write) { return !write.second; });
    if (read.key_floor.value() != 0 && !deleted && !open_with(std::nullopt)) {
      Violation("a read of " + read.key + " found nothing, but version " +
                ToString(read.key_floor) + " of it was acknowledged before");
    }
    return;
  }
  if (version < read.key_floor) {
    Violation("a read of " + read.key + " returned version " + ToString(version) +
              ", but version " + ToString(read.key_floor) + " of it was acknowledged before");
  }
  const auto known = key.acknowledged.find(version);
  if (known != key.acknowledged.end()) {
    if (known->second != value) {
      Violation("a read of " + read.key + " at version " + ToString(version) + " returned " +
                Show(value) + ", " + Show(known->second) + " was written");
    }
    return;
  }
  if (key.failed.count(*value) != 0) {
    Violation("a read of " + read.key + " returned " + Show(value) +
              ", whose write was said not to be applied");
  } else if (!open_with(value)) {
    Violation("a read of " + read.key + " returned " + Show(value) + " at version " +
              ToString(version) + ", which nobody wrote at that version");
  }
}

void History::ReadVersionGiven(Version version, Version floor) {
  if (version < floor) {
    Violation("read version " + ToString(version) + " was given out after version " +
              ToString(floor) + " was acknowledged");
  }
}

std::vector<std::string> History::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, history] : keys_) keys.push_back(key);
  return keys;
}

}  // namespace cairn::sim
