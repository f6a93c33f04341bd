#include "apps/cairn/admin_channel.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "api/cairn.grpc.pb.h"
#include "apps/cairn/patience.h"
#include "src/base/clock.h"
#include "src/client/address.h"
#include "src/client/grpc_wire/errors.h"

namespace cairn::cli {
namespace {

using std::chrono::milliseconds;

// How long to wait before the nodes are asked anew who leads.
constexpr milliseconds kAskAgain(100);
constexpr int kMaxMessageBytes = 64 << 20;

template <class Request, class Response>
using Method = grpc::Status (v1::Admin::StubInterface::*)(grpc::ClientContext*, const Request&,
                                                          Response*);

std::unique_ptr<v1::Admin::StubInterface> StubAt(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return v1::Admin::NewStub(grpc::CreateCustomChannel(
      "dns:///" + endpoint, grpc::InsecureChannelCredentials(), arguments));
}

}  // namespace

std::string ReachableAt(const std::string& named, const Endpoint& reached) {
  const Result<Endpoint> endpoint = ParseEndpoint(named);
  if (!endpoint.ok() || (endpoint->host != "0.0.0.0" && endpoint->host != "::")) return named;
  return Endpoint{reached.host, endpoint->port}.ToString();
}

Result<Endpoint> ThriftEndpointOf(const Endpoint& grpc, milliseconds timeout) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::GetNodeStatusResponse response;
  const grpc::Status status =
      StubAt(grpc.ToString())->GetNodeStatus(&call, v1::GetNodeStatusRequest(), &response);
  if (!status.ok()) return client::FromGrpc(status, false, grpc.ToString()).status;
  return ParseEndpoint(ReachableAt(response.node().thrift_endpoint(), grpc));
}

class AdminChannel::Impl {
 public:
  explicit Impl(Context* context) : context_(context) {}

  // `is_write`: it changes something, so that one without an answer may have done that.
  template <class Request, class Response>
  Status CallAt(const std::string& endpoint, Method<Request, Response> method,
                const Request& request, Response* response, milliseconds timeout, bool is_write) {
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + timeout);
    const grpc::Status status = (StubOf(endpoint)->*method)(&call, request, response);
    if (status.ok()) return Status::Ok();
    return client::FromGrpc(status, is_write, endpoint).status;
  }

  // Calls the leader, wherever it is, until the time is up.
  template <class Request, class Response>
  MaybeFailure CallLeader(Method<Request, Response> method, const Request& request,
                          Response* response) {
    const MonotonicTime until = clock_.Now() + context_->options().timeout;
    Status last;
    std::string endpoint;
    do {
      if (endpoint.empty()) {
        const Result<std::string> found = AnyNode(until);
        if (!found.ok()) return FailureOf(found.status());
        endpoint = *found;
      }
      last = CallAt(endpoint, method, request, response, Left(until), /*is_write=*/true);
      const bool elsewhere = last.code() == StatusCode::kNotLeader;
      // Of one that could not be reached nothing was done; any other answer stands.
      if (!elsewhere && (last.code() != StatusCode::kUnavailable || last.maybe_applied())) break;
      const Result<client::Address> leader = client::ParseAddress(last.leader_hint());
      const std::string next = elsewhere && leader.ok() ? leader->endpoint.ToString() : "";
      if (next.empty() || next == endpoint) PauseFor(kAskAgain);
      endpoint = next;
    } while (clock_.Now() < until);
    if (last.ok()) return std::nullopt;
    if (last.code() == StatusCode::kNotLeader) {
      last = UnavailableError(
          "no node leads: is a majority of the voters running? `cairn cluster "
          "status` asks each");
    }
    return FailureOf(last);
  }

  // The gRPC endpoint of the first node of --endpoints that has one; first of all of one that
  // answers.
  Result<std::string> AnyNode(MonotonicTime until) {
    CAIRN_ASSIGN_OR_RETURN(const std::vector<std::size_t> order, Order(until));
    std::string problems;
    bool silent = true;
    for (const std::size_t node : order) {
      const Result<std::string> found = NodeAt(node, until);
      if (found.ok()) return found;
      silent = silent && found.status().code() == StatusCode::kTimeout;
      problems += (problems.empty() ? "" : "; ") + found.status().message();
    }
    return silent ? TimeoutError(problems) : UnavailableError(problems);
  }

  // The endpoints, in the order in which to ask them.
  Result<std::vector<std::size_t>> Order(MonotonicTime until) const {
    std::vector<std::size_t> order(context_->options().endpoints.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::size_t first = 0;
    if (order.size() > 1) {
      if (const auto failure = context_->FindNode(until, &first)) {
        return failure->exit == kTimedOut ? TimeoutError(failure->message)
                                          : UnavailableError(failure->message);
      }
    }
    std::swap(order[0], order[first]);
    return order;
  }

  // Where the gRPC service of the node at that endpoint is.
  Result<std::string> NodeAt(std::size_t endpoint, MonotonicTime until) const {
    return Discover(context_->options().endpoints[endpoint], Left(until));
  }

  [[nodiscard]] MonotonicTime Until() const { return clock_.Now() + timeout(); }
  [[nodiscard]] milliseconds Left(MonotonicTime until) const { return context_->Left(until); }

  // What a stream of a call brings.
  Result<AdminChannel::Chunks> Backup(const std::string& endpoint, bool local,
                                      milliseconds patience) {
    struct Stream {
      grpc::ClientContext call;
      std::unique_ptr<grpc::ClientReaderInterface<v1::BackupChunk>> reader;
      bool ended = false;
      ~Stream() {
        if (!ended) {
          call.TryCancel();
          (void)reader->Finish();
        }
      }
    };
    v1::BackupRequest request;
    request.set_local(local);
    const auto stream = std::make_shared<Stream>();
    stream->call.set_deadline(std::chrono::system_clock::now() + patience);
    stream->reader = StubOf(endpoint)->Backup(&stream->call, request);
    return AdminChannel::Chunks([stream, endpoint]() -> Result<std::string> {
      v1::BackupChunk chunk;
      if (!stream->ended && stream->reader->Read(&chunk)) return std::move(*chunk.mutable_data());
      if (stream->ended) return std::string();
      stream->ended = true;
      const grpc::Status status = stream->reader->Finish();
      if (status.ok()) return std::string();
      return client::FromGrpc(status, false, endpoint).status;
    });
  }

  [[nodiscard]] milliseconds timeout() const { return context_->options().timeout; }

 private:
  Result<std::string> Discover(const client::Address& address, milliseconds limit) const {
    const Endpoint& endpoint = address.endpoint;
    if (address.wire == client::Wire::kGrpc) return endpoint.ToString();
    CAIRN_ASSIGN_OR_RETURN(auto connection, client::NodeConnection::Connect(
                                                endpoint, std::min(limit, milliseconds(2000))));
    thrift_api::GetNodeInfoResponse info;
    const Status asked = connection->Call([&](auto& node) { node.getNodeInfo(info, {}); });
    if (!asked.ok()) return Status(asked.code(), asked.message());  // a read: nothing was applied
    if (info.__isset.error) return UnavailableError(endpoint.ToString() + ": " + info.error);
    if (!info.node_info.__isset.grpc_endpoint) {
      return UnavailableError(endpoint.ToString() +
                              " serves no gRPC, which this command needs; its log says why, and "
                              "[server] grpc_port or --grpc-port chooses a port");
    }
    return ReachableAt(info.node_info.grpc_endpoint, endpoint);
  }

  v1::Admin::StubInterface* StubOf(const std::string& endpoint) {
    std::unique_ptr<v1::Admin::StubInterface>& stub = stubs_[endpoint];
    if (stub == nullptr) stub = StubAt(endpoint);
    return stub.get();
  }

  Context* const context_;
  const SystemClock clock_;
  std::map<std::string, std::unique_ptr<v1::Admin::StubInterface>> stubs_;
};

AdminChannel::AdminChannel(Context* context) : impl_(std::make_unique<Impl>(context)) {}
AdminChannel::~AdminChannel() = default;

MaybeFailure AdminChannel::ListMembers(v1::ListMembersResponse* response) {
  const MonotonicTime until = impl_->Until();
  const auto ask = [&](const std::string& endpoint, milliseconds limit) {
    return impl_->CallAt(endpoint, &v1::Admin::StubInterface::ListMembers, v1::ListMembersRequest(),
                         response, limit, /*is_write=*/false);
  };
  const Result<std::vector<std::size_t>> order = impl_->Order(until);
  if (!order.ok()) return FailureOf(order.status());
  // One that knows a leader, if there is one: a node that was removed, or cut off, knows less.
  Status failed;
  std::optional<v1::ListMembersResponse> leaderless;
  bool led = false;
  for (std::size_t i = 0; i < order->size() && !led; ++i) {
    const Result<std::string> node = impl_->NodeAt((*order)[i], until);
    const Status status = node.ok() ? ask(*node, impl_->Left(until)) : node.status();
    if (!status.ok()) {
      if (failed.ok()) failed = status;
      // What a node says of itself stands; only of silent ones another one may know more.
      if (status.code() != StatusCode::kTimeout && status.code() != StatusCode::kUnavailable) break;
      continue;
    }
    led = response->has_leader_id();
    if (!led && !leaderless) leaderless = *response;
  }
  if (!led) {
    if (!leaderless) return FailureOf(failed);
    *response = *std::move(leaderless);
    return std::nullopt;
  }
  if (response->leader_id() == response->answered_by()) return std::nullopt;
  std::string leader;
  for (const v1::Member& member : response->members()) {
    if (member.node_id() == response->leader_id()) leader = member.grpc_endpoint();
  }
  v1::ListMembersResponse first = *response;
  // A leader that just went away does not make the first answer worse, nor take all the time.
  if (!leader.empty() && !ask(leader, impl_->Left(until) / 2).ok()) *response = std::move(first);
  return std::nullopt;
}

MaybeFailure AdminChannel::Add(const v1::AddMemberRequest& request) {
  v1::ChangeMembersResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::AddMember, request, &response);
}

MaybeFailure AdminChannel::Promote(const v1::PromoteMemberRequest& request) {
  v1::ChangeMembersResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::PromoteMember, request, &response);
}

MaybeFailure AdminChannel::Remove(const v1::RemoveMemberRequest& request) {
  v1::ChangeMembersResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::RemoveMember, request, &response);
}

MaybeFailure AdminChannel::Replace(const v1::ReplaceMemberRequest& request) {
  v1::ChangeMembersResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::ReplaceMember, request, &response);
}

MaybeFailure AdminChannel::TransferLeadership(const v1::TransferLeadershipRequest& request) {
  v1::TransferLeadershipResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::TransferLeadership, request, &response);
}

MaybeFailure AdminChannel::Upgrade(const v1::UpgradeRequest& request,
                                   v1::UpgradeResponse* response) {
  return impl_->CallLeader(&v1::Admin::StubInterface::Upgrade, request, response);
}

MaybeFailure AdminChannel::AdvanceLog(std::uint64_t slot) {
  v1::AdvanceLogRequest request;
  request.set_slot(slot);
  v1::AdvanceLogResponse response;
  return impl_->CallLeader(&v1::Admin::StubInterface::AdvanceLog, request, &response);
}

MaybeFailure AdminChannel::PrepareDigest(const std::string& endpoint, std::uint64_t slot,
                                         std::uint64_t token) {
  v1::PrepareDigestRequest request;
  request.set_slot(slot);
  request.set_token(token);
  v1::PrepareDigestResponse response;
  const Status status = impl_->CallAt(endpoint, &v1::Admin::StubInterface::PrepareDigest, request,
                                      &response, impl_->timeout(), /*is_write=*/false);
  if (status.ok()) return std::nullopt;
  return FailureOf(status);
}

MaybeFailure AdminChannel::GetDigest(const std::string& endpoint, std::uint64_t token,
                                     milliseconds patience, v1::GetDigestResponse* response) {
  v1::GetDigestRequest request;
  request.set_token(token);
  const Status status =
      impl_->CallAt(endpoint, &v1::Admin::StubInterface::GetDigest, request, response, patience,
                    /*is_write=*/false);
  if (status.ok()) return std::nullopt;
  return FailureOf(status);
}

MaybeFailure AdminChannel::Backup(bool local, milliseconds patience, Chunks* chunks) {
  const Result<std::string> node = impl_->AnyNode(impl_->Until());
  if (!node.ok()) return FailureOf(node.status());
  Result<Chunks> begun = impl_->Backup(*node, local, patience);
  if (!begun.ok()) return FailureOf(begun.status());
  *chunks = *std::move(begun);
  return std::nullopt;
}

MaybeFailure AdminChannel::NodeStatus(const std::string& endpoint,
                                      v1::GetNodeStatusResponse* response) {
  const Status status =
      impl_->CallAt(endpoint, &v1::Admin::StubInterface::GetNodeStatus, v1::GetNodeStatusRequest(),
                    response, std::min(impl_->timeout(), milliseconds(500)), /*is_write=*/false);
  if (status.ok()) return std::nullopt;
  return FailureOf(status);
}

MaybeFailure AdminChannel::TakeSnapshot(const std::string& endpoint,
                                        v1::TakeSnapshotResponse* response) {
  const Status status =
      impl_->CallAt(endpoint, &v1::Admin::StubInterface::TakeSnapshot, v1::TakeSnapshotRequest(),
                    response, impl_->timeout(), /*is_write=*/true);
  if (status.ok()) return std::nullopt;
  return FailureOf(status);
}

}  // namespace cairn::cli
