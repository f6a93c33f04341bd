// The C++ client: a queue of jobs. Jobs are put in without waiting for each, and taken out by two
// workers at a time; each job is done once, whatever is lost on the way.
//
//   example_queue localhost:9090                  over Thrift
//   example_queue grpc://localhost:50051          over gRPC
//   example_queue node1:9090 node2:9091 ...       a cluster
#include <cairn/client.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int kJobs = 20;

// Ends the program if something went wrong.
template <class T>
T Must(cairn::Result<T> result, const char* what) {
  if (result.ok()) return std::move(result).value();
  std::cerr << what << ": " << result.status().ToString() << "\n";
  std::exit(1);
}

// A client whose writes go under a session, as they do unless one says otherwise. A try without an
// answer is given up after a second and sent again, perhaps to another node; under the session the
// write is applied once, however often it arrived.
std::unique_ptr<cairn::MultiNodeClient> Connect(const std::vector<std::string>& endpoints) {
  cairn::MultiNodeOptions options;
  options.sessions = true;
  options.attempt_timeout = std::chrono::seconds(1);
  options.timeout = std::chrono::seconds(30);
  return Must(cairn::MultiNodeClient::Connect(endpoints, options), "connect");
}

// Puts the jobs in: all writes are under way together. The last 10 bytes of each key become the
// versionstamp of its commit, so keys are unique, and the queue is in the order of the commits.
void Produce(cairn::Client* client) {
  std::vector<cairn::Future<cairn::VersionstampResult>> writes;
  for (int i = 0; i < kJobs; ++i) {
    writes.push_back(client->SetVersionstampedKeyAsync("queue/" + std::string(10, '\0'),
                                                       "job " + std::to_string(i)));
  }
  for (auto& write : writes) Must(write.Get(), "put a job in");
}

// Takes the first job and does it, in one transaction: two workers that see the same job both try,
// one commits, and the other's body runs again. False: there is none.
bool DoOne(cairn::Client* client) {
  bool found = false;
  const auto done = client->Run([&found](cairn::Transaction& tx) -> cairn::Status {
    cairn::RangeRequest first = cairn::RangeRequest::WithPrefix("queue/");
    first.limit = 1;
    const cairn::Result<cairn::RangeResult> jobs = tx.GetRange(first);
    if (!jobs.ok()) return jobs.status();  // as it is: some are worth another try
    found = !jobs->key_values.empty();     // set anew each time: the body may run again
    if (!found) return {};
    const cairn::KeyValue& job = jobs->key_values.front();
    const cairn::Result<cairn::GetResult> count = tx.Get("done/" + job.value);
    if (!count.ok()) return count.status();
    tx.Delete(job.key);
    tx.Set("done/" + job.value, std::to_string(count->found ? std::stoi(count->value) + 1 : 1));
    return {};
  });
  Must(done, "do a job");
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> endpoints(argv + 1, argv + argc);
  if (endpoints.empty()) {
    std::cerr << "usage: " << argv[0] << " ENDPOINT...\n";
    return 2;
  }
  const auto producer = Connect(endpoints);
  Produce(producer.get());

  // The workers have clients of their own. Their transactions see all that was committed before.
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&endpoints] {
      const auto client = Connect(endpoints);
      while (DoOne(client.get())) {
      }
    });
  }
  for (std::thread& worker : workers) worker.join();

  int once = 0;
  const cairn::Status scanned = producer->Scan(
      cairn::RangeRequest::WithPrefix("done/"),
      [&once](const std::string& /*key*/, const std::string& count) {
        once += count == "1" ? 1 : 0;
        return true;
      },
      // A plain read may be served by a node that lags behind the workers; this one is
      // linearizable.
      cairn::ReadOptions{cairn::ReadLevel::kReadIndex, 0, 0, "", std::chrono::seconds(30)});
  if (!scanned.ok()) {
    std::cerr << "scan: " << scanned.ToString() << "\n";
    return 1;
  }
  std::cout << once << " of " << kJobs << " jobs were done once\n";
  return 0;
}
