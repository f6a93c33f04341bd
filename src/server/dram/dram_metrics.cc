#include "src/server/dram/dram_metrics.h"

#include <cstdint>

namespace cairn::server {
namespace {

using metrics::Kind;

// A figure of the store and its family.
struct Family {
  const char* figure;
  const char* name;
  Kind kind;
  const char* help;
};
constexpr Family kFamilies[] = {
    {"keys", "cairn_dram_keys", Kind::kGauge, "Keys that this node holds."},
    {"value_bytes", "cairn_dram_value_bytes", Kind::kGauge, "Bytes of their values."},
    {"capacity_bytes", "cairn_dram_capacity_bytes", Kind::kGauge, "Bytes it may take."},
    {"used_bytes", "cairn_dram_used_bytes", Kind::kGauge,
     "Bytes that are in use, those of readers of old values too."},
    {"largest_free_bytes", "cairn_dram_largest_free_bytes", Kind::kGauge,
     "The largest value that finds room."},
    {"connections", "cairn_dram_connections", Kind::kGauge,
     "Clients and peers that are connected."},
    {"shared_memory_connections", "cairn_dram_shared_memory_connections", Kind::kGauge,
     "Those of them that share memory with this node, instead of using the network."},
    {"reads", "cairn_dram_reads_total", Kind::kCounter, "Reads, of this node too."},
    {"writes", "cairn_dram_writes_total", Kind::kCounter, "Writes and deletes."},
    {"evicted", "cairn_dram_evicted_total", Kind::kCounter, "Values dropped for room."},
    {"refused_for_room", "cairn_dram_refused_for_room_total", Kind::kCounter,
     "Writes that found no room."},
    {"turned_away", "cairn_dram_turned_away_total", Kind::kCounter,
     "Clients and peers that route keys differently."},
};

}  // namespace

void AppendDramFamilies(const RemoteDram& store, metrics::Exposition* page) {
  const auto stat = store.LocalStat();
  if (!stat.has_value()) return;
  for (const Family& family : kFamilies) {
    for (const auto& [name, value] : stat->figures) {
      if (name != family.figure) continue;
      page->Family(family.name, family.kind, family.help);
      page->Sample({}, value);
    }
  }
  page->Family("cairn_dram_peer_connected", Kind::kGauge,
               "1 if this node is connected to the other node of its pool.");
  for (const dram::PeerStatus& peer : store.Peers()) {
    if (!peer.local) page->Sample({{"peer", peer.address}}, std::uint64_t{peer.connected});
  }
}

}  // namespace cairn::server
