// What the loader asks of a system under load: a connection a client, with calls that block the
// client's thread or, where the system's own clients have them, calls that call back. Each system
// has one driver; the load is the same for all of them.
//
// Thread safety: Driver from any thread; a Connection by one thread at a time; of an
// AsyncConnection one call at a time.
#ifndef CAIRN_BENCH_LOAD_DRIVER_H_
#define CAIRN_BENCH_LOAD_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/endpoint.h"

namespace cairn::bench {

class Connection {
 public:
  virtual ~Connection() = default;

  // Stores the value, and returns when the system says that it is durable.
  virtual Status Set(const std::string& key, const std::string& value) = 0;
  // Reads into `value`; kNotFound if the key is missing.
  virtual Status Get(const std::string& key, std::string* value) = 0;
};

class AsyncConnection {
 public:
  // On a thread of the system's client, or inside the call. It may begin the next call.
  using Done = std::function<void(Status)>;

  virtual ~AsyncConnection() = default;

  // With the number of pairs.
  using ScanDone = std::function<void(Result<std::uint32_t>)>;

  // As those of Connection. `value` must outlive the call.
  virtual void Set(const std::string& key, const std::string& value, Done done) = 0;
  virtual void Get(const std::string& key, std::string* value, Done done) = 0;
  // Reads the pairs from `begin` up to but not at `end`, in the order of keys, and at most `limit`.
  // kInvalidArgument if the system or its driver can't.
  virtual void Scan(const std::string& begin, const std::string& end, std::uint32_t limit,
                    ScanDone done) {
    (void)begin;
    (void)end;
    (void)limit;
    done(InvalidArgumentError("this system's driver has no scans in the order of keys"));
  }
};

// Calls that call back, as calls that block.
std::unique_ptr<Connection> MakeBlocking(std::unique_ptr<AsyncConnection> connection);

class Driver {
 public:
  virtual ~Driver() = default;

  // A connection of its own, open when this returns. The n-th goes to endpoint n modulo their
  // number.
  virtual Result<std::unique_ptr<Connection>> Connect() = 0;

  // The same with calls that call back. kInvalidArgument if this system's driver has none.
  virtual Result<std::unique_ptr<AsyncConnection>> ConnectAsync() {
    return InvalidArgumentError("--async: this system's driver has blocking calls alone");
  }
};

// The driver of a system whose calls call back.
class AsyncDriver : public Driver {
 public:
  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(auto connection, ConnectAsync());
    return MakeBlocking(std::move(connection));
  }
};

// Cairn, or anything else that serves TransactionalKV: unframed Thrift, binary protocol. Gets ask
// for `read_level` ("local", "leader" or "read_index"); "": for none, so the node's own is used.
std::unique_ptr<Driver> MakeThriftDriver(std::vector<Endpoint> endpoints, std::string read_level);

// The same by Cairn's own gRPC service cairn.v1.KV. All connections share `channels` channels; 0:
// each has its own. `ping`: its Sets are Pings, which touch no data.
std::unique_ptr<Driver> MakeGrpcDriver(std::vector<Endpoint> endpoints, std::size_t channels,
                                       std::string_view read_level, bool ping);

struct ClientDriverOptions {
  std::vector<Endpoint> endpoints;
  bool grpc = false;            // by pipelines, over gRPC; else over Thrift
  std::size_t clients = 0;      // that all connections share; 0: each has its own
  std::size_t connections = 1;  // Thrift: of one client to its node
  std::string_view read_level;
  bool sessions =
      false;  // and reads that see the client's own writes: as the client's defaults are
};

// The same by Cairn's C++ client and its asynchronous calls. Unless asked for, without what the
// other drivers have not either: sessions, and reads of one's own writes.
std::unique_ptr<Driver> MakeClientDriver(const ClientDriverOptions& options);

// etcd's v3 KV service over gRPC, with channels alike. Gets are serializable (served by the node
// itself) if `serializable_reads`, else linearizable.
std::unique_ptr<Driver> MakeEtcdDriver(std::vector<Endpoint> endpoints, std::size_t channels,
                                       bool serializable_reads);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_LOAD_DRIVER_H_
