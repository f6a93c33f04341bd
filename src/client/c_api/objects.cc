#include "src/client/c_api/objects.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace cairn::c_api {
namespace {

const void* Bytes(const std::string& bytes, std::size_t* size) {
  if (size != nullptr) *size = bytes.size();
  return bytes.c_str();
}

// Entry `i`. Aborts if there is none: a bug in the caller.
template <class T>
const T& At(const std::vector<T>& entries, std::size_t i) {
  if (i >= entries.size()) std::abort();
  return entries[i];
}

}  // namespace

std::chrono::milliseconds Timeout(std::uint64_t timeout_ms) {
  constexpr std::uint64_t kYearMs = 31'536'000'000;
  return std::chrono::milliseconds(std::min(timeout_ms, kYearMs));
}

ReadLevel Level(std::int32_t level, ReadLevel by_default) {
  switch (level) {
    case CAIRN_LEVEL_LOCAL:
      return ReadLevel::kLocal;
    case CAIRN_LEVEL_LEADER:
      return ReadLevel::kLeader;
    case CAIRN_LEVEL_READ_INDEX:
      return ReadLevel::kReadIndex;
    case CAIRN_LEVEL_NODE:
      return ReadLevel::kDefault;
    case CAIRN_LEVEL_DEFAULT:
      return by_default;
    default:
      std::abort();  // A bug in the caller.
  }
}

ReadOptions From(const cairn_kv_read_options* options) {
  ReadOptions to;
  if (options == nullptr) return to;
  to.read_level = Level(options->read_level, ReadLevel::kDefault);
  to.min_version = options->min_version;
  to.at_version = options->at_version;
  to.column_family = Family(options->column_family);
  to.timeout = Timeout(options->timeout_ms);
  return to;
}

WriteOptions From(const cairn_kv_write_options* options) {
  if (options == nullptr) return {};
  return {std::string(Family(options->column_family)), Timeout(options->timeout_ms)};
}

TransactionOptions From(const cairn_tx_options* options) {
  TransactionOptions to;
  if (options == nullptr) return to;
  to.timeout = Timeout(options->timeout_ms);
  to.read_level = Level(options->read_level, ReadLevel::kLeader);
  to.read_version = options->read_version;
  return to;
}

KeySelector From(const cairn_selector& selector) {
  return {std::string(View(selector.key, selector.key_size)), selector.or_equal != 0,
          selector.offset};
}

RangeRequest From(const cairn_range& range) {
  RangeRequest to;
  to.begin = From(range.begin);
  if (range.to_end == 0) to.end = From(range.end);
  to.limit = range.limit;
  to.max_bytes = range.max_bytes;
  to.reverse = range.reverse != 0;
  to.keys_only = range.keys_only != 0;
  return to;
}

}  // namespace cairn::c_api

using namespace cairn::c_api;  // NOLINT(google-build-using-namespace): what follows is its surface

extern "C" {

// ---- Results

int cairn_value_found(const cairn_value* value) { return Need(value).result.found ? 1 : 0; }
const void* cairn_value_data(const cairn_value* value, size_t* size) {
  return Bytes(Need(value).result.value, size);
}
uint64_t cairn_value_version(const cairn_value* value) { return Need(value).result.version; }
void cairn_value_free(cairn_value* value) { delete value; }

size_t cairn_pairs_size(const cairn_pairs* pairs) { return Need(pairs).result.key_values.size(); }
const void* cairn_pairs_key(const cairn_pairs* pairs, size_t i, size_t* size) {
  return Bytes(At(Need(pairs).result.key_values, i).key, size);
}
const void* cairn_pairs_value(const cairn_pairs* pairs, size_t i, size_t* size) {
  return Bytes(At(Need(pairs).result.key_values, i).value, size);
}
int cairn_pairs_has_more(const cairn_pairs* pairs) { return Need(pairs).result.has_more ? 1 : 0; }
uint64_t cairn_pairs_read_version(const cairn_pairs* pairs) {
  return Need(pairs).result.read_version;
}
void cairn_pairs_free(cairn_pairs* pairs) { delete pairs; }

size_t cairn_names_size(const cairn_names* names) { return Need(names).names.size(); }
const char* cairn_names_get(const cairn_names* names, size_t i) {
  return At(Need(names).names, i).c_str();
}
void cairn_names_free(cairn_names* names) { delete names; }

size_t cairn_cluster_size(const cairn_cluster* cluster) { return Need(cluster).info.nodes.size(); }
cairn_cluster_node cairn_cluster_get(const cairn_cluster* cluster, size_t i) {
  const cairn::NodeInfo& node = At(Need(cluster).info.nodes, i);
  return {node.node_id, node.is_leader ? 1 : 0, node.term, node.endpoint.c_str(),
          node.status.c_str()};
}
const char* cairn_cluster_status(const cairn_cluster* cluster) {
  return Need(cluster).info.status.c_str();
}
const char* cairn_cluster_leader(const cairn_cluster* cluster) {
  return Need(cluster).info.leader_endpoint.c_str();
}
int64_t cairn_cluster_term(const cairn_cluster* cluster) { return Need(cluster).info.term; }
void cairn_cluster_free(cairn_cluster* cluster) { delete cluster; }

size_t cairn_endpoints_size(const cairn_endpoints* endpoints) {
  return Need(endpoints).states.size();
}
cairn_endpoint_state cairn_endpoints_get(const cairn_endpoints* endpoints, size_t i) {
  const cairn::EndpointState& state = At(Need(endpoints).states, i);
  return {state.endpoint.c_str(),
          static_cast<int32_t>(state.breaker),
          state.believed_leader ? 1 : 0,
          static_cast<uint64_t>(state.latency.count()),
          state.calls,
          state.failures};
}
void cairn_endpoints_free(cairn_endpoints* endpoints) { delete endpoints; }

// ---- Requests

cairn_selector cairn_selector_first_greater_or_equal(const void* key, size_t key_size) {
  return {key, key_size, 0, 1};
}
cairn_selector cairn_selector_first_greater_than(const void* key, size_t key_size) {
  return {key, key_size, 1, 1};
}
cairn_selector cairn_selector_last_less_or_equal(const void* key, size_t key_size) {
  return {key, key_size, 1, 0};
}
cairn_selector cairn_selector_last_less_than(const void* key, size_t key_size) {
  return {key, key_size, 0, 0};
}

cairn_range cairn_range_all(void) { return cairn_range_between("", 0, "", 0); }
cairn_range cairn_range_between(const void* begin, size_t begin_size, const void* end,
                                size_t end_size) {
  cairn_range range{};
  range.begin = cairn_selector_first_greater_or_equal(begin, begin_size);
  range.end = cairn_selector_first_greater_or_equal(end, end_size);
  range.to_end = end_size == 0 ? 1 : 0;
  return range;
}
size_t cairn_range_prefix_end(const void* prefix, size_t prefix_size, void* end) {
  const cairn::RangeRequest range =
      cairn::RangeRequest::WithPrefix(std::string(View(prefix, prefix_size)));
  if (!range.end) return 0;
  std::memcpy(end, range.end->key.data(), range.end->key.size());
  return range.end->key.size();
}

void cairn_versionstamp_make(uint64_t version, uint16_t order, void* stamp) {
  const std::string made = cairn::MakeVersionstamp(version, order);
  std::memcpy(&Need(static_cast<char*>(stamp)), made.data(), made.size());
}

}  // extern "C"
