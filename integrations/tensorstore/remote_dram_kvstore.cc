// TensorStore's key-value store driver "remote_dram": a pool of the memory plane
// (docs/remote-dram.md) as a kvstore.
//
//   {"driver": "remote_dram", "remote_addr": "node1:12345", "path": "array/"}
//   {"driver": "remote_dram", "listen_addr": "0.0.0.0:12345",
//    "remote_addrs": ["node2:12345", "node3:12345"], "key_routing": "hash"}
//   remote-dram://node1:12345/array/
//
// All of a spec's members stand in docs/remote-dram.md. Values go to the network and come from it
// without a copy, where their Cord is in one piece.
//
// Threads: the pool calls back on threads of its own, which must not be kept: results are handed to
// TensorStore on the executor of `data_copy_concurrency`. The last reference to a driver is dropped
// there too, never on a thread of its pool. Drivers of one spec share a pool: shared_pools.h.
//
// This file is compiled against TensorStore's Abseil. Cairn's libraries use another one; nothing of
// it shows in cairn/remote_dram.h, which uses the standard library alone, nor in the symbols of
// libcairn-dram.so (docs/adr/0024-tensorstore-driver.md).
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cairn/remote_dram.h"
#include "shared_pools.h"
#include "tensorstore/context.h"
#include "tensorstore/internal/data_copy_concurrency_resource.h"
#include "tensorstore/internal/intrusive_ptr.h"
#include "tensorstore/internal/json_binding/bindable.h"
#include "tensorstore/internal/json_binding/json_binding.h"
#include "tensorstore/internal/uri/parse.h"
#include "tensorstore/internal/uri/percent_coder.h"
#include "tensorstore/kvstore/driver.h"
#include "tensorstore/kvstore/generation.h"
#include "tensorstore/kvstore/key_range.h"
#include "tensorstore/kvstore/operations.h"
#include "tensorstore/kvstore/read_result.h"
#include "tensorstore/kvstore/registry.h"
#include "tensorstore/kvstore/spec.h"
#include "tensorstore/kvstore/supported_features.h"
#include "tensorstore/kvstore/url_registry.h"
#include "tensorstore/util/execution/execution.h"
#include "tensorstore/util/executor.h"
#include "tensorstore/util/future.h"
#include "tensorstore/util/garbage_collection/fwd.h"
#include "tensorstore/util/quote_string.h"
#include "tensorstore/util/result.h"
#include "tensorstore/util/status.h"

namespace tensorstore {
namespace {

namespace jb = tensorstore::internal_json_binding;
namespace dram = ::cairn::dram;
using ::tensorstore::internal::DataCopyConcurrencyResource;
using ::tensorstore::kvstore::ListEntry;
using ::tensorstore::kvstore::ListReceiver;
using ::tensorstore::kvstore::ReadResult;
using ::tensorstore::kvstore::SupportedFeatures;

// A URI's scheme has no underscore.
constexpr char kUrlScheme[] = "remote-dram";

// Members of a spec that are the pool's.
constexpr std::string_view kMembers[] = {"listen_addr",
                                         "remote_addr",
                                         "remote_addrs",
                                         "advertise_addr",
                                         "eviction",
                                         "enable_server_to_server",
                                         "key_routing",
                                         "key_routing_strategy",
                                         "fallback",
                                         "key_to_server_mapping",
                                         "prefix_to_server_mapping",
                                         "transport",
                                         "range_to_server_mapping",
                                         "replication_factor",
                                         "capacity_bytes",
                                         "busy_poll",
                                         "shared_memory",
                                         "timeout_ms",
                                         "cluster"};

absl::StatusCode ToAbslCode(::cairn::StatusCode code) {
  using ::cairn::StatusCode;
  switch (code) {
    case StatusCode::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case StatusCode::kOutOfRange:
      return absl::StatusCode::kOutOfRange;
    case StatusCode::kUnavailable:
      return absl::StatusCode::kUnavailable;
    case StatusCode::kTimeout:
      return absl::StatusCode::kDeadlineExceeded;
    case StatusCode::kResourceExhausted:
      return absl::StatusCode::kResourceExhausted;
    case StatusCode::kCancelled:
      return absl::StatusCode::kCancelled;
    // No routing rule names a server for the key: not that it has no value.
    case StatusCode::kNotFound:
    case StatusCode::kFailedPrecondition:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ToAbsl(const ::cairn::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(ToAbslCode(status.code()), status.message());
}

StorageGeneration FromDram(const dram::Generation& generation) {
  if (generation.IsUnknown()) return StorageGeneration::Unknown();
  if (generation.IsNoValue()) return StorageGeneration::NoValue();
  return StorageGeneration::FromValues(generation.boot_id, generation.counter);
}

// A generation that is none of a pool's becomes one that no value has.
dram::Generation ToDram(const StorageGeneration& generation) {
  if (StorageGeneration::IsUnknown(generation)) return dram::Generation::Unknown();
  if (StorageGeneration::IsNoValue(generation)) return dram::Generation::NoValue();
  constexpr dram::Generation kForeign{0, UINT64_MAX};
  if (!StorageGeneration::IsCleanValidValue(generation)) return kForeign;
  const std::string_view bytes = StorageGeneration::DecodeString(generation);
  dram::Generation decoded;
  if (bytes.size() != sizeof(decoded.boot_id) + sizeof(decoded.counter)) return kForeign;
  std::memcpy(&decoded.boot_id, bytes.data(), sizeof(decoded.boot_id));
  std::memcpy(&decoded.counter, bytes.data() + sizeof(decoded.boot_id), sizeof(decoded.counter));
  return decoded.boot_id == 0 ? kForeign : decoded;
}

struct RemoteDramDriverSpecData {
  // The members of kMembers that are there, as text of one JSON object with its keys in order:
  // equal specs have equal text.
  std::string pool;
  Context::Resource<DataCopyConcurrencyResource> data_copy_concurrency;

  constexpr static auto ApplyMembers = [](auto&& x, auto f) {
    return f(x.pool, x.data_copy_concurrency);
  };

  constexpr static auto default_json_binder = jb::Sequence(
      jb::Member(DataCopyConcurrencyResource::id,
                 jb::Projection<&RemoteDramDriverSpecData::data_copy_concurrency>()),
      [](auto is_loading, const auto& /*options*/, auto* data,
         ::nlohmann::json::object_t* members) -> absl::Status {
        if constexpr (is_loading) {
          ::nlohmann::json pool = ::nlohmann::json::object();
          for (const std::string_view name : kMembers) {
            const auto it = members->find(std::string(name));
            if (it == members->end()) continue;
            pool[it->first] = std::move(it->second);
            members->erase(it);
          }
          data->pool = pool.dump();
          return ToAbsl(::cairn::RemoteDram::CheckSpec(data->pool));
        } else {
          const ::nlohmann::json pool = ::nlohmann::json::parse(data->pool, nullptr, false);
          for (const auto& [name, value] : pool.items()) members->emplace(name, value);
          return absl::OkStatus();
        }
      });
};

class RemoteDramDriverSpec
    : public internal_kvstore::RegisteredDriverSpec<RemoteDramDriverSpec,
                                                    RemoteDramDriverSpecData> {
 public:
  static constexpr char id[] = "remote_dram";

  Future<kvstore::DriverPtr> DoOpen() const override;

  // Of a client of one server, and nothing else: more does not fit into a URL.
  Result<std::string> ToUrl(std::string_view path) const override {
    const ::nlohmann::json pool = ::nlohmann::json::parse(data_.pool, nullptr, false);
    if (pool.size() != 1 || !pool.contains("remote_addr")) {
      return absl::InvalidArgumentError(
          "only a remote_dram spec with remote_addr and nothing else has a URL");
    }
    return absl::StrCat(kUrlScheme, "://", pool["remote_addr"].get<std::string>(), "/",
                        internal_uri::PercentEncodeKvStoreUriPath(path));
  }
};

class RemoteDramDriver
    : public internal_kvstore::RegisteredDriver<RemoteDramDriver, RemoteDramDriverSpec> {
 public:
  RemoteDramDriver(RemoteDramDriverSpecData data, std::shared_ptr<::cairn::RemoteDram> store)
      : data_(std::move(data)), store_(std::move(store)) {}

  Future<ReadResult> Read(Key key, ReadOptions options) override;
  Future<TimestampedStorageGeneration> Write(Key key, std::optional<Value> value,
                                             WriteOptions options) override;
  Future<const void> DeleteRange(KeyRange range) override;
  void ListImpl(ListOptions options, ListReceiver receiver) override;

  std::string DescribeKey(std::string_view key) override {
    return absl::StrCat(QuoteString(key), " in remote_dram ", data_.pool);
  }
  // Conditions are decided by the one server that holds the key.
  SupportedFeatures GetSupportedFeatures(const KeyRange&) const override {
    return SupportedFeatures::kSingleKeyAtomicReadModifyWrite |
           SupportedFeatures::kAtomicWriteWithoutOverwrite;
  }
  absl::Status GetBoundSpecData(RemoteDramDriverSpecData& data) const {
    data = data_;
    return absl::OkStatus();
  }

 private:
  const Executor& executor() const { return data_.data_copy_concurrency->executor; }

  // Gives `promise` what `convert` makes of the operation's result, on the executor; cancels the
  // operation when nobody wants it any more.
  template <typename T, typename U, typename Convert>
  void Deliver(Promise<T> promise, ::cairn::Future<U> operation, Convert convert) {
    promise.ExecuteWhenNotNeeded([cancel = operation.Canceller()] { cancel(); });
    operation.OnReady([self = internal::IntrusivePtr<RemoteDramDriver>(this),
                       promise = std::move(promise),
                       convert = std::move(convert)](::cairn::Result<U> result) mutable {
      const Executor executor = self->executor();
      executor([self = std::move(self), promise = std::move(promise), convert = std::move(convert),
                result = std::move(result)]() mutable {
        // Whoever has all his results and drops the store has closed it.
        self.reset();
        promise.SetResult(result.ok() ? Result<T>(convert(*std::move(result)))
                                      : Result<T>(ToAbsl(result.status())));
      });
    });
  }

  const RemoteDramDriverSpecData data_;
  const std::shared_ptr<::cairn::RemoteDram> store_;
};

Future<ReadResult> RemoteDramDriver::Read(Key key, ReadOptions options) {
  const absl::Time time = absl::Now();
  dram::ReadOptions read;
  read.byte_range = {options.byte_range.inclusive_min, options.byte_range.exclusive_max};
  read.if_equal = ToDram(options.generation_conditions.if_equal);
  // NoValue is no condition here.
  if (!StorageGeneration::IsNoValue(options.generation_conditions.if_not_equal)) {
    read.if_not_equal = ToDram(options.generation_conditions.if_not_equal);
  }
  auto pair = PromiseFuturePair<ReadResult>::Make();
  Deliver(std::move(pair.promise), store_->Read(key, read),
          [time](dram::ReadResult result) -> ReadResult {
            TimestampedStorageGeneration stamp{FromDram(result.generation), time};
            switch (result.state) {
              case dram::ReadResult::State::kMissing:
                return ReadResult::Missing(std::move(stamp));
              case dram::ReadResult::State::kUnspecified:
                return ReadResult::Unspecified(std::move(stamp));
              case dram::ReadResult::State::kValue:
                break;
            }
            // The Cord keeps the buffer.
            const std::string_view bytes = result.value.view();
            return ReadResult::Value(
                absl::MakeCordFromExternal(bytes, [buffer = std::move(result.value)] {}),
                std::move(stamp));
          });
  return std::move(pair.future);
}

Future<TimestampedStorageGeneration> RemoteDramDriver::Write(Key key, std::optional<Value> value,
                                                             WriteOptions options) {
  const absl::Time time = absl::Now();
  const dram::WriteOptions write{ToDram(options.generation_conditions.if_equal), std::nullopt};
  auto pair = PromiseFuturePair<TimestampedStorageGeneration>::Make();
  const auto convert = [time](const dram::WriteResult& result) {
    return TimestampedStorageGeneration{FromDram(result.generation), time};
  };
  if (!value.has_value()) {
    Deliver(std::move(pair.promise), store_->Delete(key, write), convert);
    return std::move(pair.future);
  }
  // In one piece already, as a rule; else this copies.
  const auto cord = std::make_shared<absl::Cord>(*std::move(value));
  const std::string_view bytes = cord->Flatten();
  Deliver(std::move(pair.promise),
          store_->Write(key, dram::Buffer(bytes.data(), bytes.size(), cord), write), convert);
  return std::move(pair.future);
}

Future<const void> RemoteDramDriver::DeleteRange(KeyRange range) {
  if (range.empty()) return absl::OkStatus();
  auto pair = PromiseFuturePair<void>::Make();
  Deliver(std::move(pair.promise),
          store_->DeleteRange({std::move(range.inclusive_min), std::move(range.exclusive_max)}),
          [](std::uint64_t) { return absl::OkStatus(); });
  return std::move(pair.future);
}

void RemoteDramDriver::ListImpl(ListOptions options, ListReceiver receiver) {
  if (options.range.empty()) {
    execution::set_starting(receiver, [] {});
    execution::set_done(receiver);
    execution::set_stopping(receiver);
    return;
  }
  dram::ListOptions list;
  list.range = {std::move(options.range.inclusive_min), std::move(options.range.exclusive_max)};
  list.strip_prefix_bytes = options.strip_prefix_length;
  auto operation = store_->List(std::move(list));
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  execution::set_starting(receiver, [cancelled, cancel = operation.Canceller()] {
    cancelled->store(true, std::memory_order_relaxed);
    cancel();
  });
  // std::function copies, a receiver does not: it stands behind a pointer.
  const auto held = std::make_shared<ListReceiver>(std::move(receiver));
  operation.OnReady([self = internal::IntrusivePtr<RemoteDramDriver>(this), held,
                     cancelled](::cairn::Result<std::vector<dram::ListEntry>> result) mutable {
    const Executor executor = self->executor();
    executor([self = std::move(self), held = std::move(held), cancelled,
              result = std::move(result)]() mutable {
      self.reset();  // as in Deliver
      const auto wanted = [&] { return !cancelled->load(std::memory_order_relaxed); };
      if (result.ok()) {
        for (dram::ListEntry& entry : *result) {
          if (!wanted()) break;
          execution::set_value(
              *held, ListEntry{std::move(entry.key), ListEntry::checked_size(entry.value_bytes)});
        }
      }
      if (result.ok() || !wanted()) {
        execution::set_done(*held);
      } else {
        execution::set_error(*held, ToAbsl(result.status()));
      }
      execution::set_stopping(*held);
    });
  });
}

Future<kvstore::DriverPtr> RemoteDramDriverSpec::DoOpen() const {
  auto store = ::cairn_tensorstore::OpenSharedPool(data_.pool);
  if (!store.ok()) return ToAbsl(store.status());
  return internal::MakeIntrusivePtr<RemoteDramDriver>(data_, *std::move(store));
}

Result<kvstore::Spec> ParseUrl(std::string_view url) {
  const auto parsed = internal_uri::ParseGenericUri(url);
  TENSORSTORE_RETURN_IF_ERROR(internal_uri::EnsureSchemaWithAuthorityDelimiter(parsed, kUrlScheme));
  TENSORSTORE_RETURN_IF_ERROR(internal_uri::EnsureNoQueryOrFragment(parsed));
  auto spec = internal::MakeIntrusivePtr<RemoteDramDriverSpec>();
  spec->data_.pool = ::nlohmann::json{{"remote_addr", std::string(parsed.authority)}}.dump();
  spec->data_.data_copy_concurrency = Context::Resource<DataCopyConcurrencyResource>::DefaultSpec();
  TENSORSTORE_RETURN_IF_ERROR(ToAbsl(::cairn::RemoteDram::CheckSpec(spec->data_.pool)));
  std::string_view path = parsed.path;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  TENSORSTORE_ASSIGN_OR_RETURN(std::string decoded, internal_uri::PercentDecode(path));
  return {std::in_place, std::move(spec), std::move(decoded)};
}

}  // namespace
}  // namespace tensorstore

TENSORSTORE_DECLARE_GARBAGE_COLLECTION_NOT_REQUIRED(tensorstore::RemoteDramDriver)

namespace {
const tensorstore::internal_kvstore::DriverRegistration<tensorstore::RemoteDramDriverSpec>
    registration;
const tensorstore::internal_kvstore::UrlSchemeRegistration url_registration{tensorstore::kUrlScheme,
                                                                            tensorstore::ParseUrl};
}  // namespace
