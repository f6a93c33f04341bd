// What the C++ client adds to a raw Thrift call: Gets of one key of a node, by Thrift's own
// generated client on a buffered, framed socket, and by NodeClient, in turns on one thread.
//
//   client_overhead --endpoint 127.0.0.1:9090 --rounds 200 --calls 500
//
// Prints JSON: for each the median over the rounds of the mean time of a call, their difference,
// and what a call of each costs in allocations, context switches and system time. Round and round
// in turns, so that what else the machine does meets both alike.
#include <sys/resource.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/TransactionalKV.h"
#include "cairn/client.h"

namespace {

// Allocations of this thread; the node is another process.
thread_local std::uint64_t allocations = 0;

}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads): the array forms end here, too
// Not inlined, or GCC takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-new-delete-overloads)

namespace {

using Clock = std::chrono::steady_clock;
namespace thrift = apache::thrift;

// What calls of one kind have cost so far.
struct Cost {
  std::vector<double> rounds_us;  // mean of a call, of each round
  std::uint64_t calls = 0;
  std::uint64_t allocations = 0;
  std::uint64_t switches = 0;  // of this thread, by its own will: it waited
  double system_us = 0;
};

rusage Usage() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage;
}
double SystemUs(const rusage& usage) {
  return static_cast<double>(usage.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(usage.ru_stime.tv_usec);
}

void RunRound(int calls, const std::function<void()>& call, Cost* cost) {
  const rusage before = Usage();
  const std::uint64_t allocated = allocations;
  const auto begun = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  const std::chrono::duration<double, std::micro> took = Clock::now() - begun;
  cost->allocations += allocations - allocated;
  const rusage after = Usage();
  cost->rounds_us.push_back(took.count() / calls);
  cost->calls += static_cast<std::uint64_t>(calls);
  cost->switches += static_cast<std::uint64_t>(after.ru_nvcsw - before.ru_nvcsw);
  cost->system_us += SystemUs(after) - SystemUs(before);
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

nlohmann::json ToJson(const Cost& cost) {
  const auto calls = static_cast<double>(cost.calls);
  return {{"median_us", Median(cost.rounds_us)},
          {"fastest_us", *std::min_element(cost.rounds_us.begin(), cost.rounds_us.end())},
          {"allocations_per_call", static_cast<double>(cost.allocations) / calls},
          {"voluntary_switches_per_call", static_cast<double>(cost.switches) / calls},
          {"system_us_per_call", cost.system_us / calls}};
}

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "client_overhead: %s\n", what.c_str());
  std::exit(1);
}

int Run(const std::string& endpoint, int rounds, int calls) {
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string::npos) Fail("--endpoint must be host:port");
  const auto socket = std::make_shared<thrift::transport::TSocket>(
      endpoint.substr(0, colon), std::stoi(endpoint.substr(colon + 1)));
  const auto transport = std::make_shared<thrift::transport::TFramedTransport>(socket);
  cairn::thrift_api::TransactionalKVClient raw(
      std::make_shared<thrift::protocol::TBinaryProtocol>(transport));
  transport->open();
  const auto client = cairn::NodeClient::Connect(endpoint);
  if (!client.ok()) Fail(client.status().ToString());
  const std::string key = "client_overhead";
  if (const auto set = (*client)->Set(key, std::string(100, 'v')); !set.ok()) {
    Fail(set.status().ToString());
  }

  const auto by_thrift = [&] {
    cairn::thrift_api::GetRequest request;
    request.key = key;
    cairn::thrift_api::GetResponse response;
    raw.get(response, request);
    if (response.value.size() != 100) Fail("a wrong answer by Thrift");
  };
  const auto by_client = [&] {
    const auto got = (*client)->Get(key);
    if (!got.ok() || got->value.size() != 100) Fail("a wrong answer by the client");
  };
  Cost warm;
  RunRound(calls, by_thrift, &warm);
  RunRound(calls, by_client, &warm);
  Cost thrift_cost;
  Cost client_cost;
  for (int round = 0; round < rounds; ++round) {
    RunRound(calls, by_thrift, &thrift_cost);
    RunRound(calls, by_client, &client_cost);
  }
  const nlohmann::json result = {
      {"endpoint", endpoint},
      {"rounds", rounds},
      {"calls_per_round", calls},
      {"thrift", ToJson(thrift_cost)},
      {"client", ToJson(client_cost)},
      {"added_us", Median(client_cost.rounds_us) - Median(thrift_cost.rounds_us)}};
  std::printf("%s\n", result.dump(2).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What the C++ client adds to a raw Thrift call.");
  std::string endpoint = "127.0.0.1:9090";
  int rounds = 200;
  int calls = 500;
  app.add_option("--endpoint", endpoint, "Thrift service of a node");
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  app.add_option("--calls", calls, "Calls of each kind in a round")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    return Run(endpoint, rounds, calls);
  } catch (const std::exception& e) {
    Fail(e.what());
  }
}
