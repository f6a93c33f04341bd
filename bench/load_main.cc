// cairn-load: drives a key-value system on a local port and prints one JSON object with what it
// measured. Exit 1 if a request failed, 2 on bad arguments.
//
//   cairn-load --system cairn --port 9090 --clients 64 --seconds 10 --read-percent 0
//   cairn-load --system cairn --port 9090,9091,9092 --read-percent 100 --read-level read_index
//   cairn-load --system cairn-grpc --port 50051 --read-percent 100 --read-level leader
//   cairn-load --system cairn-pipeline --port 50051 --channels 1 --async
//   cairn-load --system cairn-client --port 9090 --channels 1 --async
//   cairn-load --system etcd --port 2379 --fill --keys 100000
//   cairn-load --system cairn --port 9090 --scan       reads every key, page by page;
//                                                   with cairn-grpc as one stream
//   cairn-load --system dram --spec '{"remote_addr": "127.0.0.1:12345"}'
//   cairn-load --system redis --port 6379, or --unix /run/redis.sock; memcached alike
//   cairn-load --system redis --port 6379 --workload a --fill, and then without --fill: one of
//                  YCSB's workloads, drawn and measured as by `cairn bench`; also with
//                  cairn-client, cairn-pipeline, cairn-grpc and etcd
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/dram/drivers.h"
#include "bench/load/driver.h"
#include "bench/load/driver_target.h"
#include "bench/load/scan.h"
#include "bench/load/workload.h"
#include "src/base/abseil/lock_checks.h"
#include "src/load/report_json.h"

namespace {

using cairn::bench::LoadOptions;
using cairn::bench::LoadReport;
using cairn::bench::LoopReport;
using cairn::bench::MixSource;
using cairn::bench::OperationKind;
using cairn::bench::Workload;
using nlohmann::json;

struct Flags {
  std::string system = "cairn";
  std::string host = "127.0.0.1";
  std::vector<std::uint16_t> ports;
  std::string read_level;
  bool fill = false;
  bool scan = false;
  bool serializable_reads = false;
  bool ping = false;
  bool sessions = false;
  std::size_t channels = 0;
  std::string unix_path;
  cairn::bench::DramDriverOptions dram;
  LoadOptions load;
  std::string workload;
  std::string key_prefix = "bench/";
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option(
         "--system", flags.system,
         "cairn (or any TransactionalKV server), cairn-grpc (a call an operation), cairn-client "
         "(the C++ client over Thrift), cairn-pipeline (the same over gRPC, by its pipelines), "
         "etcd, "
         "dram, redis or memcached")
      ->check(CLI::IsMember({"cairn", "cairn-grpc", "cairn-client", "cairn-pipeline", "etcd",
                             "dram", "redis", "memcached"}));
  app.add_option("--host", flags.host, "loopback address of the server");
  app.add_option("--port", flags.ports, "ports of the servers; connections take turns")
      ->delimiter(',');
  app.add_option("--unix", flags.unix_path, "redis, memcached: the path of a Unix socket instead");
  app.add_option("--spec", flags.dram.spec, "dram: of RemoteDram, in JSON");
  app.add_flag("--shared", flags.dram.shared, "dram: all clients use one RemoteDram");
  app.add_flag("--busy-poll", flags.dram.busy_poll, "dram: the spec has busy_poll; clients spin");
  app.add_option("--read-level", flags.read_level, "cairn: level of Gets (default: the node's)")
      ->check(CLI::IsMember({"local", "leader", "read_index"}));
  app.add_flag(
      "--sessions", flags.sessions,
      "cairn-client, cairn-pipeline: sessions and reads of own writes, the client's defaults");
  app.add_option("--clients", flags.load.clients, "threads, each with its own connection")
      ->check(CLI::Range(1, 4096));
  app.add_flag("--async", flags.load.async,
               "all but cairn, dram and memcached: clients are no threads; each answer's callback "
               "sends the next request");
  app.add_option(
      "--channels", flags.channels,
      "with --async: channels (clients, connections) that all clients share; 0: one a client");
  app.add_option("--seconds", flags.load.measure_s, "length of the measured part");
  app.add_option("--warmup", flags.load.warmup_s, "seconds before it");
  app.add_option("--keys", flags.load.keys, "size of the key space")->check(CLI::PositiveNumber);
  app.add_option("--value-bytes", flags.load.value_bytes, "size of a value");
  app.add_option("--read-percent", flags.load.read_percent, "share of Gets")
      ->check(CLI::Range(0, 100));
  app.add_option("--seed", flags.load.seed, "of the keys and values");
  app.add_option(
         "--workload", flags.workload,
         "one of YCSB's, a to f, as `cairn bench` has it: --async, and the report is its own")
      ->check([](const std::string& name) {
        return cairn::bench::FindWorkload(name) != nullptr ? "" : "no workload " + name;
      });
  app.add_option("--key-prefix", flags.key_prefix, "of the keys of --workload");
  app.add_flag("--fill", flags.fill, "set every key once instead");
  app.add_flag("--scan", flags.scan, "read every key instead (cairn, cairn-grpc)");
  app.add_flag("--ping", flags.ping, "cairn-grpc: send Sets as Pings: what gRPC does by itself");
  app.add_flag("--serializable-reads", flags.serializable_reads,
               "etcd: Gets that its node answers alone");
}

json ReportJson(const Flags& flags, const LoadReport& report) {
  const auto answered = report.reads.count() + report.writes.count();
  return {{"system", flags.system},
          {"clients", flags.load.clients},
          {"async", flags.load.async},
          {"sessions", flags.sessions},
          {"value_bytes", flags.load.value_bytes},
          {"measured_s", report.measured_s},
          {"ops_per_s", static_cast<double>(answered) / report.measured_s},
          {"total_writes", report.total_writes},
          {"errors", report.errors},
          {"first_error", report.first_error},
          {"reads", cairn::bench::LatencyJson(report.reads)},
          {"writes", cairn::bench::LatencyJson(report.writes)}};
}

int Fail(const cairn::Status& status) {
  std::cerr << "cairn-load: " << status.ToString() << "\n";
  return 1;
}

cairn::Result<std::unique_ptr<cairn::bench::Driver>> MakeDriver(const Flags& flags) {
  const bool by_client = flags.system == "cairn-client" || flags.system == "cairn-pipeline";
  if (flags.sessions && !by_client) {
    return cairn::InvalidArgumentError("--sessions: " + flags.system + " has none");
  }
  if (flags.system == "dram") return cairn::bench::MakeDramDriver(flags.dram);
  if (flags.ports.empty() && flags.unix_path.empty()) {
    return cairn::InvalidArgumentError("--port says where the servers listen");
  }
  std::vector<cairn::Endpoint> endpoints;
  for (const std::uint16_t port : flags.ports) endpoints.push_back({flags.host, port});
  const cairn::bench::SocketPeer peer{endpoints.empty() ? cairn::Endpoint() : endpoints.front(),
                                      flags.unix_path};
  if (flags.system == "redis") return cairn::bench::MakeRedisDriver(peer, flags.channels);
  if (flags.system == "memcached") return cairn::bench::MakeMemcachedDriver(peer);
  if (flags.system == "etcd") {
    return cairn::bench::MakeEtcdDriver(endpoints, flags.channels, flags.serializable_reads);
  }
  if (flags.system == "cairn-grpc") {
    return cairn::bench::MakeGrpcDriver(endpoints, flags.channels, flags.read_level, flags.ping);
  }
  if (by_client) {
    const auto clients = static_cast<std::size_t>(flags.load.clients);
    return cairn::bench::MakeClientDriver(
        {.endpoints = endpoints,
         .grpc = flags.system == "cairn-pipeline",
         .clients = flags.channels,
         .connections = flags.channels == 0 ? 1 : (clients - 1) / flags.channels + 1,
         .read_level = flags.read_level,
         .sessions = flags.sessions});
  }
  return cairn::bench::MakeThriftDriver(endpoints, flags.read_level);
}

int RunScan(const Flags& flags) {
  if (flags.ports.empty()) {
    return Fail(cairn::InvalidArgumentError("--port says where the server listens"));
  }
  auto scanned = flags.system == "cairn-grpc"
                     ? cairn::bench::ScanAllOverGrpc(flags.host, flags.ports.front())
                     : cairn::bench::ScanAll(flags.host, flags.ports.front());
  if (!scanned.ok()) return Fail(scanned.status());
  std::cout << json{{"keys", scanned->keys},
                    {"bytes", scanned->bytes},
                    {"pages", scanned->pages},
                    {"seconds", scanned->seconds}}
            << "\n";
  return 0;
}

nlohmann::ordered_json WorkloadReportJson(const Flags& flags, const MixSource::Options& mix,
                                          const LoopReport& report) {
  return {{"system", flags.system},
          {"workload", cairn::bench::WorkloadJson(flags.workload, mix)},
          {"in_flight", flags.load.clients},
          {"channels", flags.channels},
          {"read_level", flags.read_level},
          {"sessions", flags.sessions},
          {"seconds", report.seconds},
          {"operations", report.operations()},
          {"operations_per_second", cairn::bench::Rate(report)},
          {"pairs", report.pairs},
          {"failed", report.failed},
          {"first_error", report.first_error},
          {"latency", cairn::bench::LatencyJson(report.Latency())},
          {"service_time", cairn::bench::LatencyJson(report.Service())},
          {"kinds", cairn::bench::KindsJson(mix.mix, report)}};
}

// The workload by the loop of `cairn bench`, or its records written.
int RunWorkload(const Flags& flags, cairn::bench::Driver* driver) {
  const auto nanoseconds = [](double seconds) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  };
  const Workload& workload = *cairn::bench::FindWorkload(flags.workload);
  MixSource::Options mix;
  mix.records = {.key_prefix = flags.key_prefix,
                 .records = flags.load.keys,
                 .value_bytes = flags.load.value_bytes,
                 .seed = flags.load.seed};
  mix.mix = workload.mix;
  mix.distribution = workload.distribution;
  cairn::bench::LoopOptions loop;
  loop.lanes = static_cast<std::size_t>(flags.load.clients);
  auto target = cairn::bench::ConnectTarget(driver, loop.lanes);
  if (!target.ok()) return Fail(target.status());
  LoopReport report;
  if (flags.fill) {
    mix.mix = cairn::bench::FindWorkload("insert")->mix;
    cairn::bench::PassSource source(mix.records, OperationKind::kInsert, loop.lanes);
    report = cairn::bench::RunLoop(target->get(), &source, loop);
  } else {
    loop.warmup = nanoseconds(flags.load.warmup_s);
    loop.measured = nanoseconds(flags.load.measure_s);
    MixSource source(mix, loop.lanes);
    report = cairn::bench::RunLoop(target->get(), &source, loop);
  }
  std::cout << WorkloadReportJson(flags, mix, report) << "\n";
  return report.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Drives a key-value system and prints what it measured.");
  Flags flags;
  Declare(app, flags);
  CLI11_PARSE(app, argc, argv);
  cairn::SkipAbseilLockChecks();
  if (flags.scan) return RunScan(flags);
  const auto driver = MakeDriver(flags);
  if (!driver.ok()) return Fail(driver.status());
  if (!flags.workload.empty()) return RunWorkload(flags, driver->get());
  auto report = flags.fill ? cairn::bench::Fill(**driver, flags.load)
                           : cairn::bench::RunLoad(**driver, flags.load);
  if (!report.ok()) return Fail(report.status());
  std::cout << ReportJson(flags, *report) << "\n";
  return report->errors == 0 ? 0 : 1;
}
