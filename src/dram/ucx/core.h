// What the two sides of connections share: the links on their engine, the watch over silent peers,
// and the resolver of names.
//
// Thread safety: see each class.
#ifndef CAIRN_SRC_DRAM_UCX_CORE_H_
#define CAIRN_SRC_DRAM_UCX_CORE_H_

#include <chrono>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/executor.h"
#include "src/dram/ucx/door.h"
#include "src/dram/ucx/link.h"
#include "src/dram/ucx/name_resolver.h"
#include "src/dram/ucx/place_cache.h"
#include "src/dram/ucx/shm_link.h"
#include "src/dram/ucx/tcp_link.h"
#include "src/dram/ucx/ucx_transport.h"

namespace cairn::dram::ucx {

// From the beginning of a connection until its first UCX message.
inline constexpr std::chrono::seconds kHandshakeLimit{5};
// Of these, an address of a name that has others may take so long until the next one is tried. More
// than a second, after which the kernel repeats a SYN that was lost: a server that is there must
// not be passed over just then. Less than the two seconds that an operation waits for a connection
// (ServerLink), so that behind one dead address the next one still serves it.
inline constexpr std::chrono::milliseconds kAddressLimit{1500};
// A peer that owes something and says nothing is asked once a tick, and is dead after some.
inline constexpr std::chrono::milliseconds kWatchTick{500};
inline constexpr int kSilentTicks = 6;
// A client that was let in by the door and gave up may still have an endpoint on its way.
inline constexpr std::chrono::milliseconds kUnsettledTime{200};

// Thread safe.
struct Core {
  Core(std::shared_ptr<Context> context_in, std::unique_ptr<Engine> engine, std::size_t eager_bytes,
       bool shared_memory, Network network_in = Network::kAny)
      : context(std::move(context_in)),
        use_shared_memory(shared_memory),
        network(network_in),
        shm(engine.get()),
        tcp(engine.get()),
        links(std::move(engine), eager_bytes) {
    this->engine().RunAndWait([this] {
      this->engine().SetPoller(&shm);
      this->engine().SetSockets(&tcp);
    });
  }
  // Waits for what was retired.
  ~Core() {
    std::promise<void> done;
    std::future<void> future = done.get_future();
    engine().Post([this, &done] {
      none_retired = [&done] { done.set_value(); };
      if (retired.empty()) std::exchange(none_retired, nullptr)();
    });
    future.wait();
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  Engine& engine() { return links.engine(); }

  // Keeps a listener that nobody uses any more until `until`. A connection that UCX is making for
  // it points to it until the request for it was delivered (uct_tcp_sockcm_ep_t::listener in UCX
  // 1.13), and would call it after its end. On the engine.
  void Retire(std::unique_ptr<ConnectionListener> listener, MonotonicTime until) {
    listener->RejectAll();
    const auto it = retired.insert(retired.end(), std::move(listener));
    engine().RunAt(until, [this, it] {
      retired.erase(it);
      if (retired.empty() && none_retired) std::exchange(none_retired, nullptr)();
    });
  }

  const std::shared_ptr<Context> context;
  // With processes of the same host.
  const bool use_shared_memory;
  // With others.
  const Network network;
  // The engine, which ends with `links`, polls these two.
  ShmSet shm;
  TcpLinks tcp;
  LinkSet links;
  // On the engine.
  PlaceCache places;
  std::list<std::unique_ptr<ConnectionListener>> retired;
  Task none_retired;
  // Resolve, but in tests. Set before the first client connects. Numeric ones are asked for on the
  // engine, names on the resolver's threads.
  std::function<Result<std::vector<SocketAddress>>(const Endpoint&, bool numeric_only)> resolve =
      Resolve;
  // Ends before the engine that its answers are posted to.
  NameResolver resolver{[this](const Endpoint& endpoint) { return resolve(endpoint, false); }};
};

// Finds that a peer has gone silent while something is owed to us. Lives on the engine.
class SilenceWatch {
 public:
  // `busy` says whether anything is owed, `last_heard` when the peer was last heard of; `ping` asks
  // it; `dead` may destroy the watch.
  struct Questions {
    std::function<bool()> busy;
    std::function<MonotonicTime()> last_heard;
    std::function<void()> ping;
    std::function<void()> dead;
  };
  // `tick`: kWatchTick, but in tests.
  SilenceWatch(Engine* engine, Questions questions, Duration tick = kWatchTick)
      : engine_(engine), questions_(std::move(questions)), tick_(tick) {}
  ~SilenceWatch() { Stop(); }
  SilenceWatch(const SilenceWatch&) = delete;
  SilenceWatch& operator=(const SilenceWatch&) = delete;

  // Call when something may be owed from now on. Cheap.
  void Wake() {
    if (armed_) return;
    since_ = engine_->Now();
    Arm();
  }
  void Stop() {
    if (armed_) engine_->Cancel(timer_);
    armed_ = false;
  }

 private:
  void Arm() {
    armed_ = true;
    timer_ = engine_->RunAt(engine_->Now() + tick_, [this] { Tick(); });
  }
  // Ticks are counted, not time: a process that was stopped itself asks before it judges, and the
  // ticks of a busy one come late. A tick in which the peer was heard of is not silent, however
  // long it was.
  void Tick() {
    armed_ = false;
    if (!questions_.busy()) {
      silent_ticks_ = 0;
      return;
    }
    const bool heard = questions_.last_heard() >= since_;
    since_ = engine_->Now();
    if (heard) {
      silent_ticks_ = 0;
    } else if (++silent_ticks_ > kSilentTicks) {
      questions_.dead();
      return;
    } else {
      questions_.ping();
    }
    Arm();
  }

  Engine* const engine_;
  const Questions questions_;
  const Duration tick_;
  Engine::TimerId timer_;
  MonotonicTime since_;  // when the tick that runs began
  bool armed_ = false;
  int silent_ticks_ = 0;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_CORE_H_
