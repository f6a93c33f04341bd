#include "remote_dram_testing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "tensorstore/context.h"
#include "tensorstore/kvstore/operations.h"

extern char** environ;

namespace cairn_testing {
namespace {

// With this argument and a spec the program of the tests is a server.
constexpr std::string_view kServe = "--serve";

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

std::unique_ptr<cairn::RemoteDram> Serve(const nlohmann::json& spec) {
  auto store = cairn::RemoteDram::Open(spec.dump());
  if (!store.ok()) Fail(spec.dump() + ": " + store.status().ToString());
  return std::move(*store);
}

// Tells where it serves, and serves until its input ends.
int ServeUntilTold(const char* spec) {
  const auto store = Serve(nlohmann::json::parse(spec));
  const std::string line = store->listen_address() + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) return 1;
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

// Whether one could listen there now.
bool IsFree(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return free;
}

// A pool's nodes must know each other's ports before they listen. These are none that connections
// take for their own ends, none that was given before, and other processes begin elsewhere.
std::string FreeAddress() {
  constexpr int kFirst = 10'000;
  constexpr int kPorts = 20'000;
  static int next = static_cast<int>(::getpid()) * 997 % kPorts;
  for (int tried = 0; tried < kPorts; ++tried) {
    const int port = kFirst + next;
    next = (next + 1) % kPorts;
    if (IsFree(static_cast<std::uint16_t>(port))) return "127.0.0.1:" + std::to_string(port);
  }
  Fail("no free port");
}

nlohmann::json Members(Way way) {
  switch (way) {
    case Way::kLoopback:
      return {{"transport", "loopback"}};
    case Way::kTcp:
      return {{"shared_memory", false}};
    case Way::kSharedMemory:
      break;
  }
  return {{"shared_memory", true}};
}

std::uint64_t FigureOf(const cairn::dram::ServerStat& stat, const std::string& name) {
  for (const auto& [key, value] : stat.figures) {
    if (key == name) return value;
  }
  Fail("no figure " + name + ": " + stat.status.ToString());
}

std::vector<std::function<void()>>& Starters() {
  static std::vector<std::function<void()>> starters;
  return starters;
}

}  // namespace

void AtStart(std::function<void()> run) { Starters().push_back(std::move(run)); }

std::string NameOf(Way way) {
  switch (way) {
    case Way::kLoopback:
      return "Loopback";
    case Way::kTcp:
      return "Tcp";
    case Way::kSharedMemory:
      break;
  }
  return "SharedMemory";
}

ServerProcess::ServerProcess(const std::string& address, const std::string& capacity) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) Fail("no pipes");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string name = "remote_dram_server";
  std::string serve(kServe);
  std::string spec = nlohmann::json{{"listen_addr", address}, {"capacity_bytes", capacity}}.dump();
  char* arguments[] = {name.data(), serve.data(), spec.data(), nullptr};
  if (::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environ) != 0) {
    Fail("cannot start a server");
  }
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) address_ += c;
  ::close(out[0]);
  if (address_.empty()) Fail("a server at " + address + " did not come up");
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) Kill();
  ::close(input_);
}

void ServerProcess::Signal(int number) const {
  if (::kill(pid_, number) != 0) Fail("cannot signal a server");
}
void ServerProcess::Stop() const {
  Signal(SIGSTOP);
  // It has stopped only when this says so.
  int status = 0;
  if (::waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status)) Fail("it did not stop");
}
void ServerProcess::Continue() const { Signal(SIGCONT); }
void ServerProcess::Kill() {
  Signal(SIGKILL);
  if (::waitpid(pid_, nullptr, 0) != pid_) Fail("a server did not end");
  pid_ = -1;
}

Server::Server(Way way) : way_(way) {
  if (way == Way::kLoopback) {
    nlohmann::json spec = Members(way);
    spec["listen_addr"] = "here:0";
    spec["capacity_bytes"] = "256MiB";
    here_ = Serve(spec);
    address_ = here_->listen_address();
  } else {
    there_ = std::make_unique<ServerProcess>();
    address_ = there_->address();
  }
}

nlohmann::json ClientSpec(Way way, const std::string& address, int number) {
  nlohmann::json spec = Members(way);
  spec["driver"] = "remote_dram";
  spec["remote_addr"] = address;
  if (number > 0) spec["timeout_ms"] = 30'000 + number;
  return spec;
}

Pool::Pool(Way way) {
  const std::vector<std::string> nodes = {FreeAddress(), FreeAddress(), FreeAddress()};
  for (int self = 0; self < 3; ++self) {
    nlohmann::json spec = Members(way);
    spec["listen_addr"] = nodes[self];
    spec["key_routing"] = "hash";
    spec["capacity_bytes"] = "64MiB";
    for (int i = 0; i < 3; ++i) {
      if (i != self) spec["remote_addrs"].push_back(nodes[i]);
    }
    if (self == 0) {
      spec["driver"] = "remote_dram";
      spec_ = std::move(spec);
    } else {
      others_.push_back(Serve(spec));
    }
  }
}

tensorstore::KvStore Open(const nlohmann::json& spec) {
  auto store = tensorstore::kvstore::Open(spec, tensorstore::Context::Default()).result();
  if (!store.ok()) Fail(spec.dump() + ": " + store.status().ToString());
  return *store;
}

std::vector<std::uint64_t> Pool::KeysOfOthers() const {
  std::vector<std::uint64_t> keys;
  for (const auto& other : others_) keys.push_back(FigureOf(*other->LocalStat(), "keys"));
  return keys;
}

std::uint64_t Figure(nlohmann::json spec, const std::string& name) {
  spec.erase("driver");
  const auto stats = Serve(spec)->Stat().Get();
  if (!stats.ok() || stats->empty()) Fail("no figures");
  return FigureOf(stats->front(), name);
}

}  // namespace cairn_testing

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == cairn_testing::kServe) return cairn_testing::ServeUntilTold(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  for (const auto& run : cairn_testing::Starters()) run();
  return RUN_ALL_TESTS();
}
