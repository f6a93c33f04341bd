#include "src/dram/ucx/port_guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
// tcp_info with what it has today; <netinet/tcp.h> knows less and clashes with it.
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/log.h"
#include "src/dram/ucx/door.h"

namespace cairn::dram::ucx {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(1);
// As long as an endpoint may take (kHandshakeLimit of core.h), in tcp_info's unit.
constexpr std::uint32_t kSilenceMs = 5000;
// The header of a message of UCX's TCP connection manager: the length of what follows in 8 bytes,
// little-endian, a status, and padding.
constexpr std::uint32_t kHeaderBytes = 16;
// What it takes behind the header by default (UCX_TCP_CM_PRIV_DATA_LEN).
constexpr std::uint32_t kMaxDataBytes = 2048;
// States of a TCP connection, as tcp_info has them.
constexpr std::uint8_t kEstablished = 1;

constexpr std::uint16_t Op(int code) { return static_cast<std::uint16_t>(code); }

// Classic BPF over a TCP segment from its TCP header on. Returns how many bytes may pass.
std::vector<sock_filter> Program() {
  std::vector<sock_filter> p;
  std::vector<std::size_t> drops_if_false;
  const auto add = [&p](int code, std::uint32_t k = 0) { p.push_back({Op(code), 0, 0, k}); };
  const auto or_drop = [&](int code, std::uint32_t k = 0) {
    drops_if_false.push_back(p.size());
    add(code, k);
  };
  // X and M[0]: where the payload begins; M[1]: how long it is.
  add(BPF_LD | BPF_B | BPF_ABS, 12);
  add(BPF_ALU | BPF_AND | BPF_K, 0xF0);
  add(BPF_ALU | BPF_RSH | BPF_K, 2);
  add(BPF_MISC | BPF_TAX);
  add(BPF_LD | BPF_W | BPF_LEN);
  add(BPF_ALU | BPF_SUB | BPF_X);
  add(BPF_ST, 1);
  p.push_back({Op(BPF_JMP | BPF_JEQ | BPF_K), 0, 1, 0});
  add(BPF_RET | BPF_K, ~0U);
  or_drop(BPF_JMP | BPF_JGE | BPF_K, kHeaderBytes);
  // Bytes 2 to 7 of the length are zero.
  add(BPF_LD | BPF_W | BPF_IND, 2);
  or_drop(BPF_JMP | BPF_JEQ | BPF_K, 0);
  add(BPF_LD | BPF_H | BPF_IND, 6);
  or_drop(BPF_JMP | BPF_JEQ | BPF_K, 0);
  add(BPF_LD | BPF_B | BPF_IND, 0);
  add(BPF_ST, 2);
  add(BPF_LD | BPF_B | BPF_IND, 1);
  add(BPF_ALU | BPF_LSH | BPF_K, 8);
  add(BPF_LDX | BPF_W | BPF_MEM, 2);
  add(BPF_ALU | BPF_ADD | BPF_X);
  add(BPF_ALU | BPF_ADD | BPF_K, kHeaderBytes);
  // The payload is this message and nothing else.
  add(BPF_LDX | BPF_W | BPF_MEM, 1);
  or_drop(BPF_JMP | BPF_JEQ | BPF_X);
  p.push_back({Op(BPF_JMP | BPF_JGT | BPF_K), 1, 0, kHeaderBytes + kMaxDataBytes});
  add(BPF_RET | BPF_K, ~0U);
  add(BPF_RET | BPF_K, 0);
  const std::size_t drop = p.size() - 1;
  for (const std::size_t i : drops_if_false) p[i].jf = static_cast<std::uint8_t>(drop - i - 1);
  return p;
}

std::vector<int> OpenDescriptors() {
  std::vector<int> found;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* const entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != ::dirfd(folder)) found.push_back(fd);
  }
  ::closedir(folder);
  return found;
}

// A socket of this port, of whatever state.
bool IsOfPort(int fd, std::uint16_t port) {
  int kind = 0;
  socklen_t size = sizeof(kind);
  if (::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &kind, &size) != 0 || kind != IPPROTO_TCP) {
    return false;
  }
  return LocalAddress(fd).port() == port;
}

bool Listens(int fd) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

// Why this connection is none of UCX's; nothing if it may be one, or has ended.
std::optional<std::string> StrangersWay(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  if (info.tcpi_state != kEstablished || info.tcpi_bytes_received != 0) return std::nullopt;
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  size = sizeof(memory);
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return std::nullopt;
  if (memory[SK_MEMINFO_DROPS] != 0) return "what it sent is none of UCX's messages";
  if (info.tcpi_last_data_recv >= kSilenceMs) return "it said nothing for 5 s";
  return std::nullopt;
}

std::string PeerName(int fd) {
  SocketAddress peer;
  peer.size = sizeof(peer.storage);
  std::array<char, NI_MAXHOST> host{};
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size) != 0 ||
      ::getnameinfo(peer.get(), peer.size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) !=
          0) {
    return "somebody";
  }
  return host.data();
}

}  // namespace

Result<std::unique_ptr<PortGuard>> PortGuard::Create(Engine* engine, std::uint16_t port,
                                                     std::string name) {
  std::vector<sock_filter> program = Program();
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  for (const int fd : OpenDescriptors()) {
    if (!Listens(fd) || !IsOfPort(fd, port)) continue;
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0) {
      return UnavailableError(std::string("no socket filter: ") + std::strerror(errno));
    }
    return std::unique_ptr<PortGuard>(new PortGuard(engine, port, std::move(name)));
  }
  return UnavailableError("/proc/self/fd doesn't show the socket of port " + std::to_string(port));
}

PortGuard::PortGuard(Engine* engine, std::uint16_t port, std::string name)
    : engine_(engine), port_(port), name_(std::move(name)) {
  LookLater();
}

PortGuard::~PortGuard() { engine_->Cancel(timer_); }

void PortGuard::LookLater() {
  timer_ = engine_->RunAt(engine_->Now() + kLookEvery, [this] {
    HangUpOnStrangers();
    LookLater();
  });
}

// UCX's threads open and close these sockets. So what looks like a stranger is looked at again
// through a descriptor of our own, which nobody gives to another socket meanwhile. UCX takes the
// end of the connection for the peer's and closes its side.
void PortGuard::HangUpOnStrangers() {
  std::size_t count = 0;
  std::string first;
  for (const int fd : OpenDescriptors()) {
    if (!IsOfPort(fd, port_) || Listens(fd) || !StrangersWay(fd).has_value()) continue;
    const int ours = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (ours < 0) break;
    const std::optional<std::string> why =
        IsOfPort(ours, port_) && !Listens(ours) ? StrangersWay(ours) : std::nullopt;
    if (why.has_value()) {
      if (count++ == 0) first = PeerName(ours) + ": " + *why;
      (void)::shutdown(ours, SHUT_RDWR);
    }
    ::close(ours);
  }
  if (count == 0) return;
  CAIRN_LOG(kWarn, "dram: {} hangs up on strangers ({}) at UCX's port {}, the first of them {}",
            name_, count, port_, first);
}

}  // namespace cairn::dram::ucx
