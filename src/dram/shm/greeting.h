// How two processes of one host agree on a segment, over a Unix socket that is used for nothing
// else: docs/formats/dram_shm.md.
//
//   client: greeting, with the descriptors of segment and bells
//   server: greeting, once it has read the client's memory
//   client: "C", once it has read the server's memory
//
// Thread safety: functions.
#ifndef CAIRN_SRC_DRAM_SHM_GREETING_H_
#define CAIRN_SRC_DRAM_SHM_GREETING_H_

#include <array>
#include <string>
#include <string_view>

#include "cairn/status.h"
#include "src/dram/shm/peer_process.h"

namespace cairn::dram::shm {

inline constexpr std::size_t kGreetingTokenBytes = 16;
inline constexpr char kConfirmation = 'C';

struct Greeting {
  std::string
      token;  // kGreetingTokenBytes; of the client what the door gave it, of the server zeros
  Probe probe;
};

// Segment, the client's bell, the server's bell.
using GreetingFds = std::array<int, 3>;
inline constexpr GreetingFds kNoFds = {-1, -1, -1};

std::string EncodeGreeting(const Greeting& greeting);
// kCorruption that says what is wrong.
Result<Greeting> DecodeGreeting(std::string_view message);

// A listening socket in the abstract namespace under `name`.
Result<int> ListenLocally(const std::string& name);
// A connection to it; never waits.
Result<int> ConnectLocally(const std::string& name);
// Sends a message, with descriptors unless they are kNoFds. False if the socket doesn't take it.
bool SendLocally(int fd, std::string_view message, const GreetingFds& fds);
// Takes the next message, at most `size` bytes. Empty: the peer hung up, or there is none yet.
// `fds` gets what came along, which the caller closes; all of them or none. Null: none are taken.
std::string ReceiveLocally(int fd, GreetingFds* fds);

// What two processes share that may share memory: the same for all of one start of one host.
std::string HostId();

}  // namespace cairn::dram::shm

#endif  // CAIRN_SRC_DRAM_SHM_GREETING_H_
