// The memory plane for C: what there is to know about a pool.
#include <cstdlib>

#include "src/dram/library/c_objects.h"

// With the statuses in the form in which they are given out.
struct cairn_dram_stat_list {
  struct Server {
    cairn::dram::ServerStat stat;
    cairn_status status;
  };
  std::vector<Server> servers;
};
struct cairn_dram_way {
  cairn::dram::Route route;
};

namespace {

using cairn::Result;
using cairn::c_api::After;
using cairn::c_api::Give;
using cairn::c_api::Need;
using cairn::c_api::StoreOf;
using cairn::c_api::View;
using cairn::dram::ServerStat;

cairn_dram_stat_list* ToList(std::vector<ServerStat> stats) {
  auto* const list = new cairn_dram_stat_list;
  for (ServerStat& stat : stats) {
    cairn_status status{stat.status};
    list->servers.push_back({std::move(stat), std::move(status)});
  }
  return list;
}

template <class T>
const T& At(const std::vector<T>& items, std::size_t i) {
  if (i >= items.size()) std::abort();  // A bug in the caller.
  return items[i];
}

const cairn_status* GiveBorrowed(const cairn_status& status) {
  return status.status.ok() ? nullptr : &status;
}

}  // namespace

extern "C" {

cairn_status* cairn_dram_check_spec(const char* spec) {
  return Give(cairn::RemoteDram::CheckSpec(&Need(spec)));
}
int cairn_dram_poll(cairn_dram* store) { return StoreOf(store).Poll() ? 1 : 0; }
const char* cairn_dram_routing_table(const cairn_dram* store) {
  return Need(store).routing_table.c_str();
}

cairn_status* cairn_dram_stat(cairn_dram* store, uint64_t timeout_ms, cairn_dram_stat_list** list) {
  auto stats = StoreOf(store).Stat(After(timeout_ms)).Get();
  if (!stats.ok()) return Give(stats.status());
  *list = ToList(*std::move(stats));
  return nullptr;
}
cairn_operation* cairn_dram_stat_async(cairn_dram* store, uint64_t timeout_ms,
                                       cairn_dram_stat_callback callback, void* argument) {
  auto future = StoreOf(store).Stat(After(timeout_ms));
  auto* const operation = new cairn_operation{future.Canceller()};
  future.OnReady([callback, argument](Result<std::vector<ServerStat>> stats) {
    callback(argument, Give(stats.status()), stats.ok() ? ToList(*std::move(stats)) : nullptr);
  });
  return operation;
}
cairn_dram_stat_list* cairn_dram_local_stat(const cairn_dram* store) {
  auto stat = StoreOf(store).LocalStat();
  std::vector<ServerStat> stats;
  if (stat.has_value()) stats.push_back(*std::move(stat));
  return ToList(std::move(stats));
}
size_t cairn_dram_stat_list_size(const cairn_dram_stat_list* list) { return list->servers.size(); }
const char* cairn_dram_stat_list_address(const cairn_dram_stat_list* list, size_t i) {
  return At(list->servers, i).stat.address.c_str();
}
const cairn_status* cairn_dram_stat_list_status(const cairn_dram_stat_list* list, size_t i) {
  return GiveBorrowed(At(list->servers, i).status);
}
uint64_t cairn_dram_stat_list_boot_id(const cairn_dram_stat_list* list, size_t i) {
  return At(list->servers, i).stat.boot_id;
}
size_t cairn_dram_stat_list_figures(const cairn_dram_stat_list* list, size_t i) {
  return At(list->servers, i).stat.figures.size();
}
const char* cairn_dram_stat_list_figure(const cairn_dram_stat_list* list, size_t i, size_t j,
                                        uint64_t* value) {
  const auto& [name, number] = At(At(list->servers, i).stat.figures, j);
  if (value != nullptr) *value = number;
  return name.c_str();
}
int cairn_dram_stat_list_find(const cairn_dram_stat_list* list, size_t i, const char* name,
                              uint64_t* value) {
  for (const auto& [own, number] : At(list->servers, i).stat.figures) {
    if (own != name) continue;
    *value = number;
    return 1;
  }
  return 0;
}
void cairn_dram_stat_list_free(cairn_dram_stat_list* list) { delete list; }

cairn_status* cairn_dram_route(const cairn_dram* store, const void* key, size_t key_size,
                               cairn_dram_way** way) {
  auto route = StoreOf(store).RouteOf(View(key, key_size));
  if (!route.ok()) return Give(route.status());
  *way = new cairn_dram_way{*std::move(route)};
  return nullptr;
}
const char* cairn_dram_way_server(const cairn_dram_way* way) { return way->route.server.c_str(); }
int cairn_dram_way_local(const cairn_dram_way* way) { return way->route.local ? 1 : 0; }
const char* cairn_dram_way_reason(const cairn_dram_way* way) { return way->route.reason.c_str(); }
void cairn_dram_way_free(cairn_dram_way* way) { delete way; }

cairn_dram_peer_list* cairn_dram_peers(const cairn_dram* store) {
  return new cairn_dram_peer_list(StoreOf(store).Peers());
}
size_t cairn_dram_peer_list_size(const cairn_dram_peer_list* list) { return list->peers.size(); }
const char* cairn_dram_peer_list_address(const cairn_dram_peer_list* list, size_t i) {
  return At(list->peers, i).status.address.c_str();
}
int cairn_dram_peer_list_local(const cairn_dram_peer_list* list, size_t i) {
  return At(list->peers, i).status.local ? 1 : 0;
}
int cairn_dram_peer_list_connected(const cairn_dram_peer_list* list, size_t i) {
  return At(list->peers, i).status.connected ? 1 : 0;
}
const cairn_status* cairn_dram_peer_list_last_error(const cairn_dram_peer_list* list, size_t i) {
  return GiveBorrowed(At(list->peers, i).last_error);
}
void cairn_dram_peer_list_free(cairn_dram_peer_list* list) { delete list; }

}  // extern "C"
