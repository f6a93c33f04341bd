#include "src/server/grpc/state_calls.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "api/cairn.pb.h"
#include "src/replication/backup_source.h"
#include "src/server/grpc/async_call.h"

namespace cairn::server {
namespace {

// For the read barrier at the start, unless the client says how long it waits.
constexpr Duration kBarrierBound = std::chrono::seconds(30);
constexpr Duration kAdvanceBound = std::chrono::seconds(60);

void FillSection(const digest::Section& section, v1::DigestSection* to) {
  to->set_name(section.name);
  to->set_pairs(section.pairs);
  to->set_bytes(section.bytes);
  to->set_sum_low(section.sum.low);
  to->set_sum_high(section.sum.high);
  to->set_mask(section.mask);
  for (const digest::Range& range : section.ranges) {
    v1::DigestRange* const wire = to->add_ranges();
    wire->set_begin(range.begin);
    wire->set_pairs(range.pairs);
    wire->set_sum_low(range.sum.low);
    wire->set_sum_high(range.sum.high);
  }
}

// One backup on its way to a client. Owned by gRPC: only this object ends its call, and OnDone is
// the last that is heard of it. Steps run on the thread of StateAdmin.
class BackupCall final : public grpc::ServerWriteReactor<v1::BackupChunk> {
  // Outlives the call in the timers that look at it.
  struct Watch {
    Mutex mutex;
    grpc::CallbackServerContext* call ABSL_GUARDED_BY(mutex) = nullptr;
    std::uint64_t writes ABSL_GUARDED_BY(mutex) = 0;
    bool writing ABSL_GUARDED_BY(mutex) = false;
    bool stalled ABSL_GUARDED_BY(mutex) = false;

    // Looks every `stall`, as long as the call lives, whether the client takes anything.
    static void Look(const std::shared_ptr<Watch>& watch, SerialExecutor* worker,
                     const Clock* clock, Duration stall, std::uint64_t seen) {
      worker->PostAt(clock->Now() + stall, [watch, worker, clock, stall, seen] {
        std::uint64_t now_seen = 0;
        {
          MutexLock lock(&watch->mutex);
          if (watch->call == nullptr) return;
          if (watch->writing && watch->writes == seen) {
            watch->stalled = true;
            return watch->call->TryCancel();
          }
          now_seen = watch->writes;
        }
        Look(watch, worker, clock, stall, now_seen);
      });
    }
  };

 public:
  BackupCall(Backend* backend, grpc::CallbackServerContext* call)
      : backend_(backend),
        counted_run_(backend, NodeCall::kBackup),
        call_(call),
        watch_(std::make_shared<Watch>()) {
    watch_->call = call;
  }

  void Start(bool local) {
    counted_ = backend_->BeginBackup();
    if (!counted_) {
      captured_->store(true);
      return End(ResourceExhaustedError("there are " + std::to_string(Backend::kMaxBackups) +
                                        " backups of this node already; try again when one has "
                                        "ended"));
    }
    const MonotonicTime now = backend_->node().clock().Now();
    MonotonicTime deadline = DeadlineOf(*call_, now);
    if (deadline == MonotonicTime::Max()) deadline = now + kBarrierBound;
    auto take = [this, captured = captured_](Result<replication::StateCapture> c) {
      if (captured->exchange(true)) return;  // The call has ended, and may be gone.
      if (!c.ok()) return End(std::move(c).status());
      const NodeService& node = backend_->node();
      backup::Header about;
      about.cluster = node.cluster();
      about.node = node.node_id();
      about.made = node.clock().Wall();
      about.software_version = backend_->options().software_version;
      source_.emplace(*std::move(c), about);
      Watch::Look(watch_, states().worker(), &node.clock(), backend_->options().backup_stall, 0);
      states().worker()->Post([this] { Step(); });
    };
    states().Capture(!local, deadline, std::move(take));
  }

  void OnCancel() override {
    cancelled_.store(true);
    // While the capture is waited for, which may be long, nothing else ends the call.
    if (!captured_->exchange(true)) End(Status(StatusCode::kCancelled, "the client went away"));
  }
  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(&watch_->mutex);
      ++watch_->writes;
      watch_->writing = false;
    }
    if (!ok) cancelled_.store(true);
    states().worker()->Post([this] { Step(); });
  }
  void OnDone() override {
    {
      MutexLock lock(&watch_->mutex);
      watch_->call = nullptr;
    }
    if (counted_) backend_->EndBackup();
    Backend* const backend = backend_;
    delete this;
    backend->Ended();
  }

 private:
  [[nodiscard]] StateAdmin& states() const { return backend_->node().states(); }

  void Step() {
    Status status = states().MayGoOn();
    if (cancelled_.load()) status = Status(StatusCode::kCancelled, "the client went away");
    if (!status.ok()) return End(status);
    Result<std::string> bytes = source_->Next();
    if (!bytes.ok()) return End(bytes.status());
    if (bytes->empty()) return End(Status::Ok());
    chunk_.set_data(*std::move(bytes));
    {
      MutexLock lock(&watch_->mutex);
      watch_->writing = true;
    }
    StartWrite(&chunk_);
  }
  void End(const Status& status) {
    source_.reset();
    std::optional<StatusCode> outcome = status.code();
    {
      MutexLock lock(&watch_->mutex);
      if (watch_->stalled) outcome.reset();
    }
    counted_run_.End(outcome);
    Finish(ToGrpc(backend_->Translate(status)));
  }

  Backend* const backend_;
  const NodeCallRun counted_run_;
  grpc::CallbackServerContext* const call_;
  const std::shared_ptr<Watch> watch_;
  bool counted_ = false;  // holds one of the places for backups
  std::atomic<bool> cancelled_{false};
  // Claimed once, by the capture or by the end of a call that waits for it; outlives the call.
  const std::shared_ptr<std::atomic<bool>> captured_ = std::make_shared<std::atomic<bool>>(false);
  std::optional<replication::BackupSource> source_;
  v1::BackupChunk chunk_;
};

}  // namespace

grpc::ServerUnaryReactor* StartPrepareDigest(Backend* backend,
                                             const v1::PrepareDigestRequest& request) {
  return StartChange(backend, NodeCall::kPrepareDigest, [&](auto answer) {
    backend->node().states().PrepareDigest(Slot(request.slot()), request.token(),
                                           std::move(answer));
  });
}

grpc::ServerUnaryReactor* StartGetDigest(Backend* backend, const v1::GetDigestRequest& request,
                                         v1::GetDigestResponse* response) {
  using Shared = std::shared_ptr<const digest::StateDigest>;
  return StartAsync<Shared>(
      backend, NodeCall::kGetDigest,
      [&](auto answer) { backend->node().states().GetDigest(request.token(), std::move(answer)); },
      [response](const Shared& state) {
        response->set_slot(state->slot);
        response->set_version(state->version);
        for (const digest::Section& section : state->sections) {
          FillSection(section, response->add_sections());
        }
      });
}

grpc::ServerUnaryReactor* StartAdvanceLog(Backend* backend, const grpc::CallbackServerContext& call,
                                          const v1::AdvanceLogRequest& request) {
  const MonotonicTime now = backend->node().clock().Now();
  const MonotonicTime deadline = std::min(DeadlineOf(call, now), now + kAdvanceBound);
  return StartChange(backend, NodeCall::kAdvanceLog, [&](auto answer) {
    backend->node().states().AdvanceLog(Slot(request.slot()), deadline, std::move(answer));
  });
}

grpc::ServerWriteReactor<v1::BackupChunk>* StartBackup(Backend* backend,
                                                       grpc::CallbackServerContext* call,
                                                       const v1::BackupRequest& request) {
  backend->Began();
  auto* const backup = new BackupCall(backend, call);
  backup->Start(request.local());
  return backup;
}

}  // namespace cairn::server
