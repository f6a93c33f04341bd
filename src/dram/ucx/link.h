// One UCX endpoint that carries frames (src/dram/frame.h): header and fixed part as the header of
// an active message, the payload as its data, eager when small and by rendezvous when not, in which
// case the receiver's place is written without a copy.
//
// Life: a Link is made open, breaks once, closes its endpoint, and is drained when UCX has given
// back every buffer. Buffers in the hands of UCX keep their pins until then; a Link keeps itself
// alive for that.
//
// Thread safety: none; a Link lives on its engine. Its callbacks run there too, never inside a call
// of its user, but for `received` of Arrival::Receive and `sent` of Send.
#ifndef CAIRN_SRC_DRAM_UCX_LINK_H_
#define CAIRN_SRC_DRAM_UCX_LINK_H_

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/dram/frame.h"
#include "src/dram/transport.h"
#include "src/dram/ucx/engine.h"

namespace cairn::dram::ucx {

class Link;
class LinkSet;

// The payload of a frame that came in. Small ones are here already, large ones still with the
// sender. Destroying it drops the payload and lets the sender go on.
class Arrival {
 public:
  ~Arrival();
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Moves the payload into a place of size() bytes, then runs `received`, perhaps inside the call.
  // At most once. After an error the bytes are undefined.
  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received);

 private:
  friend class LinkSet;
  // What became of it while UCX's callback that brought it runs.
  enum class Fate { kKept, kDropped, kCopied, kReceiving };
  Arrival(std::shared_ptr<Link> link, void* data, std::uint64_t size, bool rendezvous, Fate* fate)
      : link_(std::move(link)), data_(data), size_(size), rendezvous_(rendezvous), fate_(fate) {}
  void Release(Fate fate);

  const std::shared_ptr<Link> link_;
  void* data_;  // null once it was received or dropped
  const std::uint64_t size_;
  const bool rendezvous_;
  Fate* fate_;  // null after that callback
};

class LinkUser {
 public:
  virtual ~LinkUser() = default;
  // The views in `frame` last for the call. `arrival` is null if there is no payload.
  virtual void OnFrame(const Frame& frame, std::unique_ptr<Arrival> arrival) = 0;
  // The first message of a connection, see Link::SendAttach.
  virtual void OnAttach(Link* link, std::string_view token) = 0;
  // The link broke. Runs once.
  virtual void OnBroken(const Status& why) = 0;
};

class Link : public std::enable_shared_from_this<Link> {
 public:
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // `sent` runs when UCX no longer needs frame and payload, perhaps inside the call; null is fine.
  // A link that is broken drops the frame at once and runs `sent` with the reason, not inside the
  // call.
  void Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
            absl::AnyInvocable<void(Status)> sent);
  // Says which connection this endpoint is for; an empty token says that it was accepted.
  void SendAttach(std::string_view token);
  // For tests: sends bytes in place of a frame.
  void SendRaw(std::string_view bytes);
  // Closes the endpoint. What UCX holds comes back with an error.
  void Break(const Status& why);
  // Null: the link calls nobody any more.
  void SetUser(LinkUser* user) { user_ = user; }

  [[nodiscard]] bool broken() const { return !why_.ok(); }
  // Sends and receives that UCX has not given back.
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
  // When anything came in last.
  [[nodiscard]] MonotonicTime last_heard() const { return last_heard_; }

 private:
  friend class Arrival;
  friend class LinkSet;
  struct SendOp;
  struct ReceiveOp;
  Link(LinkSet* set, LinkUser* user) : set_(set), user_(user) {}
  void SendMessage(unsigned id, std::unique_ptr<SendOp> op);
  void Dispatch(std::string_view bytes, std::unique_ptr<Arrival> arrival);
  void CloseEndpoint();
  void OpDone();

  LinkSet* const set_;
  LinkUser* user_;
  ucp_ep* endpoint_ = nullptr;
  Status why_;
  std::size_t outstanding_ = 0;
  MonotonicTime last_heard_;
  // Keeps a broken link until it is drained.
  std::shared_ptr<Link> self_;
};

// An engine and its links: finds the link of an incoming message.
class LinkSet {
 public:
  // Payloads of up to `eager_bytes` go along with their header.
  LinkSet(std::unique_ptr<Engine> engine, std::size_t eager_bytes);
  // Waits until every link is drained, then ends the engine. Not on the engine; every link must
  // have been broken.
  ~LinkSet();
  LinkSet(const LinkSet&) = delete;
  LinkSet& operator=(const LinkSet&) = delete;

  Result<std::shared_ptr<Link>> Connect(const sockaddr* address, std::size_t address_size,
                                        LinkUser* user);
  Result<std::shared_ptr<Link>> Accept(ucp_conn_request* request, LinkUser* user);

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] std::size_t size() const { return links_.size(); }

 private:
  friend class Link;
  friend class Arrival;
  struct Callbacks;
  Result<std::shared_ptr<Link>> Create(void* params, LinkUser* user);

  const std::size_t eager_bytes_;
  // Open and closing links by endpoint.
  absl::flat_hash_map<ucp_ep*, Link*> links_;
  // Links that are not drained, and whom to tell when there is none.
  std::size_t undrained_ = 0;
  Task drained_;
  // Last: it ends first.
  std::unique_ptr<Engine> engine_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_LINK_H_
