// cairn-load: drives a key-value system on a local port and prints one JSON object with what it
// measured. Exit 1 if a request failed, 2 on bad arguments.
//
//   cairn-load --system cairn --port 9090 --clients 64 --seconds 10 --read-percent 0
//   cairn-load --system cairn --port 9090,9091,9092 --read-percent 100 --read-level read_index
//   cairn-load --system cairn-grpc --port 50051 --read-percent 100 --read-level leader
//   cairn-load --system cairn-pipeline --port 50051 --channels 1
//   cairn-load --system etcd --port 2379 --fill --keys 100000
//   cairn-load --system cairn --port 9090 --scan       reads every key, page by page;
//                                                   with cairn-grpc as one stream
//   cairn-load --system dram --spec '{"remote_addr": "127.0.0.1:12345"}'
//   cairn-load --system redis --port 6379, or --unix /run/redis.sock; memcached alike
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/dram/drivers.h"
#include "bench/load/driver.h"
#include "bench/load/scan.h"
#include "bench/load/workload.h"
#include "src/base/abseil/lock_checks.h"

namespace {

using cairn::bench::Histogram;
using cairn::bench::LoadOptions;
using cairn::bench::LoadReport;
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
  std::size_t channels = 0;
  std::string unix_path;
  cairn::bench::DramDriverOptions dram;
  LoadOptions load;
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option(
         "--system", flags.system,
         "cairn (or any TransactionalKV server), cairn-grpc (a call an operation), cairn-pipeline "
         "(gRPC by the C++ client's pipelines), etcd, dram, redis or memcached")
      ->check(CLI::IsMember(
          {"cairn", "cairn-grpc", "cairn-pipeline", "etcd", "dram", "redis", "memcached"}));
  app.add_option("--host", flags.host, "loopback address of the server");
  app.add_option("--port", flags.ports, "ports of the servers; connections take turns")
      ->delimiter(',');
  app.add_option("--unix", flags.unix_path, "redis, memcached: the path of a Unix socket instead");
  app.add_option("--spec", flags.dram.spec, "dram: of RemoteDram, in JSON");
  app.add_flag("--shared", flags.dram.shared, "dram: all clients use one RemoteDram");
  app.add_flag("--busy-poll", flags.dram.busy_poll, "dram: the spec has busy_poll; clients spin");
  app.add_option("--read-level", flags.read_level, "cairn: level of Gets (default: the node's)")
      ->check(CLI::IsMember({"local", "leader", "read_index"}));
  app.add_option("--clients", flags.load.clients, "threads, each with its own connection")
      ->check(CLI::Range(1, 4096));
  app.add_flag("--async", flags.load.async,
               "cairn-grpc, cairn-pipeline, etcd: clients are no threads; each answer's callback "
               "sends the next request");
  app.add_option(
      "--channels", flags.channels,
      "cairn-grpc, cairn-pipeline, etcd: channels that all clients share; 0: one a client");
  app.add_option("--seconds", flags.load.measure_s, "length of the measured part");
  app.add_option("--warmup", flags.load.warmup_s, "seconds before it");
  app.add_option("--keys", flags.load.keys, "size of the key space")->check(CLI::PositiveNumber);
  app.add_option("--value-bytes", flags.load.value_bytes, "size of a value");
  app.add_option("--read-percent", flags.load.read_percent, "share of Gets")
      ->check(CLI::Range(0, 100));
  app.add_option("--seed", flags.load.seed, "of the keys and values");
  app.add_flag("--fill", flags.fill, "set every key once instead");
  app.add_flag("--scan", flags.scan, "read every key instead (cairn, cairn-grpc)");
  app.add_flag("--ping", flags.ping, "cairn-grpc: send Sets as Pings: what gRPC does by itself");
  app.add_flag("--serializable-reads", flags.serializable_reads,
               "etcd: Gets that its node answers alone");
}

json LatencyJson(const Histogram& histogram) {
  const auto us = [](double ns) { return ns / 1000; };
  json latency = {{"count", histogram.count()},
                  {"mean_us", us(histogram.mean_ns())},
                  {"max_us", us(static_cast<double>(histogram.max_ns()))}};
  for (const auto& [name, percent] :
       {std::pair{"p50_us", 50.0}, {"p90_us", 90.0}, {"p99_us", 99.0}, {"p999_us", 99.9}}) {
    latency[name] = us(static_cast<double>(histogram.Percentile(percent)));
  }
  return latency;
}

json ReportJson(const Flags& flags, const LoadReport& report) {
  const auto answered = report.reads.count() + report.writes.count();
  return {{"system", flags.system},
          {"clients", flags.load.clients},
          {"async", flags.load.async},
          {"value_bytes", flags.load.value_bytes},
          {"measured_s", report.measured_s},
          {"ops_per_s", static_cast<double>(answered) / report.measured_s},
          {"total_writes", report.total_writes},
          {"errors", report.errors},
          {"first_error", report.first_error},
          {"reads", LatencyJson(report.reads)},
          {"writes", LatencyJson(report.writes)}};
}

int Fail(const cairn::Status& status) {
  std::cerr << "cairn-load: " << status.ToString() << "\n";
  return 1;
}

cairn::Result<std::unique_ptr<cairn::bench::Driver>> MakeDriver(const Flags& flags) {
  if (flags.system == "dram") return cairn::bench::MakeDramDriver(flags.dram);
  if (flags.ports.empty() && flags.unix_path.empty()) {
    return cairn::InvalidArgumentError("--port says where the servers listen");
  }
  std::vector<cairn::Endpoint> endpoints;
  for (const std::uint16_t port : flags.ports) endpoints.push_back({flags.host, port});
  const cairn::bench::SocketPeer peer{endpoints.empty() ? cairn::Endpoint() : endpoints.front(),
                                      flags.unix_path};
  if (flags.system == "redis") return cairn::bench::MakeRedisDriver(peer);
  if (flags.system == "memcached") return cairn::bench::MakeMemcachedDriver(peer);
  if (flags.system == "etcd") {
    return cairn::bench::MakeEtcdDriver(endpoints, flags.channels, flags.serializable_reads);
  }
  if (flags.system == "cairn-grpc") {
    return cairn::bench::MakeGrpcDriver(endpoints, flags.channels, flags.read_level, flags.ping);
  }
  if (flags.system == "cairn-pipeline") {
    return cairn::bench::MakePipelineDriver(endpoints, flags.channels, flags.read_level);
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
  auto report = flags.fill ? cairn::bench::Fill(**driver, flags.load)
                           : cairn::bench::RunLoad(**driver, flags.load);
  if (!report.ok()) return Fail(report.status());
  std::cout << ReportJson(flags, *report) << "\n";
  return report->errors == 0 ? 0 : 1;
}
