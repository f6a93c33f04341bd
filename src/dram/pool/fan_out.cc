#include "src/dram/pool/fan_out.h"

#include <algorithm>

#include "src/dram/messages.h"
#include "src/dram/pool/pool.h"

namespace cairn::dram {
namespace {

// Keys a page: bounds how long a server is busy with one request.
constexpr std::uint64_t kPageKeys = 4096;

template <class T, class Job>
Future<T> Started(const std::shared_ptr<Job>& job, const Promise<T>& promise) {
  Future<T> future = Promise<T>(promise).GetFuture();
  promise.SetCancel([weak = std::weak_ptr<FanOut>(job)] {
    if (const auto j = weak.lock()) j->Cancel();
  });
  return future;
}

}  // namespace

void FanOut::Begin(const std::string& start) {
  const std::size_t servers = pool_->servers();
  servers_left_ = servers;
  {
    MutexLock lock(&mutex_);
    tickets_.resize(servers);
  }
  for (std::size_t i = 0; i < servers && !ended_; ++i) Ask(i, start);
}

void FanOut::Ask(std::size_t server, const std::string& start) {
  ServerLink* const link = pool_->link(server);
  if (link == nullptr) {
    pool_->executor().Post([self = shared_from_this(), server, start] {
      if (!self->ended_) self->Go(server, self->TakeLocal(server, start));
    });
    return;
  }
  Call call = MakeCall(server, start);
  call.deadline = deadline_;
  call.done = [self = shared_from_this(), server](Result<Answer> answer) {
    if (!self->ended_) self->Go(server, self->Take(server, std::move(answer)));
  };
  auto ticket = link->Start(std::move(call));
  MutexLock lock(&mutex_);
  tickets_[server] = std::move(ticket);
}

void FanOut::Go(std::size_t server, const Result<std::string>& next) {
  if (!next.ok()) {
    End(next.status());
  } else if (!next->empty()) {
    Ask(server, *next);
  } else if (servers_left_.fetch_sub(1) == 1 && !ended_.exchange(true)) {
    Succeed();
  }
}

void FanOut::End(const Status& why) {
  if (ended_.exchange(true)) return;
  std::vector<std::shared_ptr<ServerLink::Ticket>> tickets;
  {
    MutexLock lock(&mutex_);
    tickets.swap(tickets_);
    tickets_.resize(tickets.size());
  }
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    if (tickets[i] != nullptr) pool_->link(i)->Cancel(tickets[i]);
  }
  Fail(why);
}

void FanOut::Cancel() { End(CancelledError("the operation was cancelled by its caller")); }

Future<std::uint64_t> DeleteRangeJob::Run(Pool* pool, KeyRange range, MonotonicTime deadline) {
  const std::shared_ptr<DeleteRangeJob> job(new DeleteRangeJob(pool, std::move(range), deadline));
  auto future = Started(job, job->promise_.get());
  job->Begin(job->range_.inclusive_min);
  return future;
}

Call DeleteRangeJob::MakeCall(std::size_t, const std::string& start) {
  Call call;
  call.header = Encode(DeleteRangeRequest{kPageKeys});
  call.payload = Buffer::Take(EncodeRange({start, range_.exclusive_max}));
  return call;
}

Result<std::string> DeleteRangeJob::Take(std::size_t, Result<Answer> answer) {
  if (!answer.ok()) return std::move(answer).status();
  CAIRN_ASSIGN_OR_RETURN(const auto page, DecodeAnswer<DeleteRangeAnswer>(answer->header));
  deleted_ += page.deleted;
  return std::string(page.next);
}

Result<std::string> DeleteRangeJob::TakeLocal(std::size_t, const std::string& start) {
  auto page = pool_->store()->DeleteRange({start, range_.exclusive_max}, kPageKeys);
  deleted_ += page.deleted;
  return std::move(page.next);
}

void DeleteRangeJob::Fail(const Status& why) {
  // Other servers, or earlier pages, may have done their part.
  promise_.get().Fulfil(Status(why).WithMaybeApplied());
}

ListJob::ListJob(Pool* pool, ListOptions options, MonotonicTime deadline)
    : FanOut(pool, deadline), options_(std::move(options)), found_(pool->servers()) {}

Future<std::vector<ListEntry>> ListJob::Run(Pool* pool, ListOptions options,
                                            MonotonicTime deadline) {
  const std::shared_ptr<ListJob> job(new ListJob(pool, std::move(options), deadline));
  auto future = Started(job, job->promise_.get());
  job->Begin(job->options_.range.inclusive_min);
  return future;
}

Call ListJob::MakeCall(std::size_t, const std::string& start) {
  Call call;
  // The prefix is cut off here, when the whole key is needed no more.
  call.header = Encode(ListRequest{kPageKeys, 0});
  call.payload = Buffer::Take(EncodeRange({start, options_.range.exclusive_max}));
  return call;
}

Status ListJob::Add(std::size_t server, std::uint64_t count, std::string_view entries) {
  CAIRN_ASSIGN_OR_RETURN(std::vector<ListedKey> keys, DecodeListedKeys(count, entries));
  for (ListedKey& listed : keys) {
    const auto owner = pool_->router().ServerOf(listed.key);
    if (!owner.ok() || *owner != server) continue;
    found_[server].push_back({std::move(listed.key), listed.value_bytes});
  }
  return {};
}

Result<std::string> ListJob::Take(std::size_t server, Result<Answer> answer) {
  if (!answer.ok()) return std::move(answer).status();
  CAIRN_ASSIGN_OR_RETURN(const auto page, DecodeAnswer<ListAnswer>(answer->header));
  CAIRN_RETURN_IF_ERROR(Add(server, page.count, answer->payload.view()));
  return std::string(page.next);
}

Result<std::string> ListJob::TakeLocal(std::size_t server, const std::string& start) {
  auto page = pool_->store()->List({start, options_.range.exclusive_max}, kPageKeys, 0);
  CAIRN_RETURN_IF_ERROR(Add(server, page.count, page.entries));
  return std::move(page.next);
}

void ListJob::Succeed() {
  const auto less = [](const ListEntry& a, const ListEntry& b) { return a.key < b.key; };
  std::vector<ListEntry> all;
  for (std::vector<ListEntry>& part : found_) {
    const auto middle = static_cast<std::ptrdiff_t>(all.size());
    all.insert(all.end(), std::make_move_iterator(part.begin()),
               std::make_move_iterator(part.end()));
    std::inplace_merge(all.begin(), all.begin() + middle, all.end(), less);
  }
  for (ListEntry& entry : all) {
    entry.key.erase(0, std::min(options_.strip_prefix_bytes, entry.key.size()));
  }
  promise_.get().Fulfil(std::move(all));
}

StatJob::StatJob(Pool* pool, MonotonicTime deadline)
    : FanOut(pool, deadline), stats_(pool->servers()) {
  for (std::size_t i = 0; i < stats_.size(); ++i) stats_[i].address = pool->router().servers()[i];
}

Future<std::vector<ServerStat>> StatJob::Run(Pool* pool, MonotonicTime deadline) {
  const std::shared_ptr<StatJob> job(new StatJob(pool, deadline));
  auto future = Started(job, job->promise_.get());
  job->Begin("");
  return future;
}

Call StatJob::MakeCall(std::size_t, const std::string&) {
  Call call;
  call.header = Encode(StatRequest());
  return call;
}

Result<std::string> StatJob::Take(std::size_t server, Result<Answer> answer) {
  ServerStat& stat = stats_[server];
  if (!answer.ok()) {
    stat.status = std::move(answer).status();
    return std::string();
  }
  const auto body = DecodeAnswer<StatAnswer>(answer->header);
  auto figures = DecodeFigures(answer->payload.view());
  if (!body.ok() || !figures.ok()) {
    stat.status = body.ok() ? figures.status() : body.status();
    return std::string();
  }
  stat.boot_id = body->boot_id;
  stat.figures = std::move(*figures);
  return std::string();
}

Result<std::string> StatJob::TakeLocal(std::size_t server, const std::string&) {
  stats_[server].boot_id = pool_->store()->boot_id();
  stats_[server].figures = pool_->server()->figures();
  return std::string();
}

}  // namespace cairn::dram
