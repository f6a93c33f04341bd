// DistributedServerNode: one RemoteDram that serves, and one for each peer.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "cairn/remote_dram.h"

namespace cairn {
namespace {

template <class T>
Future<T> Failed(Status status) {
  Promise<T> promise;
  promise.Fulfil(std::move(status));
  return promise.GetFuture();
}

Status Unknown(const std::string& server) {
  return NotFoundError("no connection to '" + server +
                       "': it is neither this node nor one of the peers that Initialize was given");
}

}  // namespace

DistributedServerNode::DistributedServerNode() = default;
DistributedServerNode::~DistributedServerNode() = default;

Status DistributedServerNode::Initialize(const std::string& listen_addr,
                                         const std::vector<std::string>& peer_addrs,
                                         std::uint64_t capacity_bytes) {
  if (server_ != nullptr) {
    return FailedPreconditionError("this node serves at " + server_->listen_address() +
                                   " already: Initialize is called once");
  }
  const nlohmann::json spec = {{"listen_addr", listen_addr}, {"capacity_bytes", capacity_bytes}};
  CAIRN_ASSIGN_OR_RETURN(auto server, RemoteDram::Open(spec.dump()));
  std::vector<std::pair<std::string, std::unique_ptr<RemoteDram>>> peers;
  for (const std::string& address : peer_addrs) {
    const nlohmann::json peer = {{"remote_addr", address}};
    CAIRN_ASSIGN_OR_RETURN(auto client, RemoteDram::Open(peer.dump()));
    peers.emplace_back(address, std::move(client));
  }
  server_ = std::move(server);
  peers_ = std::move(peers);
  return {};
}

RemoteDram& DistributedServerNode::GetServerStore() {
  if (server_ == nullptr) std::abort();  // A bug in the caller: Initialize comes first.
  return *server_;
}

RemoteDram* DistributedServerNode::FindStore(const std::string& server_addr) const {
  for (const auto& [address, client] : peers_) {
    if (address == server_addr) return client.get();
  }
  if (server_ != nullptr && server_->listen_address() == server_addr) return server_.get();
  return nullptr;
}

Future<dram::WriteResult> DistributedServerNode::WriteToServer(const std::string& server_addr,
                                                               std::string_view key,
                                                               dram::Buffer value) {
  RemoteDram* const store = FindStore(server_addr);
  if (store == nullptr) return Failed<dram::WriteResult>(Unknown(server_addr));
  return store->Write(key, std::move(value));
}

Future<dram::ReadResult> DistributedServerNode::ReadFromServer(const std::string& server_addr,
                                                               std::string_view key) {
  RemoteDram* const store = FindStore(server_addr);
  if (store == nullptr) return Failed<dram::ReadResult>(Unknown(server_addr));
  return store->Read(key);
}

std::vector<dram::PeerStatus> DistributedServerNode::GetPeerStatus() const {
  std::vector<dram::PeerStatus> status;
  for (const auto& [address, client] : peers_) status.push_back(client->Peers().front());
  return status;
}

std::string DistributedServerNode::listen_address() const {
  return server_ == nullptr ? std::string() : server_->listen_address();
}

}  // namespace cairn
