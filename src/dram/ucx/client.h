// The client's side of a connection: door, attachment, calls. Of a name with several addresses, all
// are tried in turn until there is a connection with one.
#ifndef CAIRN_SRC_DRAM_UCX_CLIENT_H_
#define CAIRN_SRC_DRAM_UCX_CLIENT_H_

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/dram/call_table.h"
#include "src/dram/ucx/core.h"
#include "src/dram/ucx/door_message.h"
#include "src/dram/ucx/local_door.h"

namespace cairn::dram::ucx {

// Functions marked (any thread) may be called from anywhere, the rest on the engine.
class Client final : public std::enable_shared_from_this<Client>, public DoorUser, public LinkUser {
 public:
  Client(Core* core, Endpoint address, absl::AnyInvocable<void(Status)> on_closed);

  void Connect();             // (any thread)
  CallId Start(Call call);    // (any thread)
  void Cancel(CallId id);     // (any thread)
  void Close(Status reason);  // (any thread)
  void CloseAndWait();        // (any thread)

 private:
  // What UCX still holds of a call, which may have ended.
  struct Held {
    bool sending = false;
    bool receiving = false;
  };
  void SayWhyNotLocally(const Status& why) const;
  void ConnectOverNetwork(const DoorWelcome& welcome);
  void ConnectOverUcx(const DoorWelcome& welcome);
  void ConnectTo(Result<std::vector<SocketAddress>> addresses);
  // Knocks at the next address; breaks if there is none.
  void TryNextAddress();
  // Nobody of ours answers at this one.
  void GiveUpAddress(const Status& why);
  void CloseDoor();
  void OnDoorMessage(std::string_view message) override;
  void OnDoorClosed(const Status& why) override;
  void OnAttach(Link* link, std::string_view token) override;
  void OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) override;
  void OnBroken(const Status& why) override;

  void DoStart(CallId id, Call call);
  [[nodiscard]] static bool WithinBounds(const Call& call);
  // Tells the engine how many calls have come or gone.
  void CountCalls();
  void Submit(CallId id);
  void TakeAnswer(CallId id, std::string header, std::unique_ptr<Arrival> arrival);
  void Finish(CallId id, Result<Answer> result);
  void EndEarly(CallId id, Call call, Status why);
  void LetGo(CallId id, bool Held::*what);
  void Break(const Status& reason);
  void ArmDeadline();
  void OnDeadline();
  [[nodiscard]] Status Unavailable(const Status& why) const;

  Core* const core_;
  const Endpoint address_;
  std::atomic<CallId> next_id_{1};
  absl::AnyInvocable<void(Status)> on_closed_;
  Status broken_;
  bool ready_ = false;
  // Of the name, in the resolver's order; `server_` is the one that is tried or used.
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  // What was wrong with those that were tried.
  std::string tried_;
  SocketAddress server_;
  // Somebody of ours has answered there.
  bool welcomed_ = false;
  std::unique_ptr<Door> door_;
  std::shared_ptr<Link> link_;
  std::shared_ptr<LocalDialer> dialer_;
  CallTable calls_;
  std::size_t counted_calls_ = 0;
  // Calls that wait for the connection, in the order of their Start.
  std::vector<CallId> waiting_;
  absl::flat_hash_map<CallId, Held> held_;
  SilenceWatch watch_;
  std::optional<Engine::TimerId> handshake_timer_;
  std::optional<Engine::TimerId> address_timer_;
  Engine::TimerId deadline_timer_;
  MonotonicTime armed_ = MonotonicTime::Max();
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_CLIENT_H_
