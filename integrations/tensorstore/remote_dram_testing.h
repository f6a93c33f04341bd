// What the tests of the driver "remote_dram" share: servers of a pool, in this process and in
// others, and stores of TensorStore's that use them over each of the ways.
#ifndef CAIRN_INTEGRATIONS_TENSORSTORE_REMOTE_DRAM_TESTING_H_
#define CAIRN_INTEGRATIONS_TENSORSTORE_REMOTE_DRAM_TESTING_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cairn/remote_dram.h"
#include "tensorstore/kvstore/kvstore.h"

namespace cairn_testing {

// How a client reaches a server.
enum class Way { kLoopback, kTcp, kSharedMemory };

inline constexpr Way kWays[] = {Way::kLoopback, Way::kTcp, Way::kSharedMemory};

// "Loopback", "Tcp" or "SharedMemory".
std::string NameOf(Way way);

// A server in a process of its own, which ends with this object or with this process. It has opened
// its store when this is made. One thread.
class ServerProcess {
 public:
  // Serves at `address`, of which port 0 takes a free one.
  explicit ServerProcess(const std::string& address = "127.0.0.1:0",
                         const std::string& capacity = "256MiB");
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Where it serves, with the real port.
  const std::string& address() const { return address_; }
  // Stops it, or lets it go on.
  void Stop() const;
  void Continue() const;
  // Ends it at once, also if it is stopped.
  void Kill();

 private:
  void Signal(int number) const;

  pid_t pid_ = -1;
  int input_ = -1;  // closed when this process ends, and then it ends too
  std::string address_;
};

// The spec of a driver that is a client of the server at `address`. Drivers of one spec are one
// client: `number` makes another one.
nlohmann::json ClientSpec(Way way, const std::string& address, int number = 0);

// A server that is reached the way it is told: for the loopback transport in this process, else in
// one of its own.
class Server {
 public:
  explicit Server(Way way);

  const std::string& address() const { return address_; }
  // As ClientSpec.
  nlohmann::json Client(int number = 0) const { return ClientSpec(way_, address_, number); }

 private:
  Way way_;
  std::unique_ptr<cairn::RemoteDram> here_;
  std::unique_ptr<ServerProcess> there_;
  std::string address_;
};

// A pool of three nodes in dual mode, the first of which the driver is to be; the others are open.
class Pool {
 public:
  explicit Pool(Way way);

  // The spec of the driver that is the first node.
  const nlohmann::json& spec() const { return spec_; }
  // How many keys each of the others holds.
  std::vector<std::uint64_t> KeysOfOthers() const;

 private:
  std::vector<std::unique_ptr<cairn::RemoteDram>> others_;
  nlohmann::json spec_;
};

// Opens a store in a context of its own; a failure to is one of the test's, and ends the program.
tensorstore::KvStore Open(const nlohmann::json& spec);

// A figure of the server that a client of `spec` uses: see cairn::dram::ServerStat.
std::uint64_t Figure(nlohmann::json spec, const std::string& name);

// Has the program run this when it begins, before any test and unless it is a server: for tests
// whose registration needs one. For initializers of globals.
void AtStart(std::function<void()> run);

}  // namespace cairn_testing

#endif  // CAIRN_INTEGRATIONS_TENSORSTORE_REMOTE_DRAM_TESTING_H_
