// Another process of this host and user, whose memory may be read: copies come out of it without
// its doing anything (process_vm_readv). A copy counts only if the process was alive afterwards, so
// that no other process that took its number is ever read in its place.
//
// Thread safety: one thread at a time.
#ifndef CAIRN_SRC_DRAM_SHM_PEER_PROCESS_H_
#define CAIRN_SRC_DRAM_SHM_PEER_PROCESS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cairn/status.h"
#include "src/dram/shm/copy_team.h"

namespace cairn::dram::shm {

// A number at an address of this process: whoever reads the right number there can read this
// process's memory.
struct Probe {
  std::uint64_t address = 0;
  std::uint64_t number = 0;
  // Random, the same for the life of this process.
  static Probe OfThisProcess();
};

class PeerProcess {
 public:
  // The process at the other end of a Unix socket. kUnavailable if it is another user's, not
  // visible from here, or gone.
  static Result<std::unique_ptr<PeerProcess>> AtSocket(int fd);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // Copies `size` bytes at `address` there, with the team's help if it is much. kUnavailable if
  // that can't be; the bytes are undefined.
  Status Read(std::uint64_t address, char* into, std::size_t size, CopyTeam* team) const;
  // kUnavailable if its memory can't be read.
  Status Check(const Probe& probe) const;

 private:
  // What went wrong, 0 if nothing did. (any thread)
  [[nodiscard]] int Copy(std::uint64_t address, char* into, std::size_t size) const;
  PeerProcess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}
  const pid_t pid_;
  const int pidfd_;
};

}  // namespace cairn::dram::shm

#endif  // CAIRN_SRC_DRAM_SHM_PEER_PROCESS_H_
