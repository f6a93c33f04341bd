// cairn dram bench: how fast a pool writes and reads values of one size.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <numeric>
#include <utility>

#include "apps/cairn/dram_store.h"
#include "src/base/mutex.h"

namespace cairn::cli {
namespace {

using std::chrono::steady_clock;

struct Load {
  std::size_t value_bytes = 0;
  std::uint64_t keys = 0;
  std::uint64_t in_flight = 0;
  std::chrono::nanoseconds time{0};
};

struct Figures {
  std::uint64_t operations = 0;
  double seconds = 0;
  std::vector<std::uint32_t> latencies_us;  // sorted
  Status failure;
};

// Keeps `in_flight` operations under way: each that ends starts the next, until time is up or one
// fails. `start` begins operation number n and has Done called when it has ended.
//
// Thread safety: Done comes on the pool's threads, Run waits on its own.
class Lanes {
 public:
  using Start = std::function<void(Lanes*, std::uint64_t n)>;
  Lanes(const Load& load, Start start) : load_(load), start_(std::move(start)) {}

  Figures Run() {
    const auto begin = steady_clock::now();
    until_ = begin + load_.time;
    for (std::uint64_t i = 0; i < load_.in_flight; ++i) start_(this, Next());
    MutexLock lock(&mutex_);
    while (ended_ < load_.in_flight) changed_.Wait(&mutex_);
    figures_.seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
    figures_.operations = figures_.latencies_us.size();
    std::sort(figures_.latencies_us.begin(), figures_.latencies_us.end());
    return std::move(figures_);
  }

  // Operation begun at `begin` has ended.
  void Done(steady_clock::time_point begin, const Status& status) {
    const auto now = steady_clock::now();
    {
      MutexLock lock(&mutex_);
      if (!status.ok() && figures_.failure.ok()) figures_.failure = status;
      figures_.latencies_us.push_back(static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(now - begin).count()));
      if (now >= until_ || !figures_.failure.ok()) {
        ++ended_;
        changed_.Signal();
        return;
      }
    }
    start_(this, Next());
  }

 private:
  std::uint64_t Next() {
    MutexLock lock(&mutex_);
    return next_++;
  }

  const Load load_;
  const Start start_;
  steady_clock::time_point until_;
  Mutex mutex_;
  CondVar changed_;
  std::uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  Figures figures_ ABSL_GUARDED_BY(mutex_);
};

std::string Key(std::uint64_t n) { return "cairn-bench/" + std::to_string(n); }

Figures Writes(RemoteDram* store, const Load& load) {
  const auto buffer = dram::Buffer::Take(std::string(load.value_bytes, 'v'));
  return Lanes(load,
               [&](Lanes* lanes, std::uint64_t n) {
                 const auto begin = steady_clock::now();
                 store->Write(Key(n % load.keys), buffer)
                     .OnReady([lanes, begin](const Result<dram::WriteResult>& written) {
                       lanes->Done(begin, written.status());
                     });
               })
      .Run();
}

Figures Reads(RemoteDram* store, const Load& load, std::uint64_t written) {
  const std::uint64_t keys = std::min(load.keys, written);
  return Lanes(load,
               [&, keys](Lanes* lanes, std::uint64_t n) {
                 const auto begin = steady_clock::now();
                 store->Read(Key(n % keys))
                     .OnReady([lanes, begin,
                               size = load.value_bytes](const Result<dram::ReadResult>& read) {
                       Status status = read.status();
                       if (read.ok() && read->value.size() != size) {
                         status =
                             CorruptionError("a value of " + std::to_string(read->value.size()) +
                                             " bytes was read, not of " + std::to_string(size));
                       }
                       lanes->Done(begin, status);
                     });
               })
      .Run();
}

void Report(const Context& context, const std::string& what, const Load& load,
            const Figures& figures) {
  const auto at = [&](double part) {
    const auto i = static_cast<std::size_t>(part * static_cast<double>(figures.operations));
    return figures.latencies_us[std::min(i, figures.latencies_us.size() - 1)];
  };
  const double rate = static_cast<double>(figures.operations) / figures.seconds;
  const double mib = rate * static_cast<double>(load.value_bytes) / (1 << 20);
  if (context.options().json) {
    Context::Print({{"operation", what},
                    {"value_bytes", load.value_bytes},
                    {"in_flight", load.in_flight},
                    {"operations", figures.operations},
                    {"operations_per_second", rate},
                    {"mib_per_second", mib},
                    {"p50_us", at(0.5)},
                    {"p99_us", at(0.99)}});
  } else {
    std::cout << fmt::format("{:<6} {:10.0f}/s {:9.1f} MiB/s   p50 {} us   p99 {} us\n", what, rate,
                             mib, at(0.5), at(0.99))
              << std::flush;
  }
}

ExitCode RunBench(Context& context, const Invocation& in) {
  const auto store = OpenDram(context, in);
  if (!store.ok()) return context.Fail(UsageFailure(store.status()));
  Load load;
  load.value_bytes = *in.Number("value-size");
  load.keys = *in.Number("keys");
  load.in_flight = *in.Number("in-flight");
  load.time = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(*in.Decimal("seconds")));
  const Figures writes = Writes(store->get(), load);
  if (writes.failure.ok()) {
    Report(context, "write", load, writes);
    const Figures reads = Reads(store->get(), load, writes.operations);
    if (!reads.failure.ok()) return context.Fail(DramFailure(reads.failure));
    Report(context, "read", load, reads);
  }
  const auto cleaned = (*store)->DeleteRange(dram::KeyRange::Prefix("cairn-bench/")).Get();
  if (!writes.failure.ok()) return context.Fail(DramFailure(writes.failure));
  return cleaned.ok() ? kSuccess : context.Fail(DramFailure(cleaned.status()));
}

}  // namespace

std::vector<Command> DramBenchCommands() {
  return {{{.name = "dram bench",
            .summary = "Measures how fast a pool writes and reads",
            .description = {"Writes, then reads, values of one size under keys that begin with "
                            "cairn-bench/, which it removes in the end."},
            .options = {{.name = "value-size",
                         .kind = ValueKind::kSize,
                         .value_name = "BYTES",
                         .help = "Of each value",
                         .default_value = "4KiB",
                         .min = 1,
                         .max = std::uint64_t{1} << 30},
                        {.name = "keys",
                         .kind = ValueKind::kNumber,
                         .value_name = "N",
                         .help = "How many keys to use in turn",
                         .default_value = "1000",
                         .min = 1,
                         .max = 100'000'000},
                        {.name = "in-flight",
                         .kind = ValueKind::kNumber,
                         .value_name = "N",
                         .help = "Operations under way at once",
                         .default_value = "16",
                         .min = 1,
                         .max = 10'000},
                        {.name = "seconds",
                         .kind = ValueKind::kDecimal,
                         .value_name = "S",
                         .help = "How long to write, and how long to read",
                         .default_value = "5"}},
            .common = kDramOptions,
            .examples = {{"cairn dram bench --remote node1:12345 --value-size 1MiB",
                          "Measure with values of 1 MiB"}}},
           RunBench}};
}

}  // namespace cairn::cli
