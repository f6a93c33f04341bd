// A program of somebody else that uses the installed client: a transaction, a read in the
// background and a scan.
//
//   client host:port | grpc://host:port
#include <cairn/client.h>

#include <cstdint>
#include <iostream>
#include <string>

namespace {

int Fail(const char* what, const cairn::Status& status) {
  std::cerr << what << ": " << status.ToString() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto connected = cairn::NodeClient::Connect(argv[1]);
  if (!connected.ok()) return Fail("connect", connected.status());
  cairn::Client& client = **connected;
  const auto committed = client.Run([](cairn::Transaction& tx) -> cairn::Status {
    const auto stock = tx.Get("stock/apple");
    if (!stock.ok()) return stock.status();
    const int had = stock->found ? std::stoi(stock->value) : 0;
    tx.Set("stock/apple", std::to_string(had + 2));
    tx.Set("stock/pear", "1");
    return {};
  });
  if (!committed.ok()) return Fail("run", committed.status());
  cairn::Future<cairn::GetResult> future = client.GetAsync("stock/apple");
  const auto apple = future.Get();
  if (!apple.ok()) return Fail("get", apple.status());
  std::cout << "apples " << apple->value << "\n";
  const cairn::Status scanned = client.Scan(cairn::RangeRequest::WithPrefix("stock/"),
                                            [](const std::string& key, const std::string& value) {
                                              std::cout << key << " " << value << "\n";
                                              return true;
                                            });
  if (!scanned.ok()) return Fail("scan", scanned);
  // A mistake is told in words.
  const auto refused = client.Set("", "value");
  std::cout << cairn::StatusCodeName(refused.status().code()) << "\n";
  return 0;
}
