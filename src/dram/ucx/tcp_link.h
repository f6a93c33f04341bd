// A link over a TCP socket of our own: frames one after another, each followed by its payload
// (docs/formats/dram_wire.md). A large payload is read straight into its receiver's place and sent
// straight out of its pin. docs/adr/0026-dram-tcp.md says why it stands beside UCX's TCP.
//
// Thread safety: none; everything here lives on its engine.
#ifndef CAIRN_SRC_DRAM_UCX_TCP_LINK_H_
#define CAIRN_SRC_DRAM_UCX_TCP_LINK_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/dram/ucx/door.h"
#include "src/dram/ucx/link.h"

namespace cairn::dram::ucx {

class TcpArrival;
class TcpLinks;

class TcpLink final : public Link, public std::enable_shared_from_this<TcpLink> {
 public:
  // Takes over the socket. `connecting`: it may not be connected yet.
  TcpLink(TcpLinks* set, int fd, bool connecting, LinkUser* user);
  ~TcpLink() override;
  void Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
            absl::AnyInvocable<void(Status)> sent) override;
  // A token goes in a message of the door's, an empty one as a heartbeat.
  void SendAttach(std::string_view token) override;
  void SendRaw(std::string_view bytes) override;
  void Break(const Status& why) override;

 private:
  friend class TcpArrival;
  friend class TcpLinks;
  struct Outgoing {
    std::string wire;
    Buffer payload;
    absl::AnyInvocable<void(Status)> sent;
    CallId request = 0;    // of this call; 0: something else
    std::size_t done = 0;  // of both
    [[nodiscard]] std::size_t size() const { return wire.size() + payload.size(); }
  };
  // A payload that is read into its place.
  struct Incoming {
    MutableBuffer place;
    absl::AnyInvocable<void(Status)> received;
    std::size_t done = 0;
  };

  void OnReady(std::uint32_t events);
  // Takes in what the kernel has, up to a bound. How many reads brought something.
  unsigned Read();
  // What has come does not end with a frame.
  [[nodiscard]] bool InFrame() const;
  void Take(std::string_view bytes);
  // Goes through frames and parts of payloads; what is left is the beginning of a frame.
  std::string_view TakeFrames(std::string_view bytes);
  std::string_view TakeFrame(std::string_view bytes, std::size_t head_bytes);
  // Takes a request whose first byte has not been sent out of the queue. False if it can't.
  bool TakeBack(CallId call);
  void ReceiveRest(Incoming incoming);
  void EndIncoming(Status status);
  // The rest of what is read into a place with this pin is to be passed over.
  void SkipRest(const std::shared_ptr<void>& pin);
  void Enqueue(Outgoing message);
  void Flush();
  // False if something is left, as the kernel has no room for it or the link broke.
  bool TryFlush();
  // Drops the first messages of the queue, as far as `bytes` of it have been sent.
  void Sent(std::size_t bytes);
  // Whether epoll is to say when the kernel has room again.
  void AwaitRoom(bool wanted);
  void GiveEverythingBack();

  TcpLinks* const set_;
  int fd_;
  bool opened_ = false;
  // Waits until the kernel has room, or has connected.
  bool writes_;
  bool put_off_ = false;
  bool flushing_ = false;
  // The next frame says that the server has taken us.
  bool awaits_acceptance_ = false;
  std::deque<Outgoing> queue_;
  // The beginning of a frame.
  std::string partial_;
  // Of a payload that nobody wants, to be passed over.
  std::uint64_t skip_ = 0;
  std::optional<Incoming> incoming_;
  // Whose frame is being handed over, until its fate is known.
  TcpArrival* arriving_ = nullptr;
};

// The links of an engine over sockets of our own.
class TcpLinks final : public SocketPoller {
 public:
  explicit TcpLinks(Engine* engine) : engine_(engine), buffer_(kBufferBytes, '\0') {}
  // Begins to connect. kUnavailable.
  Result<std::shared_ptr<Link>> Connect(const SocketAddress& address, LinkUser* user);
  // Takes over a connected socket. kUnavailable if it can't be waited for; it is closed then.
  Result<std::shared_ptr<Link>> Accept(int fd, LinkUser* user);

  unsigned Look() override;
  void Flush() override;
  [[nodiscard]] std::size_t Count() const override { return links_.size(); }
  [[nodiscard]] bool InTransfer() const override { return transfers_ > 0; }
  [[nodiscard]] bool LooksCheaply() const override;

 private:
  friend class TcpLink;
  // More than what travels along with a frame at once, and not much more: the beginning of a large
  // payload is copied out of here.
  static constexpr std::size_t kBufferBytes = 32 << 10;
  Result<std::shared_ptr<Link>> Open(std::shared_ptr<TcpLink> link);
  void PutOff(std::shared_ptr<TcpLink> link);
  void Remove(TcpLink* link);

  Engine* const engine_;
  // What all of them read into.
  std::string buffer_;
  std::vector<TcpLink*> links_;
  // To be flushed when the batch ends.
  std::vector<std::shared_ptr<TcpLink>> put_off_;
  // Payloads that are read, and links that wait to write.
  int transfers_ = 0;
  int writers_ = 0;
};

}  // namespace cairn::dram::ucx

#endif  // CAIRN_SRC_DRAM_UCX_TCP_LINK_H_
