// Clients of a Cairn node (NodeClient) and of a cluster (MultiNodeClient).
//
//   auto client = cairn::NodeClient::Connect("127.0.0.1:9090");
//   if (!client.ok()) { std::cerr << client.status().ToString() << "\n"; return 1; }
//   (*client)->Set("fruit/apple", "red");
//   cairn::Result<cairn::GetResult> got = (*client)->Get("fruit/apple");
//
// Every call has a deadline, and is sent again within it where that is safe: reads always; writes
// because each carries a number of a session that the client opens by itself, so that the node
// applies it once however often it arrives. A write that fails with Status::maybe_applied() may
// have been applied all the same: no answer came in time.
//
// Each call of one operation on data has an asynchronous form, which returns at once with a Future
// (future.h); what is made of several has none (Scan, Run, a transaction's DeleteRange, which reads
// page after page), nor has administration; what only keeps something for the commit, as the other
// writes of a transaction, needs none. The synchronous form is not only a wait for
// it: over Thrift it does its own reading from the socket, without a hand-over between threads.
//
// This header uses the standard library alone and compiles as C++17.
#ifndef CAIRN_CLIENT_H_
#define CAIRN_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/future.h"
#include "cairn/status.h"
#include "cairn/transaction.h"

namespace cairn {

namespace client {
class Cancellation;
class ClientCore;
}  // namespace client

// How a call that failed is tried again. The wait before try n is random between half and all of
// min(max_backoff, initial_backoff * 2^(n-1)). (After a conflict, 100 ms bound it, too.)
struct RetryPolicy {
  // Tries of one call, the first included; 0: as many as the deadline allows; 1: no retries.
  std::uint32_t max_attempts = 0;
  std::chrono::milliseconds initial_backoff{5};
  std::chrono::milliseconds max_backoff{500};
};

struct ClientOptions {  // how a client connects, waits and tries again
  // How long a call may take, retries included, unless its own options say otherwise.
  std::chrono::milliseconds timeout{10'000};
  // How long one try may take before the call is sent again; 0: all the time that is left.
  std::chrono::milliseconds attempt_timeout{0};
  // How long to wait for a connection.
  std::chrono::milliseconds connect_timeout{2'000};
  RetryPolicy retry;
  // Thrift: connections to one node; gRPC has one. Calls on one connection are answered in order;
  // so a node works on at most this many calls of a client at a time.
  std::uint32_t max_connections = 16;
  // Whether writes go under a session. Without one, a write whose answer was lost is not sent
  // again.
  bool sessions = true;
  // Whether reads of this client see all its earlier writes, whichever node answers: each read asks
  // for the version of the newest commit that this client knows of.
  bool read_your_writes = true;
  // The longest message that is taken from a node. A call with a longer answer fails with
  // kInvalidArgument, a write maybe_applied(); over Thrift it breaks the connection, too.
  std::size_t max_message_bytes = std::size_t{64} << 20;
};

// Which node a read goes to.
enum class ReadStrategy : std::uint8_t {
  kLeaderOnly,  // the leader, linearizable
  kRoundRobin,  // one after the other
  kNearest,     // the one that has answered fastest of late; the others are asked now and then
  kSticky,      // always the same, while it answers
};

// When a node that fails is left alone.
struct CircuitBreakerOptions {
  // Failures in a row that open the breaker.
  std::uint32_t failures_to_open = 3;
  // How long it stays open before one call may probe the node; doubled with each failed probe.
  std::chrono::milliseconds open_for{500};
  std::chrono::milliseconds max_open_for{10'000};
};

struct MultiNodeOptions : ClientOptions {  // of a cluster: also which node a read goes to
  MultiNodeOptions() { attempt_timeout = std::chrono::milliseconds(2'000); }
  ReadStrategy read_strategy = ReadStrategy::kRoundRobin;  // which node a read goes to
  // With kSticky: the index of the node in the list of endpoints.
  std::size_t sticky_node = 0;
  CircuitBreakerOptions breaker;
};

struct ReadOptions {                           // of one read
  ReadLevel read_level = ReadLevel::kDefault;  // what it promises
  // Wait until the node has applied this version; 0: no wait.
  std::uint64_t min_version = 0;
  // Read the past: as of this version; 0: the newest. kTransactionTooOld if it is no longer kept.
  std::uint64_t at_version = 0;
  std::string column_family;             // empty: the default one
  std::chrono::milliseconds timeout{0};  // 0: as ClientOptions says
};

struct WriteOptions {                    // of one write
  std::string column_family;             // empty: the default one
  std::chrono::milliseconds timeout{0};  // 0: as ClientOptions says
};

// A node as the cluster sees it.
struct NodeInfo {
  std::int32_t node_id = 0;  // its [deployment] instance_id
  std::string endpoint;      // as Connect takes it
  std::string status;        // healthy, degraded, unreachable or unknown
  bool is_leader = false;    // as far as the node that answered knows
  std::int64_t term = 0;     // the newest epoch that it was in
};

struct ClusterInfo {            // a cluster as one of its nodes sees it
  std::vector<NodeInfo> nodes;  // in the order of their numbers
  std::string leader_endpoint;  // empty: none is known
  std::string status;           // healthy, degraded or unhealthy
  std::int64_t term = 0;        // the epoch of the node that answered
};

// What a versionstamped write made.
struct VersionstampResult {
  std::uint64_t version = 0;  // of the commit
  std::string generated;      // the template with the stamp in it
};

// What ends scans from another thread. A copy is the same one.
class ScanCanceller {
 public:
  ScanCanceller();

  // Ends the scans that were given this one, on whatever threads, with kCancelled; it goes on so
  // with all that are begun with it. What `each` was given stays so: the pair that it is at is the
  // last one. From any thread, at any time, also when the scans and their client are gone.
  void Cancel() const;

 private:
  friend class Client;
  std::shared_ptr<client::Cancellation> all_;
};

// What all clients can do.
//
// Errors of every call: kTimeout (the deadline passed), kUnavailable (no node could be reached or
// none leads; the message names them), kInvalidArgument (a limit or a wrong argument), kNotFound
// (no such column family), kCancelled. Writes: kResourceExhausted; see Status::maybe_applied().
//
// Thread safety: all methods from any number of threads. Callbacks of futures run on the client's
// threads and must not block, nor destroy the client.
class Client {
 public:
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Closes the client: see Close.
  virtual ~Client();

  // The value of a key.
  Result<GetResult> Get(std::string_view key, const ReadOptions& options = {});
  Future<GetResult> GetAsync(std::string_view key, const ReadOptions& options = {});
  // One answer's worth of a range; has_more tells that a bound ended it.
  Result<RangeResult> GetRange(const RangeRequest& range, const ReadOptions& options = {});
  Future<RangeResult> GetRangeAsync(const RangeRequest& range, const ReadOptions& options = {});
  // Every pair of a range, all at one version: over Thrift in as many calls as it takes, over gRPC
  // in a stream that the node fills no faster than it is taken. range.max_bytes bounds each call or
  // batch (a node may send less), options.timeout the wait for each, range.limit the whole. Ends
  // early, with OK, when `each` returns false. A broken stream goes on after the last pair.
  // kTransactionTooOld if it takes longer than old versions are kept.
  Status Scan(const RangeRequest& range,
              const std::function<bool(const std::string& key, const std::string& value)>& each,
              const ReadOptions& options = {});
  // The same with what ends it from another thread.
  Status Scan(const RangeRequest& range,
              const std::function<bool(const std::string& key, const std::string& value)>& each,
              const ReadOptions& options, const ScanCanceller& canceller);

  // Sets a key; the version of the commit.
  Result<std::uint64_t> Set(std::string_view key, std::string_view value,
                            const WriteOptions& options = {});
  Future<std::uint64_t> SetAsync(std::string_view key, std::string_view value,
                                 const WriteOptions& options = {});
  // Deletes a key, whether or not it exists; the version of the commit.
  Result<std::uint64_t> Delete(std::string_view key, const WriteOptions& options = {});
  Future<std::uint64_t> DeleteAsync(std::string_view key, const WriteOptions& options = {});
  // Stores `value` under `key_template`, whose last 10 bytes must be zero and become the
  // versionstamp of the commit. kInvalidArgument for any other ending: nothing is sent.
  Result<VersionstampResult> SetVersionstampedKey(std::string_view key_template,
                                                  std::string_view value,
                                                  const WriteOptions& options = {});
  // The same for the value.
  Result<VersionstampResult> SetVersionstampedValue(std::string_view key,
                                                    std::string_view value_template,
                                                    const WriteOptions& options = {});
  Future<VersionstampResult> SetVersionstampedKeyAsync(std::string_view key_template,
                                                       std::string_view value,
                                                       const WriteOptions& options = {});
  Future<VersionstampResult> SetVersionstampedValueAsync(std::string_view key,
                                                         std::string_view value_template,
                                                         const WriteOptions& options = {});

  // A transaction to commit by hand.
  [[nodiscard]] Transaction Begin(const TransactionOptions& options = {});
  // Runs `body` in a transaction and commits it; again from the start, after a wait with jitter,
  // while that fails with what another try may heal (Transaction::OnError), until the deadline. The
  // version of the commit, or the first other error, of the body or of the commit. `body` leaves
  // the commit to Run, returns errors of its reads as they are, and may run any number of times.
  Result<std::uint64_t> Run(const std::function<Status(Transaction&)>& body,
                            const TransactionOptions& options = {});

  // The version of the newest commit that the read level allows to see.
  Result<std::uint64_t> GetReadVersion(const ReadOptions& options = {});
  Future<std::uint64_t> GetReadVersionAsync(const ReadOptions& options = {});
  // The version of the newest commit that the node that answers has applied.
  Result<std::uint64_t> GetCommittedVersion(const ReadOptions& options = {});
  Future<std::uint64_t> GetCommittedVersionAsync(const ReadOptions& options = {});

  // Column families. Creating one that exists and dropping one that does not are fine; dropping
  // takes all its data along; "default" can't be dropped. The version of the commit.
  Result<std::uint64_t> CreateColumnFamily(std::string_view name, const WriteOptions& options = {});
  Result<std::uint64_t> DropColumnFamily(std::string_view name, const WriteOptions& options = {});
  // "default" first, then in byte order.
  Result<std::vector<std::string>> ListColumnFamilies(const ReadOptions& options = {});

  // Reaches a node and comes back; how long that took.
  Result<std::chrono::nanoseconds> Ping(const ReadOptions& options = {});
  // The cluster as the node that answers sees it.
  Result<ClusterInfo> GetClusterInfo(const ReadOptions& options = {});

  // The version of the newest commit that this client knows of: what a read on another client must
  // ask for (ReadOptions::min_version) to see all that this one has written.
  [[nodiscard]] std::uint64_t last_version() const;

  // Ends the sessions, fails running calls with kCancelled, and closes the connections. Waits for
  // the sessions' end for up to a second. Idempotent; later calls get kCancelled. Not from a
  // callback.
  void Close();

 protected:
  explicit Client(std::shared_ptr<client::ClientCore> core);         // for the two clients below
  [[nodiscard]] client::ClientCore& core() const { return *core_; }  // what does the work

 private:
  std::shared_ptr<client::ClientCore> core_;
};

// A client of one node.
class NodeClient : public Client {
 public:
  // Connects to a node's Thrift service, "host:port" (or "thrift://host:port"), or to its gRPC
  // service, "grpc://host:port". kInvalidArgument if that can't be read;
  // kUnavailable if the node does not answer within connect_timeout. Later on the
  // connection is made again by itself.
  static Result<std::unique_ptr<NodeClient>> Connect(const std::string& endpoint,
                                                     const ClientOptions& options = {});
  ~NodeClient() override;

  // The endpoint, as given.
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  // Whether the node leads its cluster, by its own account.
  Result<bool> IsLeader(const ReadOptions& options = {});

 private:
  NodeClient(std::string endpoint, std::shared_ptr<client::ClientCore> core);
  std::string endpoint_;
};

// A node as a MultiNodeClient sees it, for logs and dashboards.
struct EndpointState {
  enum class Breaker : std::uint8_t { kClosed, kOpen, kHalfOpen };  // calls: all, none, one
  std::string endpoint;                                             // "host:port"
  Breaker breaker = Breaker::kClosed;                               // which calls are sent there
  bool believed_leader = false;                                     // writes go there first
  // Smoothed time of its answers; 0: none yet.
  std::chrono::nanoseconds latency{0};
  std::uint64_t calls = 0;     // tries that were sent there
  std::uint64_t failures = 0;  // tries that it did not answer
};

// A client of a cluster. Writes go to the leader, which is found and followed; reads go where the
// strategy says, and to another node if that one fails or lags behind. A node that keeps failing is
// left alone for a while.
class MultiNodeClient : public Client {
 public:
  // `endpoints`: some of the nodes, as NodeClient::Connect takes them, all of one wire; others are
  // learned when they lead. kInvalidArgument for an empty list, an endpoint that can't be read, two
  // wires, or a sticky_node beyond the list; kUnavailable if no node answers within
  // connect_timeout.
  static Result<std::unique_ptr<MultiNodeClient>> Connect(const std::vector<std::string>& endpoints,
                                                          const MultiNodeOptions& options = {});
  ~MultiNodeClient() override;

  // Asks one node after the other whether it leads; the endpoint of the first that says so, which
  // writes will go to. By its own account: one that was deposed and does not know it yet says so,
  // too. kUnavailable: none does.
  Result<std::string> DiscoverLeader();
  // What is known of each node, in the order they became known.
  [[nodiscard]] std::vector<EndpointState> Endpoints() const;

 private:
  explicit MultiNodeClient(std::shared_ptr<client::ClientCore> core);
};

}  // namespace cairn

#endif  // CAIRN_CLIENT_H_
