#include "src/dram/ucx/ucx.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <ucp/api/ucp.h>
#include <ucs/debug/log_def.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>

#include "src/base/clock.h"
#include "src/base/log.h"

// Exported by libucs, though no header declares it: gives every signal that UCX took back to whom
// it was taken from, an ignored one too.
extern "C" void ucs_debug_disable_signals(void);

namespace cairn::dram::ucx {
namespace {

// UCX says the same over and over when it can't get on. So many lines a second are enough.
constexpr unsigned kLinesASecond = 20;

// Nothing if a line is one too many; else how many were left out since the last that was not. UCX's
// own thread logs too.
std::optional<unsigned> MayLog() {
  static std::atomic<std::int64_t> second{-1};
  static std::atomic<unsigned> lines{0};
  const std::int64_t now = SystemClock().Now().ns / 1'000'000'000;
  unsigned left_out = 0;
  if (second.exchange(now) != now) {
    const unsigned before = lines.exchange(0);
    left_out = before > kLinesASecond ? before - kLinesASecond : 0;
  }
  if (lines.fetch_add(1) >= kLinesASecond) return std::nullopt;
  return left_out;
}

// UCX's own lines go to our log instead of standard output.
ucs_log_func_rc_t LogHandler(const char* file, unsigned line, const char* function,
                             ucs_log_level_t level, const ucs_log_component_config_t* component,
                             const char* message, va_list arguments) {
  const std::optional<unsigned> left_out = MayLog();
  if (!left_out.has_value()) return UCS_LOG_FUNC_RC_STOP;
  if (*left_out > 0) CAIRN_LOG(kWarn, "ucx: {} lines more like the last ones", *left_out);
  std::array<char, 1024> text{};
  std::vsnprintf(text.data(), text.size(), message, arguments);
  if (level <= UCS_LOG_LEVEL_ERROR) {
    CAIRN_LOG(kError, "ucx: {}", text.data());
  } else if (level == UCS_LOG_LEVEL_WARN) {
    CAIRN_LOG(kWarn, "ucx: {}", text.data());
  } else {
    CAIRN_LOG(kDebug, "ucx: {}", text.data());
  }
  return UCS_LOG_FUNC_RC_STOP;
}

// libucs has been loaded, and its own constructor has run, before this one runs.
__attribute__((constructor)) void UndoSideEffects() { ucs_debug_disable_signals(); }

// UCX starts a thread of its own; it must not be handed the process's signals.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

void TakeOverLog() {
  static const bool done = [] {
    ucs_log_push_handler(LogHandler);
    return true;
  }();
  (void)done;
}

}  // namespace

std::string UcsText(int status) { return ucs_status_string(static_cast<ucs_status_t>(status)); }

Status UcsError(std::string_view what, int status) {
  return UnavailableError(std::string(what) + ": " + UcsText(status));
}

Config NetworkConfig(const std::string& tls) {
  return {{"TLS", tls},
          // Only the device that the peer's address is reached by.
          {"CM_USE_ALL_DEVICES", "n"},
          // An endpoint connects back to its peer's data port, on the engine: a peer that drops
          // what is sent there would else hold up everybody until the kernel gives up.
          {"CONN_NB", "y"},
          // Heartbeats are ours.
          {"KEEPALIVE_INTERVAL", "inf"}};
}

Result<std::shared_ptr<Context>> Context::Create(const Config& config) {
  TakeOverLog();
  const BlockedSignals blocked;
  ucp_config_t* read = nullptr;
  if (ucs_status_t s = ucp_config_read(nullptr, nullptr, &read); s != UCS_OK) {
    return UcsError("UCX's configuration can't be read", s);
  }
  ucs_status_t status = UCS_OK;
  for (const auto& [key, value] : config) {
    status = ucp_config_modify(read, key.c_str(), value.c_str());
    if (status != UCS_OK) break;
  }
  ucp_context_h context = nullptr;
  if (status == UCS_OK) {
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
    params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
    params.name = "cairn";
    status = ucp_init(&params, read, &context);
  }
  ucp_config_release(read);
  if (status != UCS_OK) {
    return UcsError("UCX can't start with TLS=" + config.front().second +
                        " (ucx_info -d lists the transports of this machine)",
                    status);
  }
  return std::shared_ptr<Context>(new Context(context));
}

Context::~Context() { ucp_cleanup(context_); }

Result<std::shared_ptr<RegisteredMemory>> RegisteredMemory::Create(std::shared_ptr<Context> context,
                                                                   void* base, std::size_t size) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  params.address = base;
  params.length = size;
  ucp_mem_h memory = nullptr;
  if (ucs_status_t s = ucp_mem_map(context->get(), &params, &memory); s != UCS_OK) {
    return UcsError("UCX can't register " + std::to_string(size) +
                        " bytes (is the limit of locked memory, ulimit -l, too low?)",
                    s);
  }
  return std::shared_ptr<RegisteredMemory>(new RegisteredMemory(std::move(context), memory));
}

RegisteredMemory::~RegisteredMemory() { ucp_mem_unmap(context_->get(), memory_); }

Result<std::unique_ptr<Worker>> Worker::Create(std::shared_ptr<Context> context) {
  const BlockedSignals blocked;
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) {
    return UnavailableError(std::string("no epoll for UCX: ") + std::strerror(errno));
  }
  std::unique_ptr<Worker> worker(new Worker(std::move(context), epoll_fd));
  ucp_worker_params_t params{};
  // One epoll for UCX and everybody else, instead of one inside the other: a wake-up has one way
  // less to go.
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_EVENT_FD |
                      UCP_WORKER_PARAM_FIELD_USER_DATA;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  params.event_fd = epoll_fd;
  params.user_data = reinterpret_cast<void*>(kUcxEvent);
  if (ucs_status_t s = ucp_worker_create(worker->context_->get(), &params, &worker->worker_);
      s != UCS_OK) {
    return UcsError("UCX can't make a worker", s);
  }
  ucp_worker_attr_t attributes{};
  attributes.field_mask = UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER;
  if (ucs_status_t s = ucp_worker_query(worker->worker_, &attributes); s != UCS_OK) {
    return UcsError("UCX says nothing of its worker", s);
  }
  worker->max_header_bytes_ = attributes.max_am_header;
  return worker;
}

Worker::~Worker() {
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  ::close(epoll_fd_);
}

bool Worker::Arm() { return ucp_worker_arm(worker_) == UCS_OK; }

Result<std::unique_ptr<ConnectionListener>> ConnectionListener::Create(Worker* worker,
                                                                       const sockaddr* address,
                                                                       std::size_t address_size,
                                                                       OnRequest on_request) {
  std::unique_ptr<ConnectionListener> listener(new ConnectionListener(std::move(on_request)));
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr.addr = address;
  params.sockaddr.addrlen = static_cast<socklen_t>(address_size);
  params.conn_handler.cb = [](ucp_conn_request_h request, void* self) {
    auto* const me = static_cast<ConnectionListener*>(self);
    if (me->on_request_) {
      me->on_request_(request);
    } else {
      me->Reject(request);
    }
  };
  params.conn_handler.arg = listener.get();
  if (ucs_status_t s = ucp_listener_create(worker->get(), &params, &listener->listener_);
      s != UCS_OK) {
    return UcsError("UCX can't listen", s);
  }
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  if (ucs_status_t s = ucp_listener_query(listener->listener_, &attributes); s != UCS_OK) {
    return UcsError("UCX doesn't say where it listens", s);
  }
  // The port stands at the same place for IPv4 and IPv6.
  listener->port_ = ntohs(reinterpret_cast<const sockaddr_in*>(&attributes.sockaddr)->sin_port);
  return listener;
}

ConnectionListener::~ConnectionListener() {
  if (listener_ != nullptr) ucp_listener_destroy(listener_);
}

void ConnectionListener::Reject(ucp_conn_request* request) {
  (void)ucp_listener_reject(listener_, request);
}

}  // namespace cairn::dram::ucx
