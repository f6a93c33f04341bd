// The server's side: a listener, a door at each of its addresses, and a Peer for each connection.
//
// Thread safety: everything lives on the engine, but what is marked (any thread).
#ifndef CAIRN_SRC_DRAM_UCX_SERVER_H_
#define CAIRN_SRC_DRAM_UCX_SERVER_H_

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "src/dram/ucx/core.h"
#include "src/dram/ucx/descriptor_budget.h"
#include "src/dram/ucx/local_door.h"
#include "src/dram/ucx/peer.h"
#include "src/dram/ucx/port_guard.h"

namespace cairn::dram::ucx {

// One of the addresses at which a server listens.
struct Place {
  explicit Place(int fd) : knock_fd(fd) {}
  const int knock_fd;
  std::unique_ptr<ConnectionListener> listener;  // null: UCX does not reach this address
  // Of the listener's port; null where the kernel refuses it, which the log says.
  std::unique_ptr<PortGuard> guard;
};

class Server final : public std::enable_shared_from_this<Server>, public LinkUser {
 public:
  Server(Core* core, RequestHandler* handler);
  // (any thread)
  // Listens at all addresses of a name that are this host's. kIoError if there is none, or one of
  // them is taken.
  Status Open(const Endpoint& address);
  // (any thread)
  void CloseAndWait();
  // (any thread)
  [[nodiscard]] const Endpoint& address() const { return address_; }
  [[nodiscard]] std::size_t connections() const { return open_.load(); }

  // A UCX endpoint says which connection it is for.
  void OnAttach(Link* link, std::string_view token) override;
  // An endpoint that has not said so sends frames, or breaks.
  void OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) override;
  void OnBroken(const Status& why) override;

 private:
  friend class Peer;
  Status OpenSockets(const Endpoint& address);
  // On the engine.
  Status OpenPlace(Place* place);
  Status OpenUcx(Place* place, const SocketAddress& address);
  [[nodiscard]] Status CheckReachable() const;
  void ClosePlaces();
  void SayWhere() const;
  void OnKnock(const Place& place);
  void TurnAway();
  // Why nobody else is let in.
  [[nodiscard]] std::string WhyFull() const;
  // A socket whose client showed this token.
  void OnSocket(const std::string& token, int fd);
  void OnEndpoint(ConnectionListener* listener, ucp_conn_request* request);
  // A link shows a token: it belongs to the peer that was given it.
  void Attach(const std::string& token, const std::shared_ptr<Link>& link);
  void GuardPort(Place* place);
  void OpenLocally();
  void PauseKnocks(const Place& place, const std::string& why);
  void Forget(Peer* peer, bool attached, bool had_requests);

  Core* const core_;
  RequestHandler* const handler_;
  Endpoint address_;
  // In the order in which the addresses were found.
  std::vector<std::unique_ptr<Place>> places_;
  DescriptorBudget descriptors_;
  // Nobody has been let in since the log said so.
  bool short_of_descriptors_ = false;
  // For clients on the same host; null if there is none.
  std::unique_ptr<LocalListener> local_;
  ConnectionId next_id_ = 1;
  std::atomic<std::size_t> open_{0};
  absl::flat_hash_map<ConnectionId, std::shared_ptr<Peer>> peers_;
  // Peers that have come by no way yet.
  absl::flat_hash_map<std::string, Peer*> expected_;
  // Those that may only carry the frames of one of these.
  std::size_t bearers_ = 0;
  // Endpoints that have not said whose they are, and until when they may.
  absl::flat_hash_map<Link*, std::pair<std::shared_ptr<Link>, Engine::TimerId>> strangers_;
  // Requests for endpoints that wait for their task.
  std::size_t requests_ = 0;
  // Until then an endpoint may be on its way that no peer waits for.
  MonotonicTime unsettled_until_;
  bool closed_ = false;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_SERVER_H_
