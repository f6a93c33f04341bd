// A client over shared memory that is a socket, a mapping and two bells, and writes what it likes:
// for the tests of hostile peers.
#ifndef CAIRN_SRC_DRAM_UCX_RAW_SHM_PEER_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_UCX_RAW_SHM_PEER_TEST_UTIL_H_

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/dram/shm/greeting.h"
#include "src/dram/shm/segment.h"
#include "src/dram/ucx/raw_peer_test_util.h"

namespace cairn::dram::ucx {

// The bytes of numbers, one after the other.
template <class... Numbers>
std::string BytesOfAll(Numbers... numbers) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&numbers), sizeof(numbers)), ...);
  return bytes;
}

// Waits until there is something to read, or the other side hung up. False after 30 s.
inline bool AwaitReadable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 30'000) == 1;
}

// Goes through the door and the greeting as a client does; then is attached and may do its worst.
class RawShmPeer {
 public:
  explicit RawShmPeer(const Endpoint& address) : door_(address) {
    const auto socket = shm::ConnectLocally(door_.welcome().local_name);
    int segment_fd = -1;
    auto segment = shm::Segment::Create(&segment_fd);
    if (!socket.ok() || !segment.ok()) return;
    segment_ = std::move(*segment);
    // So that the server rings when it has written that it attached.
    segment_->layout().to_client.reader_sleeps.store(1);
    own_bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server_bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const std::string greeting =
        shm::EncodeGreeting({door_.welcome().token, shm::Probe::OfThisProcess()});
    attached_ = shm::SendLocally(*socket, greeting, {segment_fd, own_bell_, server_bell_}) &&
                AwaitReadable(*socket) && !shm::ReceiveLocally(*socket, nullptr).empty() &&
                shm::SendLocally(*socket, {&shm::kConfirmation, 1}, shm::kNoFds) &&
                AwaitReadable(own_bell_);
    ::close(segment_fd);
    ::close(*socket);
  }
  ~RawShmPeer() {
    ::close(own_bell_);
    ::close(server_bell_);
  }
  RawShmPeer(const RawShmPeer&) = delete;
  RawShmPeer& operator=(const RawShmPeer&) = delete;

  // The server has taken it for a client.
  [[nodiscard]] bool attached() const { return attached_; }
  // A message of this kind.
  void Write(std::uint32_t kind, std::string_view body) {
    (void)writer().Write(kind, {body});
    Ring();
  }
  // The server's mark of what was written, with nothing written.
  void SayWritten(std::uint64_t bytes) {
    way().written.store(bytes);
    Ring();
  }
  // The state of a transfer as if its payload were there.
  void Offer(std::size_t transfer) {
    way().transfers.at(transfer).store(static_cast<std::uint32_t>(shm::TransferState::kOffered));
  }
  // True if the server ends the connection within 30 s.
  [[nodiscard]] bool IsHungUpOn() const { return door_.IsHungUpOn(); }

 private:
  shm::Direction& way() { return segment_->layout().to_server; }
  shm::RingWriter writer() { return shm::RingWriter(&way()); }
  void Ring() const {
    const std::uint64_t one = 1;
    (void)!::write(server_bell_, &one, sizeof(one));
  }

  const DoorKnock door_;
  std::unique_ptr<shm::Segment> segment_;
  int own_bell_ = -1;
  int server_bell_ = -1;
  bool attached_ = false;
};

// Says `bytes` at a listener's Unix socket; true if it is hung up on within 30 s.
inline bool IsHungUpOnLocally(const std::string& name, const std::string& bytes) {
  const auto socket = shm::ConnectLocally(name);
  if (!socket.ok()) return false;
  (void)shm::SendLocally(*socket, bytes, shm::kNoFds);
  char byte = 0;
  const bool ended = AwaitReadable(*socket) && ::recv(*socket, &byte, 1, 0) == 0;
  ::close(*socket);
  return ended;
}

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_RAW_SHM_PEER_TEST_UTIL_H_
