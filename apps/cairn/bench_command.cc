// bench: puts a node or a cluster under load.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <utility>

#include "apps/cairn/bench_report.h"
#include "apps/cairn/bench_target.h"
#include "apps/cairn/context.h"
#include "src/load/mix.h"
#include "src/load/plot.h"

namespace cairn::cli {
namespace {

using bench::OperationKind;

std::chrono::nanoseconds Seconds(const Invocation& in, const char* name) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(*in.Decimal(name)));
}

bench::Distribution DistributionOf(const std::string& name) {
  if (name == "uniform") return bench::Distribution::kUniform;
  return name == "zipf" ? bench::Distribution::kZipf : bench::Distribution::kLatest;
}

ReadLevel ReadLevelOf(const std::string& name) {
  if (name == "local") return ReadLevel::kLocal;
  if (name == "leader") return ReadLevel::kLeader;
  return name == "read_index" ? ReadLevel::kReadIndex : ReadLevel::kDefault;
}

Status TakeWorkload(const Context& context, const Invocation& in, BenchPlan* plan) {
  const bench::Workload* workload = bench::FindWorkload(in.Required("workload"));
  plan->workload = in.Has("mix") ? "custom" : std::string(workload->name);
  plan->mix.mix = workload->mix;
  plan->mix.distribution = workload->distribution;
  if (in.Has("mix")) {
    auto mix = bench::ParseMix(in.Required("mix"));
    if (!mix.ok()) return InvalidArgumentError("--mix: " + mix.status().message());
    plan->mix.mix = *mix;
    plan->mix.distribution = bench::Distribution::kUniform;
  }
  if (in.Has("distribution")) {
    plan->mix.distribution = DistributionOf(in.Required("distribution"));
  }
  plan->mix.zipf_exponent = *in.Decimal("zipf-exponent");
  if (plan->mix.zipf_exponent <= 0 || plan->mix.zipf_exponent > 10) {
    return InvalidArgumentError("--zipf-exponent is more than 0 and at most 10");
  }
  plan->mix.max_scan_length = static_cast<std::uint32_t>(*in.Number("scan-length"));
  bench::RecordOptions& records = plan->mix.records;
  CAIRN_ASSIGN_OR_RETURN(records.key_prefix,
                         context.Bytes(in.Required("key-prefix"), "--key-prefix"));
  records.records = *in.Number("records");
  records.value_bytes = static_cast<std::uint32_t>(*in.Number("value-size"));
  records.seed = *in.Number("seed");
  return Status::Ok();
}

Status TakeLoop(const Invocation& in, BenchPlan* plan) {
  plan->loop.lanes = *in.Number("in-flight");
  plan->loop.rate = *in.Decimal("rate");
  plan->loop.poisson = in.Required("arrivals") == "poisson";
  plan->loop.seed = *in.Number("seed");
  plan->loop.warmup = Seconds(in, "warmup");
  plan->loop.measured = Seconds(in, "seconds");
  if (plan->loop.measured.count() == 0) return InvalidArgumentError("--seconds is more than 0");
  if (plan->loop.rate > 1e7) return InvalidArgumentError("--rate is at most 10000000");
  return Status::Ok();
}

void TakeSystem(const Context& context, const Invocation& in, BenchPlan* plan) {
  BenchSystem& system = plan->system;
  const bool grpc = in.Required("wire") == "grpc";
  for (client::Address address : context.options().endpoints) {
    if (grpc) address.wire = client::Wire::kGrpc;
    system.endpoints.push_back(address.ToString());
  }
  if (grpc && !in.Has("endpoints")) system.endpoints = {"grpc://127.0.0.1:50051"};
  system.lanes = plan->loop.lanes;
  system.clients = std::min<std::size_t>(*in.Number("clients"), system.lanes);
  system.read_level = ReadLevelOf(context.options().read_level);
  system.sessions = !in.Has("no-sessions");
  system.timeout = context.options().timeout;
  system.column_family = context.options().column_family;
  plan->fill = !in.Has("no-fill");
  plan->clean = in.Has("clean");
}

// Touches every record once; the failure of the first that failed.
MaybeFailure Pass(const BenchPlan& plan, OperationKind kind, std::uint64_t records,
                  bench::Target* target, bench::LoopReport* report) {
  bench::RecordOptions options = plan.mix.records;
  options.records = records;
  bench::PassSource source(options, kind, plan.loop.lanes);
  *report = bench::RunLoop(target, &source, {.lanes = plan.loop.lanes});
  if (report->failed == 0) return std::nullopt;
  return Failure{kRefused, "FAILED",
                 std::to_string(report->failed) + " of " + std::to_string(records) +
                     " records could not be " +
                     (kind == OperationKind::kDelete ? "deleted" : "written") +
                     "; the first: " + report->first_error};
}

MaybeFailure Measure(const BenchPlan& plan, BenchResult* result) {
  auto target = ConnectBenchTarget(plan.system);
  if (!target.ok()) return Failure{kUnreachable, "UNAVAILABLE", target.status().message()};
  if (plan.fill) {
    result->fill.emplace();
    if (auto failure = Pass(plan, OperationKind::kInsert, plan.mix.records.records, target->get(),
                            &*result->fill)) {
      return failure;
    }
  }
  bench::MixSource source(plan.mix, plan.loop.lanes);
  result->run = bench::RunLoop(target->get(), &source, plan.loop);
  if (!plan.clean) {
    result->left = source.records();
    return std::nullopt;
  }
  bench::LoopReport cleaned;
  return Pass(plan, OperationKind::kDelete, source.records(), target->get(), &cleaned);
}

// Which records are in the store now, and how to be rid of them.
std::string LeftText(const Context& context, const BenchPlan& plan, std::uint64_t left) {
  const std::string family = ShownFamily(plan.system.column_family);
  const std::string prefix = context.Text(plan.mix.records.key_prefix);
  std::string command = "cairn delete --prefix '" + prefix + "'";
  if (!plan.system.column_family.empty()) command += " --column-family '" + family + "'";
  return "left in column family " + family + ": up to " + std::to_string(left) +
         " records that begin with '" + prefix + "'; " + command +
         " removes them, and --clean does so at the end of a run\n";
}

ExitCode RunBench(Context& context, const Invocation& in) {
  BenchPlan plan;
  if (Status taken = TakeWorkload(context, in, &plan); !taken.ok()) {
    return context.Fail(UsageFailure(taken));
  }
  if (Status taken = TakeLoop(in, &plan); !taken.ok()) return context.Fail(UsageFailure(taken));
  TakeSystem(context, in, &plan);
  BenchResult result;
  if (const auto failure = Measure(plan, &result)) return context.Fail(*failure);
  if (const auto path = in.Text("svg")) {
    std::ofstream file(*path);
    file << PlotSvg(result.run, BenchTitle(plan));
    file.close();
    if (!file) return context.Fail({kRefused, "IO_ERROR", "cannot write '" + *path + "'"});
  }
  if (context.options().json) {
    Context::Print(BenchJson(plan, result));
  } else {
    std::cout << BenchText(plan, result);
    if (result.left > 0) std::cout << LeftText(context, plan, result.left);
    std::cout << std::flush;
  }
  if (result.run.failed == 0) return kSuccess;
  std::cerr << "cairn: " << result.run.failed
            << " operations failed; the first: " << result.run.first_error << "\n";
  return kRefused;
}

std::vector<OptionDef> WorkloadOptions() {
  return {{.name = "workload",
           .kind = ValueKind::kChoice,
           .value_name = "NAME",
           .help = "One of YCSB's, or one kind of operation",
           .default_value = "a",
           .choices = {"a", "b", "c", "d", "e", "f", "f-txn", "read", "update", "insert", "scan",
                       "rmw", "txn"}},
          {.name = "mix",
           .kind = ValueKind::kText,
           .value_name = "SHARES",
           .help = "Shares of its own, like read=90,update=5,scan=5; also insert, rmw, txn, delete",
           .excludes = {"workload"}},
          {.name = "distribution",
           .kind = ValueKind::kChoice,
           .value_name = "NAME",
           .help = "Which records; unless given, as the workload has it (a mix: uniform)",
           .choices = {"uniform", "zipf", "latest"}},
          {.name = "zipf-exponent",
           .kind = ValueKind::kDecimal,
           .value_name = "S",
           .help = "Of zipf and latest: the record of rank k is drawn in proportion to 1 / k^S",
           .default_value = "0.99"},
          {.name = "records",
           .kind = ValueKind::kNumber,
           .value_name = "N",
           .help = "How many records there are",
           .default_value = "100000",
           .min = 1,
           .max = 10'000'000'000},
          {.name = "value-size",
           .kind = ValueKind::kSize,
           .value_name = "BYTES",
           .help = "Of each value; random bytes",
           .default_value = "256",
           .max = 1 << 20},
          {.name = "scan-length",
           .kind = ValueKind::kNumber,
           .value_name = "N",
           .help = "Scans read 1 to this many pairs",
           .default_value = "100",
           .min = 1,
           .max = 100'000},
          {.name = "key-prefix",
           .kind = ValueKind::kBytes,
           .value_name = "KEY",
           .help = "Of the keys; 16 digits follow",
           .default_value = "bench/"},
          {.name = "no-fill", .help = "Does not write all records first: they are there"},
          {.name = "clean", .help = "Deletes all records in the end"}};
}

std::vector<OptionDef> LoopOptionDefs() {
  return {{.name = "in-flight",
           .kind = ValueKind::kNumber,
           .value_name = "N",
           .help = "Operations under way at once, at most",
           .default_value = "64",
           .min = 1,
           .max = 100'000},
          {.name = "rate",
           .kind = ValueKind::kDecimal,
           .value_name = "R",
           .help = "Operations a second, of an open loop; 0: a closed loop",
           .default_value = "0"},
          {.name = "arrivals",
           .kind = ValueKind::kChoice,
           .value_name = "KIND",
           .help = "Gaps between the operations of an open loop: equal, or exponential",
           .default_value = "constant",
           .choices = {"constant", "poisson"}},
          {.name = "warmup",
           .kind = ValueKind::kDecimal,
           .value_name = "S",
           .help = "Seconds that are not measured",
           .default_value = "2"},
          {.name = "seconds",
           .kind = ValueKind::kDecimal,
           .value_name = "S",
           .help = "Seconds that are measured",
           .default_value = "10"},
          {.name = "seed",
           .kind = ValueKind::kNumber,
           .value_name = "N",
           .help = "The same seed asks for the same records in the same order, lane by lane",
           .default_value = "1"},
          {.name = "wire",
           .kind = ValueKind::kChoice,
           .value_name = "WIRE",
           .help = "How to speak to the nodes; the default endpoint of grpc is 127.0.0.1:50051",
           .default_value = "thrift",
           .choices = {"thrift", "grpc"}},
          {.name = "clients",
           .kind = ValueKind::kNumber,
           .value_name = "N",
           .help = "Clients that share the operations, each with connections of its own",
           .default_value = "1",
           .min = 1,
           .max = 1'000},
          {.name = "no-sessions", .help = "Writes without a session, so not sent again"},
          {.name = "svg",
           .kind = ValueKind::kFile,
           .value_name = "FILE",
           .help = "Draws latency by percentile, and throughput and latency over time"}};
}

CommandDef BenchDef() {
  std::vector<OptionDef> options = WorkloadOptions();
  for (OptionDef& option : LoopOptionDefs()) options.push_back(std::move(option));
  return {
      .name = "bench",
      .summary = "Puts a node or a cluster under load, and measures it",
      .description =
          {"Writes the records, warms up, and measures. In a closed loop each of the operations "
           "in flight is followed by the next when it has ended; what a stall kept from being "
           "sent is added to the latencies ('corrected'). In an open loop operations are due at "
           "a rate, and latencies count from when they were due.",
           "With several endpoints, writes go to the leader and reads take turns, unless "
           "--read-level leader. docs/bench.md explains the figures."},
      .options = std::move(options),
      .common = {"endpoints", "timeout-ms", "json", "column-family", "read-level"},
      .examples = {{"cairn bench --workload b", "YCSB B, 64 operations under way"},
                   {"cairn bench --workload read --rate 5000 --svg reads.svg",
                    "5000 reads a second, whatever the node does, and a drawing"},
                   {"cairn bench --wire grpc --workload read --read-level leader",
                    "Linearizable reads over gRPC"}}};
}

}  // namespace

std::vector<Command> BenchCommands() { return {{BenchDef(), RunBench}}; }

}  // namespace cairn::cli
