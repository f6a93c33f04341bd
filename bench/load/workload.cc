#include "bench/load/workload.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <latch>
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

// What one client asks for, and what came of it.
class Requests {
 public:
  Requests(const LoadOptions& options, std::uint64_t number)
      : options_(options),
        random_(options.seed * 1000003 + number),
        values_(random_, options.value_bytes) {}

  // The next one: whether it is a Get.
  bool NextIsRead() { return static_cast<int>(random_() % 100) < options_.read_percent; }
  std::string NextKey() { return KeyOf(random_() % options_.keys); }
  std::string NextValue() { return values_.Next(); }

  // Counts what was answered; false if that was an error, after which there is no next one.
  // `took`: null outside of the measured part.
  bool Answered(bool read, const Status& status, const SteadyTime::duration* took) {
    if (!status.ok()) {
      report_.error = status.ToString();
      return false;
    }
    if (!read) ++report_.total_writes;
    if (took != nullptr) {
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(*took).count();
      (read ? report_.reads : report_.writes).Record(static_cast<std::uint64_t>(ns));
    }
    return true;
  }

  ClientReport TakeReport() { return std::move(report_); }

 private:
  const LoadOptions& options_;
  std::mt19937_64 random_;
  ValueSource values_;
  ClientReport report_;
};

// When a run begins to count, and when no further request is sent.
struct Span {
  explicit Span(const LoadOptions& options)
      : measure_from(After(Now(), options.warmup_s)), end(After(measure_from, options.measure_s)) {}

  const SteadyTime measure_from;
  const SteadyTime end;
};

// A client that is a thread.
class Client {
 public:
  Client(const LoadOptions& options, std::unique_ptr<Connection> connection, std::uint64_t number)
      : options_(options), connection_(std::move(connection)), requests_(options, number) {}

  // Requests until the end; those sent in the measured part are measured.
  ClientReport Run(const Span& span) {
    for (SteadyTime sent = Now(); sent < span.end;) {
      const bool read = requests_.NextIsRead();
      const std::string key = requests_.NextKey();
      const Status status =
          read ? connection_->Get(key, &read_value_) : connection_->Set(key, requests_.NextValue());
      const SteadyTime answered = Now();
      const auto took = answered - sent;
      if (!requests_.Answered(read, status, sent >= span.measure_from ? &took : nullptr)) break;
      sent = answered;
    }
    return requests_.TakeReport();
  }

  // Sets the keys that `next` hands out, until there are none left.
  ClientReport FillFrom(std::atomic<std::uint64_t>& next) {
    for (std::uint64_t key = next.fetch_add(1); key < options_.keys; key = next.fetch_add(1)) {
      const SteadyTime sent = Now();
      const Status status = connection_->Set(KeyOf(key), requests_.NextValue());
      const auto took = Now() - sent;
      if (!requests_.Answered(false, status, &took)) break;
    }
    return requests_.TakeReport();
  }

 private:
  const LoadOptions& options_;
  const std::unique_ptr<Connection> connection_;
  Requests requests_;
  std::string read_value_;
};

// A client without a thread: each answer brings the next request. It is run by one thread at a
// time, whichever brings the answer; what it wrote is seen by the next one, and by who waits for
// the end.
class Flow {
 public:
  Flow(const LoadOptions& options, std::unique_ptr<AsyncConnection> connection,
       std::uint64_t number)
      : connection_(std::move(connection)), requests_(options, number) {}

  // Requests until the end, as those of Client; then counts `ended` down.
  void Start(const Span& span, std::latch* ended) {
    span_ = &span;
    ended_ = ended;
    sent_ = Now();
    Send();
  }

  ClientReport TakeReport() { return requests_.TakeReport(); }

 private:
  void Send() {
    const bool read = requests_.NextIsRead();
    const std::string key = requests_.NextKey();
    if (read) {
      connection_->Get(key, &value_, [this](const Status& status) { Answered(true, status); });
    } else {
      value_ = requests_.NextValue();
      connection_->Set(key, value_, [this](const Status& status) { Answered(false, status); });
    }
  }

  void Answered(bool read, const Status& status) {
    const SteadyTime answered = Now();
    const auto took = answered - sent_;
    const bool measured = sent_ >= span_->measure_from;
    sent_ = answered;
    if (requests_.Answered(read, status, measured ? &took : nullptr) && sent_ < span_->end) {
      Send();
    } else {
      ended_->count_down();
    }
  }

  const std::unique_ptr<AsyncConnection> connection_;
  Requests requests_;
  std::string value_;
  const Span* span_ = nullptr;
  std::latch* ended_ = nullptr;
  SteadyTime sent_;
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

LoadReport Join(const std::vector<ClientReport>& parts) {
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
  return Join(parts);
}

// The same with clients that have no threads.
Result<LoadReport> RunFlows(Driver& driver, const LoadOptions& options) {
  std::vector<std::unique_ptr<Flow>> flows;
  for (int i = 0; i < options.clients; ++i) {
    CAIRN_ASSIGN_OR_RETURN(auto connection, driver.ConnectAsync());
    flows.push_back(
        std::make_unique<Flow>(options, std::move(connection), static_cast<std::uint64_t>(i)));
  }
  const Span span(options);
  std::latch ended(options.clients);
  for (const auto& flow : flows) flow->Start(span, &ended);
  ended.wait();
  std::vector<ClientReport> parts;
  for (const auto& flow : flows) parts.push_back(flow->TakeReport());
  LoadReport report = Join(parts);
  report.measured_s = std::chrono::duration<double>(Now() - span.measure_from).count();
  return report;
}

}  // namespace

std::string KeyOf(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof(text), "key-%012llu", static_cast<unsigned long long>(number));
  return text;
}

Result<LoadReport> RunLoad(Driver& driver, const LoadOptions& options) {
  if (options.async) return RunFlows(driver, options);
  CAIRN_ASSIGN_OR_RETURN(auto clients, MakeClients(driver, options));
  const Span span(options);
  LoadReport report = RunClients(clients, [&](Client& client) { return client.Run(span); });
  report.measured_s = std::chrono::duration<double>(Now() - span.measure_from).count();
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
