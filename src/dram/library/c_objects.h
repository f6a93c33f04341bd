// The objects behind the memory plane's C functions, and what C hands over turned into what
// cairn/remote_dram.h takes, and back.
//
// Thread safety: values.
#ifndef CAIRN_SRC_DRAM_LIBRARY_C_OBJECTS_H_
#define CAIRN_SRC_DRAM_LIBRARY_C_OBJECTS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cairn/c.h"
#include "cairn/remote_dram.h"
#include "src/c_api/objects.h"

struct cairn_buffer {
  cairn::dram::Buffer buffer;
};
struct cairn_dram {
  explicit cairn_dram(cairn::RemoteDram* of)
      : store(of), listen_address(of->listen_address()), routing_table(of->RoutingTable()) {}
  explicit cairn_dram(std::unique_ptr<cairn::RemoteDram> opened) : cairn_dram(opened.get()) {
    owned = std::move(opened);
  }
  cairn::RemoteDram* const store;
  const std::string listen_address;
  const std::string routing_table;
  // Null for a store that belongs to a node.
  std::unique_ptr<cairn::RemoteDram> owned;
};
struct cairn_list {
  std::vector<cairn::dram::ListEntry> entries;
};
// With the statuses in the form in which they are given out.
struct cairn_dram_peer_list {
  explicit cairn_dram_peer_list(std::vector<cairn::dram::PeerStatus> found) {
    for (auto& peer : found) {
      cairn_status error{peer.last_error};
      peers.push_back({std::move(peer), std::move(error)});
    }
  }
  struct Peer {
    cairn::dram::PeerStatus status;
    cairn_status last_error;
  };
  std::vector<Peer> peers;
};

namespace cairn::c_api {

inline RemoteDram& StoreOf(const cairn_dram* store) { return *Need(store).store; }

// `timeout_ms` from now; 0: none of its own.
inline dram::Deadline After(std::uint64_t timeout_ms) {
  if (timeout_ms == 0) return std::nullopt;
  constexpr std::uint64_t kYearMs = 31'536'000'000;
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(std::min(timeout_ms, kYearMs));
}

inline dram::Generation From(const cairn_generation& g) { return {g.boot_id, g.counter}; }
inline cairn_generation To(const dram::Generation& g) { return {g.boot_id, g.counter}; }

inline dram::ReadOptions From(const cairn_read_options* given) {
  dram::ReadOptions options;
  if (given == nullptr) return options;
  options.byte_range = {given->inclusive_min, given->exclusive_max};
  options.if_equal = From(given->if_equal);
  options.if_not_equal = From(given->if_not_equal);
  options.deadline = After(given->timeout_ms);
  return options;
}

inline dram::WriteOptions From(const cairn_write_options* given) {
  if (given == nullptr) return {};
  return {From(given->if_equal), After(given->timeout_ms)};
}

inline cairn_read_result To(dram::ReadResult read) {
  cairn_read_result result{static_cast<std::int32_t>(read.state), nullptr, To(read.generation),
                           read.value_bytes};
  if (read.state == dram::ReadResult::State::kValue) {
    result.value = new cairn_buffer{std::move(read.value)};
  }
  return result;
}

inline dram::KeyRange RangeOf(const void* min, std::size_t min_size, const void* max,
                              std::size_t max_size) {
  return {std::string(View(min, min_size)), std::string(View(max, max_size))};
}

}  // namespace cairn::c_api

#endif  // CAIRN_SRC_DRAM_LIBRARY_C_OBJECTS_H_
