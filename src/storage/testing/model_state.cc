#include "src/storage/testing/model_state.h"

namespace cairn::storage {
namespace {

bool Inside(const std::string& key, const KeyRange& range) {
  return key >= range.begin && (range.end.empty() || key < range.end);
}

}  // namespace

void ModelState::Write(const WriteBatch& batch, const StateMeta& meta) {
  using Kind = WriteBatch::Change::Kind;
  for (const WriteBatch::Change& change : batch.changes()) {
    auto& space = system_[static_cast<std::size_t>(change.space)];
    switch (change.kind) {
      case Kind::kPut:
        families_.at(change.family)[change.key][change.version] = change.value;
        break;
      case Kind::kDelete:
        families_.at(change.family)[change.key][change.version] = std::nullopt;
        break;
      case Kind::kSystemPut:
        space[change.key] = change.value;
        break;
      case Kind::kSystemDelete:
        space.erase(change.key);
        break;
      case Kind::kSystemDeleteRange:
        std::erase_if(space, [&](const auto& entry) {
          return entry.first >= change.key && entry.first < change.value;
        });
        break;
    }
  }
  meta_ = meta;
}

void ModelState::Prune(Version watermark) {
  for (auto& [id, family] : families_) {
    for (auto& [key, versions] : family) {
      const auto visible = versions.upper_bound(watermark);
      if (visible != versions.begin()) versions.erase(versions.begin(), std::prev(visible));
    }
  }
}

std::vector<FamilyId> ModelState::Families() const {
  std::vector<FamilyId> ids;
  for (const auto& [id, family] : families_) ids.push_back(id);
  return ids;
}

std::pair<Version, std::optional<std::string>> ModelState::Get(FamilyId family,
                                                               const std::string& key,
                                                               Version at) const {
  const auto& keys = families_.at(family);
  const auto found = keys.find(key);
  if (found == keys.end()) return {};
  const auto after = found->second.upper_bound(at);
  if (after == found->second.begin()) return {};
  return *std::prev(after);
}

KeyValues ModelState::Visible(FamilyId family, const KeyRange& range, Version at) const {
  KeyValues found;
  for (const auto& [key, versions] : families_.at(family)) {
    if (!Inside(key, range)) continue;
    const auto [version, value] = Get(family, key, at);
    if (value.has_value()) found.emplace_back(key, *value);
  }
  return found;
}

std::vector<HistoryEntry> ModelState::History(FamilyId family, const KeyRange& range,
                                              Version from) const {
  std::vector<HistoryEntry> found;
  for (const auto& [key, versions] : families_.at(family)) {
    if (!Inside(key, range)) continue;
    for (auto write = versions.rbegin(); write != versions.rend(); ++write) {
      if (write->first >= from) found.push_back({key, write->first, !write->second.has_value()});
    }
  }
  return found;
}

KeyValues ModelState::System(SystemSpace space, const KeyRange& range) const {
  KeyValues found;
  for (const auto& [key, value] : system_[static_cast<std::size_t>(space)]) {
    if (Inside(key, range)) found.emplace_back(key, value);
  }
  return found;
}

}  // namespace cairn::storage
