// cairn-failover: writes to a cluster without a pause while somebody kills its nodes, and says how
// long each gap was. In the end it reads everything back: an acknowledged write that is missing or
// there twice makes the exit code 1.
//
//   cairn-failover --endpoints 127.0.0.1:9090,127.0.0.1:9091,127.0.0.1:9092 --prefix run1/
//
// Standard input: "mark" (write it just before the kill) is answered by a line {"gap_ms": ...}, the
// time from then to the answer of the first write that was sent after it and acknowledged. End of
// input ends the writes; the last line is {"acknowledged", "unknown", "lost", "twice"}.
//
// Each write is a versionstamped key of its own with a value that names the write, so that one
// applied twice leaves two keys.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cairn/client.h"
#include "src/base/mutex.h"

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Flags {
  std::vector<std::string> endpoints;
  std::string prefix = "failover/";
  int threads = 4;
};

// Where the writers tell what was acknowledged, and the main thread waits for it.
class Acknowledgements {
 public:
  // A write sent at `sent` was answered with OK just now.
  void Add(Clock::time_point sent) {
    const Clock::time_point now = Clock::now();
    const cairn::MutexLock lock(&mutex_);
    if (!mark_ || sent < *mark_ || gap_) return;
    gap_ = now - *mark_;
    changed_.SignalAll();
  }

  // The time from now to the answer of the first write that is sent after now, in milliseconds.
  double WaitForOne() {
    const cairn::MutexLock lock(&mutex_);
    mark_ = Clock::now();
    gap_.reset();
    while (!gap_) changed_.Wait(&mutex_);
    mark_.reset();
    return std::chrono::duration<double, std::milli>(*gap_).count();
  }

 private:
  cairn::Mutex mutex_;
  cairn::CondVar changed_;
  std::optional<Clock::time_point> mark_ ABSL_GUARDED_BY(mutex_);
  std::optional<Clock::duration> gap_ ABSL_GUARDED_BY(mutex_);
};

// What one writer knows of its writes, number by number.
struct Written {
  std::vector<bool> acknowledged;
};

std::string NameOf(int writer, std::size_t number) {
  return std::to_string(writer) + "-" + std::to_string(number);
}

Written Write(cairn::Client& client, const Flags& flags, int writer, Acknowledgements& seen,
              std::stop_token stop) {
  Written written;
  const std::string key = flags.prefix + std::string(10, '\0');
  while (!stop.stop_requested()) {
    const Clock::time_point sent = Clock::now();
    const auto set = client.SetVersionstampedKey(key, NameOf(writer, written.acknowledged.size()));
    written.acknowledged.push_back(set.ok());
    if (set.ok()) seen.Add(sent);
  }
  return written;
}

cairn::Result<json> Verify(cairn::Client& client, const Flags& flags,
                           const std::vector<Written>& written) {
  std::map<std::string, int> found;
  cairn::ReadOptions linearizable;
  linearizable.read_level = cairn::ReadLevel::kLeader;
  const cairn::Status scanned = client.Scan(
      cairn::RangeRequest::WithPrefix(flags.prefix),
      [&](const std::string&, const std::string& value) {
        ++found[value];
        return true;
      },
      linearizable);
  if (!scanned.ok()) return scanned;
  int acknowledged = 0;
  int unknown = 0;
  int lost = 0;
  int twice = 0;
  for (std::size_t writer = 0; writer < written.size(); ++writer) {
    const auto& answers = written[writer].acknowledged;
    for (std::size_t number = 0; number < answers.size(); ++number) {
      const auto it = found.find(NameOf(static_cast<int>(writer), number));
      const int times = it == found.end() ? 0 : it->second;
      ++(answers[number] ? acknowledged : unknown);
      if (answers[number] && times == 0) ++lost;
      if (times > 1) ++twice;
    }
  }
  return json{
      {"acknowledged", acknowledged}, {"unknown", unknown}, {"lost", lost}, {"twice", twice}};
}

int Fail(const cairn::Status& status) {
  std::cerr << "cairn-failover: " << status.ToString() << "\n";
  return 1;
}

int Run(const Flags& flags) {
  auto client = cairn::MultiNodeClient::Connect(flags.endpoints);
  if (!client.ok()) return Fail(client.status());
  Acknowledgements seen;
  std::vector<Written> written(static_cast<std::size_t>(flags.threads));
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < flags.threads; ++i) {
      writers.emplace_back([&, i](std::stop_token stop) {
        written[static_cast<std::size_t>(i)] = Write(**client, flags, i, seen, std::move(stop));
      });
    }
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "mark") std::cout << json{{"gap_ms", seen.WaitForOne()}} << std::endl;
    }
    for (std::jthread& writer : writers) writer.request_stop();
  }
  auto verified = Verify(**client, flags, written);
  if (!verified.ok()) return Fail(verified.status());
  std::cout << *verified << std::endl;
  return verified->at("lost") == 0 && verified->at("twice") == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes to a cluster while its nodes are killed, and checks what was acknowledged.");
  Flags flags;
  app.add_option("--endpoints", flags.endpoints, "host:port of all nodes")
      ->required()
      ->delimiter(',');
  app.add_option("--prefix", flags.prefix, "of the keys; a fresh one for each run");
  app.add_option("--threads", flags.threads, "writers")->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  return Run(flags);
}
