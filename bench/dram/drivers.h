// The memory plane and its peers as the loader drives them (bench/load/driver.h): values in another
// process's memory, one connection a client thread, blocking calls; Redis also with calls that call
// back, for loads beside other systems.
//
// Thread safety: as bench/load/driver.h says.
#ifndef CAIRN_BENCH_DRAM_DRIVERS_H_
#define CAIRN_BENCH_DRAM_DRIVERS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "bench/load/driver.h"

namespace cairn::bench {

struct DramDriverOptions {
  // Of RemoteDram, in JSON.
  std::string spec;
  // All connections are one RemoteDram, as in a program that opens its pool once. Else each client
  // thread has one of its own, as it has a socket of its own with the peers.
  bool shared = false;
  // The spec has busy_poll: a client spins while it waits.
  bool busy_poll = false;
};

// Fails if the spec can't be.
Result<std::unique_ptr<Driver>> MakeDramDriver(DramDriverOptions options);

// Where a socket leads: a TCP endpoint, or a path of a Unix socket if that is not empty.
struct SocketPeer {
  Endpoint endpoint;
  std::string unix_path;
};

// Redis, by its own protocol (RESP): SET and GET. Asynchronous connections share `connections`
// sockets, each with its calls in a pipeline; 0: each has its own. One thread serves them all.
std::unique_ptr<Driver> MakeRedisDriver(SocketPeer peer, std::size_t connections);
// memcached, by its text protocol: set and get.
std::unique_ptr<Driver> MakeMemcachedDriver(SocketPeer peer);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_DRAM_DRIVERS_H_
