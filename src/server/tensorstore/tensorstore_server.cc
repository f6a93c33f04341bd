#include "src/server/tensorstore/tensorstore_server.h"

#include <google/protobuf/timestamp.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "api/tensorstore_kvstore.grpc.pb.h"
#include "src/server/tensorstore/wire.h"

namespace cairn::server {
namespace {

namespace wire = tensorstore_grpc::kvstore;
using dram::Buffer;
using grpc::ServerContext;
using std::chrono::steady_clock;
using std::chrono::system_clock;

// How often a waiting call looks whether its client has gone.
constexpr std::chrono::milliseconds kCancelPeriod{50};
constexpr std::size_t kPartBytes = 1 << 20;
constexpr std::size_t kListEntries = 1000;
constexpr std::chrono::seconds kDrain{1};

grpc::Status ToGrpc(const Status& status) {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  switch (status.code()) {
    case StatusCode::kOk:
      return grpc::Status::OK;
    case StatusCode::kInvalidArgument:
      code = grpc::StatusCode::INVALID_ARGUMENT;
      break;
    case StatusCode::kOutOfRange:
      code = grpc::StatusCode::OUT_OF_RANGE;
      break;
    case StatusCode::kUnavailable:
      code = grpc::StatusCode::UNAVAILABLE;
      break;
    case StatusCode::kTimeout:
      code = grpc::StatusCode::DEADLINE_EXCEEDED;
      break;
    case StatusCode::kResourceExhausted:
      code = grpc::StatusCode::RESOURCE_EXHAUSTED;
      break;
    case StatusCode::kCancelled:
      code = grpc::StatusCode::CANCELLED;
      break;
    // No rule of the routing names a server for the key: not that it has no value.
    case StatusCode::kNotFound:
    case StatusCode::kFailedPrecondition:
      code = grpc::StatusCode::FAILED_PRECONDITION;
      break;
    default:
      break;
  }
  return {code, status.message()};
}

// The call's deadline, if its client set one.
dram::Deadline DeadlineOf(const ServerContext& context) {
  if (context.deadline() == system_clock::time_point::max()) return std::nullopt;
  const auto left = context.deadline() - system_clock::now();
  return steady_clock::now() + std::min<system_clock::duration>(left, std::chrono::hours(24));
}

// Waits for the operation, and cancels it when the client has gone.
template <class T>
Result<T> Wait(const ServerContext& context, Future<T> future) {
  while (!future.WaitFor(kCancelPeriod)) {
    if (context.IsCancelled()) future.Cancel();
  }
  return future.Get();
}

template <class Response>
void PutStamp(const dram::Generation& generation, system_clock::time_point time,
              Response* response) {
  auto* const stamp = response->mutable_generation_and_timestamp();
  stamp->set_generation(ToWire(generation));
  const auto ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  stamp->mutable_timestamp()->set_seconds(ns / 1'000'000'000);
  stamp->mutable_timestamp()->set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

class Service final : public wire::KvStoreService::Service {
 public:
  explicit Service(RemoteDram* store) : store_(store) {}

  grpc::Status Read(ServerContext* context, const wire::ReadRequest* request,
                    grpc::ServerWriter<wire::ReadResponse>* writer) override {
    dram::ReadOptions options;
    options.if_equal = FromWire(request->generation_if_equal());
    options.if_not_equal = FromWire(request->generation_if_not_equal());
    options.deadline = DeadlineOf(*context);
    if (request->has_byte_range()) {
      options.byte_range = {request->byte_range().inclusive_min(),
                            request->byte_range().exclusive_max()};
    }
    const auto read = Wait(*context, store_->Read(request->key(), options));
    if (!read.ok()) return ToGrpc(read.status());
    wire::ReadResponse response;
    response.set_state(static_cast<wire::ReadResponse::State>(read->state));
    PutStamp(read->generation, read->time, &response);
    const std::string_view value = read->value.view();
    std::size_t sent = 0;
    do {
      const std::string_view part = value.substr(sent, kPartBytes);
      response.set_value_part(part.data(), part.size());
      if (!writer->Write(response)) break;  // the client has gone
      sent += part.size();
      response.Clear();
    } while (sent < value.size());
    return grpc::Status::OK;
  }

  grpc::Status Write(ServerContext* context, grpc::ServerReader<wire::WriteRequest>* reader,
                     wire::WriteResponse* response) override {
    wire::WriteRequest request;
    if (!reader->Read(&request)) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "a write without a message"};
    }
    const std::string key = request.key();
    const dram::WriteOptions options{FromWire(request.generation_if_equal()), DeadlineOf(*context)};
    std::string value = std::move(*request.mutable_value_part());
    while (reader->Read(&request)) {
      if (value.size() + request.value_part().size() > dram::kMaxValueBytes) {
        return {grpc::StatusCode::INVALID_ARGUMENT, "a value beyond 4 GiB"};
      }
      value += request.value_part();
    }
    // What a client that has gone left unfinished is not a value. A client that has said all and
    // one that has gone both end the loop, and the second can do so before gRPC counts the call as
    // cancelled. The call's own metadata go through the connection behind whatever ended it, so
    // that once they are sent, it is known.
    reader->SendInitialMetadata();
    if (context->IsCancelled() || system_clock::now() >= context->deadline()) {
      return grpc::Status::CANCELLED;
    }
    const auto written =
        Wait(*context, store_->Write(key, Buffer::Take(std::move(value)), options));
    if (!written.ok()) return ToGrpc(written.status());
    PutStamp(written->generation, written->time, response);
    return grpc::Status::OK;
  }

  grpc::Status Delete(ServerContext* context, const wire::DeleteRequest* request,
                      wire::DeleteResponse* response) override {
    const auto time = system_clock::now();
    if (request->has_range()) {
      const dram::KeyRange range{request->range().inclusive_min(),
                                 request->range().exclusive_max()};
      const auto deleted = Wait(*context, store_->DeleteRange(range, DeadlineOf(*context)));
      if (!deleted.ok()) return ToGrpc(deleted.status());
      PutStamp(dram::Generation::Unknown(), time, response);
      return grpc::Status::OK;
    }
    const dram::WriteOptions options{FromWire(request->generation_if_equal()),
                                     DeadlineOf(*context)};
    const auto deleted = Wait(*context, store_->Delete(request->key(), options));
    if (!deleted.ok()) return ToGrpc(deleted.status());
    PutStamp(deleted->generation, deleted->time, response);
    return grpc::Status::OK;
  }

  grpc::Status List(ServerContext* context, const wire::ListRequest* request,
                    grpc::ServerWriter<wire::ListResponse>* writer) override {
    dram::ListOptions options;
    options.range = {request->range().inclusive_min(), request->range().exclusive_max()};
    options.strip_prefix_bytes = request->strip_prefix_length();
    options.deadline = DeadlineOf(*context);
    const auto listed = Wait(*context, store_->List(std::move(options)));
    if (!listed.ok()) return ToGrpc(listed.status());
    wire::ListResponse response;
    for (const dram::ListEntry& found : *listed) {
      auto* const entry = response.add_entry();
      entry->set_key(found.key);
      entry->set_size(static_cast<std::int64_t>(found.value_bytes));
      if (static_cast<std::size_t>(response.entry_size()) < kListEntries) continue;
      if (!writer->Write(response)) return grpc::Status::OK;
      response.Clear();
    }
    if (response.entry_size() > 0) writer->Write(response);
    return grpc::Status::OK;
  }

 private:
  RemoteDram* const store_;
};

}  // namespace

class TensorstoreServer::Impl {
 public:
  Impl(const TensorstoreServerOptions& options, RemoteDram* store)
      : service_(store), address_(options.address) {
    grpc::ResourceQuota quota("cairn-tensorstore");
    quota.Resize(options.receive_memory_bytes).SetMaxThreads(options.max_threads);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota)
        .SetMaxReceiveMessageSize(options.message_bytes)
        .AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0)
        .AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.calls_per_connection)
        .AddListeningPort(options.address.ToString(), grpc::InsecureServerCredentials(), &port)
        .RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_.port = static_cast<std::uint16_t>(port);
  }
  ~Impl() {
    if (server_ != nullptr) server_->Shutdown(system_clock::now() + kDrain);
  }
  [[nodiscard]] bool serves() const { return server_ != nullptr && address_.port != 0; }
  [[nodiscard]] std::string address() const { return address_.ToString(); }

 private:
  Service service_;
  Endpoint address_;
  std::unique_ptr<grpc::Server> server_;
};

TensorstoreServer::TensorstoreServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TensorstoreServer::~TensorstoreServer() = default;

std::string TensorstoreServer::address() const { return impl_->address(); }

Result<std::unique_ptr<TensorstoreServer>> TensorstoreServer::Start(
    const TensorstoreServerOptions& options, RemoteDram* store) {
  auto impl = std::make_unique<Impl>(options, store);
  if (!impl->serves()) {
    return IoError("can't serve TensorStore's gRPC protocol at " + options.address.ToString() +
                   ": the address is taken, or not this host's");
  }
  return std::unique_ptr<TensorstoreServer>(new TensorstoreServer(std::move(impl)));
}

}  // namespace cairn::server
