#include "src/client/thrift/node_connection.h"

#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>
#include <thrift/transport/TTransportException.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace cairn::client {
namespace {

using apache::thrift::TApplicationException;
using apache::thrift::TException;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TBufferedTransport;
using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransportException;

int Milliseconds(std::chrono::milliseconds timeout) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp<std::int64_t>(timeout.count(), 1, kMost));
}

// Of a connection on which no answer has come yet.
constexpr const char* kNoThrift =
    "; nothing that speaks Thrift has answered there: is it the node's gRPC port "
    "(grpc://HOST:PORT) or its HTTP port?";

Status BrokenCall(const Endpoint& endpoint, const TException& error, bool answered) {
  const auto* const transport = dynamic_cast<const TTransportException*>(&error);
  if (transport != nullptr && transport->getType() == TTransportException::TIMED_OUT) {
    return TimeoutError("no answer from " + endpoint.ToString() + " in time");
  }
  return UnavailableError(endpoint.ToString() + ": " + error.what() + (answered ? "" : kNoThrift));
}

}  // namespace

NodeConnection::NodeConnection(Endpoint endpoint, std::shared_ptr<TSocket> socket)
    : endpoint_(std::move(endpoint)),
      socket_(std::move(socket)),
      client_(std::make_unique<ThriftClient>(
          std::make_shared<TBinaryProtocol>(std::make_shared<TBufferedTransport>(socket_)))) {}

NodeConnection::~NodeConnection() = default;

Result<std::unique_ptr<NodeConnection>> NodeConnection::Connect(const Endpoint& endpoint,
                                                                std::chrono::milliseconds timeout) {
  auto socket = std::make_shared<TSocket>(endpoint.host, endpoint.port);
  socket->setConnTimeout(Milliseconds(timeout));
  socket->setRecvTimeout(Milliseconds(timeout));
  socket->setSendTimeout(Milliseconds(timeout));
  try {
    socket->open();
  } catch (const TTransportException& error) {
    return UnavailableError(endpoint.ToString() + ": " + error.what());
  }
  return std::unique_ptr<NodeConnection>(new NodeConnection(endpoint, std::move(socket)));
}

Result<std::unique_ptr<NodeConnection>> NodeConnection::ConnectToAny(
    const std::vector<Endpoint>& endpoints, std::chrono::milliseconds timeout) {
  std::string reasons;
  for (const Endpoint& endpoint : endpoints) {
    auto connection = Connect(endpoint, timeout);
    if (connection.ok()) return connection;
    if (!reasons.empty()) reasons += "; ";
    reasons += connection.status().message();
  }
  return UnavailableError("no node can be reached: " + reasons);
}

Status NodeConnection::Call(const std::function<void(ThriftClient&)>& call) {
  try {
    call(*client_);
    answered_ = true;
    return Status::Ok();
  } catch (const TApplicationException& error) {
    // The server's own words: too many connections, a message over the limit, an unknown method.
    return UnavailableError(endpoint_.ToString() + ": " + error.what()).WithMaybeApplied();
  } catch (const TException& error) {
    return BrokenCall(endpoint_, error, answered_).WithMaybeApplied();
  }
}

}  // namespace cairn::client
