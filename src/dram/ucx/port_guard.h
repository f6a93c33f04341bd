// Keeps strangers from UCX's listening port.
//
// UCX believes the length at the start of what a client sends to its listener: 4096 bytes of 0xFF
// fail an assertion there, which ends the whole process. So the kernel drops what can't be UCX's
// before UCX reads it: a socket filter on the listening socket, which the connections inherit, lets
// a segment pass that is empty or one whole message, its length as its header says. Whoever sends
// anything else, or nothing, is hung up on.
//
// A fence against noise and scanners, not against somebody who speaks UCX's own protocol: UCX has
// no defence against that, see docs/adr/0011-ucx.md.
//
// Thread safety: none; lives on its engine.
#ifndef CAIRN_SRC_DRAM_UCX_PORT_GUARD_H_
#define CAIRN_SRC_DRAM_UCX_PORT_GUARD_H_

#include <cstdint>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/dram/ucx/engine.h"

namespace cairn::dram::ucx {

class PortGuard {
 public:
  // Filters what comes to the socket of this process that listens on `port`, and looks for
  // strangers once a second. `name` is for the log. Not OK: nothing is guarded. kUnavailable with
  // what the kernel refused.
  static Result<std::unique_ptr<PortGuard>> Create(Engine* engine, std::uint16_t port,
                                                   std::string name);
  ~PortGuard();
  PortGuard(const PortGuard&) = delete;
  PortGuard& operator=(const PortGuard&) = delete;

 private:
  PortGuard(Engine* engine, std::uint16_t port, std::string name);
  void LookLater();
  void HangUpOnStrangers();

  Engine* const engine_;
  const std::uint16_t port_;
  const std::string name_;
  Engine::TimerId timer_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_PORT_GUARD_H_
