// What a server of the pool does with requests: checks that a peer routes keys as this server does,
// then serves its store. A peer without a routing table is let in; what it asks of a key that the
// table gives to another server is refused, as the pool would never look for it here.
//
// Large values go straight from the network into their place in the store, and from the store to
// the network; nothing is copied on the way.
//
// Thread safety: requests come on the transport's progress thread, the rest is for any thread.
#ifndef CAIRN_SRC_DRAM_POOL_REQUEST_SERVER_H_
#define CAIRN_SRC_DRAM_POOL_REQUEST_SERVER_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "src/base/mutex.h"
#include "src/dram/messages.h"
#include "src/dram/routing/router.h"
#include "src/dram/store/local_store.h"
#include "src/dram/transport.h"

namespace cairn::dram {

// The routing table as peers compare it. A hash of 0: none, whatever the peer has is fine.
struct TableInfo {
  std::uint64_t hash = 0;
  std::string text;
};

// kFailedPrecondition with both tables, unless the two are equal or one of them is none. `peer` is
// the other side's address.
Status CompareTables(const TableInfo& own, const TableInfo& other, const std::string& peer);

class RequestServer final : public RequestHandler {
 public:
  // `store` outlives it.
  explicit RequestServer(LocalStore* store) : store_(store) {}

  // From now on peers are let in. `address` is what this server calls itself; `router` outlives all
  // requests.
  void Start(const Router* router, std::string address);

  void OnRequest(std::unique_ptr<IncomingRequest> request) override;
  void OnDisconnect(ConnectionId connection) override;

  // Connections that were let in and are open.
  [[nodiscard]] std::uint64_t admitted() const;
  // Of these, the ones over shared memory.
  [[nodiscard]] std::uint64_t over_shared_memory() const;
  // The store's figures and this server's own.
  [[nodiscard]] Figures figures() const;

 private:
  using Incoming = std::unique_ptr<IncomingRequest>;
  // Runs `then` with the whole payload, if it is at most `limit` bytes and comes.
  static void WithPayload(Incoming request, std::uint64_t limit,
                          absl::AnyInvocable<void(Incoming, std::string_view)> then);

  void Serve(Incoming request, const HelloRequest& hello);
  void Serve(Incoming request, const ReadRequest& read);
  void Serve(Incoming request, const WriteRequest& write);
  void Serve(Incoming request, const DeleteRequest& del);
  void Serve(Incoming request, const DeleteRangeRequest& del);
  void Serve(Incoming request, const ListRequest& list);
  void Serve(Incoming request, const StatRequest& stat);
  void Admit(const Incoming& request, const HelloRequest& hello, const TableInfo& table);
  // Says so if the clients of this server, which has no table, have several.
  void Compare(const TableInfo& table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why a connection may not ask this; OK if it may.
  Status Admitted(ConnectionId connection, const Request& request) const;
  Status CheckOwn(std::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  LocalStore* const store_;
  mutable Mutex mutex_;
  // Null until Start.
  const Router* router_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::string address_ ABSL_GUARDED_BY(mutex_);
  struct Peer {
    // How its hello came out.
    Status status;
    bool over_shared_memory = false;
    // This server has a routing table and the peer has none.
    bool without_table = false;
  };
  absl::flat_hash_map<ConnectionId, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  // Hashes of the tables that clients of a server without one have shown, and the first one's text.
  absl::flat_hash_set<std::uint64_t> clients_tables_ ABSL_GUARDED_BY(mutex_);
  std::string clients_table_ ABSL_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> turned_away_{0};
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_REQUEST_SERVER_H_
