#include "src/client/grpc_wire/grpc_channel.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <functional>
#include <type_traits>
#include <utility>

#include "api/cairn.grpc.pb.h"
#include "src/client/address.h"
#include "src/client/grpc_wire/errors.h"
#include "src/client/grpc_wire/grpc_stream.h"
#include "src/client/grpc_wire/messages.h"
#include "src/client/grpc_wire/pipeline.h"
#include "src/client/grpc_wire/running_calls.h"

namespace cairn::client {
namespace {

using KvAsync = v1::KV::StubInterface::async_interface;
using AdminAsync = v1::Admin::StubInterface::async_interface;
// The way of one method: its stub's function that takes a callback.
template <class Service, class Wire, class Answer>
using Method = void (Service::*)(grpc::ClientContext*, const Wire*, Answer*,
                                 std::function<void(grpc::Status)>);

// What all calls of a channel share, and what outlives it if they do.
struct Shared {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::KV::Stub> kv;
  std::unique_ptr<v1::Admin::Stub> admin;
  std::shared_ptr<RunningCalls> running = std::make_shared<RunningCalls>();
  std::string node;  // for messages
  std::size_t longest_answer = 0;
  SystemClock clock;

  [[nodiscard]] KvAsync* Of(KvAsync*) const { return kv->async(); }
  [[nodiscard]] AdminAsync* Of(AdminAsync*) const { return admin->async(); }
};

// gRPC ends the threads that run its callbacks with the last channel that used them, which must not
// be dropped on one of those threads (1.51 aborts). Whatever a callback holds may hold the last
// reference; so one channel, which never connects, stays for ever.
void KeepCallbackThreads() {
  struct Keeper {
    std::shared_ptr<grpc::Channel> channel =
        grpc::CreateChannel("unix:/dev/null/none", grpc::InsecureChannelCredentials());
    v1::KV::Stub stub{channel};
    grpc::ClientContext context;
    v1::PingRequest request;
    v1::PingResponse response;
  };
  static Keeper* const keeper = [] {
    auto* made = new Keeper;
    made->context.TryCancel();
    made->stub.async()->Ping(&made->context, &made->request, &made->response,
                             [](const grpc::Status&) {});
    return made;
  }();
  (void)keeper;
}

class GrpcCall : public Call {
 public:
  void Abandon() override {
    abandoned_.store(true);
    context.TryCancel();
  }
  // gRPC brings answers on threads of its own.
  bool Drive() override { return false; }
  [[nodiscard]] bool abandoned() const { return abandoned_.load(); }

  grpc::ClientContext context;

 private:
  std::atomic<bool> abandoned_{false};
};

template <class Wire, class Response>
class UnaryCall final : public GrpcCall {
 public:
  Wire request;
  Response response;
};

// Starts the call of a request's method; one for each kind of request.
class Starter {
 public:
  Starter(std::shared_ptr<Shared> shared, const CallContext& context, bool is_write,
          NodeChannel::Done done)
      : shared_(std::move(shared)),
        context_(context),
        is_write_(is_write),
        done_(std::move(done)) {}

  using Started = std::shared_ptr<Call>;
  Started operator()(const kv::KvOperation& op) {
    return std::visit([this](const auto& one) { return (*this)(one); }, op);
  }
  Started operator()(const kv::Get& op) { return Unary(op, &KvAsync::Get); }
  Started operator()(const kv::SnapshotRead& op) { return Unary(op, &KvAsync::Get); }
  Started operator()(const kv::GetRange& op) { return Unary(op, &KvAsync::GetRange); }
  Started operator()(const kv::SnapshotGetRange& op) { return Unary(op, &KvAsync::GetRange); }
  Started operator()(const kv::GetReadVersion& op) { return Unary(op, &KvAsync::GetReadVersion); }
  Started operator()(const kv::GetCommittedVersion& op) {
    return Unary(op, &KvAsync::GetCommittedVersion);
  }
  Started operator()(const kv::Set& op) { return Unary(op, &KvAsync::Set); }
  Started operator()(const kv::Delete& op) { return Unary(op, &KvAsync::Delete); }
  Started operator()(const kv::SetVersionstampedKey& op) {
    return Unary(op, &KvAsync::SetVersionstampedKey);
  }
  Started operator()(const kv::SetVersionstampedValue& op) {
    return Unary(op, &KvAsync::SetVersionstampedValue);
  }
  Started operator()(const kv::AtomicCommit& op) { return Unary(op, &KvAsync::Commit); }
  Started operator()(const kv::OpenSession& op) { return Unary(op, &KvAsync::OpenSession); }
  Started operator()(const kv::CloseSession& op) { return Unary(op, &KvAsync::CloseSession); }
  Started operator()(const Ping& op) { return Unary(op, &KvAsync::Ping); }
  Started operator()(const kv::CreateColumnFamily& op) {
    return Unary(op, &AdminAsync::CreateColumnFamily);
  }
  Started operator()(const kv::DropColumnFamily& op) {
    return Unary(op, &AdminAsync::DropColumnFamily);
  }
  Started operator()(const ListFamilies& op) { return Unary(op, &AdminAsync::ListColumnFamilies); }
  Started operator()(const GetClusterInfo& op) { return Unary(op, &AdminAsync::GetClusterStatus); }
  Started operator()(const GetNodeInfo& op) { return Unary(op, &AdminAsync::GetNodeStatus); }
  // What only a node proposes.
  template <class Other>
  Started operator()(const Other&) {
    return Refuse(UnimplementedError("clients do not send this operation"), true);
  }

 private:
  Started Refuse(Status status, bool answered) {
    done_({std::move(status), answered});
    return nullptr;
  }

  void SetDeadline(grpc::ClientContext* context) const {
    if (context_.deadline == MonotonicTime::Max()) return;
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::system_clock::duration>(
                              context_.deadline - shared_->clock.Now()));
  }

  template <class Op, class Service, class Wire, class Response>
  Started Unary(const Op& op, Method<Service, Wire, Response> method) {
    const auto call = std::make_shared<UnaryCall<Wire, Response>>();
    if (Status status = Fill(op, context_, &call->request); !status.ok()) {
      return Refuse(std::move(status), true);
    }
    SetDeadline(&call->context);
    const std::shared_ptr<grpc::ClientContext> context(call, &call->context);
    if (!shared_->running->Add(context)) {
      return Refuse(CancelledError("the client is closed"), false);
    }
    // gRPC wants a callback that can be copied.
    auto done = std::make_shared<NodeChannel::Done>(std::move(done_));
    auto* const service = shared_->Of(static_cast<Service*>(nullptr));
    (service->*method)(
        &call->context, &call->request, &call->response,
        [shared = shared_, call, done, is_write = is_write_](const grpc::Status& status) {
          if (call->abandoned()) {
            // Nobody waits for it.
          } else if (status.ok()) {
            (*done)({Take(&call->response), true});
          } else {
            const MessageSizes sizes = {call->request.ByteSizeLong(), shared->longest_answer,
                                        std::is_same_v<Response, v1::VersionstampedResponse>};
            CallError error =
                FromGrpc(status, is_write, shared->node, shared->running->closed(), sizes);
            (*done)({std::move(error.status), error.answered});
          }
          *done = nullptr;
          shared->running->Remove({call, &call->context});
        });
    return call;
  }

  const std::shared_ptr<Shared> shared_;
  const CallContext& context_;
  const bool is_write_;
  NodeChannel::Done done_;
};

class GrpcChannel final : public NodeChannel {
 public:
  GrpcChannel(std::shared_ptr<Shared> shared, const GrpcChannelOptions& options)
      : shared_(std::move(shared)) {
    if (options.scheduler == nullptr) return;
    pipeline_ = std::make_unique<Pipeline>(
        PipelineOptions{shared_->channel, shared_->running, options.scheduler,
                        options.max_message_bytes, shared_->node});
  }

  std::shared_ptr<Call> Start(std::shared_ptr<const Request> request, const CallContext& context,
                              Done done) override {
    if (pipeline_ != nullptr && !context.driven) {
      if (auto call = pipeline_->TryStart(*request, context, &done)) return call;
    }
    Starter starter(shared_, context, IsWrite(*request), std::move(done));
    return std::visit([&](const auto& one) { return starter(one); }, *request);
  }

  std::unique_ptr<RangeStream> OpenStream(StreamRequest request,
                                          const CallContext& context) override {
    v1::ScanRequest wire;
    if (Status status = Fill(request, context, &wire); !status.ok()) {
      return FailedStream(std::move(status));
    }
    return OpenGrpcStream(shared_->channel, shared_->running, std::move(wire), shared_->node);
  }

  void Close() override { shared_->running->Close(); }

 private:
  const std::shared_ptr<Shared> shared_;
  std::unique_ptr<Pipeline> pipeline_;  // null: there is none
};

}  // namespace

std::shared_ptr<NodeChannel> MakeGrpcChannel(const Endpoint& endpoint,
                                             const GrpcChannelOptions& options) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const auto connect_ms = static_cast<int>(std::clamp<std::int64_t>(
      duration_cast<milliseconds>(options.connect_timeout).count(), 100, INT_MAX));
  grpc::ChannelArguments arguments;
  const auto longest_answer = std::min<std::size_t>(options.max_message_bytes, INT_MAX);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(longest_answer));
  // How long an attempt to connect may take, and the waits between them, which grow.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect_ms);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A connection of its own, not one shared with other clients of the process.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Retries are the client's, under its sessions.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  KeepCallbackThreads();
  const auto shared = std::make_shared<Shared>();
  shared->node = Address{Wire::kGrpc, endpoint}.ToString();
  shared->longest_answer = longest_answer;
  shared->channel = grpc::CreateCustomChannel("dns:///" + endpoint.ToString(),
                                              grpc::InsecureChannelCredentials(), arguments);
  shared->kv = v1::KV::NewStub(shared->channel);
  shared->admin = v1::Admin::NewStub(shared->channel);
  return std::make_shared<GrpcChannel>(shared, options);
}

}  // namespace cairn::client
