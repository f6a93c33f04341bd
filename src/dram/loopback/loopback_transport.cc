#include "src/dram/loopback/loopback_transport.h"

#include <utility>

#include "src/dram/loopback/loopback_peers.h"

namespace cairn::dram {
namespace {

class ClientHandle final : public Connection {
 public:
  explicit ClientHandle(std::shared_ptr<LoopbackClient> client) : client_(std::move(client)) {}
  ~ClientHandle() override { client_->CloseAndWait(); }
  CallId Start(Call call) override { return client_->Start(std::move(call)); }
  void Cancel(CallId id) override { client_->Cancel(id); }
  void Close(Status reason) override { client_->Close(std::move(reason)); }

 private:
  const std::shared_ptr<LoopbackClient> client_;
};

class ListenerHandle final : public Listener {
 public:
  explicit ListenerHandle(std::shared_ptr<LoopbackListener> listener)
      : listener_(std::move(listener)) {}
  ~ListenerHandle() override { listener_->CloseAndWait(); }
  [[nodiscard]] Endpoint address() const override { return listener_->address(); }
  [[nodiscard]] std::size_t connections() const override { return listener_->connections(); }

 private:
  const std::shared_ptr<LoopbackListener> listener_;
};

}  // namespace

const std::shared_ptr<LoopbackNetwork>& LoopbackNetwork::Shared() {
  static const auto* const network =
      new std::shared_ptr<LoopbackNetwork>(std::make_shared<LoopbackNetwork>());
  return *network;
}

bool LoopbackNetwork::SendRaw(const Endpoint& address, std::string bytes) {
  const std::shared_ptr<LoopbackListener> listener = Find(address);
  if (listener == nullptr) return false;
  LoopbackMessage message{std::move(bytes), std::make_shared<LoopbackPayload>(Buffer())};
  listener->Deliver(listener->Accept({}), std::move(message));
  return true;
}

Result<Endpoint> LoopbackNetwork::Claim(const Endpoint& address,
                                        std::weak_ptr<LoopbackListener> listener) {
  MutexLock lock(&mutex_);
  Endpoint claimed = address;
  while (claimed.port == 0 || (address.port == 0 && listeners_.contains(claimed.ToString()))) {
    claimed.port = next_port_++;
    if (next_port_ == 0) next_port_ = 40000;
  }
  if (!listeners_.emplace(claimed.ToString(), std::move(listener)).second) {
    return IoError("can't listen at " + claimed.ToString() + ": the address is in use");
  }
  return claimed;
}

void LoopbackNetwork::Release(const Endpoint& address) {
  MutexLock lock(&mutex_);
  listeners_.erase(address.ToString());
}

// A wildcard address answers for every host name.
std::shared_ptr<LoopbackListener> LoopbackNetwork::Find(const Endpoint& address) {
  MutexLock lock(&mutex_);
  for (const std::string& host : {address.host, std::string("0.0.0.0"), std::string("::")}) {
    const auto it = listeners_.find(Endpoint{host, address.port}.ToString());
    if (it != listeners_.end()) return it->second.lock();
  }
  return nullptr;
}

LoopbackTransport::LoopbackTransport(std::shared_ptr<LoopbackNetwork> network)
    : network_(std::move(network)), process_(std::make_shared<LoopbackProcess>()) {}

LoopbackTransport::~LoopbackTransport() { process_->executor().Stop(); }

Result<std::shared_ptr<void>> LoopbackTransport::RegisterMemory(void* /*base*/,
                                                                std::size_t /*size*/) {
  // Nothing to do: the processor copies, and reaches all memory.
  return std::shared_ptr<void>();
}

Result<std::unique_ptr<Listener>> LoopbackTransport::Listen(const Endpoint& address,
                                                            RequestHandler* handler) {
  auto listener = std::make_shared<LoopbackListener>(network_, process_, handler);
  CAIRN_RETURN_IF_ERROR(listener->Claim(address));
  return std::unique_ptr<Listener>(std::make_unique<ListenerHandle>(std::move(listener)));
}

std::unique_ptr<Connection> LoopbackTransport::Connect(const Endpoint& address,
                                                       absl::AnyInvocable<void(Status)> on_closed) {
  auto client = std::make_shared<LoopbackClient>(process_, address, std::move(on_closed));
  client->Connect(network_);
  return std::make_unique<ClientHandle>(std::move(client));
}

}  // namespace cairn::dram
