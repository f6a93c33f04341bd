#include "src/storage/state_hash.h"

#include <memory>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "src/base/codec.h"

namespace cairn::storage {
namespace {

// Streams length-prefixed strings into one hash, so that no two sequences of strings run together.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }

  void Number(std::uint64_t v) { XXH3_64bits_update(state_.get(), &v, sizeof(v)); }
  void Bytes(std::string_view v) {
    Number(v.size());
    XXH3_64bits_update(state_.get(), v.data(), v.size());
  }
  [[nodiscard]] std::uint64_t Digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

Result<std::uint64_t> StateHash(const Engine& engine, const std::vector<FamilyId>& families,
                                Version at) {
  Hasher hasher;
  for (const FamilyId family : families) {
    hasher.Number(family.value());
    CAIRN_ASSIGN_OR_RETURN(const auto it, engine.NewIterator(family, KeyRange{}, at));
    for (it->SeekGreaterOrEqual(""); it->Valid(); it->Next()) {
      hasher.Bytes(it->key());
      hasher.Bytes(it->value());
    }
    CAIRN_RETURN_IF_ERROR(it->status());
  }
  CAIRN_ASSIGN_OR_RETURN(const auto system,
                         engine.NewSystemIterator(SystemSpace::kState, KeyRange{}));
  for (; system->Valid(); system->Next()) {
    hasher.Bytes(system->key());
    hasher.Bytes(system->value());
  }
  CAIRN_RETURN_IF_ERROR(system->status());
  const StateMeta meta = engine.Meta();
  hasher.Number(meta.version.value());
  hasher.Number(meta.watermark.value());
  hasher.Number(meta.features);
  hasher.Number(meta.next_family.value());
  hasher.Bytes(meta.membership);
  return hasher.Digest();
}

}  // namespace cairn::storage
