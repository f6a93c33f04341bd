#include "src/client/transaction_state.h"

#include <future>
#include <optional>

namespace cairn::client {
namespace {

std::string FamilyName(std::string_view name) {
  return std::string(kv::IsDefaultFamily(name) ? std::string_view() : name);
}

// What the task of a selector found.
std::optional<std::string> KeyOf(RangeResult result) {
  if (result.key_values.empty()) return std::nullopt;
  return std::move(result.key_values[0].key);
}

GetResult ToPublic(kv::GetResult result) {
  return {result.found, std::move(result.value), result.version.value()};
}

}  // namespace

TransactionState::TransactionState(std::shared_ptr<ClientCore> core,
                                   const TransactionOptions& options)
    : core_(std::move(core)),
      options_(options),
      deadline_(core_->DeadlineIn(options.timeout)),
      read_version_(options.read_version),
      cancellation_(std::make_shared<Cancellation>()) {}

RunOptions TransactionState::Options(ReadLevel level) const {
  RunOptions options;
  options.read_level = level;
  options.deadline = deadline_;
  MutexLock lock(&mutex_);
  options.cancellation = cancellation_;
  return options;
}

Status TransactionState::CheckOpen() const {
  if (cancelled_) return CancelledError("the transaction was cancelled; Reset revives it");
  if (!ended_) return Status::Ok();
  return FailedPreconditionError(
      "the transaction has ended; begin a new one, or revive it with OnError or Reset");
}

// ---- The read version

void TransactionState::WithReadVersion(GotVersion got) {
  Version known;
  std::uint64_t life = 0;
  {
    MutexLock lock(&mutex_);
    known = read_version_;
    if (known == Version()) {
      want_version_.emplace_back().swap(got);
      if (std::exchange(taking_version_, true)) return;
      life = life_;
    }
  }
  if (known != Version()) return got(known);
  RunOptions options = Options(options_.read_level);
  if (core_->options().read_your_writes) options.min_version = core_->last_version();
  (void)core_->ExecuteAsync(kv::KvOperation(kv::GetReadVersion{}), options,
                            [self = shared_from_this(), life](Result<Answer> answer) {
                              if (!answer.ok()) return self->OnReadVersion(life, answer.status());
                              self->OnReadVersion(life,
                                                  std::get<kv::VersionResult>(*answer).version);
                            });
}

void TransactionState::OnReadVersion(std::uint64_t life, Result<Version> version) {
  std::vector<GotVersion> waiting;
  {
    MutexLock lock(&mutex_);
    if (life != life_) return;  // Reset has answered those who waited
    taking_version_ = false;
    if (version.ok()) {
      read_version_ = *version;
      core_->Saw(*version);
    }
    waiting.swap(want_version_);
  }
  for (GotVersion& got : waiting) got(version);
}

Result<Version> TransactionState::ReadVersion() {
  std::uint64_t life = 0;
  bool take = false;
  {
    MutexLock lock(&mutex_);
    CAIRN_RETURN_IF_ERROR(CheckOpen());
    if (read_version_ != Version()) return read_version_;
    take = !std::exchange(taking_version_, true);
    life = life_;
  }
  if (!take) {  // another thread is at it
    std::promise<Result<Version>> done;
    WithReadVersion([&done](Result<Version> version) { done.set_value(std::move(version)); });
    return done.get_future().get();
  }
  RunOptions options = Options(options_.read_level);
  if (core_->options().read_your_writes) options.min_version = core_->last_version();
  const Result<Answer> answer = core_->Execute(kv::KvOperation(kv::GetReadVersion{}), options);
  const Result<Version> version =
      answer.ok() ? Result<Version>(std::get<kv::VersionResult>(*answer).version)
                  : Result<Version>(answer.status());
  OnReadVersion(life, version);
  return version;
}

Future<std::uint64_t> TransactionState::ReadVersionAsync() {
  const Promise<std::uint64_t> promise;
  Future<std::uint64_t> future = Promise<std::uint64_t>(promise).GetFuture();
  Status open;
  {
    MutexLock lock(&mutex_);
    open = CheckOpen();
  }
  if (!open.ok()) {
    promise.Fulfil(open);
    return future;
  }
  // Others may wait for the same version: who cancels ends the own wait alone.
  const auto steps = StepCanceller::For(promise);
  WithReadVersion([promise, steps](const Result<Version>& version) {
    if (!steps->Begin()) return;  // answered by who cancelled it
    if (version.ok()) {
      promise.Fulfil(version->value());
    } else {
      promise.Fulfil(version.status());
    }
  });
  return future;
}

// ---- Reads

Result<TransactionState::Reading> TransactionState::StartReading(std::string_view family,
                                                                 bool snapshot) {
  MutexLock lock(&mutex_);
  CAIRN_RETURN_IF_ERROR(CheckOpen());
  return Reading{life_, snapshot, FamilyName(family)};
}

Result<std::optional<GetResult>> TransactionState::FindWritten(std::string_view key,
                                                               std::string_view family) {
  MutexLock lock(&mutex_);
  CAIRN_ASSIGN_OR_RETURN(const Written* written, writes_.Find(family, key));
  if (written == nullptr) return std::optional<GetResult>();
  GetResult result;
  result.found = written->kind == Written::Kind::kSet;
  result.value = written->value;
  return std::optional<GetResult>(std::move(result));
}

void TransactionState::Noted(const Reading& reading, const std::string& key) {
  if (reading.snapshot) return;
  MutexLock lock(&mutex_);
  if (reading.life == life_) conflict_keys_.emplace(reading.family, key);
}

void TransactionState::Noted(const Reading& reading, const RangeTask& task) {
  if (reading.snapshot) return;
  MutexLock lock(&mutex_);
  if (reading.life != life_) return;
  for (const auto& [begin, end] : task.looked_at()) AddRangeLocked(begin, end, reading.family);
}

Result<GetResult> TransactionState::Get(std::string_view key, std::string_view family,
                                        bool snapshot) {
  CAIRN_ASSIGN_OR_RETURN(const Reading reading, StartReading(family, snapshot));
  CAIRN_ASSIGN_OR_RETURN(std::optional<GetResult> own, FindWritten(key, family));
  if (own) return std::move(*own);
  CAIRN_ASSIGN_OR_RETURN(const Version version, ReadVersion());
  CAIRN_ASSIGN_OR_RETURN(
      Answer answer,
      core_->Execute(kv::KvOperation(kv::SnapshotRead{std::string(key), version, reading.family}),
                     Options(ReadLevel::kDefault)));
  Noted(reading, std::string(key));
  return ToPublic(std::get<kv::GetResult>(std::move(answer)));
}

Future<GetResult> TransactionState::GetAsync(std::string_view key, std::string_view family,
                                             bool snapshot) {
  const Promise<GetResult> promise;
  Future<GetResult> future = Promise<GetResult>(promise).GetFuture();
  const Result<Reading> reading = StartReading(family, snapshot);
  Result<std::optional<GetResult>> own =
      reading.ok() ? FindWritten(key, family) : Result<std::optional<GetResult>>(reading.status());
  if (!own.ok()) {
    promise.Fulfil(own.status());
  } else if (own->has_value()) {
    promise.Fulfil(std::move(**own));
  } else {
    const auto steps = StepCanceller::For(promise);
    WithReadVersion([self = shared_from_this(), reading = *reading, key = std::string(key), promise,
                     steps](Result<Version> version) {
      if (!version.ok()) {
        promise.Fulfil(version.status());
        return;
      }
      if (!steps->Begin()) return;  // answered by who cancelled it
      steps->Run(self->core_->ExecuteAsync(
          kv::KvOperation(kv::SnapshotRead{key, *version, reading.family}),
          self->Options(ReadLevel::kDefault), [self, reading, key, promise](Result<Answer> answer) {
            if (!answer.ok()) {
              promise.Fulfil(answer.status());
              return;
            }
            self->Noted(reading, key);
            promise.Fulfil(ToPublic(std::get<kv::GetResult>(std::move(*answer))));
          }));
    });
  }
  return future;
}

RangeTask::WrittenIn TransactionState::WrittenIn(const std::string& family) {
  return [self = shared_from_this(), family](const std::string& begin, const std::string& end) {
    MutexLock lock(&self->mutex_);
    return self->writes_.Range(family, begin, end);
  };
}

void TransactionState::RunTask(RangeTask* task) {
  const RunOptions options = Options(ReadLevel::kDefault);
  while (std::optional<kv::KvOperation> request = task->Next()) {
    Result<Answer> answer = core_->Execute(std::move(*request), options);
    if (answer.ok()) {
      task->Feed(std::get<kv::RangeResult>(std::move(*answer)));
    } else {
      task->Feed(answer.status());
    }
  }
}

Result<RangeResult> TransactionState::GetRange(const RangeRequest& range, std::string_view family,
                                               bool snapshot) {
  CAIRN_ASSIGN_OR_RETURN(const Reading reading, StartReading(family, snapshot));
  CAIRN_ASSIGN_OR_RETURN(const Version version, ReadVersion());
  RangeTask task(range, reading.family, version, WrittenIn(reading.family));
  RunTask(&task);
  Result<RangeResult> result = task.TakeResult();
  if (result.ok()) Noted(reading, task);
  return result;
}

void TransactionState::Step(const std::shared_ptr<RangeTask>& task, const Reading& reading,
                            const Promise<RangeResult>& promise,
                            const std::shared_ptr<StepCanceller>& steps) {
  std::optional<kv::KvOperation> request = task->Next();
  if (!request) {
    Result<RangeResult> result = task->TakeResult();
    if (result.ok()) Noted(reading, *task);
    promise.Fulfil(std::move(result));
    return;
  }
  if (!steps->Begin()) {
    promise.Fulfil(CancelledError("cancelled"));
    return;
  }
  steps->Run(core_->ExecuteAsync(
      std::move(*request), Options(ReadLevel::kDefault),
      [self = shared_from_this(), task, reading, promise, steps](Result<Answer> answer) {
        if (answer.ok()) {
          task->Feed(std::get<kv::RangeResult>(std::move(*answer)));
        } else {
          task->Feed(answer.status());
        }
        self->Step(task, reading, promise, steps);
      }));
}

Future<RangeResult> TransactionState::GetRangeAsync(const RangeRequest& range,
                                                    std::string_view family, bool snapshot) {
  const Promise<RangeResult> promise;
  Future<RangeResult> future = Promise<RangeResult>(promise).GetFuture();
  const Result<Reading> reading = StartReading(family, snapshot);
  if (!reading.ok()) {
    promise.Fulfil(reading.status());
    return future;
  }
  const auto steps = StepCanceller::For(promise);
  WithReadVersion([self = shared_from_this(), reading = *reading, range, promise,
                   steps](Result<Version> version) {
    if (!version.ok()) {
      promise.Fulfil(version.status());
      return;
    }
    self->Step(std::make_shared<RangeTask>(range, reading.family, *version,
                                           self->WrittenIn(reading.family)),
               reading, promise, steps);
  });
  return future;
}

Result<std::optional<std::string>> TransactionState::GetKey(const KeySelector& selector,
                                                            std::string_view family,
                                                            bool snapshot) {
  CAIRN_ASSIGN_OR_RETURN(const Reading reading, StartReading(family, snapshot));
  CAIRN_ASSIGN_OR_RETURN(const Version version, ReadVersion());
  RangeTask task = RangeTask::ForKey(selector, reading.family, version, WrittenIn(reading.family));
  RunTask(&task);
  CAIRN_ASSIGN_OR_RETURN(RangeResult result, task.TakeResult());
  Noted(reading, task);
  return KeyOf(std::move(result));
}

Future<std::optional<std::string>> TransactionState::GetKeyAsync(const KeySelector& selector,
                                                                 std::string_view family,
                                                                 bool snapshot) {
  Promise<std::optional<std::string>> promise;
  auto future = promise.GetFuture();
  const Result<Reading> reading = StartReading(family, snapshot);
  if (!reading.ok()) {
    promise.Fulfil(reading.status());
    return future;
  }
  Promise<RangeResult> range;
  const auto steps = StepCanceller::For(range);
  Future<RangeResult> resolved = range.GetFuture();
  promise.SetCancel(resolved.Canceller());
  resolved.OnReady([promise](Result<RangeResult> result) {
    promise.Fulfil(result.ok() ? Result<std::optional<std::string>>(KeyOf(*std::move(result)))
                               : Result<std::optional<std::string>>(result.status()));
  });
  WithReadVersion([self = shared_from_this(), reading = *reading, selector, range,
                   steps](Result<Version> version) {
    if (!version.ok()) {
      range.Fulfil(version.status());
      return;
    }
    self->Step(std::make_shared<RangeTask>(RangeTask::ForKey(selector, reading.family, *version,
                                                             self->WrittenIn(reading.family))),
               reading, range, steps);
  });
  return future;
}

// ---- Writes and conflicts

void TransactionState::Write(kv::Mutation mutation) {
  MutexLock lock(&mutex_);
  writes_.Add(std::move(mutation));
}

void TransactionState::AddConflictKey(std::string_view key, std::string_view family) {
  MutexLock lock(&mutex_);
  conflict_keys_.emplace(FamilyName(family), std::string(key));
}

void TransactionState::AddConflictRange(std::string begin, std::string end,
                                        std::string_view family) {
  MutexLock lock(&mutex_);
  if (!end.empty() && begin > end) {
    // The node refuses it, and with it the commit.
    conflict_ranges_.push_back({std::move(begin), std::move(end), FamilyName(family)});
    return;
  }
  AddRangeLocked(std::move(begin), std::move(end), FamilyName(family));
}

void TransactionState::AddRangeLocked(std::string begin, std::string end,
                                      const std::string& family) {
  if (!end.empty() && begin >= end) return;
  if (!conflict_ranges_.empty()) {
    // Page after page of one scan is one range.
    kv::ConflictRange& last = conflict_ranges_.back();
    if (last.column_family == family && last.end == begin && !begin.empty() &&
        last.begin <= last.end) {
      last.end = std::move(end);
      return;
    }
  }
  conflict_ranges_.push_back({std::move(begin), std::move(end), family});
}

std::size_t TransactionState::pending_writes() const {
  MutexLock lock(&mutex_);
  return writes_.mutations().size();
}

// ---- The end

bool TransactionState::NeedsVersion() const {
  MutexLock lock(&mutex_);
  return read_version_ == Version() && !writes_.mutations().empty() &&
         (!conflict_keys_.empty() || !conflict_ranges_.empty());
}

Result<TransactionState::PreparedCommit> TransactionState::Prepare() {
  MutexLock lock(&mutex_);
  CAIRN_RETURN_IF_ERROR(CheckOpen());
  ended_ = true;
  PreparedCommit prepared;
  kv::AtomicCommit& commit = prepared.commit;
  commit.read_version = read_version_;
  prepared.empty = writes_.mutations().empty();
  if (prepared.empty) return prepared;
  commit.operations = writes_.TakeMutations();
  for (const auto& [family, key] : conflict_keys_) {
    commit.read_conflict_keys.push_back({key, family});
  }
  commit.read_conflict_ranges = std::move(conflict_ranges_);
  writes_.Clear();
  conflict_keys_.clear();
  conflict_ranges_.clear();
  return prepared;
}

Result<std::uint64_t> TransactionState::Committed(Result<Answer> answer) {
  if (!answer.ok()) return answer.status();
  const std::uint64_t version = std::get<kv::WriteResult>(*answer).version.value();
  core_->Saw(Version(version));  // the client's next reads are to see it
  MutexLock lock(&mutex_);
  committed_version_ = version;
  return version;
}

Result<std::uint64_t> TransactionState::Commit() {
  if (NeedsVersion()) CAIRN_RETURN_IF_ERROR(ReadVersion().status());
  CAIRN_ASSIGN_OR_RETURN(PreparedCommit prepared, Prepare());
  if (prepared.empty) return prepared.commit.read_version.value();
  return Committed(
      core_->Execute(kv::KvOperation(std::move(prepared.commit)), Options(ReadLevel::kDefault)));
}

Future<std::uint64_t> TransactionState::CommitAsync() {
  const Promise<std::uint64_t> promise;
  Future<std::uint64_t> future = Promise<std::uint64_t>(promise).GetFuture();
  const auto steps = StepCanceller::For(promise);
  auto commit = [self = shared_from_this(), promise, steps](const Result<Version>& version) {
    if (!steps->Begin()) return;  // answered by who cancelled it, with nothing sent
    Result<PreparedCommit> prepared =
        version.ok() ? self->Prepare() : Result<PreparedCommit>(version.status());
    if (!prepared.ok()) {
      promise.Fulfil(prepared.status());
    } else if (prepared->empty) {
      promise.Fulfil(prepared->commit.read_version.value());
    } else {
      steps->Run(self->core_->ExecuteAsync(kv::KvOperation(std::move(prepared->commit)),
                                           self->Options(ReadLevel::kDefault),
                                           [self, promise](Result<Answer> answer) {
                                             promise.Fulfil(self->Committed(std::move(answer)));
                                           }));
    }
  };
  if (NeedsVersion()) {
    WithReadVersion(std::move(commit));
  } else {
    commit(Version());
  }
  return future;
}

std::uint64_t TransactionState::committed_version() const {
  MutexLock lock(&mutex_);
  return committed_version_;
}

}  // namespace cairn::client
