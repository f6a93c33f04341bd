// The objects behind the pointers of cairn/c_client.h, and translations between C and C++.
//
// Thread safety: values; a client and a transaction as their C++ classes say.
#ifndef CAIRN_SRC_CLIENT_C_API_OBJECTS_H_
#define CAIRN_SRC_CLIENT_C_API_OBJECTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cairn/c_client.h"
#include "cairn/client.h"
#include "src/c_api/objects.h"

struct cairn_client {
  std::unique_ptr<cairn::Client> client;
  cairn::NodeClient* node = nullptr;  // the same, if it is one node's
  cairn::MultiNodeClient* cluster = nullptr;
};

// `own` is empty for the transaction of cairn_client_run.
struct cairn_tx {
  std::optional<cairn::Transaction> own;
  cairn::Transaction* tx = nullptr;
};

struct cairn_value {
  cairn::GetResult result;
};
struct cairn_pairs {
  cairn::RangeResult result;
};
struct cairn_scan_canceller {
  cairn::ScanCanceller canceller;
};
struct cairn_tx_canceller {
  std::function<void()> cancel;
};
struct cairn_names {
  std::vector<std::string> names;
};
struct cairn_cluster {
  cairn::ClusterInfo info;
};
struct cairn_endpoints {
  std::vector<cairn::EndpointState> states;
};

namespace cairn::c_api {

// The client's own timeout for 0, and a year at most, which no clock runs over.
std::chrono::milliseconds Timeout(std::uint64_t timeout_ms);
ReadLevel Level(std::int32_t level, ReadLevel by_default);
ReadOptions From(const cairn_kv_read_options* options);
WriteOptions From(const cairn_kv_write_options* options);
TransactionOptions From(const cairn_tx_options* options);
KeySelector From(const cairn_selector& selector);
RangeRequest From(const cairn_range& range);
inline std::string_view Family(const char* name) { return name == nullptr ? "" : name; }

// What a call that gives a version came to.
inline cairn_status* GiveVersion(const Result<std::uint64_t>& result, std::uint64_t* version) {
  if (result.ok() && version != nullptr) *version = *result;
  return Give(result.status());
}

// What a call came to, as an object that holds it.
template <class Object, class T>
cairn_status* GiveObject(Result<T> result, Object** object) {
  Need(object);
  if (!result.ok()) return Give(result.status());
  *object = new Object{*std::move(result)};
  return nullptr;
}

// Lets `callback` have the result of an operation, and makes what cancels it.
template <class Object, class T>
cairn_operation* Begin(Future<T> future, void (*callback)(void*, cairn_status*, Object*),
                       void* argument) {
  Need(callback);
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](Result<T> result) {
    if (!result.ok()) return callback(argument, Give(result.status()), nullptr);
    callback(argument, nullptr, new Object{*std::move(result)});
  });
  return operation;
}
inline cairn_operation* Begin(Future<std::uint64_t> future, cairn_version_callback callback,
                              void* argument) {
  Need(callback);
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](const Result<std::uint64_t>& version) {
    callback(argument, Give(version.status()), version.ok() ? *version : 0);
  });
  return operation;
}

}  // namespace cairn::c_api

#endif  // CAIRN_SRC_CLIENT_C_API_OBJECTS_H_
