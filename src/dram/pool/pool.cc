#include "src/dram/pool/pool.h"

#include <algorithm>
#include <future>
#include <utility>

#include "src/base/check.h"
#include "src/base/log.h"
#include "src/dram/memory/available_memory.h"
#include "src/dram/messages.h"
#include "src/dram/pool/borrowed.h"
#include "src/dram/pool/fan_out.h"

namespace cairn::dram {
namespace {

using std::chrono::system_clock;

template <class T>
Future<T> Ready(Result<T> result) {
  const Promise<T> promise;
  Future<T> future = Promise<T>(promise).GetFuture();
  promise.Fulfil(std::move(result));
  return future;
}

Result<ReadResult> ToReadResult(Result<Answer> answer, system_clock::time_point time) {
  if (!answer.ok()) return std::move(answer).status();
  CAIRN_ASSIGN_OR_RETURN(const ReadAnswer read, DecodeAnswer<ReadAnswer>(answer->header));
  return ReadResult{static_cast<ReadResult::State>(read.state), std::move(answer->payload),
                    read.generation, read.value_bytes, time};
}

Result<WriteResult> ToWriteResult(const Result<Answer>& answer, system_clock::time_point time) {
  if (!answer.ok()) return answer.status();
  CAIRN_ASSIGN_OR_RETURN(const WriteAnswer write, DecodeAnswer<WriteAnswer>(answer->header));
  return WriteResult{write.generation, time};
}

// No key is beyond a bound that is one byte longer than keys are.
Status CheckBounds(const KeyRange& range) {
  for (const std::string* const bound : {&range.inclusive_min, &range.exclusive_max}) {
    if (bound->size() <= kMaxKeyBytes + 1) continue;
    return InvalidArgumentError("a bound or prefix of " + std::to_string(bound->size()) +
                                " bytes: keys have at most " + std::to_string(kMaxKeyBytes));
  }
  return {};
}

}  // namespace

Pool::Pool(const Spec& spec, std::unique_ptr<Transport> transport)
    : spec_(spec),
      transport_(std::move(transport)),
      helper_(transport_->helper()),
      executor_(std::make_unique<ThreadExecutor>("dram-pool", &clock_)) {}

Result<std::unique_ptr<Pool>> Pool::Open(const Spec& spec, std::unique_ptr<Transport> transport) {
  std::unique_ptr<Pool> pool(new Pool(spec, std::move(transport)));
  if (spec.listen.has_value()) CAIRN_RETURN_IF_ERROR(pool->Serve());
  CAIRN_ASSIGN_OR_RETURN(Router router, Router::Make(spec, pool->self_));
  pool->router_ = std::make_unique<Router>(std::move(router));
  if (pool->server_ != nullptr) {
    pool->server_->Start(pool->router_.get(), pool->self_);
  }
  pool->ConnectToOthers();
  return pool;
}

Status Pool::Serve() {
  LocalStore::Options options;
  options.capacity_bytes = spec_.capacity_bytes;
  options.evict_lru = spec_.evict_lru;
  while (options.boot_id == 0) options.boot_id = SystemEntropy();
  CAIRN_ASSIGN_OR_RETURN(store_, LocalStore::Make(options));
  CAIRN_ASSIGN_OR_RETURN(
      registration_, transport_->RegisterMemory(store_->region().data(), store_->region().size()));
  server_ = std::make_unique<RequestServer>(store_.get());
  CAIRN_ASSIGN_OR_RETURN(listener_, transport_->Listen(*spec_.listen, server_.get()));
  const Endpoint endpoint = listener_->address();
  listen_address_ = endpoint.ToString();
  CAIRN_ASSIGN_OR_RETURN(self_, AdvertisedAddress(spec_, endpoint));
  CAIRN_LOG(kInfo, "dram: serving {} bytes at {} as {} over {}", store_->region().size(),
            listen_address_, self_, transport_->name());
  const std::string too_much = WhyTooMuchMemory(store_->region().size(), AvailableMemory());
  if (!too_much.empty()) CAIRN_LOG(kWarn, "dram: {} may run out of memory: {}", self_, too_much);
  return {};
}

void Pool::ConnectToOthers() {
  for (const std::string& server : router_->servers()) {
    if (server == self_) {
      links_.push_back(nullptr);
      continue;
    }
    ServerLink::Options options;
    options.address = server;
    // ParseSpec has seen to it that it can be read.
    options.endpoint = ParseEndpoint(server).value();
    options.table = {router_->table_hash(), router_->table_text()};
    links_.push_back(std::make_shared<ServerLink>(transport_.get(), executor_.get(), &clock_,
                                                  std::move(options)));
    links_.back()->Open();
  }
}

Pool::~Pool() {
  for (const auto& link : links_) {
    if (link != nullptr) link->Shutdown();
  }
  // One of them may still be giving up an old connection.
  std::promise<void> idle;
  executor_->Post([&idle] { idle.set_value(); });
  idle.get_future().wait();
  listener_.reset();
  registration_.reset();
  // After this, no callback of the network runs and no pin is held by it.
  transport_.reset();
  executor_->Stop();
}

MonotonicTime Pool::When(const Deadline& deadline) const {
  if (deadline.has_value()) {
    // std::chrono::steady_clock is CLOCK_MONOTONIC in libstdc++, as is SystemClock.
    return {std::chrono::nanoseconds(deadline->time_since_epoch()).count()};
  }
  return clock_.Now() + std::chrono::milliseconds(spec_.timeout_ms);
}

Result<std::size_t> Pool::ServerOf(std::string_view key) const {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return InvalidArgumentError("a key of " + std::to_string(key.size()) + " bytes: 1 to " +
                                std::to_string(kMaxKeyBytes));
  }
  return router_->ServerOf(key);
}

// Sends the call; the future of `promise` cancels it.
template <class T>
Future<T> Pool::Launch(std::size_t server, Call call, const Promise<T>& promise) {
  Future<T> future = Promise<T>(promise).GetFuture();
  promise.SetHelper(helper_);
  const std::shared_ptr<ServerLink>& link = links_[server];
  promise.SetCancel([weak = std::weak_ptr(link), ticket = link->Start(std::move(call))] {
    if (const auto l = weak.lock()) l->Cancel(ticket);
  });
  return future;
}

Future<ReadResult> Pool::Read(std::string_view key, ReadOptions options) {
  const auto time = system_clock::now();
  const auto server = ServerOf(key);
  if (!server.ok()) return Ready<ReadResult>(server.status());
  const ReadRequest request{key, options.byte_range, options.if_equal, options.if_not_equal};
  if (links_[*server] == nullptr) {
    auto found = store_->Read(request);
    if (!found.ok()) return Ready<ReadResult>(found.status());
    return Ready<ReadResult>(ReadResult{static_cast<ReadResult::State>(found->state),
                                        std::move(found->value), found->generation,
                                        found->value_bytes, time});
  }
  const Promise<ReadResult> promise;
  Call call;
  call.header = Encode(request);
  call.deadline = When(options.deadline);
  call.done = [promise, time](Result<Answer> answer) {
    promise.Fulfil(ToReadResult(std::move(answer), time));
  };
  return Launch(*server, std::move(call), promise);
}

Future<WriteResult> Pool::Write(std::string_view key, Buffer value, WriteOptions options) {
  const auto server = ServerOf(key);
  if (!server.ok()) return Ready<WriteResult>(server.status());
  if (value.size() > kMaxValueBytes) {
    return Ready<WriteResult>(InvalidArgumentError("a value of " + std::to_string(value.size()) +
                                                   " bytes: at most " +
                                                   std::to_string(kMaxValueBytes)));
  }
  const WriteRequest request{key, options.if_equal};
  if (links_[*server] == nullptr) {
    const auto time = system_clock::now();
    const auto generation = store_->Write(request, value.view());
    if (!generation.ok()) return Ready<WriteResult>(generation.status());
    return Ready<WriteResult>(WriteResult{*generation, time});
  }
  return WriteRemote(*server, Encode(request), std::move(value), When(options.deadline));
}

Future<WriteResult> Pool::Delete(std::string_view key, WriteOptions options) {
  const auto server = ServerOf(key);
  if (!server.ok()) return Ready<WriteResult>(server.status());
  const DeleteRequest request{key, options.if_equal};
  if (links_[*server] == nullptr) {
    const auto time = system_clock::now();
    return Ready<WriteResult>(WriteResult{store_->Delete(request), time});
  }
  return WriteRemote(*server, Encode(request), Buffer(), When(options.deadline));
}

Future<WriteResult> Pool::WriteRemote(std::size_t server, std::string header, Buffer value,
                                      MonotonicTime deadline) {
  const auto time = system_clock::now();
  const Promise<WriteResult> promise;
  Call call;
  call.header = std::move(header);
  call.deadline = deadline;
  const bool small = value.size() <= kCopyBorrowedBytes;
  if (value.pin() != nullptr || small) {
    // A transport drops what is small while it takes it, under its locks and the link's; a pin may
    // be anybody's code, and is dropped here.
    call.payload = small && !value.empty() ? Buffer::Copy(value.view()) : std::move(value);
    value = Buffer();
    call.done = [promise, time](const Result<Answer>& answer) {
      promise.Fulfil(ToWriteResult(answer, time));
    };
  } else {
    const Loan<WriteResult> loan(promise, executor_.get());
    call.payload = loan.Lend(value.view());
    call.done = [loan, time](const Result<Answer>& answer) {
      loan.Finish(ToWriteResult(answer, time));
    };
  }
  return Launch(server, std::move(call), promise);
}

Result<Route> Pool::RouteOf(std::string_view key) const {
  CAIRN_RETURN_IF_ERROR(ServerOf(key).status());
  CAIRN_ASSIGN_OR_RETURN(Router::Choice choice, router_->Explain(key));
  return Route{router_->servers()[choice.server], links_[choice.server] == nullptr,
               std::move(choice.reason)};
}

std::optional<ServerStat> Pool::LocalStat() const {
  if (server_ == nullptr) return std::nullopt;
  return ServerStat{self_, Status(), store_->boot_id(), server_->figures()};
}

std::vector<PeerStatus> Pool::Peers() const {
  std::vector<PeerStatus> peers;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    peers.push_back(links_[i] != nullptr ? links_[i]->status()
                                         : PeerStatus{router_->servers()[i], true, true, Status()});
  }
  return peers;
}

Future<std::uint64_t> Pool::DeleteRange(KeyRange range, Deadline deadline) {
  if (Status status = CheckBounds(range); !status.ok()) return Ready<std::uint64_t>(status);
  return DeleteRangeJob::Run(this, std::move(range), When(deadline));
}

Future<std::vector<ListEntry>> Pool::List(ListOptions options) {
  if (Status status = CheckBounds(options.range); !status.ok()) {
    return Ready<std::vector<ListEntry>>(status);
  }
  const MonotonicTime deadline = When(options.deadline);
  return ListJob::Run(this, std::move(options), deadline);
}

Future<std::vector<ServerStat>> Pool::Stat(Deadline deadline) {
  return StatJob::Run(this, When(deadline));
}

}  // namespace cairn::dram
