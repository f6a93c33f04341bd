#include "src/dram/ucx/ucx_transport.h"

#include <utility>

#include "src/base/mutex.h"
#include "src/dram/ucx/client.h"
#include "src/dram/ucx/core.h"
#include "src/dram/ucx/server.h"

namespace cairn::dram {
namespace {

using ucx::Core;

class UcxConnection final : public Connection {
 public:
  explicit UcxConnection(std::shared_ptr<ucx::Client> client) : client_(std::move(client)) {}
  ~UcxConnection() override { client_->CloseAndWait(); }
  CallId Start(Call call) override { return client_->Start(std::move(call)); }
  void Cancel(CallId id) override { client_->Cancel(id); }
  void Close(Status reason) override { client_->Close(std::move(reason)); }

 private:
  const std::shared_ptr<ucx::Client> client_;
};

class UcxListener final : public Listener {
 public:
  UcxListener(Core* core, RequestHandler* handler)
      : core_(core), server_(std::make_shared<ucx::Server>(core, handler)) {}
  ~UcxListener() override {
    if (!opened_) return;
    server_->CloseAndWait();
    // Tasks and timers of the server may still stand in the queue.
    core_->engine().Post([server = server_] {});
  }
  Status Open(const Endpoint& address) {
    CAIRN_RETURN_IF_ERROR(server_->Open(address));
    opened_ = true;
    return {};
  }
  [[nodiscard]] Endpoint address() const override { return server_->address(); }
  [[nodiscard]] std::size_t connections() const override { return server_->connections(); }

 private:
  Core* const core_;
  const std::shared_ptr<ucx::Server> server_;
  bool opened_ = false;
};

// What threads that wait do: they drive the engine while it lives.
class Helper final : public internal::FutureHelper {
 public:
  explicit Helper(ucx::Engine* engine) : engine_(engine) {}
  void Help(const std::function<bool()>& done) override {
    ucx::Engine* engine = nullptr;
    {
      MutexLock lock(&mutex_);
      if (engine_ == nullptr) return;
      engine = engine_;
      ++inside_;
    }
    engine->Help(done);
    MutexLock lock(&mutex_);
    if (--inside_ == 0) left_.SignalAll();
  }
  void Nudge() override {
    MutexLock lock(&mutex_);
    if (engine_ != nullptr) engine_->Nudge();
  }
  void Expect() override {
    MutexLock lock(&mutex_);
    if (engine_ != nullptr) engine_->Expect();
  }
  // Waits for those inside, whose calls have ended.
  void Detach() {
    MutexLock lock(&mutex_);
    engine_ = nullptr;
    while (inside_ > 0) left_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar left_;
  ucx::Engine* engine_ ABSL_GUARDED_BY(mutex_);
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

class UcxTransport final : public Transport {
 public:
  explicit UcxTransport(std::unique_ptr<Core> core)
      : core_(std::move(core)), helper_(std::make_shared<Helper>(&core_->engine())) {}
  ~UcxTransport() override { helper_->Detach(); }

  [[nodiscard]] std::string_view name() const override {
    switch (core_->network) {
      case Network::kTcp:
        return "TCP";
      case Network::kUcx:
        return "UCX";
      case Network::kAny:
        break;
    }
    return "TCP and UCX";
  }
  Result<std::shared_ptr<void>> RegisterMemory(void* base, std::size_t size) override {
    CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<ucx::RegisteredMemory> memory,
                           ucx::RegisteredMemory::Create(core_->context, base, size));
    return std::shared_ptr<void>(std::move(memory));
  }
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& address,
                                           RequestHandler* handler) override {
    auto listener = std::make_unique<UcxListener>(core_.get(), handler);
    CAIRN_RETURN_IF_ERROR(listener->Open(address));
    return std::unique_ptr<Listener>(std::move(listener));
  }
  std::unique_ptr<Connection> Connect(const Endpoint& address,
                                      absl::AnyInvocable<void(Status)> on_closed) override {
    auto client = std::make_shared<ucx::Client>(core_.get(), address, std::move(on_closed));
    client->Connect();
    return std::make_unique<UcxConnection>(std::move(client));
  }
  bool Poll() override { return core_->engine().Poll(); }
  [[nodiscard]] std::shared_ptr<internal::FutureHelper> helper() override { return helper_; }

 private:
  // Ends with it: nothing of it may keep it, for it ends a thread on which such things die.
  const std::unique_ptr<Core> core_;
  const std::shared_ptr<Helper> helper_;
};

}  // namespace

Result<std::unique_ptr<Transport>> MakeUcxTransport(const UcxOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<ucx::Context> context,
                         ucx::Context::Create(ucx::NetworkConfig(options.tls)));
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<ucx::Engine> engine,
                         ucx::Engine::Create(context, options.busy_poll));
  return std::unique_ptr<Transport>(std::make_unique<UcxTransport>(
      std::make_unique<Core>(std::move(context), std::move(engine), options.eager_bytes,
                             options.shared_memory, options.network)));
}

}  // namespace cairn::dram
