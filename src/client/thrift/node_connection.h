// One blocking connection to a node's Thrift service, for tools. The client library with failover,
// retries and transactions is another one (src/client); this only turns Thrift's exceptions into
// Status and keeps calls within a time.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_SRC_CLIENT_THRIFT_NODE_CONNECTION_H_
#define CAIRN_SRC_CLIENT_THRIFT_NODE_CONNECTION_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/TransactionalKV.h"
#include "cairn/status.h"
#include "src/base/endpoint.h"

namespace apache::thrift::transport {
class TSocket;
}

namespace cairn::client {

using ThriftClient = thrift_api::TransactionalKVClient;

class NodeConnection {
 public:
  // kUnavailable if the node can't be reached within `timeout`, which bounds each wait of the calls
  // that follow, too.
  static Result<std::unique_ptr<NodeConnection>> Connect(const Endpoint& endpoint,
                                                         std::chrono::milliseconds timeout);
  // The first of `endpoints` that can be reached; the error names each that could not.
  static Result<std::unique_ptr<NodeConnection>> ConnectToAny(
      const std::vector<Endpoint>& endpoints, std::chrono::milliseconds timeout);
  ~NodeConnection();

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

  // Runs `call` with the Thrift client. OK if an answer came, whatever it says. kTimeout: no answer
  // in time; kUnavailable: the connection broke, or the server ended it with a message. Both are
  // maybe_applied(). Not usable after an error.
  Status Call(const std::function<void(ThriftClient&)>& call);

 private:
  NodeConnection(Endpoint endpoint, std::shared_ptr<apache::thrift::transport::TSocket> socket);

  const Endpoint endpoint_;
  const std::shared_ptr<apache::thrift::transport::TSocket> socket_;
  std::unique_ptr<ThriftClient> client_;
  bool answered_ = false;
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_THRIFT_NODE_CONNECTION_H_
