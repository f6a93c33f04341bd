#include "src/storage/state_hash.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "src/base/check.h"
#include "xxhash.h"

namespace cairn::storage {
namespace {

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    CAIRN_CHECK(state_ != nullptr);
    XXH3_64bits_reset(state_.get());
  }
  void Number(std::uint64_t n) { XXH3_64bits_update(state_.get(), &n, sizeof(n)); }
  void Bytes(std::string_view bytes) {
    Number(bytes.size());
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::uint64_t Digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// Ends a list of pairs: no length can be this large.
constexpr std::uint64_t kEnd = ~std::uint64_t{0};

Status HashFamily(const Engine& engine, FamilyId family, Version at, Hasher* hasher) {
  CAIRN_ASSIGN_OR_RETURN(const std::unique_ptr<ReadIterator> it,
                         engine.NewIterator(family, {}, at));
  hasher->Number(family.value());
  for (it->SeekGreaterOrEqual(""); it->Valid(); it->Next()) {
    hasher->Bytes(it->key());
    hasher->Bytes(it->value());
  }
  hasher->Number(kEnd);
  return it->status();
}

Status HashRecords(const Engine& engine, Hasher* hasher) {
  CAIRN_ASSIGN_OR_RETURN(const std::unique_ptr<SystemIterator> it,
                         engine.NewSystemIterator(SystemSpace::kState, {}));
  for (; it->Valid(); it->Next()) {
    hasher->Bytes(it->key());
    hasher->Bytes(it->value());
  }
  hasher->Number(kEnd);
  return it->status();
}

}  // namespace

Result<std::uint64_t> DataHash(const Engine& engine, const std::vector<FamilyId>& families,
                               Version at) {
  std::vector<FamilyId> ordered = families;
  std::sort(ordered.begin(), ordered.end());
  ordered.erase(std::unique(ordered.begin(), ordered.end()), ordered.end());
  Hasher hasher;
  for (const FamilyId family : ordered) {
    CAIRN_RETURN_IF_ERROR(HashFamily(engine, family, at, &hasher));
  }
  return hasher.Digest();
}

Result<std::uint64_t> StateHash(const Engine& engine, const std::vector<FamilyId>& families,
                                Version at) {
  const StateMeta meta = engine.Meta();
  if (meta.version != at) {
    return FailedPreconditionError("the state is at version " + ToString(meta.version) + ", not " +
                                   ToString(at));
  }
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t data, DataHash(engine, families, at));
  Hasher hasher;
  hasher.Number(data);
  CAIRN_RETURN_IF_ERROR(HashRecords(engine, &hasher));
  hasher.Number(meta.version.value());
  hasher.Number(meta.watermark.value());
  hasher.Number(meta.features);
  hasher.Number(meta.next_family.value());
  hasher.Bytes(meta.membership);
  return hasher.Digest();
}

}  // namespace cairn::storage
