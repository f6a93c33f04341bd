#include "src/config/machine/machine_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/dram/routing/router.h"
#include "src/dram/routing/spec.h"

namespace cairn::config {
namespace {

using nlohmann::json;

Result<json> SpecBelow(const std::string& given) {
  if (given.empty()) return json(json::object());
  std::string text = given;
  if (given.find('{') == std::string::npos) {
    std::ifstream file(given);
    if (!file) return NotFoundError("[dram] spec: can't read the file '" + given + "'");
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  json spec = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!spec.is_object()) return InvalidArgumentError("[dram] spec: is no JSON object: " + given);
  return spec;
}

// Why nothing can be written below `path`; empty if it can.
std::string WhyNotWritable(const std::filesystem::path& path) {
  std::error_code none;
  std::filesystem::path there = std::filesystem::absolute(path, none).lexically_normal();
  struct stat status {};
  while (stat(there.c_str(), &status) != 0) {
    // What is missing is made, by somebody who may write into the folder above.
    if (errno != ENOENT || !there.has_relative_path()) {
      return "'" + there.string() + "': " + std::strerror(errno);
    }
    there = there.has_filename() ? there.parent_path() : there.parent_path().parent_path();
  }
  if (!S_ISDIR(status.st_mode)) return "'" + there.string() + "' is no folder";
  if (faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
  const int error = errno;
  return "nothing can be written into '" + there.string() + "' (" + std::strerror(error) +
         "); give it to the user of the node, or run this check as that user";
}

void AddLine(const Status& status, std::string* lines) {
  if (status.ok()) return;
  if (!lines->empty()) *lines += '\n';
  *lines += status.message();
}

}  // namespace

std::optional<transport::TlsFiles> PeerTlsOf(const NodeConfig& config) {
  const PeerTlsConfig& tls = config.peer_tls;
  if (config.deployment.mode != DeploymentMode::kReplicated || tls.certificate.empty()) {
    return std::nullopt;
  }
  return transport::TlsFiles{tls.ca, tls.certificate, tls.key, tls.names};
}

Status CheckPeerTls(const NodeConfig& config) {
  const auto files = PeerTlsOf(config);
  if (!files) return Status::Ok();
  const Status usable = transport::CheckTls(*files);
  return usable.ok() ? usable : Status(usable.code(), "[peer_tls] " + usable.message());
}

std::vector<std::string> PeerTlsWarnings(const NodeConfig& config) {
  const auto files = PeerTlsOf(config);
  if (!files) return {};
  std::vector<std::string> warnings = transport::TlsWarnings(*files);
  for (std::string& warning : warnings) warning.insert(0, "[peer_tls] ");
  return warnings;
}

Result<std::string> DramSpecOf(const DramConfig& config) {
  CAIRN_ASSIGN_OR_RETURN(json spec, SpecBelow(config.spec));
  spec["listen_addr"] = config.listen_addr;
  if (!config.advertise_addr.empty()) spec["advertise_addr"] = config.advertise_addr;
  if (!config.remote_addrs.empty()) {
    spec.erase("remote_addr");
    spec["remote_addrs"] = config.remote_addrs;
  }
  if (!spec.contains("capacity_bytes")) spec["capacity_bytes"] = config.capacity_mb << 20;
  if (config.eviction == DramEviction::kLru) spec["eviction"] = "lru";
  return spec.dump();
}

Status CheckDram(const DramConfig& config) {
  if (config.listen_addr.empty()) {
    const bool asked = !config.remote_addrs.empty() || !config.tensorstore_addr.empty() ||
                       !config.advertise_addr.empty() || !config.spec.empty();
    if (!asked) return {};
    return InvalidArgumentError(
        "[dram] listen_addr: is empty, yet other keys of the section are "
        "set: give \"host:port\", or drop them");
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string spec, DramSpecOf(config));
  const auto parsed = dram::ParseSpec(spec);
  if (const Status status = parsed.ok() ? dram::Router::Check(*parsed) : parsed.status();
      !status.ok()) {
    return InvalidArgumentError("[dram]: " + status.message());
  }
  if (config.tensorstore_addr.empty()) return {};
  const auto address = dram::ParseListenAddress(config.tensorstore_addr);
  if (address.ok()) return {};
  return InvalidArgumentError("[dram] tensorstore_addr: " + address.status().message());
}

Status CheckFolders(const NodeConfig& config) {
  std::string lines;
  const auto check = [&](const char* key, const std::string& folder) {
    const std::string why = WhyNotWritable(folder);
    if (!why.empty()) AddLine(InvalidArgumentError(std::string(key) + ": " + why), &lines);
  };
  check("[database] base_path", DataDirectory(config));
  if (!config.logging.log_dir.empty()) check("[logging] log_dir", config.logging.log_dir);
  return lines.empty() ? Status::Ok() : InvalidArgumentError(std::move(lines));
}

Status CheckMachine(const NodeConfig& config) {
  std::string lines;
  AddLine(CheckPeerTls(config), &lines);
  AddLine(CheckDram(config.dram), &lines);
  AddLine(CheckFolders(config), &lines);
  return lines.empty() ? Status::Ok() : InvalidArgumentError(std::move(lines));
}

}  // namespace cairn::config
