// A data pipeline over three nodes, each a process:
//
//   node 1   collects readings and keeps them                     example_pipeline 1 A1 A2 A3
//   node 2   reads them from node 1, works on them, and writes
//            the results to node 3                                example_pipeline 2 A1 A2 A3
//   node 3   aggregates the results and shows them                example_pipeline 3 A1 A2 A3
//
// A1, A2 and A3 are the addresses of the nodes, the same for all, in any order of starting. When
// node 3 has everything it tells the others, and all end.
#include <chrono>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "cairn/remote_dram.h"

namespace {

using cairn::DistributedServerNode;
using cairn::dram::Buffer;
using cairn::dram::ReadResult;

constexpr int kBatches = 20;
constexpr int kReadings = 100'000;  // a batch

void Check(const cairn::Status& status) {
  if (status.ok()) return;
  std::cerr << status.ToString() << "\n";
  std::exit(1);
}

Buffer ToBuffer(const std::vector<double>& numbers) {
  return Buffer::Copy(
      {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)});
}

std::vector<double> ToNumbers(const Buffer& buffer) {
  std::vector<double> numbers(buffer.size() / sizeof(double));
  std::memcpy(numbers.data(), buffer.data(), numbers.size() * sizeof(double));
  return numbers;
}

// Waits until `server` has a value for the key. A server that is not there yet has none.
Buffer Await(DistributedServerNode& node, const std::string& server, const std::string& key) {
  for (;;) {
    const auto read = node.ReadFromServer(server, key).Get();
    if (read.ok() && read->state == ReadResult::State::kValue) return read->value;
    if (!read.ok() && read.status().code() != cairn::StatusCode::kUnavailable) {
      Check(read.status());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void Collect(DistributedServerNode& node, const std::string& self) {
  for (int batch = 0; batch < kBatches; ++batch) {
    std::vector<double> readings(kReadings);
    std::iota(readings.begin(), readings.end(), static_cast<double>(batch));
    Check(node.GetServerStore()
              .Write("raw/" + std::to_string(batch), ToBuffer(readings))
              .Get()
              .status());
  }
  std::cout << "node 1: collected " << kBatches << " batches" << std::endl;
  (void)Await(node, self, "done");
}

void Transform(DistributedServerNode& node, const std::string& from, const std::string& self,
               const std::string& to) {
  for (int batch = 0; batch < kBatches; ++batch) {
    std::vector<double> numbers = ToNumbers(Await(node, from, "raw/" + std::to_string(batch)));
    for (double& number : numbers) number *= 2;
    const Buffer result = ToBuffer(numbers);
    // Node 3 may be the last to start.
    cairn::Status written = cairn::UnavailableError("not tried yet");
    while (written.code() == cairn::StatusCode::kUnavailable) {
      written = node.WriteToServer(to, "result/" + std::to_string(batch), result).Get().status();
    }
    Check(written);
  }
  std::cout << "node 2: transformed " << kBatches << " batches" << std::endl;
  (void)Await(node, self, "done");
}

void Aggregate(DistributedServerNode& node, const std::string& self,
               const std::vector<std::string>& others) {
  double sum = 0;
  double count = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto numbers = ToNumbers(Await(node, self, "result/" + std::to_string(batch)));
    sum = std::accumulate(numbers.begin(), numbers.end(), sum);
    count += static_cast<double>(numbers.size());
  }
  std::cout << std::fixed << "node 3: " << count << " readings, mean " << sum / count << std::endl;
  for (const std::string& other : others) {
    Check(node.WriteToServer(other, "done", Buffer::Copy("yes")).Get().status());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (argc != 5 || (role != "1" && role != "2" && role != "3")) {
    std::cerr << "usage: example_pipeline 1|2|3 ADDRESS1 ADDRESS2 ADDRESS3\n";
    return 2;
  }
  const std::vector<std::string> address(argv + 2, argv + 5);
  const std::string& self = address[static_cast<std::size_t>(role[0] - '1')];
  std::vector<std::string> peers;
  for (const std::string& one : address) {
    if (one != self) peers.push_back(one);
  }
  DistributedServerNode node;
  Check(node.Initialize(self, peers));
  if (role == "1") Collect(node, self);
  if (role == "2") Transform(node, address[0], self, address[2]);
  if (role == "3") Aggregate(node, self, peers);
  return 0;
}
