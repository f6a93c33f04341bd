// A way on which frames (src/dram/frame.h) travel between two processes: a UCX endpoint (UcxLink),
// or memory that both share (src/dram/ucx/shm_link.h).
//
// UcxLink: header and fixed part are the header of an active message, the payload its data, eager
// when small and by rendezvous when not, in which case the receiver's place is written without a
// copy.
//
// Life: a UcxLink is made open, breaks once, closes its endpoint, and is drained when UCX has given
// back every buffer. Buffers in the hands of UCX keep their pins until then; the link keeps itself
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
class UcxArrival;

// The payload of a frame that came in. Small ones are here already, large ones still with the
// sender. Destroying it drops the payload and lets the sender go on.
class Arrival {
 public:
  virtual ~Arrival() = default;
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Moves the payload into a place of size() bytes, then runs `received`, perhaps inside the call.
  // At most once. After an error the bytes are undefined.
  virtual void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) = 0;

 protected:
  explicit Arrival(std::uint64_t size) : size_(size) {}

 private:
  const std::uint64_t size_;
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

class Link {
 public:
  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // `sent` runs when frame and payload are needed no more, perhaps inside the call; null is fine. A
  // link that is broken drops the frame at once and runs `sent` with the reason, not inside the
  // call.
  virtual void Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
                    absl::AnyInvocable<void(Status)> sent) = 0;
  // Says which connection this link is for; an empty token says that it was accepted.
  virtual void SendAttach(std::string_view token) = 0;
  // For tests: sends bytes in place of a frame.
  virtual void SendRaw(std::string_view bytes) = 0;
  // Ends it. What is under way comes back with an error.
  virtual void Break(const Status& why) = 0;
  // Null: the link calls nobody any more.
  void SetUser(LinkUser* user) { user_ = user; }

  // Or over UCX.
  [[nodiscard]] virtual bool over_shared_memory() const { return false; }
  [[nodiscard]] bool broken() const { return !why_.ok(); }
  // Sends and receives under way.
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
  // When anything came in last.
  [[nodiscard]] MonotonicTime last_heard() const { return last_heard_; }

 protected:
  explicit Link(LinkUser* user) : user_(user) {}
  // Hands a frame to the user; a bad one breaks the link.
  void Dispatch(std::string_view bytes, std::unique_ptr<Arrival> arrival);

  LinkUser* user_;
  Status why_;
  std::size_t outstanding_ = 0;
  MonotonicTime last_heard_;
};

// A link over a UCX endpoint.
class UcxLink final : public Link, public std::enable_shared_from_this<UcxLink> {
 public:
  ~UcxLink() override;
  void Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
            absl::AnyInvocable<void(Status)> sent) override;
  void SendAttach(std::string_view token) override;
  void SendRaw(std::string_view bytes) override;
  void Break(const Status& why) override;

 private:
  friend class UcxArrival;
  friend class LinkSet;
  struct SendOp;
  struct ReceiveOp;
  UcxLink(LinkSet* set, LinkUser* user) : Link(user), set_(set) {}
  void SendMessage(unsigned id, std::unique_ptr<SendOp> op);
  void CloseEndpoint();
  void OpDone();

  LinkSet* const set_;
  ucp_ep* endpoint_ = nullptr;
  // Keeps a broken link until it is drained.
  std::shared_ptr<UcxLink> self_;
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
  friend class UcxLink;
  friend class UcxArrival;
  struct Callbacks;
  Result<std::shared_ptr<Link>> Create(void* params, LinkUser* user);

  const std::size_t eager_bytes_;
  // Open and closing links by endpoint.
  absl::flat_hash_map<ucp_ep*, UcxLink*> links_;
  // Links that are not drained, and whom to tell when there is none.
  std::size_t undrained_ = 0;
  Task drained_;
  // Last: it ends first.
  std::unique_ptr<Engine> engine_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_LINK_H_
