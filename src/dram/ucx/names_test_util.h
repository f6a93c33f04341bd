// A name with the addresses that a test wants, and a socket that listens at one.
#ifndef CAIRN_SRC_DRAM_UCX_NAMES_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_UCX_NAMES_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/dram/ucx/client.h"
#include "src/dram/ucx/core.h"

namespace cairn::dram::ucx {

// A core whose resolver gives these hosts, in this order, for the name "node".
inline std::unique_ptr<Core> CoreWith(const std::vector<std::string>& hosts,
                                      bool shared_memory = false, Network network = Network::kAny) {
  auto context = Context::Create(NetworkConfig("tcp"));
  EXPECT_TRUE(context.ok()) << context.status().ToString();
  auto engine = Engine::Create(*context, false);
  EXPECT_TRUE(engine.ok()) << engine.status().ToString();
  auto core = std::make_unique<Core>(*context, std::move(*engine), 1000, shared_memory, network);
  core->resolve = [hosts](const Endpoint& endpoint,
                          bool numeric_only) -> Result<std::vector<SocketAddress>> {
    if (numeric_only) return UnavailableError("a name");
    std::vector<SocketAddress> addresses;
    for (const std::string& host : hosts) {
      addresses.push_back(Resolve({host, endpoint.port}, true)->front());
    }
    return addresses;
  };
  return core;
}

// What became of an echo over a connection of its own.
inline Status EchoOver(Core* core, const Endpoint& address) {
  const auto client = std::make_shared<Client>(core, address, nullptr);
  client->Connect();
  std::promise<Status> ended;
  Call call;
  call.header = "echo";
  call.done = [&ended](const Result<Answer>& answer) { ended.set_value(answer.status()); };
  (void)client->Start(std::move(call));
  const Status status = ended.get_future().get();
  client->CloseAndWait();
  return status;
}

// A socket where connections are made and nobody says anything.
class SilentSocket {
 public:
  explicit SilentSocket(const Endpoint& at) {
    const auto fd = OpenListeningSocket(Resolve(at, true)->front(), at.ToString());
    EXPECT_TRUE(fd.ok()) << fd.status().ToString();
    fd_ = fd.ok() ? *fd : -1;
  }
  ~SilentSocket() { ::close(fd_); }
  SilentSocket(const SilentSocket&) = delete;
  SilentSocket& operator=(const SilentSocket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_NAMES_TEST_UTIL_H_
