#include "bench/load/workload.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace cairn::bench {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

SteadyTime After(SteadyTime start, double seconds) {
  return start +
         std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(seconds));
}

// Values cut at random places from one random block: cheap to make, and incompressible.
class ValueSource {
 public:
  ValueSource(std::mt19937_64& random, std::uint32_t value_bytes)
      : random_(random), value_bytes_(value_bytes), block_(value_bytes + 4096, '\0') {
    for (char& byte : block_) byte = static_cast<char>(random_());
  }
  std::string Next() { return block_.substr(random_() % 4096, value_bytes_); }

 private:
  std::mt19937_64& random_;
  const std::uint32_t value_bytes_;
  std::string block_;
};

// What one client thread did.
struct ClientReport {
  Histogram reads;
  Histogram writes;
  std::uint64_t total_writes = 0;
  std::string error;
};

// One thread of the load.
class Client {
 public:
  Client(const LoadOptions& options, std::unique_ptr<Connection> connection, std::uint64_t number)
      : options_(options),
        connection_(std::move(connection)),
        random_(options.seed * 1000003 + number),
        values_(random_, options.value_bytes) {}

  // Requests until `end`; those sent from `measure_from` on are measured.
  ClientReport Run(SteadyTime measure_from, SteadyTime end) {
    for (SteadyTime sent = Now(); sent < end;) {
      const bool read = static_cast<int>(random_() % 100) < options_.read_percent;
      const Status status = read ? ReadOne() : WriteOne();
      const SteadyTime answered = Now();
      if (!status.ok()) {
        report_.error = status.ToString();
        break;
      }
      if (sent >= measure_from) {
        const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(answered - sent);
        (read ? report_.reads : report_.writes).Record(static_cast<std::uint64_t>(took.count()));
      }
      sent = answered;
    }
    return std::move(report_);
  }

  // Sets the keys that `next` hands out, until there are none left.
  ClientReport FillFrom(std::atomic<std::uint64_t>& next) {
    for (std::uint64_t key = next.fetch_add(1); key < options_.keys; key = next.fetch_add(1)) {
      const SteadyTime sent = Now();
      if (Status status = Write(key); !status.ok()) {
        report_.error = status.ToString();
        break;
      }
      const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Now() - sent);
      report_.writes.Record(static_cast<std::uint64_t>(took.count()));
    }
    return std::move(report_);
  }

 private:
  Status ReadOne() { return connection_->Get(KeyOf(random_() % options_.keys), &read_value_); }
  Status WriteOne() { return Write(random_() % options_.keys); }
  Status Write(std::uint64_t key) {
    Status status = connection_->Set(KeyOf(key), values_.Next());
    if (status.ok()) ++report_.total_writes;
    return status;
  }

  const LoadOptions& options_;
  const std::unique_ptr<Connection> connection_;
  std::mt19937_64 random_;
  ValueSource values_;
  std::string read_value_;
  ClientReport report_;
};

Result<std::vector<std::unique_ptr<Client>>> MakeClients(Driver& driver,
                                                         const LoadOptions& options) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.clients; ++i) {
    CAIRN_ASSIGN_OR_RETURN(auto connection, driver.Connect());
    clients.push_back(
        std::make_unique<Client>(options, std::move(connection), static_cast<std::uint64_t>(i)));
  }
  return clients;
}

// Runs `body(client)` on a thread a client, and joins what they report.
template <class Body>
LoadReport RunClients(std::vector<std::unique_ptr<Client>>& clients, const Body& body) {
  std::vector<ClientReport> parts(clients.size());
  std::vector<std::thread> threads;
  threads.reserve(clients.size());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] { parts[i] = body(*clients[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  LoadReport report;
  for (const ClientReport& part : parts) {
    report.reads.Merge(part.reads);
    report.writes.Merge(part.writes);
    report.total_writes += part.total_writes;
    if (part.error.empty()) continue;
    ++report.errors;
    if (report.first_error.empty()) report.first_error = part.error;
  }
  return report;
}

}  // namespace

std::string KeyOf(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof(text), "key-%012llu", static_cast<unsigned long long>(number));
  return text;
}

Result<LoadReport> RunLoad(Driver& driver, const LoadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(auto clients, MakeClients(driver, options));
  const SteadyTime measure_from = After(Now(), options.warmup_s);
  const SteadyTime end = After(measure_from, options.measure_s);
  LoadReport report =
      RunClients(clients, [&](Client& client) { return client.Run(measure_from, end); });
  report.measured_s = std::chrono::duration<double>(Now() - measure_from).count();
  return report;
}

Result<LoadReport> Fill(Driver& driver, const LoadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(auto clients, MakeClients(driver, options));
  const SteadyTime start = Now();
  std::atomic<std::uint64_t> next{0};
  LoadReport report = RunClients(clients, [&](Client& client) { return client.FillFrom(next); });
  report.measured_s = std::chrono::duration<double>(Now() - start).count();
  if (report.errors > 0) return UnavailableError("fill: " + report.first_error);
  return report;
}

}  // namespace cairn::bench
