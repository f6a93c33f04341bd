#include "src/dram/pool/request_server.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "src/base/codec.h"
#include "src/base/log.h"

namespace cairn::dram {
namespace {

// A routing table with a rule for each of many keys.
constexpr std::uint64_t kMaxTableBytes = 16 << 20;
constexpr std::uint64_t kMaxRangeBytes = 2 * (kMaxKeyBytes + 16);
// Of clients of a server that has none itself: so many are told apart.
constexpr std::size_t kMaxTables = 64;
// What one request about a range may do before others have their turn.
constexpr std::uint64_t kMaxKeysAtOnce = 4096;

void Fail(const std::unique_ptr<IncomingRequest>& request, const Status& status) {
  request->Reply(EncodeFailure(status), Buffer());
}

void Succeed(const std::unique_ptr<IncomingRequest>& request, const AnswerBody& body,
             Buffer payload = {}) {
  request->Reply(EncodeAnswer(body), std::move(payload));
}

// The key that a request names; none if it is about a range or about the server.
struct KeyOf {
  std::optional<std::string_view> operator()(const ReadRequest& r) const { return r.key; }
  std::optional<std::string_view> operator()(const WriteRequest& r) const { return r.key; }
  std::optional<std::string_view> operator()(const DeleteRequest& r) const { return r.key; }
  template <class Other>
  std::optional<std::string_view> operator()(const Other&) const {
    return std::nullopt;
  }
};

}  // namespace

Status CompareTables(const TableInfo& own, const TableInfo& other, const std::string& peer) {
  if (own.hash == 0 || other.hash == 0 || own.hash == other.hash) return {};
  return FailedPreconditionError(peer + " routes keys differently. This side: {" + own.text +
                                 "}. " + peer + ": {" + other.text +
                                 "}. Give all processes of the pool the same servers and rules.");
}

void RequestServer::Start(const Router* router, std::string address) {
  MutexLock lock(&mutex_);
  router_ = router;
  address_ = std::move(address);
}

void RequestServer::OnRequest(std::unique_ptr<IncomingRequest> request) {
  const auto decoded = DecodeRequest(request->header());
  if (!decoded.ok()) {
    CAIRN_LOG(kWarn, "dram: a request is refused: {}", decoded.status().message());
    Fail(request, decoded.status());
    return;
  }
  if (!std::holds_alternative<HelloRequest>(*decoded)) {
    if (Status status = Admitted(request->connection(), *decoded); !status.ok()) {
      Fail(request, status);
      return;
    }
  }
  std::visit([&](const auto& body) { Serve(std::move(request), body); }, *decoded);
}

void RequestServer::OnDisconnect(ConnectionId connection) {
  MutexLock lock(&mutex_);
  peers_.erase(connection);
}

std::uint64_t RequestServer::admitted() const {
  MutexLock lock(&mutex_);
  return static_cast<std::uint64_t>(std::count_if(
      peers_.begin(), peers_.end(), [](const auto& p) { return p.second.status.ok(); }));
}

std::uint64_t RequestServer::over_shared_memory() const {
  MutexLock lock(&mutex_);
  return static_cast<std::uint64_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& p) {
    return p.second.status.ok() && p.second.over_shared_memory;
  }));
}

Figures RequestServer::figures() const {
  Figures figures = store_->figures();
  figures.emplace_back("connections", admitted());
  figures.emplace_back("shared_memory_connections", over_shared_memory());
  figures.emplace_back("turned_away", turned_away_.load());
  return figures;
}

Status RequestServer::Admitted(ConnectionId connection, const Request& request) const {
  MutexLock lock(&mutex_);
  const auto it = peers_.find(connection);
  if (it == peers_.end()) {
    return FailedPreconditionError("the first request of a connection must be a hello");
  }
  if (!it->second.status.ok() || !it->second.without_table) return it->second.status;
  const auto key = std::visit(KeyOf(), request);
  return key.has_value() ? CheckOwn(*key) : Status();
}

Status RequestServer::CheckOwn(std::string_view key) const {
  CAIRN_ASSIGN_OR_RETURN(const std::size_t owner, router_->ServerOf(key));
  const std::vector<std::string>& servers = router_->servers();
  if (servers[owner] == address_) return {};
  std::string pool;
  for (const std::string& server : servers) pool += (pool.empty() ? "" : ", ") + server;
  return FailedPreconditionError("the pool's server " + servers[owner] + " holds the key '" +
                                 Printable(key) + "', not " + address_ +
                                 ": open the pool with \"remote_addrs\" of all its servers (" +
                                 pool + ") and its routing rules, not with \"remote_addr\" of one");
}

void RequestServer::WithPayload(Incoming request, std::uint64_t limit,
                                absl::AnyInvocable<void(Incoming, std::string_view)> then) {
  const std::uint64_t size = request->payload_size();
  if (size > limit) {
    Fail(request, Status(StatusCode::kCorruption, "a payload of " + std::to_string(size) +
                                                      " bytes: at most " + std::to_string(limit)));
    return;
  }
  if (size == 0) {
    then(std::move(request), {});
    return;
  }
  const std::shared_ptr<char[]> bytes(new char[size]);
  IncomingRequest* const raw = request.get();
  raw->Receive({bytes.get(), size, bytes}, [request = std::move(request), bytes, size,
                                            then = std::move(then)](const Status& status) mutable {
    if (status.ok()) then(std::move(request), {bytes.get(), size});
  });
}

void RequestServer::Serve(Incoming request, const HelloRequest& hello) {
  bool first = false;
  {
    MutexLock lock(&mutex_);
    first = peers_
                .emplace(request->connection(),
                         Peer{FailedPreconditionError("the hello of this connection is on its way"),
                              request->over_shared_memory()})
                .second;
  }
  if (!first) {
    Fail(request, FailedPreconditionError("a second hello"));
    return;
  }
  WithPayload(std::move(request), kMaxTableBytes,
              [this, hash = hello.table_hash, address = std::string(hello.address)](
                  Incoming received, std::string_view text) {
                Admit(received, {hash, address}, {hash, std::string(text)});
              });
}

void RequestServer::Admit(const Incoming& request, const HelloRequest& hello,
                          const TableInfo& table) {
  Status status;
  HelloAnswer answer;
  std::string address;
  std::string text;
  {
    MutexLock lock(&mutex_);
    if (router_ == nullptr) {
      peers_.erase(request->connection());
      Fail(request, UnavailableError("the server is about to start; try again"));
      return;
    }
    const TableInfo own = {router_->table_hash(), router_->table_text()};
    status = CompareTables(own, table, "the peer");
    const bool misled = own.hash != 0 && table.hash != 0 && hello.address != address_;
    if (status.ok() && misled) {
      status = FailedPreconditionError("this server is " + address_ + ", not " +
                                       std::string(hello.address) +
                                       ": correct the address or advertise_addr");
    }
    if (status.ok() && own.hash == 0) Compare(table);
    Peer& peer = peers_[request->connection()];
    peer.status = status;
    peer.without_table = own.hash != 0 && table.hash == 0;
    address = address_;
    text = own.text;
    answer = {store_->boot_id(), own.hash, address};
  }
  if (!status.ok()) {
    turned_away_.fetch_add(1);
    CAIRN_LOG(kWarn, "dram: a peer is turned away: {}", status.message());
  }
  // Peers with another table are told this one, so that they can say what differs.
  if (status.ok() || answer.table_hash != table.hash) {
    Succeed(request, answer, Buffer::Take(std::move(text)));
  } else {
    Fail(request, status);
  }
}

void RequestServer::Compare(const TableInfo& table) {
  if (table.hash == 0 || clients_tables_.size() >= kMaxTables) return;
  const bool first = clients_tables_.empty();
  if (!clients_tables_.insert(table.hash).second) return;
  if (first) {
    clients_table_ = table.text;
  } else {
    CAIRN_LOG(kWarn,
              "dram: clients of this server, which has no routing table, route keys differently, "
              "and don't find what the others wrote: {{{}}} and {{{}}}. Have all of them name the "
              "same servers, spelled alike, with the same rules.",
              clients_table_, table.text);
  }
}

void RequestServer::Serve(Incoming request, const ReadRequest& read) {
  auto found = store_->Read(read);
  if (!found.ok()) {
    Fail(request, found.status());
    return;
  }
  Succeed(request, ReadAnswer{found->state, found->generation, found->value_bytes},
          std::move(found->value));
}

void RequestServer::Serve(Incoming request, const WriteRequest& write) {
  auto prepared = store_->Prepare(write.key, request->payload_size(), write.if_equal);
  if (!prepared.ok()) {
    Fail(request, prepared.status());
    return;
  }
  // Its payload need not come.
  std::optional<PendingValue>& pending = *prepared;
  if (!pending.has_value()) {
    Succeed(request, WriteAnswer{Generation::Unknown()});
    return;
  }
  if (request->payload_size() == 0) {
    Succeed(request, WriteAnswer{store_->Commit(*std::move(pending), write.if_equal)});
    return;
  }
  const MutableBuffer place = pending->place();
  IncomingRequest* const raw = request.get();
  raw->Receive(place, [this, request = std::move(request), pending = std::move(*pending),
                       if_equal = write.if_equal](const Status& status) mutable {
    // If the peer is gone, its room is free again.
    if (!status.ok()) return;
    Succeed(request, WriteAnswer{store_->Commit(std::move(pending), if_equal)});
  });
}

void RequestServer::Serve(Incoming request, const DeleteRequest& del) {
  Succeed(request, WriteAnswer{store_->Delete(del)});
}

void RequestServer::Serve(Incoming request, const DeleteRangeRequest& del) {
  WithPayload(std::move(request), kMaxRangeBytes,
              [this, limit = std::min(del.limit, kMaxKeysAtOnce)](Incoming received,
                                                                  std::string_view payload) {
                const auto range = DecodeRange(payload);
                if (!range.ok()) {
                  Fail(received, range.status());
                  return;
                }
                const auto result = store_->DeleteRange(*range, std::max<std::uint64_t>(limit, 1));
                Succeed(received, DeleteRangeAnswer{result.deleted, result.next});
              });
}

void RequestServer::Serve(Incoming request, const ListRequest& list) {
  WithPayload(
      std::move(request), kMaxRangeBytes,
      [this, limit = std::min(list.limit, kMaxKeysAtOnce), strip = list.strip_prefix_bytes](
          Incoming received, std::string_view payload) {
        const auto range = DecodeRange(payload);
        if (!range.ok()) {
          Fail(received, range.status());
          return;
        }
        auto page = store_->List(*range, limit, strip);
        Succeed(received, ListAnswer{page.count, page.next}, Buffer::Take(std::move(page.entries)));
      });
}

void RequestServer::Serve(Incoming request, const StatRequest&) {
  Succeed(request, StatAnswer{store_->boot_id()}, Buffer::Take(EncodeFigures(figures())));
}

}  // namespace cairn::dram
