// cairnd: flags, environment and file to a configuration; then one node until a signal ends it.
//
// Exit codes: 0 stopped as asked, or nothing to run (--check-config, --help, --version); 1 the node
// could not start or had to end; 2 wrong flags or configuration.
#include <thrift/Thrift.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/cairnd/node.h"
#include "apps/cairnd/process.h"
#include "apps/cairnd/wiring.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/config/machine/machine_check.h"
#include "src/config/node_config.h"

// Read by jemalloc before main. A node holds little and changes it fast: few arenas, and unused
// pages go back to the system within a second, by a thread of jemalloc's own. It has a thread a
// connection, most of them idle: a small cache in each (measured: 35 KB a connection, not 72).
// Blocks of a megabyte go back at once: they are the buffers of large answers (measured: a scan of
// 1 GiB in pages of 8 MiB holds 21 MiB at its peak, not 50 to 100).
extern "C" {
const char* malloc_conf =
    "narenas:4,background_thread:true,max_background_threads:1,dirty_decay_ms:1000,"
    "muzzy_decay_ms:0,tcache_max:4096,tcache_nslots_small_min:5,tcache_nslots_small_max:10,"
    "oversize_threshold:1048576";
}

namespace cairn::node {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

// The time that a stop may take in all.
constexpr std::chrono::seconds kStopBound(30);

struct Flags {
  std::optional<std::string> config_file;
  bool check_config = false;
  bool allow_fault_injection = false;
  std::optional<std::uint64_t> pretend_features;
  config::Overrides overrides;
};

// Nothing if the process is to go on; else its exit code.
std::optional<int> ParseFlags(int argc, char** argv, Flags* flags) {
  CLI::App app("A node of Cairn: a durable, transactional key-value store.", "cairnd");
  app.footer(
      "Without arguments: a standalone node on the defaults, Thrift on 127.0.0.1:9090, data in\n"
      "./data/rocksdb. docs/configuration.md describes every key of the file. THRIFT_PORT in the\n"
      "environment goes before --port.\n"
      "Exit codes: 0 stopped as asked, 1 failed, 2 wrong flags or configuration.");
  config::Overrides& overrides = flags->overrides;
  app.add_option("--config", flags->config_file, "Configuration file (TOML)");
  app.add_flag("--check-config", flags->check_config,
               "Checks flags and file, says what follows from them, and exits");
  app.add_option("--data-dir", overrides.data_dir, "Folder of the data ([database] base_path)");
  app.add_option("--port", overrides.thrift_port,
                 "Port of the Thrift service; 0 chooses a free one and prints it");
  app.add_option("--grpc-port", overrides.grpc_port,
                 "Port of the gRPC services; 0 chooses a free one and prints it");
  app.add_option("--http-port", overrides.http_port,
                 "Port for metrics and health; 0 chooses a free one and prints it");
  app.add_option("--node-id", overrides.node_id, "Number of the node ([deployment] instance_id)");
  app.add_option("--log-dir", overrides.log_dir, "Folder of the text log ([logging] log_dir)");
  app.add_flag("--verbose", overrides.verbose, "Logs at level debug, to standard error as well");
  app.add_flag("--allow-fault-injection", flags->allow_fault_injection,
               "Lets clients make operations fail on purpose (for tests)");
  app.add_option("--pretend-features", flags->pretend_features,
                 "Acts as a version of Cairn that knows these features, as bits (for tests; needs "
                 "--allow-fault-injection)");
  app.set_version_flag("--version", std::string("cairnd ") + CAIRN_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  if (flags->pretend_features.has_value() && !flags->allow_fault_injection) {
    std::cerr << "cairnd: --pretend-features is for tests alone: give --allow-fault-injection too"
              << std::endl;
    return kUsage;
  }
  if (const char* port = std::getenv("THRIFT_PORT")) overrides.thrift_port_environment = port;
  return std::nullopt;
}

int Complain(const Status& status, int code) {
  std::cerr << "cairnd: " << status.message() << std::endl;
  return code;
}

Result<config::NodeConfig> Configure(const Flags& flags) {
  config::NodeConfig config;
  if (flags.config_file.has_value()) {
    CAIRN_ASSIGN_OR_RETURN(config, config::LoadConfig(*flags.config_file));
  }
  CAIRN_RETURN_IF_ERROR(config::ApplyOverrides(flags.overrides, &config));
  CAIRN_RETURN_IF_ERROR(storage::CheckRocksDbOptions(RocksDbOptionsOf(config)));
  CAIRN_RETURN_IF_ERROR(config::CheckDram(config.dram));
  CAIRN_RETURN_IF_ERROR(config::CheckPeerTls(config));
  return config;
}

std::vector<std::string> AllWarnings(const config::NodeConfig& config) {
  std::vector<std::string> warnings = config::Warnings(config);
  for (std::string& warning : config::PeerTlsWarnings(config))
    warnings.push_back(std::move(warning));
  return warnings;
}

// --check-config.
int Report(const config::NodeConfig& config) {
  std::cout << "the configuration is valid\n"
            << "  Thrift on " << config.server.bind << " port " << config::ThriftPort(config)
            << ", gRPC on port " << config::GrpcPort(config) << ", data in "
            << config::DataDirectory(config) << "\n";
  for (const std::string& warning : AllWarnings(config)) {
    std::cout << "  warning: " << warning << "\n";
  }
  const Status runnable = config::CheckRunnable(config);
  if (!runnable.ok()) std::cout << "  it can't be run yet: " << runnable.message() << "\n";
  std::cout << std::flush;
  return kOk;
}

Status StartLogging(const config::NodeConfig& config) {
  const LoggingOptions options = LoggingOptionsOf(config);
  if (!options.directory.empty()) {
    CAIRN_RETURN_IF_ERROR(PosixFileSystem()->CreateDirectories(options.directory));
  }
  return InitLogging(options);
}

// A fatal error is told on standard error too, where whoever started the node looks first.
void Tell(const Status& status, const config::NodeConfig& config) {
  CAIRN_LOG(kError, "node: this node ends: {}", status.ToString());
  FlushLogging();
  if (!config.logging.log_dir.empty() && !config.logging.also_stderr) {
    std::fprintf(stderr, "cairnd: %s\n", status.message().c_str());
  }
}

int Run(const Flags& flags, const config::NodeConfig& config) {
  TerminationSignal termination(kStopBound);
  PrepareProcess();
  const Status logging = StartLogging(config);
  if (!logging.ok()) return Complain(logging, kFailed);
  CAIRN_LOG(kInfo, "cairnd {}, process {}", CAIRN_VERSION, getpid());
  for (const std::string& warning : AllWarnings(config)) CAIRN_LOG(kWarn, "{}", warning);

  NodeOptions options;
  options.config = config;
  options.allow_fault_injection = flags.allow_fault_injection;
  options.known_features = flags.pretend_features.value_or(options.known_features);
  options.fatal = [&config](const Status& status) {
    Tell(status, config);
    _exit(kFailed);
  };
  auto node = Node::Start(std::move(options));
  if (!node.ok()) {
    Tell(node.status(), config);
    return kFailed;
  }
  termination.Arm();
  CAIRN_LOG(kInfo, "node: serving Thrift on {}", (*node)->thrift_endpoint());
  std::cout << "cairnd " << CAIRN_VERSION << ": serving Thrift on " << (*node)->thrift_endpoint()
            << ", data in " << (*node)->data_directory() << "\n";
  const std::string grpc = (*node)->grpc_endpoint();
  if (!grpc.empty()) CAIRN_LOG(kInfo, "node: serving gRPC on {}", grpc);
  if (!grpc.empty()) std::cout << "  gRPC on " << grpc << "\n";
  const std::string http = (*node)->http_endpoint();
  if (!http.empty()) CAIRN_LOG(kInfo, "node: serving metrics and health on {}", http);
  if (!http.empty()) std::cout << "  HTTP on " << http << "\n";
  if (const MemoryPlane* memory = (*node)->memory()) {
    std::cout << "  memory plane on " << memory->address() << "\n";
    if (!memory->tensorstore_address().empty()) {
      std::cout << "  TensorStore on " << memory->tensorstore_address() << "\n";
    }
  }
  const std::string peers = (*node)->peer_endpoint();
  if (!peers.empty()) {
    std::cout << "  peers on " << peers << ", node " << config.deployment.instance_id << " of "
              << config.deployment.replica_endpoints.size()
              << (config::PeerTlsOf(config) ? ", TLS" : "") << "\n";
  }
  std::cout << std::flush;
  NotifySupervisor("READY=1");

  const std::string signal = termination.Wait();
  NotifySupervisor("STOPPING=1");
  CAIRN_LOG(kInfo, "node: {}", signal);
  const Status stopped = (*node)->Stop();
  // Nothing is lost by a failed flush: the next start replays the journal.
  if (!stopped.ok()) {
    CAIRN_LOG(kWarn, "node: the database was not flushed at the stop: {}", stopped.ToString());
  }
  FlushLogging();
  return kOk;
}

int Main(int argc, char** argv) {
  Flags flags;
  if (const std::optional<int> code = ParseFlags(argc, argv, &flags)) return *code;
  const auto config = Configure(flags);
  if (!config.ok()) return Complain(config.status(), kUsage);
  if (flags.check_config) return Report(*config);
  const Status runnable = config::CheckRunnable(*config);
  if (!runnable.ok()) return Complain(runnable, kUsage);
  return Run(flags, *config);
}

}  // namespace
}  // namespace cairn::node

int main(int argc, char** argv) {
  // Connections log what matters themselves; Thrift's own lines would bypass the log.
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
  return cairn::node::Main(argc, argv);
}
