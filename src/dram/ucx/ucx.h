// UCX under names and lifetimes of ours: context, worker, listener, registered memory. UCX's own
// headers stay in ucx.cc, link.cc and engine.cc.
//
// What UCX does to a process that loads it is undone here: libucs takes the signals HUP, ILL, BUS,
// FPE and SEGV when it is loaded and prints to standard output. Both are put right before main()
// runs (docs/adr/0011-ucx.md).
//
// Thread safety: Context and its registered memory, all; a Worker belongs to one thread at a time.
#ifndef CAIRN_SRC_DRAM_UCX_UCX_H_
#define CAIRN_SRC_DRAM_UCX_UCX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/status.h"
#include "src/base/endpoint.h"

struct ucp_context;
struct ucp_worker;
struct ucp_listener;
struct ucp_conn_request;
struct ucp_mem;
struct ucp_ep;
struct sockaddr;

namespace cairn::dram::ucx {

// The text of a ucs_status_t.
std::string UcsText(int status);
// kUnavailable: "what: UCX's words".
Status UcsError(std::string_view what, int status);

// What of UCX's configuration we set; anything else keeps UCX's default.
using Config = std::vector<std::pair<std::string, std::string>>;

// `tls` are UCX's names of transports, such as "tcp".
Config NetworkConfig(const std::string& tls);

// ucp_context_h. Features: active messages, wake-up.
class Context {
 public:
  static Result<std::shared_ptr<Context>> Create(const Config& config);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  [[nodiscard]] ucp_context* get() const { return context_; }

 private:
  explicit Context(ucp_context* context) : context_(context) {}
  ucp_context* const context_;
};

// ucp_mem_h: memory that the network hardware knows.
class RegisteredMemory {
 public:
  static Result<std::shared_ptr<RegisteredMemory>> Create(std::shared_ptr<Context> context,
                                                          void* base, std::size_t size);
  ~RegisteredMemory();
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

 private:
  RegisteredMemory(std::shared_ptr<Context> context, ucp_mem* memory)
      : context_(std::move(context)), memory_(memory) {}
  const std::shared_ptr<Context> context_;
  ucp_mem* const memory_;
};

// ucp_worker_h, used by one thread at a time.
class Worker {
 public:
  static Result<std::unique_ptr<Worker>> Create(std::shared_ptr<Context> context);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] ucp_worker* get() const { return worker_; }
  // An epoll to which UCX adds what it waits for, and to which others may add theirs. It shows
  // kUcxEvent when there is something to progress, once Arm has said true.
  [[nodiscard]] int epoll_fd() const { return epoll_fd_; }
  // What an event of UCX carries in epoll_data::u64; no descriptor's number.
  static constexpr std::uint64_t kUcxEvent = ~std::uint64_t{0};
  // The longest header of an active message.
  [[nodiscard]] std::size_t max_header_bytes() const { return max_header_bytes_; }
  // True if it is safe to wait for event_fd: nothing happened since the last progress.
  [[nodiscard]] bool Arm();

 private:
  Worker(std::shared_ptr<Context> context, int epoll_fd)
      : context_(std::move(context)), epoll_fd_(epoll_fd) {}
  const std::shared_ptr<Context> context_;
  const int epoll_fd_;
  ucp_worker* worker_ = nullptr;
  std::size_t max_header_bytes_ = 0;
};

// ucp_listener_h. `on_request` runs inside the worker's progress and must only take a note.
class ConnectionListener {
 public:
  using OnRequest = std::function<void(ucp_conn_request*)>;
  static Result<std::unique_ptr<ConnectionListener>> Create(Worker* worker, const sockaddr* address,
                                                            std::size_t address_size,
                                                            OnRequest on_request);
  ~ConnectionListener();
  ConnectionListener(const ConnectionListener&) = delete;
  ConnectionListener& operator=(const ConnectionListener&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void Reject(ucp_conn_request* request);
  // From now on rejects what comes by itself.
  void RejectAll() { on_request_ = nullptr; }

 private:
  explicit ConnectionListener(OnRequest on_request) : on_request_(std::move(on_request)) {}
  OnRequest on_request_;
  ucp_listener* listener_ = nullptr;
  std::uint16_t port_ = 0;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_UCX_H_
