// A transport within one process: every LoopbackTransport is like a process of its own, with its
// own progress thread, and those of one LoopbackNetwork reach each other. Frames are encoded and
// decoded as on a real wire, payloads copied once, by the receiver. For tests, for examples, and
// where no UCX is.
//
// Thread safety: all of it.
#ifndef CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_TRANSPORT_H_
#define CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_TRANSPORT_H_

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>

#include "src/base/clock.h"
#include "src/base/mutex.h"
#include "src/dram/transport.h"

namespace cairn::dram {

class LoopbackListener;
class LoopbackProcess;

// Who listens where.
class LoopbackNetwork {
 public:
  // The network that all of a process shares.
  static const std::shared_ptr<LoopbackNetwork>& Shared();

  // Sends bytes as one frame on a new connection, as a hostile peer would. False if nobody listens.
  bool SendRaw(const Endpoint& address, std::string bytes);

 private:
  friend class LoopbackTransport;
  friend class LoopbackListener;
  friend class LoopbackClient;

  // kIoError if the address is taken; picks a port for 0.
  Result<Endpoint> Claim(const Endpoint& address, std::weak_ptr<LoopbackListener> listener);
  void Release(const Endpoint& address);
  std::shared_ptr<LoopbackListener> Find(const Endpoint& address);

  Mutex mutex_;
  absl::flat_hash_map<std::string, std::weak_ptr<LoopbackListener>> listeners_
      ABSL_GUARDED_BY(mutex_);
  std::uint16_t next_port_ ABSL_GUARDED_BY(mutex_) = 40000;
};

class LoopbackTransport final : public Transport {
 public:
  explicit LoopbackTransport(std::shared_ptr<LoopbackNetwork> network = LoopbackNetwork::Shared());
  ~LoopbackTransport() override;

  [[nodiscard]] std::string_view name() const override { return "loopback"; }
  Result<std::shared_ptr<void>> RegisterMemory(void* base, std::size_t size) override;
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& address,
                                           RequestHandler* handler) override;
  std::unique_ptr<Connection> Connect(const Endpoint& address,
                                      absl::AnyInvocable<void(Status)> on_closed) override;

 private:
  const std::shared_ptr<LoopbackNetwork> network_;
  const std::shared_ptr<LoopbackProcess> process_;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_LOOPBACK_LOOPBACK_TRANSPORT_H_
