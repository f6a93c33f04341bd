#include "src/dram/shm/peer_process.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "src/base/check.h"

namespace cairn::dram::shm {
namespace {

// From here on a second thread is worth its wake-up; each takes so much at a time.
constexpr std::size_t kSharedBytes = 256 << 10;
constexpr std::size_t kPartBytes = 128 << 10;

Status Failed(const std::string& what, int error) {
  return UnavailableError("the other process's memory: " + what + ": " + std::strerror(error));
}

Status Errno(const std::string& what) { return Failed(what, errno); }

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

Status PeerProcess::Read(std::uint64_t address, char* into, std::size_t size,
                         CopyTeam* team) const {
  const bool alone = team == nullptr || size < kSharedBytes;
  const std::size_t part_bytes = alone ? size : kPartBytes;
  std::atomic<int> error{0};
  const auto copy = [&](std::size_t number) {
    const std::size_t from = number * part_bytes;
    const int failed = Copy(address + from, into + from, std::min(part_bytes, size - from));
    if (failed != 0) error.store(failed);
    return failed == 0;
  };
  const bool copied = alone ? copy(0) : team->Run((size + part_bytes - 1) / part_bytes, copy);
  if (!copied) return Failed("process_vm_readv", error.load());
  pollfd alive{pidfd_, POLLIN, 0};
  if (::poll(&alive, 1, 0) != 0) return UnavailableError("the other process has ended");
  return {};
}

int PeerProcess::Copy(std::uint64_t address, char* into, std::size_t size) const {
  for (std::size_t done = 0; done < size;) {
    const iovec here{into + done, size - done};
    const iovec there{reinterpret_cast<void*>(address + done), size - done};
    const ssize_t n = ::process_vm_readv(pid_, &here, 1, &there, 1, 0);
    if (n <= 0) return n == 0 ? EFAULT : errno;
    done += static_cast<std::size_t>(n);
  }
  return 0;
}

Status PeerProcess::Check(const Probe& probe) const {
  std::uint64_t number = 0;
  CAIRN_RETURN_IF_ERROR(
      Read(probe.address, reinterpret_cast<char*>(&number), sizeof(number), nullptr));
  if (number != probe.number) return UnavailableError("another process than the one that was met");
  return {};
}

}  // namespace cairn::dram::shm
