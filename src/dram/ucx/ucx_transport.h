// The transport of the memory plane between processes, with one progress thread: over memory that
// processes of one host share (docs/adr/0020-dram-shared-memory.md), over TCP sockets of our own
// (docs/adr/0026-dram-tcp.md), or over UCX endpoints with peer error handling
// (docs/adr/0011-ucx.md).
//
// Thread safety: all of it.
#ifndef CAIRN_SRC_DRAM_UCX_UCX_TRANSPORT_H_
#define CAIRN_SRC_DRAM_UCX_UCX_TRANSPORT_H_

#include <cstddef>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/dram/transport.h"

namespace cairn::dram {

// What carries frames between hosts.
enum class Network {
  kAny,  // a server offers both, a client takes TCP where it is offered
  kTcp,  // TCP sockets of our own
  kUcx,  // UCX
};

struct UcxOptions {
  Network network = Network::kAny;
  // The progress thread spins instead of sleeping, and Poll makes progress on the calling thread.
  bool busy_poll = false;
  // UCX's names of the transports to use, as in UCX_TLS. Only "tcp" has been tested.
  std::string tls = "tcp";
  // Processes of one host exchange messages over shared memory, and payloads from process to
  // process (docs/adr/0011-ucx.md). Both sides must want it.
  bool shared_memory = true;
  // Longer payloads are fetched by rendezvous, without a copy.
  std::size_t eager_bytes = 32 << 10;
};

// kUnavailable with UCX's words if UCX can't start.
Result<std::unique_ptr<Transport>> MakeUcxTransport(const UcxOptions& options = {});

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_UCX_UCX_TRANSPORT_H_
