// The memory plane for C: a server and a client of each of its peers.
#include <map>

#include "src/dram/library/c_objects.h"

struct cairn_dram_node {
  cairn::DistributedServerNode node;
  // By the names that are given to the functions; they go before the node.
  std::map<std::string, cairn_dram, std::less<>> stores;
};

namespace {

using cairn::c_api::Give;
using cairn::c_api::Need;

constexpr std::uint64_t kDefaultCapacity = std::uint64_t{1} << 30;

}  // namespace

extern "C" {

cairn_status* cairn_dram_node_open(const char* listen_addr, const char* const* peer_addrs,
                                   size_t peer_count, uint64_t capacity_bytes,
                                   cairn_dram_node** node) {
  std::vector<std::string> peers;
  for (size_t i = 0; i < peer_count; ++i) peers.emplace_back(&Need((&Need(peer_addrs))[i]));
  auto made = std::make_unique<cairn_dram_node>();
  const cairn::Status status = made->node.Initialize(
      &Need(listen_addr), peers, capacity_bytes == 0 ? kDefaultCapacity : capacity_bytes);
  if (!status.ok()) return Give(status);
  peers.push_back(made->node.listen_address());
  for (const std::string& name : peers) {
    made->stores.try_emplace(name, made->node.FindStore(name));
  }
  Need(node) = made.release();
  return nullptr;
}
void cairn_dram_node_close(cairn_dram_node* node) { delete node; }
const char* cairn_dram_node_listen_address(const cairn_dram_node* node) {
  const std::string address = Need(node).node.listen_address();
  return node->stores.find(address)->first.c_str();
}
cairn_dram* cairn_dram_node_store(cairn_dram_node* node, const char* server_addr) {
  auto& stores = Need(node).stores;
  const auto it = stores.find(server_addr == nullptr ? node->node.listen_address() : server_addr);
  return it == stores.end() ? nullptr : &it->second;
}
cairn_dram_peer_list* cairn_dram_node_peers(const cairn_dram_node* node) {
  return new cairn_dram_peer_list(Need(node).node.GetPeerStatus());
}

}  // extern "C"
