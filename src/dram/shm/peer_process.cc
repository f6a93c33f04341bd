#include "src/dram/shm/peer_process.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "src/base/check.h"

namespace cairn::dram::shm {
namespace {

Status Errno(const std::string& what) {
  return UnavailableError("the other process's memory: " + what + ": " + std::strerror(errno));
}

}  // namespace

Probe Probe::OfThisProcess() {
  static const std::unique_ptr<const std::uint64_t> number = [] {
    auto made = std::make_unique<std::uint64_t>(0);
    CAIRN_CHECK(::getrandom(made.get(), sizeof(*made), 0) == sizeof(*made));
    return made;
  }();
  return {reinterpret_cast<std::uintptr_t>(number.get()), *number};
}

Result<std::unique_ptr<PeerProcess>> PeerProcess::AtSocket(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return Errno("SO_PEERCRED");
  if (peer.pid <= 0) return UnavailableError("a process of another process namespace");
  if (peer.uid != ::geteuid()) {
    return UnavailableError("a process of user " + std::to_string(peer.uid));
  }
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0));
  if (pidfd < 0) return Errno("pidfd_open");
  return std::unique_ptr<PeerProcess>(new PeerProcess(peer.pid, pidfd));
}

PeerProcess::~PeerProcess() { ::close(pidfd_); }

Status PeerProcess::Read(std::uint64_t address, char* into, std::size_t size) const {
  for (std::size_t done = 0; done < size;) {
    const iovec here{into + done, size - done};
    const iovec there{reinterpret_cast<void*>(address + done), size - done};
    const ssize_t n = ::process_vm_readv(pid_, &here, 1, &there, 1, 0);
    if (n <= 0) return Errno("process_vm_readv");
    done += static_cast<std::size_t>(n);
  }
  pollfd alive{pidfd_, POLLIN, 0};
  if (::poll(&alive, 1, 0) != 0) return UnavailableError("the other process has ended");
  return {};
}

Status PeerProcess::Check(const Probe& probe) const {
  std::uint64_t number = 0;
  CAIRN_RETURN_IF_ERROR(Read(probe.address, reinterpret_cast<char*>(&number), sizeof(number)));
  if (number != probe.number) return UnavailableError("another process than the one that was met");
  return {};
}

}  // namespace cairn::dram::shm
