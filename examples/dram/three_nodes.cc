// Three nodes that keep values and use each other's.
//
//   example_three_nodes [LISTEN1 LISTEN2 LISTEN3]      default: 127.0.0.1:12345, :12346, :12347
//
// Here they are in one process, to make the example short. In three processes, or on three
// machines, it is the same code with one DistributedServerNode each.
#include <iostream>
#include <string>
#include <vector>

#include "cairn/remote_dram.h"

namespace {

using cairn::dram::Buffer;

// Ends the program if something went wrong.
void Check(const cairn::Status& status) {
  if (status.ok()) return;
  std::cerr << status.ToString() << "\n";
  std::exit(1);
}

std::string Text(cairn::Future<cairn::dram::ReadResult> future) {
  const auto result = future.Get();
  Check(result.status());
  if (result->state != cairn::dram::ReadResult::State::kValue) return "(missing)";
  return result->value.ToString();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> address = {"127.0.0.1:12345", "127.0.0.1:12346", "127.0.0.1:12347"};
  for (int i = 1; i < argc && i <= 3; ++i) address[static_cast<std::size_t>(i - 1)] = argv[i];

  // Each serves, and names the two others. None waits for them to be there.
  cairn::DistributedServerNode node1;
  cairn::DistributedServerNode node2;
  cairn::DistributedServerNode node3;
  Check(node1.Initialize(address[0], {address[1], address[2]}));
  Check(node2.Initialize(address[1], {address[0], address[2]}));
  Check(node3.Initialize(address[2], {address[0], address[1]}));

  // A value of node 1's own.
  Check(node1.GetServerStore().Write("local_key", Buffer::Copy("local data")).Get().status());
  // Node 1 writes to node 2; node 3 reads both.
  Check(node1.WriteToServer(address[1], "remote_key", Buffer::Copy("remote data")).Get().status());
  std::cout << "node 3 reads from node 1: " << Text(node3.ReadFromServer(address[0], "local_key"))
            << "\nnode 3 reads from node 2: "
            << Text(node3.ReadFromServer(address[1], "remote_key"))
            << "\nnode 2 holds:             " << Text(node2.GetServerStore().Read("remote_key"))
            << "\nnode 3 holds:             " << Text(node3.GetServerStore().Read("remote_key"))
            << "\n";
  for (const auto& peer : node1.GetPeerStatus()) {
    std::cout << "node 1 and " << peer.address << ": "
              << (peer.connected ? "connected" : peer.last_error.ToString()) << "\n";
  }
  return 0;
}
