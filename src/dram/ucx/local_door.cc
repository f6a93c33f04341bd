#include "src/dram/ucx/local_door.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/ucx/door.h"

namespace cairn::dram::ucx {
namespace {

// For all of the greeting. Afterwards the client goes on over UCX, within its own limit.
constexpr std::chrono::seconds kGreetingLimit{2};
constexpr std::size_t kMaxGuests = 2048;

std::string RandomName() {
  std::array<unsigned char, 16> bytes{};
  CAIRN_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string name = "cairn-dram-";
  for (const unsigned char byte : bytes) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  return name;
}

// A bell that is something else could not be waited for, or would block who rings it.
bool IsBell(int fd) {
  if (fd < 0) return false;
  std::array<char, 32> target{};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  const int flags = ::fcntl(fd, F_GETFL);
  return size > 0 &&
         std::string_view(target.data(), static_cast<std::size_t>(size)) ==
             "anon_inode:[eventfd]" &&
         flags >= 0 && (flags & O_NONBLOCK) != 0;
}

void CloseBells(const ShmParts& parts) {
  if (parts.own_bell >= 0) ::close(parts.own_bell);
  if (parts.peer_bell >= 0) ::close(parts.peer_bell);
}

}  // namespace

struct LocalListener::Guest {
  ~Guest() { CloseBells(parts); }
  int fd = -1;
  std::string token;  // once it has greeted
  ShmParts parts;
  Engine::TimerId timer;
};

Result<std::unique_ptr<LocalListener>> LocalListener::Create(Core* core, LinkUser* user,
                                                             Attach attach) {
  const std::string name = RandomName();
  CAIRN_ASSIGN_OR_RETURN(const int fd, shm::ListenLocally(name));
  std::unique_ptr<LocalListener> made(new LocalListener(core, user, std::move(attach), name, fd));
  CAIRN_RETURN_IF_ERROR(made->Open());
  return made;
}

LocalListener::LocalListener(Core* core, LinkUser* user, Attach attach, std::string name, int fd)
    : core_(core), user_(user), attach_(std::move(attach)), name_(std::move(name)), fd_(fd) {}

Status LocalListener::Open() {
  return core_->engine().AddFd(fd_, EPOLLIN, [this](std::uint32_t) { OnKnock(); });
}

LocalListener::~LocalListener() {
  core_->engine().RemoveFd(fd_);
  ::close(fd_);
  while (!guests_.empty()) Forget(guests_.begin()->first);
}

void LocalListener::OnKnock() {
  while (true) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // The clients go on over UCX.
      if (OutOfDescriptors(errno)) core_->engine().PauseFd(fd_, EPOLLIN, kKnockPause);
      return;
    }
    if (guests_.size() >= kMaxGuests) {
      ::close(fd);
      continue;
    }
    auto guest = std::make_unique<Guest>();
    guest->fd = fd;
    guest->timer =
        core_->engine().RunAt(core_->engine().Now() + kGreetingLimit, [this, fd] { Forget(fd); });
    guests_.emplace(fd, std::move(guest));
    const Status watched =
        core_->engine().AddFd(fd, EPOLLIN, [this, fd](std::uint32_t) { OnGuest(fd); });
    if (!watched.ok()) {
      CAIRN_LOG(kWarn, "dram: no shared memory with a client: {}", watched.message());
      Forget(fd);
    }
  }
}

void LocalListener::Forget(int fd) {
  const auto it = guests_.find(fd);
  if (it == guests_.end()) return;
  core_->engine().Cancel(it->second->timer);
  core_->engine().RemoveFd(fd);
  guests_.erase(it);
  ::close(fd);
}

void LocalListener::OnGuest(int fd) {
  const auto it = guests_.find(fd);
  if (it == guests_.end()) return;
  Guest& guest = *it->second;
  if (guest.token.empty()) {
    if (!Greet(&guest)) Forget(fd);
    return;
  }
  const std::string confirmed = shm::ReceiveLocally(fd, nullptr);
  if (confirmed == std::string(1, shm::kConfirmation)) {
    const std::string token = guest.token;
    ShmParts parts = std::exchange(guest.parts, {});
    Forget(fd);
    attach_(token, core_->shm.Open(std::move(parts), user_));
    return;
  }
  Forget(fd);
}

bool LocalListener::Greet(Guest* guest) {
  shm::GreetingFds fds = shm::kNoFds;
  const std::string message = shm::ReceiveLocally(guest->fd, &fds);
  guest->parts.server = true;
  guest->parts.peer_bell = fds[1];
  guest->parts.own_bell = fds[2];
  if (fds[0] < 0) {
    // One that hangs up says nothing wrong.
    if (!message.empty()) {
      CAIRN_LOG(kInfo, "dram: no shared memory with a client: it greets without descriptors");
    }
    return false;
  }
  if (!IsBell(fds[1]) || !IsBell(fds[2])) {
    ::close(fds[0]);
    CAIRN_LOG(kInfo, "dram: no shared memory with a client: its bells are no eventfds");
    return false;
  }
  auto segment = shm::Segment::Map(fds[0]);
  ::close(fds[0]);
  const auto greeting = shm::DecodeGreeting(message);
  auto peer = shm::PeerProcess::AtSocket(guest->fd);
  for (const Status& status : {segment.status(), greeting.status(), peer.status()}) {
    if (status.ok()) continue;
    CAIRN_LOG(kInfo, "dram: no shared memory with a client: {}", status.message());
    return false;
  }
  if (const Status readable = (*peer)->Check(greeting->probe); !readable.ok()) {
    CAIRN_LOG(kInfo, "dram: no shared memory with a client: {}", readable.message());
    return false;
  }
  guest->token = greeting->token;
  guest->parts.segment = std::move(*segment);
  guest->parts.peer = std::move(*peer);
  return shm::SendLocally(guest->fd, shm::EncodeGreeting({{}, shm::Probe::OfThisProcess()}),
                          shm::kNoFds);
}

Result<std::shared_ptr<LocalDialer>> LocalDialer::Dial(Core* core, const std::string& name,
                                                       const std::string& token, LinkUser* user,
                                                       Done done) {
  CAIRN_ASSIGN_OR_RETURN(const int fd, shm::ConnectLocally(name));
  auto dialer = std::make_shared<LocalDialer>(core, fd, user, std::move(done));
  CAIRN_RETURN_IF_ERROR(dialer->Offer(token));
  return dialer;
}

LocalDialer::LocalDialer(Core* core, int fd, LinkUser* user, Done done)
    : core_(core), fd_(fd), user_(user), done_(std::move(done)) {}

LocalDialer::~LocalDialer() {
  core_->engine().Cancel(timer_);
  core_->engine().RemoveFd(fd_);
  ::close(fd_);
  CloseBells(parts_);
}

Status LocalDialer::Offer(const std::string& token) {
  int segment_fd = -1;
  CAIRN_ASSIGN_OR_RETURN(parts_.segment, shm::Segment::Create(&segment_fd));
  parts_.own_bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  parts_.peer_bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const bool sent = parts_.own_bell >= 0 && parts_.peer_bell >= 0 &&
                    shm::SendLocally(fd_, shm::EncodeGreeting({token, shm::Probe::OfThisProcess()}),
                                     {segment_fd, parts_.own_bell, parts_.peer_bell});
  const int error = errno;
  ::close(segment_fd);
  if (!sent) return UnavailableError(std::string("no greeting: ") + std::strerror(error));
  CAIRN_RETURN_IF_ERROR(
      core_->engine().AddFd(fd_, EPOLLIN, [weak = weak_from_this()](std::uint32_t) {
        if (const auto self = weak.lock()) self->OnAnswer();
      }));
  timer_ = core_->engine().RunAt(core_->engine().Now() + kGreetingLimit, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Finish(TimeoutError("no greeting within 2 s"));
  });
  return {};
}

void LocalDialer::OnAnswer() { Finish(Confirm()); }

Result<std::unique_ptr<shm::PeerProcess>> LocalDialer::Meet() {
  const std::string message = shm::ReceiveLocally(fd_, nullptr);
  if (message.empty()) return UnavailableError("the server turned it down; its log says why");
  CAIRN_ASSIGN_OR_RETURN(const shm::Greeting greeting, shm::DecodeGreeting(message));
  CAIRN_ASSIGN_OR_RETURN(auto peer, shm::PeerProcess::AtSocket(fd_));
  CAIRN_RETURN_IF_ERROR(peer->Check(greeting.probe));
  return peer;
}

// Opens before it confirms: afterwards the server relies on this side.
Result<std::shared_ptr<Link>> LocalDialer::Confirm() {
  CAIRN_ASSIGN_OR_RETURN(parts_.peer, Meet());
  CAIRN_ASSIGN_OR_RETURN(auto link, core_->shm.Open(std::exchange(parts_, {}), user_));
  if (shm::SendLocally(fd_, {&shm::kConfirmation, 1}, shm::kNoFds)) return link;
  const Status gone = UnavailableError("the server has hung up");
  link->SetUser(nullptr);
  link->Break(gone);
  return gone;
}

void LocalDialer::Finish(Result<std::shared_ptr<Link>> link) {
  core_->engine().RemoveFd(fd_);
  if (done_) std::exchange(done_, nullptr)(std::move(link));
}

}  // namespace cairn::dram::ucx
