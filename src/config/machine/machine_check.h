// Whether this machine has what a configuration names: files of TLS, the spec of a pool, folders.
// What the keys say among themselves is node_config.h's to check. All faults are found at once,
// each begins with "[section] key".
//
// Thread safety: pure functions, which read files and ask about folders.
#ifndef CAIRN_SRC_CONFIG_MACHINE_MACHINE_CHECK_H_
#define CAIRN_SRC_CONFIG_MACHINE_MACHINE_CHECK_H_

#include <optional>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/config/node_config.h"
#include "src/transport/asio/tls.h"

namespace cairn::config {

// The files of TLS between nodes; absent without [peer_tls] or on a node by itself.
std::optional<transport::TlsFiles> PeerTlsOf(const NodeConfig& config);
// They exist, can be read, belong together, and other nodes would believe them now.
Status CheckPeerTls(const NodeConfig& config);
// What is probably not meant about them: a key that others can read, a certificate that ends soon.
std::vector<std::string> PeerTlsWarnings(const NodeConfig& config);

// The spec of the pool that section [dram] describes, as JSON. kInvalidArgument, kNotFound for a
// file that can't be read.
Result<std::string> DramSpecOf(const DramConfig& config);
// kInvalidArgument that names the key and what to change. OK without listen_addr, unless another
// key of the section needs it.
Status CheckDram(const DramConfig& config);

// The folders of data and logs are there, or can be made, and whoever asks may write into them.
// kInvalidArgument with a line for each that is not so.
Status CheckFolders(const NodeConfig& config);

// All of the above: kInvalidArgument with a line for each fault.
Status CheckMachine(const NodeConfig& config);

}  // namespace cairn::config

#endif  // CAIRN_SRC_CONFIG_MACHINE_MACHINE_CHECK_H_
