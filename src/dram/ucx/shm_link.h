// A link over memory that two processes of one host share (src/dram/shm): small payloads travel in
// its rings, large ones are copied by the receiver straight out of the sender's memory. Nobody ever
// writes into another process's buffers, so that a payload can be taken back at any moment: a
// receiver that is in the middle of it, or asleep, finds out when it is done and drops what it has
// copied.
//
// Thread safety: none; everything here lives on its engine.
#ifndef CAIRN_SRC_DRAM_UCX_SHM_LINK_H_
#define CAIRN_SRC_DRAM_UCX_SHM_LINK_H_

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "src/dram/shm/copy_team.h"
#include "src/dram/shm/greeting.h"
#include "src/dram/shm/segment.h"
#include "src/dram/ucx/link.h"

namespace cairn::dram::ucx {

class ShmSet;

// What a link is made of; it takes over both descriptors.
struct ShmParts {
  std::unique_ptr<shm::Segment> segment;
  std::unique_ptr<shm::PeerProcess> peer;
  bool server = false;  // which side this is
  int own_bell = -1;    // the peer rings it
  int peer_bell = -1;
};

class ShmLink final : public Link, public std::enable_shared_from_this<ShmLink> {
 public:
  ShmLink(ShmSet* set, ShmParts parts, LinkUser* user);
  ~ShmLink() override;
  void Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
            absl::AnyInvocable<void(Status)> sent) override;
  void SendAttach(std::string_view token) override;
  void SendRaw(std::string_view bytes) override;
  void Break(const Status& why) override;
  [[nodiscard]] bool over_shared_memory() const override { return true; }

 private:
  friend class ShmArrival;
  friend class ShmSet;
  struct Outgoing;
  struct Pull;

  // Takes in what is there, up to a bound, and sends what waits. How many messages came.
  unsigned Poll();
  // True if it may sleep: from now on the peer rings.
  bool FallAsleep();
  void Handle(const shm::RingMessage& message);
  void OnFrame(std::string_view bytes, bool pull);
  void OnDone(std::string_view bytes);
  void Enqueue(Outgoing message);
  bool TrySend(Outgoing* message);
  void Flush();
  void Ring() const;
  void Corrupt(const std::string& what);
  // Copies the next part of a large payload, or ends it.
  void Step(const std::shared_ptr<Pull>& pull);
  void SayDone(std::uint32_t slot);
  void GiveEverythingBack();

  ShmSet* const set_;
  const ShmParts parts_;
  shm::Direction& in_;
  shm::Direction& out_;
  shm::RingReader reader_;
  shm::RingWriter writer_;
  std::deque<Outgoing> queue_;  // what has found no room
  // What is offered to the peer, by the number of its state in out_.
  struct Offered {
    bool used = false;
    Buffer payload;
    absl::AnyInvocable<void(Status)> sent;
  };
  std::array<Offered, shm::kTransfers> offered_;
  bool asleep_ = false;
};

// The links of an engine over shared memory.
class ShmSet final : public Poller {
 public:
  explicit ShmSet(Engine* engine) : engine_(engine) {}
  // Of the engine's thread of control. A link with these parts, open. kUnavailable if its bell
  // can't be waited for; the parts are gone then.
  Result<std::shared_ptr<Link>> Open(ShmParts parts, LinkUser* user);

  unsigned Poll() override;
  [[nodiscard]] std::size_t Count() const override { return links_.size(); }
  bool FallAsleep() override;

 private:
  friend class ShmLink;
  // Rings the link's peer: at once, or after everybody had his turn, so that the peers that wake up
  // do not take the processor before all of them have been answered.
  void Ring(ShmLink* link);
  void Remove(ShmLink* link);
  // The link looks at its ring at every turn, until it has fallen asleep.
  void Awake(ShmLink* link);

  Engine* const engine_;
  std::vector<ShmLink*> links_;
  std::vector<ShmLink*> awake_;
  std::size_t cursor_ = 0;
  bool polling_ = false;
  // Links whose peers are to be rung when Poll ends.
  std::vector<ShmLink*> to_ring_;
  shm::CopyTeam copy_team_;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_SHM_LINK_H_
