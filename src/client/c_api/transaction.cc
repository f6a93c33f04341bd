// Transactions for C: cairn/c_client.h over cairn/transaction.h.
#include <optional>
#include <string>
#include <utility>

#include "cairn/c_client.h"
#include "cairn/client.h"
#include "src/c_api/objects.h"
#include "src/client/c_api/objects.h"

namespace {

using namespace cairn::c_api;  // NOLINT(google-build-using-namespace): this file is its surface
using cairn::GetResult;
using cairn::Result;
using cairn::Status;
using cairn::Transaction;

Transaction& Of(cairn_tx* tx) { return *Need(tx).tx; }
const Transaction& Of(const cairn_tx* tx) { return *Need(tx).tx; }

bool IsSnapshot(const cairn_tx_read_options* options) {
  return options != nullptr && options->snapshot != 0;
}
std::string_view FamilyOf(const cairn_tx_read_options* options) {
  return options == nullptr ? std::string_view() : Family(options->column_family);
}

// A key that was looked for, as a value.
GetResult AsValue(std::optional<std::string> key) {
  GetResult result;
  result.found = key.has_value();
  if (key) result.value = *std::move(key);
  return result;
}

}  // namespace

extern "C" {

cairn_tx* cairn_client_begin(cairn_client* client, const cairn_tx_options* options) {
  auto* const tx = new cairn_tx{Need(client).client->Begin(From(options)), nullptr};
  tx->tx = &*tx->own;
  return tx;
}
void cairn_tx_free(cairn_tx* tx) { delete tx; }

cairn_status* cairn_client_run(cairn_client* client, cairn_tx_body body, void* argument,
                               const cairn_tx_options* options, uint64_t* version) {
  Need(body);
  return GiveVersion(Need(client).client->Run(
                         [body, argument](Transaction& transaction) -> Status {
                           cairn_tx tx{std::nullopt, &transaction};
                           cairn_status* const given = body(argument, &tx);
                           Status status = given == nullptr ? Status::Ok() : given->status;
                           cairn_status_free(given);
                           return status;
                         },
                         From(options)),
                     version);
}

// ---- Reads

cairn_status* cairn_tx_get(cairn_tx* tx, const void* key, size_t key_size,
                           const cairn_tx_read_options* options, cairn_value** value) {
  const auto family = FamilyOf(options);
  return GiveObject(IsSnapshot(options) ? Of(tx).SnapshotGet(View(key, key_size), family)
                                        : Of(tx).Get(View(key, key_size), family),
                    value);
}
cairn_status* cairn_tx_range(cairn_tx* tx, const cairn_range* range,
                             const cairn_tx_read_options* options, cairn_pairs** pairs) {
  const auto family = FamilyOf(options);
  return GiveObject(IsSnapshot(options) ? Of(tx).SnapshotGetRange(From(Need(range)), family)
                                        : Of(tx).GetRange(From(Need(range)), family),
                    pairs);
}
cairn_status* cairn_tx_get_key(cairn_tx* tx, const cairn_selector* selector,
                               const char* column_family, cairn_value** key) {
  auto found = Of(tx).GetKey(From(Need(selector)), Family(column_family));
  if (!found.ok()) return Give(found.status());
  return GiveObject(Result<GetResult>(AsValue(*std::move(found))), key);
}
cairn_status* cairn_tx_snapshot_get_key(cairn_tx* tx, const cairn_selector* selector,
                                        const char* column_family, cairn_value** key) {
  auto found = Of(tx).SnapshotGetKey(From(Need(selector)), Family(column_family));
  if (!found.ok()) return Give(found.status());
  return GiveObject(Result<GetResult>(AsValue(*std::move(found))), key);
}
cairn_status* cairn_tx_read_version(cairn_tx* tx, uint64_t* version) {
  return GiveVersion(Of(tx).GetReadVersion(), version);
}

// ---- Writes

void cairn_tx_set(cairn_tx* tx, const void* key, size_t key_size, const void* value,
                  size_t value_size, const char* column_family) {
  Of(tx).Set(View(key, key_size), View(value, value_size), Family(column_family));
}
void cairn_tx_delete(cairn_tx* tx, const void* key, size_t key_size, const char* column_family) {
  Of(tx).Delete(View(key, key_size), Family(column_family));
}
cairn_status* cairn_tx_delete_range(cairn_tx* tx, const void* begin, size_t begin_size,
                                    const void* end, size_t end_size, const char* column_family) {
  return Give(
      Of(tx).DeleteRange(View(begin, begin_size), View(end, end_size), Family(column_family)));
}
void cairn_tx_set_versionstamped_key(cairn_tx* tx, const void* key_template, size_t key_size,
                                     const void* value, size_t value_size,
                                     const char* column_family) {
  Of(tx).SetVersionstampedKey(View(key_template, key_size), View(value, value_size),
                              Family(column_family));
}
void cairn_tx_set_versionstamped_value(cairn_tx* tx, const void* key, size_t key_size,
                                       const void* value_template, size_t value_size,
                                       const char* column_family) {
  Of(tx).SetVersionstampedValue(View(key, key_size), View(value_template, value_size),
                                Family(column_family));
}
size_t cairn_tx_pending_writes(const cairn_tx* tx) { return Of(tx).pending_writes(); }

void cairn_tx_add_conflict_key(cairn_tx* tx, const void* key, size_t key_size,
                               const char* column_family) {
  Of(tx).AddReadConflictKey(View(key, key_size), Family(column_family));
}
void cairn_tx_add_conflict_range(cairn_tx* tx, const void* begin, size_t begin_size,
                                 const void* end, size_t end_size, const char* column_family) {
  Of(tx).AddReadConflictRange(View(begin, begin_size), View(end, end_size), Family(column_family));
}

// ---- Its end

cairn_status* cairn_tx_commit(cairn_tx* tx, uint64_t* version) {
  return GiveVersion(Of(tx).Commit(), version);
}
uint64_t cairn_tx_committed_version(const cairn_tx* tx) { return Of(tx).committed_version(); }
cairn_status* cairn_tx_on_error(cairn_tx* tx, const cairn_status* status) {
  return Give(Of(tx).OnError(Need(status).status));
}
void cairn_tx_reset(cairn_tx* tx) { Of(tx).Reset(); }
void cairn_tx_cancel(cairn_tx* tx) { Of(tx).Cancel(); }
cairn_tx_canceller* cairn_tx_canceller_new(const cairn_tx* tx) {
  return new cairn_tx_canceller{Of(tx).Canceller()};
}
void cairn_tx_canceller_cancel(cairn_tx_canceller* canceller) { Need(canceller).cancel(); }
void cairn_tx_canceller_free(cairn_tx_canceller* canceller) { delete canceller; }

// ---- Without waiting

cairn_operation* cairn_tx_get_async(cairn_tx* tx, const void* key, size_t key_size,
                                    const cairn_tx_read_options* options,
                                    cairn_value_callback callback, void* argument) {
  const auto family = FamilyOf(options);
  return Begin(IsSnapshot(options) ? Of(tx).SnapshotGetAsync(View(key, key_size), family)
                                   : Of(tx).GetAsync(View(key, key_size), family),
               callback, argument);
}
cairn_operation* cairn_tx_range_async(cairn_tx* tx, const cairn_range* range,
                                      const cairn_tx_read_options* options,
                                      cairn_pairs_callback callback, void* argument) {
  const auto family = FamilyOf(options);
  return Begin(IsSnapshot(options) ? Of(tx).SnapshotGetRangeAsync(From(Need(range)), family)
                                   : Of(tx).GetRangeAsync(From(Need(range)), family),
               callback, argument);
}
cairn_operation* cairn_tx_get_key_async(cairn_tx* tx, const cairn_selector* selector,
                                        const cairn_tx_read_options* options,
                                        cairn_value_callback callback, void* argument) {
  Need(callback);
  const auto family = FamilyOf(options);
  auto key = IsSnapshot(options) ? Of(tx).SnapshotGetKeyAsync(From(Need(selector)), family)
                                 : Of(tx).GetKeyAsync(From(Need(selector)), family);
  auto* const operation = new cairn_operation{key.Canceller()};
  key.OnReady([callback, argument](Result<std::optional<std::string>> found) {
    if (!found.ok()) return callback(argument, Give(found.status()), nullptr);
    callback(argument, nullptr, new cairn_value{AsValue(*std::move(found))});
  });
  return operation;
}
cairn_operation* cairn_tx_read_version_async(cairn_tx* tx, cairn_version_callback callback,
                                             void* argument) {
  return Begin(Of(tx).GetReadVersionAsync(), callback, argument);
}
cairn_operation* cairn_tx_commit_async(cairn_tx* tx, cairn_version_callback callback,
                                       void* argument) {
  return Begin(Of(tx).CommitAsync(), callback, argument);
}
cairn_operation* cairn_tx_on_error_async(cairn_tx* tx, const cairn_status* status,
                                         cairn_version_callback callback, void* argument) {
  return Begin(Of(tx).OnErrorAsync(Need(status).status), callback, argument);
}

}  // extern "C"
