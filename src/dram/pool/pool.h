// RemoteDram over any transport: routes each key to this process's own store or over a link to the
// server that holds it; operations on ranges go to all servers and are put together again.
//
// Threads: the transport's progress thread takes requests in and answers, unless a thread that
// waits for a result does its work meanwhile; one executor a pool makes connections anew, ends what
// waited too long and walks the local store for operations on ranges.
//
// Thread safety: all of it, as RemoteDram says.
#ifndef CAIRN_SRC_DRAM_POOL_POOL_H_
#define CAIRN_SRC_DRAM_POOL_POOL_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/dram/pool/request_server.h"
#include "src/dram/pool/server_link.h"
#include "src/dram/routing/router.h"
#include "src/dram/store/local_store.h"
#include "src/dram/transport.h"

namespace cairn::dram {

class Pool final : public RemoteDram {
 public:
  // Serves, if the spec says so, and begins to connect.
  static Result<std::unique_ptr<Pool>> Open(const Spec& spec, std::unique_ptr<Transport> transport);
  ~Pool() override;

  // The short forms.
  using RemoteDram::Delete;
  using RemoteDram::DeleteRange;
  using RemoteDram::Read;
  using RemoteDram::Stat;
  using RemoteDram::Write;

  Future<ReadResult> Read(std::string_view key, ReadOptions options) override;
  Future<WriteResult> Write(std::string_view key, Buffer value, WriteOptions options) override;
  Future<WriteResult> Delete(std::string_view key, WriteOptions options) override;
  Future<std::uint64_t> DeleteRange(KeyRange range, Deadline deadline) override;
  Future<std::vector<ListEntry>> List(ListOptions options) override;
  Future<std::vector<ServerStat>> Stat(Deadline deadline) override;
  bool Poll() override { return transport_->Poll(); }
  [[nodiscard]] std::optional<ServerStat> LocalStat() const override;
  [[nodiscard]] Result<Route> RouteOf(std::string_view key) const override;
  [[nodiscard]] std::vector<PeerStatus> Peers() const override;
  [[nodiscard]] std::string RoutingTable() const override { return router_->table_text(); }
  [[nodiscard]] std::string listen_address() const override { return listen_address_; }

  // For FanOut. Null if server `i` is this process.
  [[nodiscard]] ServerLink* link(std::size_t i) const { return links_[i].get(); }
  [[nodiscard]] std::size_t servers() const { return links_.size(); }
  [[nodiscard]] const Router& router() const { return *router_; }
  [[nodiscard]] LocalStore* store() const { return store_.get(); }
  [[nodiscard]] const RequestServer* server() const { return server_.get(); }
  [[nodiscard]] SerialExecutor& executor() { return *executor_; }

 private:
  Pool(const Spec& spec, std::unique_ptr<Transport> transport);
  Status Serve();
  void ConnectToOthers();
  [[nodiscard]] MonotonicTime When(const Deadline& deadline) const;
  // The server of a key; an error for a key beyond the bounds or that no rule names.
  [[nodiscard]] Result<std::size_t> ServerOf(std::string_view key) const;
  Future<WriteResult> WriteRemote(std::size_t server, std::string header, Buffer value,
                                  MonotonicTime deadline);
  template <class T>
  Future<T> Launch(std::size_t server, Call call, const Promise<T>& promise);

  const Spec spec_;
  const SystemClock clock_;
  std::unique_ptr<LocalStore> store_;
  std::unique_ptr<Transport> transport_;
  const std::shared_ptr<internal::FutureHelper> helper_;
  std::unique_ptr<ThreadExecutor> executor_;
  std::shared_ptr<void> registration_;
  std::unique_ptr<RequestServer> server_;
  std::unique_ptr<Listener> listener_;
  std::string listen_address_;
  std::string self_;
  std::unique_ptr<Router> router_;
  // By the router's numbers.
  std::vector<std::shared_ptr<ServerLink>> links_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_POOL_H_
