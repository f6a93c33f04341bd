// Operations on all servers of a pool at once: each server is asked page by page, the local store
// on the pool's executor (a page a task), the others over their links; the parts are put together
// at the end.
//
//   DeleteRangeJob   counts what was deleted
//   ListJob          merges the servers' keys in order; what a server holds that the routing gives
//                    to another is left out, as no read could find it
//   StatJob          one page a server; a server that fails is part of the answer
//
// A job lives while something of it is under way. If it is dropped before its end, because the pool
// is destroyed, its future fails with kUnavailable.
//
// Thread safety: parts come in on any thread; each server has its own part, counters are atomic.
#ifndef CAIRN_SRC_DRAM_POOL_FAN_OUT_H_
#define CAIRN_SRC_DRAM_POOL_FAN_OUT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cairn/future.h"
#include "src/base/mutex.h"
#include "src/dram/pool/server_link.h"

namespace cairn::dram {

class Pool;

class FanOut : public std::enable_shared_from_this<FanOut> {
 public:
  virtual ~FanOut() = default;
  FanOut(const FanOut&) = delete;
  FanOut& operator=(const FanOut&) = delete;
  // Ends it with kCancelled, as far as it has not ended.
  void Cancel();

 protected:
  FanOut(Pool* pool, MonotonicTime deadline) : pool_(pool), deadline_(deadline) {}

  // Asks all servers. `start` is where the first page of each begins.
  void Begin(const std::string& start);
  // What a page that begins at `start` is asked for with.
  virtual Call MakeCall(std::size_t server, const std::string& start) = 0;
  // Takes a page in, and gives where the next one begins; empty after the last.
  virtual Result<std::string> Take(std::size_t server, Result<Answer> answer) = 0;
  // The same on the local store.
  virtual Result<std::string> TakeLocal(std::size_t server, const std::string& start) = 0;
  // After the last page of the last server.
  virtual void Succeed() = 0;
  // After the first failure, instead.
  virtual void Fail(const Status& why) = 0;

  Pool* const pool_;

 private:
  void Ask(std::size_t server, const std::string& start);
  void Go(std::size_t server, const Result<std::string>& next);
  void End(const Status& why);

  const MonotonicTime deadline_;
  std::atomic<std::size_t> servers_left_{0};
  std::atomic<bool> ended_{false};
  Mutex mutex_;
  // The call to each server, for Cancel.
  std::vector<std::shared_ptr<ServerLink::Ticket>> tickets_ ABSL_GUARDED_BY(mutex_);
};

// The promise of a job, kept even if the job is dropped.
template <class T>
class JobPromise {
 public:
  JobPromise() = default;
  JobPromise(const JobPromise&) = delete;
  JobPromise& operator=(const JobPromise&) = delete;
  ~JobPromise() { promise_.Fulfil(UnavailableError("the pool was closed")); }
  [[nodiscard]] const Promise<T>& get() const { return promise_; }

 private:
  const Promise<T> promise_;
};

class DeleteRangeJob final : public FanOut {
 public:
  static Future<std::uint64_t> Run(Pool* pool, KeyRange range, MonotonicTime deadline);

 private:
  DeleteRangeJob(Pool* pool, KeyRange range, MonotonicTime deadline)
      : FanOut(pool, deadline), range_(std::move(range)) {}
  Call MakeCall(std::size_t server, const std::string& start) override;
  Result<std::string> Take(std::size_t server, Result<Answer> answer) override;
  Result<std::string> TakeLocal(std::size_t server, const std::string& start) override;
  void Succeed() override { promise_.get().Fulfil(deleted_.load()); }
  void Fail(const Status& why) override;

  const KeyRange range_;
  JobPromise<std::uint64_t> promise_;
  std::atomic<std::uint64_t> deleted_{0};
};

class ListJob final : public FanOut {
 public:
  static Future<std::vector<ListEntry>> Run(Pool* pool, ListOptions options,
                                            MonotonicTime deadline);

 private:
  ListJob(Pool* pool, ListOptions options, MonotonicTime deadline);
  Call MakeCall(std::size_t server, const std::string& start) override;
  Result<std::string> Take(std::size_t server, Result<Answer> answer) override;
  Result<std::string> TakeLocal(std::size_t server, const std::string& start) override;
  Status Add(std::size_t server, std::uint64_t count, std::string_view entries);
  void Succeed() override;
  void Fail(const Status& why) override { promise_.get().Fulfil(why); }

  const ListOptions options_;
  JobPromise<std::vector<ListEntry>> promise_;
  std::vector<std::vector<ListEntry>> found_;  // by server
};

class StatJob final : public FanOut {
 public:
  static Future<std::vector<ServerStat>> Run(Pool* pool, MonotonicTime deadline);

 private:
  StatJob(Pool* pool, MonotonicTime deadline);
  Call MakeCall(std::size_t server, const std::string& start) override;
  Result<std::string> Take(std::size_t server, Result<Answer> answer) override;
  Result<std::string> TakeLocal(std::size_t server, const std::string& start) override;
  void Succeed() override { promise_.get().Fulfil(std::move(stats_)); }
  void Fail(const Status& why) override { promise_.get().Fulfil(why); }

  JobPromise<std::vector<ServerStat>> promise_;
  std::vector<ServerStat> stats_;  // by server
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_FAN_OUT_H_
