#include "src/server/grpc/scan.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "src/base/codec.h"
#include "src/server/grpc/errors.h"
#include "src/server/grpc/requests.h"

namespace cairn::server {
namespace {

// A selector that needs no counting: the first key at or after a place.
bool IsPlain(const kv::KeySelector& selector) { return selector.offset == 1; }
std::string PlaceOf(const kv::KeySelector& selector) {
  return selector.or_equal ? KeyAfter(selector.key) : selector.key;
}

}  // namespace

class ScanCall final : public grpc::ServerWriteReactor<v1::ScanResponse> {
 public:
  ScanCall(Backend* backend, ScanTable* scans, grpc::CallbackServerContext* call,
           const v1::ScanRequest& request)
      : backend_(backend),
        scans_(scans),
        call_(call),
        family_(Take(request.range().column_family())),
        resume_after_(Take(request.resume_after())),
        query_(TakeRange(request.range())),
        left_(request.limit()),
        bounded_(request.limit() != 0),
        version_(request.read().at_version()) {
    const std::uint64_t most = backend->options().scan_batch_bytes;
    query_.max_bytes = request.batch_bytes() == 0 ? most : std::min(request.batch_bytes(), most);
  }

  void Start(const v1::ReadOptions& options) {
    // The deadline of the whole scan; each of its reads has the node's own bound as well.
    begun_ = backend_->node().clock().Now();
    deadline_ = DeadlineOf(*call_, begun_);
    Status status = ReadReadOptions(options, &context_);
    if (status.ok() && !scans_->Add(this)) {
      status = ResourceExhaustedError(
          "there are " + std::to_string(backend_->options().max_scans) +
          " scans already, as many as the node takes; try again when one has ended");
    }
    if (!status.ok()) {
      End(status);
      return;
    }
    listed_ = true;
    Resolve();
  }

  // Ends a scan whose read is running (the read's answer then finds it ended), and any other at its
  // next step: a write that is running is done soon, since the call is cut.
  void OnCancel() override {
    cancelled_.store(true);
    if (Pass(Phase::kReading, Phase::kEnded)) EndCancelled();
  }
  void OnWriteDone(bool ok) override {
    writing_since_.store(0);
    batch_.Clear();
    if (!ok || cancelled_.load()) {
      End(stalled_.load() ? ResourceExhaustedError("the client took nothing for too long; resume "
                                                   "the scan after the last key received")
                          : Status(StatusCode::kCancelled, "the client went away"));
    } else if (done_) {
      End(Status::Ok());
    } else {
      ReadBatch();
    }
  }
  void OnDone() override {
    if (listed_) scans_->Remove(this);
    Release();
  }

  // Called under the table's lock: the scan is alive.
  void EndIfStalled(MonotonicTime then) {
    const std::int64_t since = writing_since_.load();
    if (since == 0 || since > then.ns) return;
    stalled_.store(true);
    call_->TryCancel();
  }

 private:
  // Who may end the scan: in kReading its cancellation or the read's answer, whichever comes first;
  // otherwise the step that runs.
  enum class Phase : std::uint8_t { kStepping, kReading, kEnded };
  bool Pass(Phase from, Phase to) { return phase_.compare_exchange_strong(from, to); }
  void Release() {
    if (holders_.fetch_sub(1) == 1) delete this;
  }

  void EndCancelled() { End({StatusCode::kCancelled, "the client went away"}); }
  // Once a scan.
  void End(const Status& status) {
    Count(status.code());
    Finish(ToGrpc(backend_->Translate(status)));
  }
  void Count(StatusCode outcome) {
    const MonotonicTime now = backend_->node().clock().Now();
    // gRPC cancels what is past its client's deadline.
    if (outcome == StatusCode::kCancelled && now >= deadline_) outcome = StatusCode::kTimeout;
    backend_->node().RecordScan(
        Wire::kGrpc, stalled_.load() ? std::nullopt : std::optional(outcome), now - begun_);
  }

  // Reads `query` at the scan's version (which the first read fixes) and goes on with `next`.
  void Read(kv::RangeQuery query, void (ScanCall::*next)(kv::RangeResult)) {
    if (cancelled_.load()) {
      EndCancelled();
      return;
    }
    phase_.store(Phase::kReading);
    holders_.fetch_add(1);
    replication::RequestContext context = context_;
    context.deadline = deadline_;
    backend_->Execute(
        std::move(context), MakeGetRange(std::move(query), family_, version_),
        [this, next](Result<kv::OperationResult> result) {
          if (Pass(Phase::kReading, Phase::kStepping)) OnRead(std::move(result), next);
          Release();
        },
        CountAs::kScanBatch);
  }
  void OnRead(Result<kv::OperationResult> result, void (ScanCall::*next)(kv::RangeResult)) {
    if (!result.ok()) {
      End(result.status());
      return;
    }
    auto& answer = std::get<kv::RangeResult>(*result);
    if (version_.value() == 0) {
      version_ = answer.read_version;
      // From here on this node only has to have that version.
      context_.read_level = replication::ReadLevel::kLocal;
    }
    (this->*next)(std::move(answer));
  }

  // Replaces selectors that count, one after the other.
  void Resolve() {
    if (!IsPlain(query_.begin)) {
      ReadFirstAt(query_.begin, &ScanCall::OnBegin);
    } else if (query_.end && !IsPlain(*query_.end)) {
      ReadFirstAt(*query_.end, &ScanCall::OnEnd);
    } else {
      if (!resume_after_.empty()) SkipTo(resume_after_);
      ReadBatch();
    }
  }
  // The first key of a range that begins at `selector`, as ReadRange resolves it.
  void ReadFirstAt(const kv::KeySelector& selector, void (ScanCall::*next)(kv::RangeResult)) {
    kv::RangeQuery query;
    query.begin = selector;
    query.limit = 1;
    query.keys_only = true;
    Read(std::move(query), next);
  }
  void OnBegin(kv::RangeResult first) {
    if (first.key_values.empty()) {
      FinishEmpty();
      return;
    }
    query_.begin = kv::KeySelector::FirstGreaterOrEqual(std::move(first.key_values[0].key));
    Resolve();
  }
  void OnEnd(kv::RangeResult first) {
    // A key below which there is none ends the range before it begins, as running off the front
    // does.
    if (first.key_values.empty()) {
      query_.end.reset();
    } else {
      query_.end = kv::KeySelector::FirstGreaterOrEqual(std::move(first.key_values[0].key));
    }
    Resolve();
  }
  // Narrows the range to what comes after `key` in the order of the scan. Both selectors are plain.
  void SkipTo(const std::string& key) {
    if (query_.reverse) {
      if (!query_.end || PlaceOf(*query_.end) > key) {
        query_.end = kv::KeySelector::FirstGreaterOrEqual(key);
      }
    } else if (PlaceOf(query_.begin) <= key) {
      query_.begin = kv::KeySelector::FirstGreaterThan(key);
    }
  }

  void ReadBatch() {
    query_.limit = bounded_ ? left_ : 0;
    Read(query_, &ScanCall::OnBatch);
  }
  void OnBatch(kv::RangeResult answer) {
    const std::size_t pairs = answer.key_values.size();
    std::uint64_t bytes = 0;
    for (const kv::KeyValue& pair : answer.key_values) bytes += pair.key.size() + pair.value.size();
    scans_->bytes.Add(bytes);
    if (bounded_) left_ -= pairs;
    done_ = !answer.has_more || (bounded_ && left_ == 0);
    if (!done_) SkipTo(answer.key_values.back().key);
    batch_.set_has_more(done_ && answer.has_more);
    FillPairs(std::move(answer.key_values), batch_.mutable_pairs());
    WriteBatch();
  }
  void FinishEmpty() {
    done_ = true;
    WriteBatch();
  }
  void WriteBatch() {
    batch_.set_read_version(version_.value());
    batch_.set_last(done_);
    writing_since_.store(backend_->node().clock().Now().ns);
    StartWrite(&batch_);
  }

  Backend* const backend_;
  ScanTable* const scans_;
  grpc::CallbackServerContext* const call_;
  const std::string family_;
  const std::string resume_after_;
  replication::RequestContext context_;
  MonotonicTime begun_;
  MonotonicTime deadline_;
  bool listed_ = false;

  // Owned by the step that runs.
  kv::RangeQuery query_;
  std::uint64_t left_;
  const bool bounded_;
  Version version_;
  bool done_ = false;
  v1::ScanResponse batch_;

  std::atomic<Phase> phase_{Phase::kStepping};
  std::atomic<int> holders_{1};  // gRPC, and each read that is running
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<std::int64_t> writing_since_{0};  // 0: no write is running
};

bool ScanTable::Add(ScanCall* scan) {
  MutexLock lock(&mutex_);
  if (scans_.size() >= max_) return false;
  scans_.insert(scan);
  return true;
}

void ScanTable::Remove(ScanCall* scan) {
  MutexLock lock(&mutex_);
  scans_.erase(scan);
}

void ScanTable::EndStalled(MonotonicTime then) {
  MutexLock lock(&mutex_);
  for (ScanCall* scan : scans_) scan->EndIfStalled(then);
}

std::uint64_t ScanTable::open() const {
  MutexLock lock(&mutex_);
  return scans_.size();
}

grpc::ServerWriteReactor<v1::ScanResponse>* StartScan(Backend* backend, ScanTable* scans,
                                                      grpc::CallbackServerContext* call,
                                                      const v1::ScanRequest& request) {
  auto* scan = new ScanCall(backend, scans, call, request);
  scan->Start(request.read());
  return scan;
}

void FillPairs(std::vector<kv::KeyValue> pairs,
               google::protobuf::RepeatedPtrField<v1::KeyValue>* to) {
  to->Reserve(static_cast<int>(pairs.size()));
  for (kv::KeyValue& pair : pairs) {
    v1::KeyValue* wire = to->Add();
    wire->set_key(std::move(pair.key));
    wire->set_value(std::move(pair.value));
  }
}

}  // namespace cairn::server
