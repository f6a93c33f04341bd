#include "src/replication/families.h"

#include <utility>

#include "src/base/codec.h"

namespace cairn::replication {
namespace {
constexpr std::uint8_t kFamilyFormat = 1;
}  // namespace

std::string Family::Encode() const {
  std::string out;
  Encoder e(&out);
  e.U8(kFamilyFormat);
  e.Varint(id.value());
  e.Varint(created.value());
  return out;
}

Result<Family> Family::Decode(std::string_view bytes) {
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  const std::uint64_t id = d.Varint();
  const std::uint64_t created = d.Varint();
  if (!d.AtEnd() || format != kFamilyFormat || id > FamilyId::Max().value()) {
    return CorruptionError("a column family record does not decode: " + Printable(bytes));
  }
  return Family{FamilyId(static_cast<std::uint32_t>(id)), Version(created)};
}

Result<Family> FamilyTable::Find(std::string_view name) const {
  if (kv::IsDefaultFamily(name)) return Family{};
  const std::shared_ptr<const Map> families = Snapshot();
  const auto found = families->find(name);
  if (found == families->end()) {
    return NotFoundError("there is no column family '" + Printable(name) +
                         "'; create it first or leave it out for 'default'");
  }
  return found->second;
}

std::shared_ptr<const FamilyTable::Map> FamilyTable::Snapshot() const {
  MutexLock lock(&mutex_);
  return families_;
}

void FamilyTable::Put(const std::string& name, const Family& family) {
  auto changed = std::make_shared<Map>(*Snapshot());
  (*changed)[name] = family;
  MutexLock lock(&mutex_);
  families_ = std::move(changed);
}

void FamilyTable::Erase(const std::string& name, Version dropped) {
  last_drop_ = dropped;
  auto changed = std::make_shared<Map>(*Snapshot());
  changed->erase(name);
  MutexLock lock(&mutex_);
  families_ = std::move(changed);
}

void FamilyTable::Assign(Map families, Version last_drop) {
  last_drop_ = last_drop;
  auto all = std::make_shared<const Map>(std::move(families));
  MutexLock lock(&mutex_);
  families_ = std::move(all);
}

std::string FamilyTable::EncodeLastDrop(Version version) {
  std::string out;
  Encoder e(&out);
  e.U8(kFamilyFormat);
  e.Varint(version.value());
  return out;
}

Result<Version> FamilyTable::DecodeLastDrop(std::string_view record) {
  Decoder d(record);
  const std::uint8_t format = d.U8();
  const Version version(d.Varint());
  if (d.AtEnd() && format == kFamilyFormat) return version;
  return CorruptionError("the record of the last drop does not decode: " + Printable(record));
}

}  // namespace cairn::replication
