// The connections to one node: made when they are needed, up to a number, and again when they
// break. A call goes to the connection with the fewest calls on it; if all are busy, another one is
// made for those that come later.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_CLIENT_NET_CONNECTION_POOL_H_
#define CAIRN_SRC_CLIENT_NET_CONNECTION_POOL_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "src/base/endpoint.h"
#include "src/base/executor.h"
#include "src/client/channel.h"
#include "src/client/net/framed_connection.h"
#include "src/client/net/io_loop.h"

namespace cairn::client {

struct PoolOptions {
  std::size_t max_connections = 16;
  Duration connect_timeout = std::chrono::seconds(2);
  FramedConnection::Options connection;
};

// An address to connect to.
struct SocketAddress {
  std::string bytes;  // a sockaddr
  int family = 0;
};
// The addresses of a host; it may ask the network. kUnavailable.
Result<std::vector<SocketAddress>> ResolveHost(const Endpoint& endpoint, bool numeric_only);

class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
 public:
  // `resolver` looks up host names, which may take long.
  ConnectionPool(Endpoint endpoint, const PoolOptions& options, std::shared_ptr<IoLoop> loop,
                 std::shared_ptr<SerialExecutor> resolver);

  // Sends a frame as FramedConnection::Send does, on a connection of the pool's choice. The errors
  // are those of FramedConnection::Done, and kUnavailable if no connection could be made.
  std::shared_ptr<Call> Submit(std::string frame, MonotonicTime deadline, bool driven,
                               FramedConnection::Done done);
  void Close();

 private:
  class PoolCall;
  class Connector;
  friend class Connector;

  // The connection for a call now; null if there is none. Says whether another one should be made.
  std::shared_ptr<FramedConnection> Choose(bool* connect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Connect();
  void ConnectTo(std::vector<SocketAddress> addresses);
  void OnConnected(Result<int> fd);
  void Place(const std::shared_ptr<PoolCall>& call);

  const Endpoint endpoint_;
  const std::string name_;
  const PoolOptions options_;
  const std::shared_ptr<IoLoop> loop_;
  const std::shared_ptr<SerialExecutor> resolver_;
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<FramedConnection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::size_t connecting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::shared_ptr<PoolCall>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::client

#endif  // CAIRN_SRC_CLIENT_NET_CONNECTION_POOL_H_
