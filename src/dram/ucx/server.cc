#include "src/dram/ucx/server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/ucx/door_message.h"

namespace cairn::dram::ucx {
namespace {

// Doors and endpoints that have not proven themselves.
constexpr std::size_t kMaxStrangers = 2048;

std::string RandomToken() {
  std::string token(kTokenBytes, '\0');
  CAIRN_CHECK(::getrandom(token.data(), token.size(), 0) == static_cast<ssize_t>(kTokenBytes));
  return token;
}

// Where UCX listens for a server that is bound to `bound`: at the same address and any port. UCX
// 1.13 knows no IPv6 over TCP (docs/adr/0011-ucx.md), so that it is left with the IPv4 half of
// "::", and with nothing of other addresses.
std::optional<SocketAddress> UcxAddress(SocketAddress bound) {
  bound.set_port(0);
  if (bound.storage.ss_family == AF_INET) return bound;
  const auto* const six = reinterpret_cast<const sockaddr_in6*>(&bound.storage);
  if (!IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr)) return std::nullopt;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  SocketAddress four;
  std::memcpy(&four.storage, &any, sizeof(any));
  four.size = sizeof(any);
  return four;
}

}  // namespace

Server::Server(Core* core, RequestHandler* handler) : core_(core), handler_(handler) {}

Status Server::OpenSockets(const Endpoint& address) {
  CAIRN_ASSIGN_OR_RETURN(std::vector<SocketAddress> found, core_->resolve(address, false));
  std::uint16_t port = address.port;
  std::string failed;
  std::vector<std::string> hosts;
  for (SocketAddress& one : found) {
    // /etc/hosts may name an address twice.
    if (std::find(hosts.begin(), hosts.end(), one.host()) != hosts.end()) continue;
    hosts.push_back(one.host());
    one.set_port(port);
    std::string name = address.ToString();
    if (one.host() != address.host) name += " (" + one.host() + ")";
    const auto fd = OpenListeningSocket(one, name);
    if (!fd.ok() && fd.status().code() != StatusCode::kNotFound) return fd.status();
    if (!fd.ok()) {
      failed = fd.status().message();
      continue;
    }
    places_.push_back(std::make_unique<Place>(*fd));
    // Port 0 takes one that is free, and the same one at the other addresses.
    port = LocalAddress(*fd).port();
  }
  if (places_.empty()) return IoError(failed);
  address_ = {address.host, port};
  return {};
}

Status Server::OpenPlace(Place* place) {
  const auto address = UcxAddress(LocalAddress(place->knock_fd));
  if (address.has_value() && core_->network != Network::kTcp) {
    CAIRN_RETURN_IF_ERROR(OpenUcx(place, *address));
    GuardPort(place);
  }
  return core_->engine().AddFd(place->knock_fd, EPOLLIN,
                               [this, place](std::uint32_t) { OnKnock(*place); });
}

Status Server::OpenUcx(Place* place, const SocketAddress& address) {
  auto listener = ConnectionListener::Create(
      &core_->engine().worker(), address.get(), address.size,
      [this, place](ucp_conn_request* request) {
        ++requests_;
        core_->engine().Post([this, request, listener = place->listener.get()] {
          --requests_;
          OnEndpoint(listener, request);
        });
      });
  if (!listener.ok()) {
    return IoError("can't listen on " + address_.ToString() + ": " + listener.status().message());
  }
  place->listener = std::move(*listener);
  return {};
}

// Over UCX a server without IPv4 is reached from its own host alone.
Status Server::CheckReachable() const {
  if (core_->network != Network::kUcx) return {};
  for (const auto& place : places_) {
    if (place->listener != nullptr) return {};
  }
  if (!core_->use_shared_memory) {
    return InvalidArgumentError(
        "can't listen on " + address_.ToString() +
        R"(: UCX reaches no IPv6 address. Listen on an IPv4 one, or leave out "transport": "ucx")");
  }
  CAIRN_LOG(kInfo,
            "dram: {} takes processes of this host only, over shared memory: UCX reaches no IPv6 "
            "address",
            address_.ToString());
  return {};
}

void Server::ClosePlaces() {
  for (const auto& place : places_) {
    core_->engine().RemoveFd(place->knock_fd);
    ::close(place->knock_fd);
    place->guard = nullptr;
  }
}

// A name is looked up by each host for itself: what it means here need not be what clients find.
void Server::SayWhere() const {
  if (core_->resolve(address_, true).ok()) return;
  std::string hosts;
  bool loopback = true;
  for (const auto& place : places_) {
    const std::string host = LocalAddress(place->knock_fd).host();
    loopback = loopback && (host == "::1" || host.starts_with("127."));
    hosts += (hosts.empty() ? "" : ", ") + host;
  }
  if (loopback && address_.host != "localhost") {
    CAIRN_LOG(kWarn,
              "dram: {} listens at {}, which other hosts can't reach (see /etc/hosts; 0.0.0.0 is "
              "every IPv4 address)",
              address_.ToString(), hosts);
  } else {
    CAIRN_LOG(kInfo, "dram: {} listens at {}", address_.ToString(), hosts);
  }
}

Status Server::Open(const Endpoint& address) {
  Status status = OpenSockets(address);
  core_->engine().Serve();
  core_->engine().RunAndWait([this, &status] {
    for (const auto& place : places_) {
      if (status.ok()) status = OpenPlace(place.get());
    }
    if (status.ok()) status = CheckReachable();
    if (status.ok()) {
      OpenLocally();
    } else {
      ClosePlaces();
      places_.clear();
    }
  });
  if (status.ok()) SayWhere();
  return status;
}

void Server::GuardPort(Place* place) {
  const std::uint16_t port = place->listener->port();
  auto guard = PortGuard::Create(&core_->engine(), port, address_.ToString());
  if (guard.ok()) {
    place->guard = std::move(*guard);
  } else {
    CAIRN_LOG(kWarn,
              "dram: {} leaves UCX's port {} open to strangers, who can end this process: {}",
              address_.ToString(), port, guard.status().message());
  }
}

void Server::OpenLocally() {
  if (!core_->use_shared_memory) return;
  auto local = LocalListener::Create(
      core_, this, [this](const std::string& token, const Result<std::shared_ptr<Link>>& link) {
        if (link.ok()) {
          Attach(token, *link);
        } else if (const auto it = expected_.find(token); it != expected_.end()) {
          // The client believes that it is connected.
          CAIRN_LOG(kWarn, "dram: {} closes a connection: {}", address_.ToString(),
                    link.status().message());
          it->second->Break(link.status());
        }
      });
  if (local.ok()) {
    local_ = std::move(*local);
  } else {
    CAIRN_LOG(kWarn, "dram: {} takes nobody over shared memory: {}", address_.ToString(),
              local.status().message());
  }
}

// Those who have been let in come a second time, with the socket for their frames. They have their
// place, and must not wait behind those who have none.
void Server::OnKnock(const Place& place) {
  while (true) {
    const bool room =
        expected_.size() < kMaxStrangers &&
        descriptors_.Take(expected_.size() + strangers_.size(), core_->engine().Now());
    if (!room && bearers_ >= expected_.size()) {
      PauseKnocks(place, WhyFull());
      return;
    }
    const int fd = ::accept4(place.knock_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      const int error = errno;
      if (room) descriptors_.GiveBack();
      if (OutOfDescriptors(error)) PauseKnocks(place, std::strerror(error));
      return;
    }
    if (room) short_of_descriptors_ = false;
    auto peer = std::make_shared<Peer>(this, next_id_++, room ? RandomToken() : std::string(),
                                       place.listener == nullptr ? 0 : place.listener->port());
    peers_.emplace(peer->id(), peer);
    if (room) {
      expected_.emplace(peer->token(), peer.get());
    } else {
      ++bearers_;
    }
    peer->Open(fd);
  }
}

void Server::TurnAway() {
  if (std::exchange(short_of_descriptors_, true)) return;
  CAIRN_LOG(kWarn, "dram: {} turns clients away for now: {}", address_.ToString(), WhyFull());
}

std::string Server::WhyFull() const {
  if (expected_.size() >= kMaxStrangers) {
    return std::to_string(expected_.size()) + " connections are in the making";
  }
  return "too few descriptors are left (raise the limit of open files, ulimit -n)";
}

// Those who knock meanwhile wait in the kernel.
void Server::PauseKnocks(const Place& place, const std::string& why) {
  if (!std::exchange(short_of_descriptors_, true)) {
    CAIRN_LOG(kWarn, "dram: {} takes no connections for now: {}", address_.ToString(), why);
  }
  core_->engine().PauseFd(place.knock_fd, EPOLLIN, kKnockPause);
}

void Server::OnSocket(const std::string& token, int fd) {
  auto link = core_->tcp.Accept(fd, this);
  if (link.ok()) {
    Attach(token, *link);
  } else {
    CAIRN_LOG(kWarn, "dram: {} closes a connection: {}", address_.ToString(),
              link.status().message());
  }
}

void Server::OnEndpoint(ConnectionListener* listener, ucp_conn_request* request) {
  if (closed_ || strangers_.size() >= kMaxStrangers) {
    listener->Reject(request);
    return;
  }
  auto link = core_->links.Accept(request, this);
  if (!link.ok()) {
    CAIRN_LOG(kWarn, "dram: {} can't take a connection over UCX: {}", address_.ToString(),
              link.status().message());
    return;
  }
  Link* const key = link->get();
  const auto timer = core_->engine().RunAt(core_->engine().Now() + kHandshakeLimit, [this, key] {
    const auto it = strangers_.find(key);
    if (it == strangers_.end()) return;
    const std::shared_ptr<Link> stranger = std::move(it->second.first);
    strangers_.erase(it);
    stranger->SetUser(nullptr);
    stranger->Break(UnavailableError("nobody's endpoint"));
  });
  strangers_.emplace(key, std::pair(std::move(*link), timer));
}

void Server::OnAttach(Link* link, std::string_view token) {
  const auto stranger = strangers_.find(link);
  if (stranger == strangers_.end()) return;
  const std::shared_ptr<Link> found = std::move(stranger->second.first);
  core_->engine().Cancel(stranger->second.second);
  strangers_.erase(stranger);
  Attach(std::string(token), found);
}

void Server::Attach(const std::string& token, const std::shared_ptr<Link>& found) {
  const auto expected = expected_.find(token);
  if (expected == expected_.end()) {
    CAIRN_LOG(kWarn, "dram: {} cuts off a client that has no token of ours", address_.ToString());
    found->SetUser(nullptr);
    found->Break(UnavailableError("a wrong token"));
    return;
  }
  Peer* const peer = expected->second;
  expected_.erase(expected);
  open_.fetch_add(1);
  peer->Attach(found);
}

// Frames of strangers count for nothing; their time runs out.
void Server::OnFrame(const Frame&, std::unique_ptr<Arrival>) {}

void Server::OnBroken(const Status&) {
  absl::erase_if(strangers_, [this](auto& entry) {
    if (!entry.second.first->broken()) return false;
    core_->engine().Cancel(entry.second.second);
    return true;
  });
}

void Server::Forget(Peer* peer, bool attached, bool had_requests) {
  const ConnectionId id = peer->id();
  if (peer->token().empty()) {
    --bearers_;
  } else {
    expected_.erase(peer->token());
  }
  peers_.erase(id);
  if (attached) {
    open_.fetch_sub(1);
  } else if (!peer->lent()) {
    unsettled_until_ = core_->engine().Now() + kUnsettledTime;
  }
  if (had_requests) handler_->OnDisconnect(id);
}

void Server::CloseAndWait() {
  core_->engine().RunAndWait([this] {
    closed_ = true;
    ClosePlaces();
    local_ = nullptr;
    std::vector<std::shared_ptr<Peer>> peers;
    for (const auto& [id, peer] : peers_) peers.push_back(peer);
    for (const auto& peer : peers) peer->Break(UnavailableError("the listener was closed"));
    for (auto& [key, stranger] : std::exchange(strangers_, {})) {
      core_->engine().Cancel(stranger.second);
      stranger.first->SetUser(nullptr);
      stranger.first->Break(UnavailableError("the listener was closed"));
    }
    const MonotonicTime now = core_->engine().Now();
    if (requests_ > 0) unsettled_until_ = now + kUnsettledTime;
    for (const auto& place : places_) {
      if (place->listener != nullptr && unsettled_until_ > now) {
        core_->Retire(std::move(place->listener), unsettled_until_);
      } else {
        place->listener.reset();
      }
    }
  });
  // What broken links give back, by a task each, still goes to the handler.
  core_->engine().RunAndWait([] {});
}

}  // namespace cairn::dram::ucx
