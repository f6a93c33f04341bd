#include "src/dram/shm/greeting.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "src/base/codec.h"

namespace cairn::dram::shm {
namespace {

constexpr std::uint32_t kMagic = 0x4D485343;  // "CSHM"
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kGreetingBytes = 4 + 1 + kGreetingTokenBytes + 8 + 8;

Status Bad(const std::string& what) { return {StatusCode::kCorruption, "greeting: " + what}; }

sockaddr_un Abstract(const std::string& name, socklen_t* size) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  *size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  return address;
}

Result<int> NewSocket() {
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return UnavailableError(std::string("no Unix socket: ") + std::strerror(errno));
  return fd;
}

Result<int> CloseWith(int fd, const std::string& what) {
  const int error = errno;
  ::close(fd);
  return UnavailableError(what + ": " + std::strerror(error));
}

}  // namespace

std::string EncodeGreeting(const Greeting& greeting) {
  std::string message;
  Encoder encoder(&message);
  encoder.Fixed32(kMagic);
  encoder.U8(kVersion);
  std::string token = greeting.token;
  token.resize(kGreetingTokenBytes);
  encoder.Raw(token);
  encoder.Fixed64(greeting.probe.address);
  encoder.Fixed64(greeting.probe.number);
  return message;
}

Result<Greeting> DecodeGreeting(std::string_view message) {
  if (message.size() != kGreetingBytes) {
    return Bad("it is " + std::to_string(message.size()) + " bytes long");
  }
  Decoder decoder(message);
  if (decoder.Fixed32() != kMagic) return Bad("its magic is wrong");
  if (const std::uint8_t version = decoder.U8(); version != kVersion) {
    return Bad("its version is " + std::to_string(version));
  }
  Greeting greeting;
  greeting.token = decoder.Raw(kGreetingTokenBytes);
  greeting.probe.address = decoder.Fixed64();
  greeting.probe.number = decoder.Fixed64();
  return greeting;
}

Result<int> ListenLocally(const std::string& name) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, NewSocket());
  socklen_t size = 0;
  const sockaddr_un address = Abstract(name, &size);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(fd, 1024) != 0) {
    return CloseWith(fd, "can't listen on a Unix socket");
  }
  return fd;
}

Result<int> ConnectLocally(const std::string& name) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, NewSocket());
  socklen_t size = 0;
  const sockaddr_un address = Abstract(name, &size);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return CloseWith(fd, "no connection to a Unix socket");
  }
  return fd;
}

bool SendLocally(int fd, std::string_view message, const GreetingFds& fds) {
  iovec part{const_cast<char*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(GreetingFds))> control{};
  if (fds[0] >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(GreetingFds));
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(GreetingFds));
  }
  return ::sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(message.size());
}

std::string ReceiveLocally(int fd, GreetingFds* fds) {
  std::array<char, 256> bytes{};
  iovec part{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  // Room for exactly as many as are wanted: the kernel closes the rest.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(GreetingFds))> control{};
  if (fds != nullptr) {
    *fds = kNoFds;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  const ssize_t n = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  for (cmsghdr* c = n < 0 ? nullptr : CMSG_FIRSTHDR(&header); c != nullptr;
       c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, 3> got = kNoFds;
    std::memcpy(got.data(), CMSG_DATA(c), std::min(count, got.size()) * sizeof(int));
    if (count == got.size() && (*fds)[0] < 0) {
      *fds = got;
      continue;
    }
    for (const int one : got) {
      if (one >= 0) ::close(one);
    }
  }
  return n <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(n));
}

std::string HostId() {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string line;
    std::getline(file, line);
    return line;
  }();
  return id;
}

}  // namespace cairn::dram::shm
