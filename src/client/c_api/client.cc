// The client for C: cairn/c_client.h over cairn/client.h, but for transactions.
#include <chrono>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cairn/c_client.h"
#include "cairn/client.h"
#include "src/c_api/objects.h"
#include "src/client/c_api/objects.h"

namespace {

using namespace cairn::c_api;  // NOLINT(google-build-using-namespace): this file is its surface
using cairn::MultiNodeOptions;
using cairn::ReadStrategy;
using cairn::Result;
using cairn::Status;
using std::chrono::milliseconds;

cairn::Client& Of(cairn_client* client) { return *Need(client).client; }

void Take(std::uint64_t given, milliseconds* option) {
  if (given != 0) *option = Timeout(given);
}

Status TakeStrategy(std::int32_t given, MultiNodeOptions* options) {
  switch (given) {
    case CAIRN_STRATEGY_ROUND_ROBIN:
      options->read_strategy = ReadStrategy::kRoundRobin;
      return {};
    case CAIRN_STRATEGY_LEADER_ONLY:
      options->read_strategy = ReadStrategy::kLeaderOnly;
      return {};
    case CAIRN_STRATEGY_NEAREST:
      options->read_strategy = ReadStrategy::kNearest;
      return {};
    case CAIRN_STRATEGY_STICKY:
      options->read_strategy = ReadStrategy::kSticky;
      return {};
    default:
      return cairn::InvalidArgumentError("read_strategy is " + std::to_string(given) +
                                         "; give one of CAIRN_STRATEGY_*");
  }
}

Result<MultiNodeOptions> From(const cairn_client_options& given, bool cluster) {
  MultiNodeOptions options;
  if (!cluster) options.attempt_timeout = milliseconds(0);
  Take(given.timeout_ms, &options.timeout);
  Take(given.attempt_timeout_ms, &options.attempt_timeout);
  Take(given.connect_timeout_ms, &options.connect_timeout);
  Take(given.initial_backoff_ms, &options.retry.initial_backoff);
  Take(given.max_backoff_ms, &options.retry.max_backoff);
  options.retry.max_attempts = given.max_attempts;
  if (given.max_connections != 0) options.max_connections = given.max_connections;
  if (given.max_message_bytes != 0) options.max_message_bytes = given.max_message_bytes;
  options.sessions = given.without_sessions == 0;
  options.read_your_writes = given.without_read_your_writes == 0;
  CAIRN_RETURN_IF_ERROR(TakeStrategy(given.read_strategy, &options));
  options.sticky_node = given.sticky_node;
  if (given.breaker_failures != 0) options.breaker.failures_to_open = given.breaker_failures;
  Take(given.breaker_open_ms, &options.breaker.open_for);
  Take(given.breaker_max_open_ms, &options.breaker.max_open_for);
  return options;
}

std::vector<std::string> Split(std::string_view endpoints) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t comma = endpoints.find(',');
    parts.emplace_back(endpoints.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    endpoints.remove_prefix(comma + 1);
  }
}

cairn_status* GiveStamped(Result<cairn::VersionstampResult> result, std::uint64_t* version,
                          void* made) {
  if (!result.ok()) return Give(result.status());
  if (version != nullptr) *version = result->version;
  if (made != nullptr) std::memcpy(made, result->generated.data(), result->generated.size());
  return nullptr;
}

cairn_operation* BeginStamped(cairn::Future<cairn::VersionstampResult> future, void* made,
                              cairn_version_callback callback, void* argument) {
  Need(callback);
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([made, callback, argument](Result<cairn::VersionstampResult> result) {
    std::uint64_t version = 0;
    cairn_status* const status = GiveStamped(std::move(result), &version, made);
    callback(argument, status, version);
  });
  return operation;
}

}  // namespace

extern "C" {

cairn_status* cairn_client_open(const char* endpoints, const cairn_client_options* options,
                                cairn_client** client) {
  const std::vector<std::string> parts = Split(&Need(endpoints));
  const cairn_client_options given = options == nullptr ? cairn_client_options{} : *options;
  const bool cluster = parts.size() > 1 || given.cluster != 0;
  auto taken = From(given, cluster);
  if (!taken.ok()) return Give(taken.status());
  if (cluster) {
    auto connected = cairn::MultiNodeClient::Connect(parts, *taken);
    if (!connected.ok()) return Give(connected.status());
    cairn::MultiNodeClient* const made = connected->get();
    Need(client) = new cairn_client{*std::move(connected), nullptr, made};
  } else {
    auto connected = cairn::NodeClient::Connect(parts.front(), *taken);
    if (!connected.ok()) return Give(connected.status());
    cairn::NodeClient* const made = connected->get();
    Need(client) = new cairn_client{*std::move(connected), made, nullptr};
  }
  return nullptr;
}
void cairn_client_close(cairn_client* client) { delete client; }
uint64_t cairn_client_last_version(const cairn_client* client) {
  return Need(client).client->last_version();
}

// ---- Reads

cairn_status* cairn_client_get(cairn_client* client, const void* key, size_t key_size,
                               const cairn_kv_read_options* options, cairn_value** value) {
  return GiveObject(Of(client).Get(View(key, key_size), From(options)), value);
}
cairn_status* cairn_client_range(cairn_client* client, const cairn_range* range,
                                 const cairn_kv_read_options* options, cairn_pairs** pairs) {
  return GiveObject(Of(client).GetRange(From(Need(range)), From(options)), pairs);
}
cairn_status* cairn_client_scan(cairn_client* client, const cairn_range* range,
                                const cairn_kv_read_options* options, cairn_pair_callback each,
                                void* argument) {
  const cairn_scan_canceller nobodys;
  return cairn_client_scan_cancellable(client, range, options, each, argument, &nobodys);
}
cairn_status* cairn_client_scan_cancellable(cairn_client* client, const cairn_range* range,
                                            const cairn_kv_read_options* options,
                                            cairn_pair_callback each, void* argument,
                                            const cairn_scan_canceller* canceller) {
  Need(each);
  return Give(Of(client).Scan(
      From(Need(range)),
      [each, argument](const std::string& key, const std::string& value) {
        return each(argument, key.data(), key.size(), value.data(), value.size()) != 0;
      },
      From(options), Need(canceller).canceller));
}
cairn_scan_canceller* cairn_scan_canceller_new(void) { return new cairn_scan_canceller; }
void cairn_scan_canceller_cancel(cairn_scan_canceller* canceller) {
  Need(canceller).canceller.Cancel();
}
void cairn_scan_canceller_free(cairn_scan_canceller* canceller) { delete canceller; }
cairn_status* cairn_client_read_version(cairn_client* client, const cairn_kv_read_options* options,
                                        uint64_t* version) {
  return GiveVersion(Of(client).GetReadVersion(From(options)), version);
}
cairn_status* cairn_client_committed_version(cairn_client* client,
                                             const cairn_kv_read_options* options,
                                             uint64_t* version) {
  return GiveVersion(Of(client).GetCommittedVersion(From(options)), version);
}

// ---- Writes

cairn_status* cairn_client_set(cairn_client* client, const void* key, size_t key_size,
                               const void* value, size_t value_size,
                               const cairn_kv_write_options* options, uint64_t* version) {
  return GiveVersion(Of(client).Set(View(key, key_size), View(value, value_size), From(options)),
                     version);
}
cairn_status* cairn_client_delete(cairn_client* client, const void* key, size_t key_size,
                                  const cairn_kv_write_options* options, uint64_t* version) {
  return GiveVersion(Of(client).Delete(View(key, key_size), From(options)), version);
}
cairn_status* cairn_client_set_versionstamped_key(cairn_client* client, const void* key_template,
                                                  size_t key_size, const void* value,
                                                  size_t value_size,
                                                  const cairn_kv_write_options* options,
                                                  uint64_t* version, void* made) {
  return GiveStamped(Of(client).SetVersionstampedKey(View(key_template, key_size),
                                                     View(value, value_size), From(options)),
                     version, made);
}
cairn_status* cairn_client_set_versionstamped_value(cairn_client* client, const void* key,
                                                    size_t key_size, const void* value_template,
                                                    size_t value_size,
                                                    const cairn_kv_write_options* options,
                                                    uint64_t* version, void* made) {
  return GiveStamped(Of(client).SetVersionstampedValue(
                         View(key, key_size), View(value_template, value_size), From(options)),
                     version, made);
}

// ---- Without waiting

cairn_operation* cairn_client_get_async(cairn_client* client, const void* key, size_t key_size,
                                        const cairn_kv_read_options* options,
                                        cairn_value_callback callback, void* argument) {
  return Begin(Of(client).GetAsync(View(key, key_size), From(options)), callback, argument);
}
cairn_operation* cairn_client_range_async(cairn_client* client, const cairn_range* range,
                                          const cairn_kv_read_options* options,
                                          cairn_pairs_callback callback, void* argument) {
  return Begin(Of(client).GetRangeAsync(From(Need(range)), From(options)), callback, argument);
}
cairn_operation* cairn_client_read_version_async(cairn_client* client,
                                                 const cairn_kv_read_options* options,
                                                 cairn_version_callback callback, void* argument) {
  return Begin(Of(client).GetReadVersionAsync(From(options)), callback, argument);
}
cairn_operation* cairn_client_committed_version_async(cairn_client* client,
                                                      const cairn_kv_read_options* options,
                                                      cairn_version_callback callback,
                                                      void* argument) {
  return Begin(Of(client).GetCommittedVersionAsync(From(options)), callback, argument);
}
cairn_operation* cairn_client_set_versionstamped_key_async(
    cairn_client* client, const void* key_template, size_t key_size, const void* value,
    size_t value_size, const cairn_kv_write_options* options, void* made,
    cairn_version_callback callback, void* argument) {
  return BeginStamped(Of(client).SetVersionstampedKeyAsync(View(key_template, key_size),
                                                           View(value, value_size), From(options)),
                      made, callback, argument);
}
cairn_operation* cairn_client_set_versionstamped_value_async(
    cairn_client* client, const void* key, size_t key_size, const void* value_template,
    size_t value_size, const cairn_kv_write_options* options, void* made,
    cairn_version_callback callback, void* argument) {
  return BeginStamped(Of(client).SetVersionstampedValueAsync(
                          View(key, key_size), View(value_template, value_size), From(options)),
                      made, callback, argument);
}
cairn_operation* cairn_client_set_async(cairn_client* client, const void* key, size_t key_size,
                                        const void* value, size_t value_size,
                                        const cairn_kv_write_options* options,
                                        cairn_version_callback callback, void* argument) {
  return Begin(Of(client).SetAsync(View(key, key_size), View(value, value_size), From(options)),
               callback, argument);
}
cairn_operation* cairn_client_delete_async(cairn_client* client, const void* key, size_t key_size,
                                           const cairn_kv_write_options* options,
                                           cairn_version_callback callback, void* argument) {
  return Begin(Of(client).DeleteAsync(View(key, key_size), From(options)), callback, argument);
}

// ---- Administration

cairn_status* cairn_client_create_column_family(cairn_client* client, const char* name,
                                                const cairn_kv_write_options* options,
                                                uint64_t* version) {
  return GiveVersion(Of(client).CreateColumnFamily(&Need(name), From(options)), version);
}
cairn_status* cairn_client_drop_column_family(cairn_client* client, const char* name,
                                              const cairn_kv_write_options* options,
                                              uint64_t* version) {
  return GiveVersion(Of(client).DropColumnFamily(&Need(name), From(options)), version);
}
cairn_status* cairn_client_list_column_families(cairn_client* client,
                                                const cairn_kv_read_options* options,
                                                cairn_names** names) {
  return GiveObject(Of(client).ListColumnFamilies(From(options)), names);
}

cairn_status* cairn_client_ping(cairn_client* client, const cairn_kv_read_options* options,
                                uint64_t* nanoseconds) {
  const auto took = Of(client).Ping(From(options));
  if (took.ok()) Need(nanoseconds) = static_cast<uint64_t>(took->count());
  return Give(took.status());
}
cairn_status* cairn_client_is_leader(cairn_client* client, const cairn_kv_read_options* options,
                                     int* is_leader) {
  if (Need(client).node == nullptr) {
    return cairn_status_new(CAIRN_FAILED_PRECONDITION,
                            "this is a client of a cluster: ask cairn_client_discover_leader");
  }
  const Result<bool> leads = client->node->IsLeader(From(options));
  if (leads.ok()) Need(is_leader) = *leads ? 1 : 0;
  return Give(leads.status());
}
cairn_status* cairn_client_discover_leader(cairn_client* client, cairn_value** endpoint) {
  if (Need(client).cluster == nullptr) {
    return cairn_status_new(CAIRN_FAILED_PRECONDITION,
                            "this is a client of one node: open it with several endpoints, or "
                            "with `cluster` in its options");
  }
  Result<std::string> leader = client->cluster->DiscoverLeader();
  if (!leader.ok()) return Give(leader.status());
  return GiveObject(Result<cairn::GetResult>({true, *std::move(leader), 0}), endpoint);
}
cairn_status* cairn_client_cluster(cairn_client* client, const cairn_kv_read_options* options,
                                   cairn_cluster** cluster) {
  return GiveObject(Of(client).GetClusterInfo(From(options)), cluster);
}
cairn_endpoints* cairn_client_endpoints(cairn_client* client) {
  auto* const endpoints = new cairn_endpoints;
  if (Need(client).cluster != nullptr) endpoints->states = client->cluster->Endpoints();
  return endpoints;
}

}  // extern "C"
