// Rules between keys, what flags override, and what follows from a configuration.
#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "src/config/keys.h"

namespace cairn::config {
namespace {

constexpr std::uint64_t kThriftBase = 9090;
constexpr std::uint64_t kPeerBase = 7090;
constexpr std::uint64_t kGrpcBase = 50'051;
constexpr std::uint64_t kHttpBase = 8090;
// Peers listen this far below a member's Thrift port.
constexpr std::uint16_t kPeerDistance = 2000;

bool Replicated(const NodeConfig& config) {
  return config.deployment.mode == DeploymentMode::kReplicated;
}

// This node's entry of a list of endpoints; nothing in standalone mode or without an entry.
std::optional<Endpoint> OwnEndpoint(const NodeConfig& config,
                                    const std::vector<std::string>& endpoints) {
  if (!Replicated(config) || config.deployment.instance_id >= endpoints.size()) {
    return std::nullopt;
  }
  Result<Endpoint> endpoint = ParseEndpoint(endpoints[config.deployment.instance_id]);
  if (!endpoint.ok()) return std::nullopt;
  return *std::move(endpoint);
}

void CheckDeployment(const NodeConfig& config, std::vector<Contradiction>* found) {
  if (!Replicated(config)) return;
  const auto& endpoints = config.deployment.replica_endpoints;
  const std::uint64_t id = config.deployment.instance_id;
  if (endpoints.empty()) {
    found->push_back({"deployment", "replica_endpoints",
                      "replicated mode needs the addresses of all members; a single node is "
                      "mode = \"standalone\", or a list of one"});
    return;
  }
  if (id >= endpoints.size()) {
    found->push_back({"deployment", "instance_id",
                      std::to_string(id) + " is not an index of replica_endpoints, which has " +
                          std::to_string(endpoints.size()) + " entries (0 to " +
                          std::to_string(endpoints.size() - 1) + ")"});
  }
  const std::size_t peers = config.consensus.endpoints.size();
  if (peers != 0 && peers != endpoints.size()) {
    found->push_back({"consensus", "endpoints",
                      std::to_string(peers) + " addresses for " + std::to_string(endpoints.size()) +
                          " replica_endpoints; give one a member, or none"});
  }
  for (const std::string& text : endpoints) {
    const Result<Endpoint> endpoint = ParseEndpoint(text);
    if (peers == 0 && endpoint.ok() && endpoint->port <= kPeerDistance) {
      found->push_back({"deployment", "replica_endpoints",
                        "port " + std::to_string(endpoint->port) +
                            " leaves no port 2000 below it for peers; use a port above 2000 or "
                            "give [consensus] endpoints"});
    }
  }
}

void CheckTimes(const NodeConfig& config, std::vector<Contradiction>* found) {
  const ConsensusConfig& consensus = config.consensus;
  if (consensus.election_timeout_ms < 2 * consensus.heartbeat_interval_ms) {
    found->push_back({"consensus", "election_timeout_ms",
                      std::to_string(consensus.election_timeout_ms) +
                          " is less than twice heartbeat_interval_ms (" +
                          std::to_string(consensus.heartbeat_interval_ms) +
                          "): one lost heartbeat would start an election"});
  }
  if (config.cluster.node_timeout_ms < config.cluster.health_check_interval_ms) {
    found->push_back({"cluster", "node_timeout_ms",
                      std::to_string(config.cluster.node_timeout_ms) +
                          " is less than health_check_interval_ms (" +
                          std::to_string(config.cluster.health_check_interval_ms) +
                          "): healthy nodes would count as unreachable"});
  }
}

void CheckSizes(const NodeConfig& config, std::vector<Contradiction>* found) {
  const LimitsConfig& limits = config.limits;
  const auto must_hold = [&](std::string_view key, std::uint64_t size, const char* what,
                             std::uint64_t least) {
    if (size >= least) return;
    found->push_back(
        {"limits", key,
         std::to_string(size) + " is less than " + what + " (" + std::to_string(least) + ")"});
  };
  // A message holds what it carries, and beside it names and numbers: some tens of bytes for each
  // of up to 65,535 operations.
  constexpr std::uint64_t kFraming = 4 << 20;
  must_hold("transaction_bytes", limits.transaction_bytes, "key_bytes + value_bytes",
            limits.key_bytes + limits.value_bytes);
  must_hold("message_bytes", limits.message_bytes, "transaction_bytes + 4 MiB",
            limits.transaction_bytes + kFraming);
  must_hold("message_bytes", limits.message_bytes,
            "range_answer_bytes + key_bytes + value_bytes + 4 MiB",
            limits.range_answer_bytes + limits.key_bytes + limits.value_bytes + kFraming);
  // What the peers' frames take: replication::kMaxReplicatedCommandBytes, less the framing.
  constexpr std::uint64_t kMostReplicated = 60 << 20;
  if (Replicated(config) && limits.transaction_bytes > kMostReplicated) {
    found->push_back({"limits", "transaction_bytes",
                      std::to_string(limits.transaction_bytes) + " is more than " +
                          std::to_string(kMostReplicated) +
                          ", which is what members of a cluster send to each other at once"});
  }
  const StorageConfig& storage = config.storage;
  if (storage.max_journal_mb < 2 * storage.journal_segment_mb) {
    found->push_back({"storage", "max_journal_mb",
                      std::to_string(storage.max_journal_mb) +
                          " is less than two segments of journal_segment_mb (" +
                          std::to_string(storage.journal_segment_mb) + ")"});
  }
}

void CheckPorts(const NodeConfig& config, std::vector<Contradiction>* found) {
  std::map<std::uint16_t, std::string> used;  // by which key
  const auto must_be_free = [&](std::string_view section, std::string_view key,
                                std::uint16_t port) {
    if (port == 0) return;
    std::string name = "[" + std::string(section) + "] " + std::string(key);
    const auto [first, taken] = used.emplace(port, std::move(name));
    if (taken) return;
    found->push_back({section, key,
                      "port " + std::to_string(port) +
                          " is that of another service of this node, " + first->second +
                          "; give each its own"});
  };
  const auto address_must_be_free = [&](std::string_view key, const std::string& address) {
    // What can't be read is refused by who reads it.
    const Result<Endpoint> endpoint = ParseEndpoint(address);
    if (endpoint.ok()) must_be_free("dram", key, endpoint->port);
  };
  must_be_free("server", "thrift_port", ThriftPort(config));
  // Ports that were not asked for give way: nothing listens on them unless it is served.
  if (config.server.grpc_port.has_value()) must_be_free("server", "grpc_port", GrpcPort(config));
  if (config.http.enabled && config.server.http_port.has_value()) {
    must_be_free("server", "http_port", HttpPort(config));
  }
  if (Replicated(config)) must_be_free("consensus", "endpoints", PeerPort(config));
  address_must_be_free("listen_addr", config.dram.listen_addr);
  address_must_be_free("tensorstore_addr", config.dram.tensorstore_addr);
}

void CheckPeerTls(const NodeConfig& config, std::vector<Contradiction>* found) {
  const PeerTlsConfig& tls = config.peer_tls;
  const bool some =
      !tls.certificate.empty() || !tls.key.empty() || !tls.ca.empty() || !tls.names.empty();
  for (const auto& [key, file] : {std::pair("certificate", &tls.certificate),
                                  std::pair("key", &tls.key), std::pair("ca", &tls.ca)}) {
    if (some && file->empty()) {
      found->push_back({"peer_tls", key,
                        "missing; TLS between nodes needs certificate, key and ca, or none of "
                        "[peer_tls]"});
    }
  }
}

std::uint16_t Narrow(std::uint64_t port) { return static_cast<std::uint16_t>(port & 0xFFFF); }

Status OverridePort(std::string_view flag, const std::optional<std::uint64_t>& value,
                    std::optional<std::uint64_t>* field) {
  if (!value.has_value()) return Status::Ok();
  if (*value > std::numeric_limits<std::uint16_t>::max()) {
    return InvalidArgumentError(std::string(flag) + ": " + std::to_string(*value) +
                                " is not a port (0 to 65535; 0 chooses a free one)");
  }
  *field = value;
  return Status::Ok();
}

Status OverrideThriftPort(const Overrides& overrides, NodeConfig* config) {
  const std::optional<std::string>& text = overrides.thrift_port_environment;
  if (!text.has_value() || text->empty()) {
    return OverridePort("--port", overrides.thrift_port, &config->server.thrift_port);
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), port);
  if (error != std::errc() || end != text->data() + text->size()) {
    return InvalidArgumentError("environment variable THRIFT_PORT: '" + *text +
                                "' is not a port (0 to 65535; 0 chooses a free one)");
  }
  config->server.thrift_port = port;
  return Status::Ok();
}

}  // namespace

std::vector<Contradiction> FindContradictions(const NodeConfig& config) {
  std::vector<Contradiction> found;
  CheckDeployment(config, &found);
  CheckTimes(config, &found);
  CheckSizes(config, &found);
  CheckPorts(config, &found);
  CheckPeerTls(config, &found);
  return found;
}

Status CheckConsistency(const NodeConfig& config) {
  std::string text;
  for (const Contradiction& found : FindContradictions(config)) {
    if (!text.empty()) text += '\n';
    text += "[" + std::string(found.section) + "] " + std::string(found.key) + ": " + found.message;
  }
  return text.empty() ? Status::Ok() : InvalidArgumentError(std::move(text));
}

Status ApplyOverrides(const Overrides& overrides, NodeConfig* config) {
  if (overrides.data_dir.has_value()) {
    if (overrides.data_dir->empty()) return InvalidArgumentError("--data-dir: the name is empty");
    config->database.base_path = *overrides.data_dir;
  }
  if (overrides.node_id.has_value()) {
    const auto& field = std::get<IntegerField>(FindKey("deployment", "instance_id")->field);
    if (*overrides.node_id > field.max) {
      return InvalidArgumentError("--node-id: expected " + Expectation(field) + ", found " +
                                  std::to_string(*overrides.node_id));
    }
    config->deployment.instance_id = *overrides.node_id;
  }
  CAIRN_RETURN_IF_ERROR(OverrideThriftPort(overrides, config));
  CAIRN_RETURN_IF_ERROR(
      OverridePort("--grpc-port", overrides.grpc_port, &config->server.grpc_port));
  CAIRN_RETURN_IF_ERROR(
      OverridePort("--http-port", overrides.http_port, &config->server.http_port));
  if (overrides.log_dir.has_value()) config->logging.log_dir = *overrides.log_dir;
  if (overrides.verbose) {
    config->logging.log_level = std::min(config->logging.log_level, LogLevel::kDebug);
    config->logging.also_stderr = true;
  }
  return CheckConsistency(*config);
}

Status CheckRunnable(const NodeConfig& config) {
  if (Replicated(config) && config.consensus.algorithm == ConsensusAlgorithm::kPaxos) {
    return UnimplementedError(
        "[consensus] algorithm = \"paxos\": this version of Cairn has Raft alone; use \"raft\"");
  }
  return Status::Ok();
}

std::vector<std::string> Warnings(const NodeConfig& config) {
  std::vector<std::string> warnings;
  if (!Replicated(config) && !config.deployment.replica_endpoints.empty()) {
    warnings.emplace_back(
        "[deployment] replica_endpoints is ignored in standalone mode; set mode = \"replicated\" "
        "to use it");
  }
  const bool tls = !config.peer_tls.certificate.empty();
  if (!Replicated(config) && tls) {
    warnings.emplace_back(
        "[peer_tls] is ignored in standalone mode: it is about the connections between nodes");
  }
  if (config.server.bind != "127.0.0.1" && config.server.bind != "::1" &&
      config.server.bind != "localhost") {
    if (Replicated(config) && !tls) {
      warnings.emplace_back("[server] bind = \"" + config.server.bind +
                            "\" lets other machines speak as nodes of this cluster; set "
                            "[peer_tls], or let a firewall guard port " +
                            std::to_string(PeerPort(config)));
    }
    warnings.emplace_back("[server] bind = \"" + config.server.bind +
                          "\" takes connections from other machines, and the Thrift service has "
                          "no authentication; let a firewall guard it");
  }
  if (config.http.enabled && config.http.bind != "127.0.0.1" && config.http.bind != "::1" &&
      config.http.bind != "localhost") {
    warnings.emplace_back("[http] bind = \"" + config.http.bind +
                          "\" shows metrics and configuration to other machines, without "
                          "authentication; let a firewall guard it");
  }
  return warnings;
}

std::uint16_t ThriftPort(const NodeConfig& config) {
  if (config.server.thrift_port.has_value()) return Narrow(*config.server.thrift_port);
  const auto own = OwnEndpoint(config, config.deployment.replica_endpoints);
  return own.has_value() ? own->port : Narrow(kThriftBase + config.deployment.instance_id);
}

std::uint16_t GrpcPort(const NodeConfig& config) {
  return Narrow(config.server.grpc_port.value_or(kGrpcBase + config.deployment.instance_id));
}

std::uint16_t HttpPort(const NodeConfig& config) {
  return Narrow(config.server.http_port.value_or(kHttpBase + config.deployment.instance_id));
}

std::uint16_t PeerPort(const NodeConfig& config) {
  if (const auto own = OwnEndpoint(config, config.consensus.endpoints)) return own->port;
  if (const auto own = OwnEndpoint(config, config.deployment.replica_endpoints)) {
    return Narrow(own->port - std::uint64_t{kPeerDistance});
  }
  return Narrow(kPeerBase + config.deployment.instance_id);
}

std::vector<Endpoint> PeerEndpoints(const NodeConfig& config) {
  std::vector<Endpoint> found;
  if (!Replicated(config)) return found;
  const bool own = !config.consensus.endpoints.empty();
  for (const std::string& text :
       own ? config.consensus.endpoints : config.deployment.replica_endpoints) {
    Result<Endpoint> endpoint = ParseEndpoint(text);
    if (!endpoint.ok()) continue;  // CheckConsistency has refused it.
    if (!own) endpoint->port = Narrow(endpoint->port - std::uint64_t{kPeerDistance});
    found.push_back(*std::move(endpoint));
  }
  return found;
}

std::string DataDirectory(const NodeConfig& config) {
  const std::string& base = config.database.base_path;
  if (!Replicated(config)) return base;
  return base + (base.ends_with('/') ? "node_" : "/node_") +
         std::to_string(config.deployment.instance_id);
}

}  // namespace cairn::config
