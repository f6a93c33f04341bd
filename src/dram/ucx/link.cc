#include "src/dram/ucx/link.h"

#include <ucp/api/ucp.h>

#include <chrono>
#include <cstring>
#include <future>

#include "src/base/check.h"
#include "src/base/log.h"

namespace cairn::dram::ucx {
namespace {

// Ids of active messages. UCX's word for their kind; never reused for another meaning.
constexpr unsigned kFrameMessage = 1;
constexpr unsigned kAttachMessage = 2;

// How long the end of a LinkSet waits for UCX to give back what it holds.
constexpr std::chrono::seconds kDrainLimit{10};

Status ToStatus(ucs_status_t status) {
  if (status == UCS_OK) return {};
  return UnavailableError(std::string("the connection broke: ") + ucs_status_string(status));
}

}  // namespace

// A payload that came over a UCX endpoint.
class UcxArrival final : public Arrival {
 public:
  // What became of it while UCX's callback that brought it runs.
  enum class Fate { kKept, kDropped, kCopied, kReceiving };
  UcxArrival(std::shared_ptr<UcxLink> link, void* data, std::uint64_t size, bool rendezvous,
             Fate* fate)
      : Arrival(size), link_(std::move(link)), data_(data), rendezvous_(rendezvous), fate_(fate) {}
  ~UcxArrival() override {
    if (data_ != nullptr) Release(Fate::kDropped);
  }
  void Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) override;
  // UCX's callback has ended, and nothing became of it yet.
  void Keep() { fate_ = nullptr; }

 private:
  void Release(Fate fate);

  const std::shared_ptr<UcxLink> link_;
  void* data_;  // null once it was received or dropped
  const bool rendezvous_;
  Fate* fate_;  // null after that callback
};

struct UcxLink::SendOp {
  std::shared_ptr<UcxLink> link;
  std::string wire;
  Buffer payload;
  absl::AnyInvocable<void(Status)> done;
};

struct UcxLink::ReceiveOp {
  std::shared_ptr<UcxLink> link;
  MutableBuffer place;
  absl::AnyInvocable<void(Status)> done;
};

// What UCX calls.
struct LinkSet::Callbacks {
  static void Sent(void* request, ucs_status_t status, void* argument) {
    if (request != nullptr) ucp_request_free(request);
    std::unique_ptr<UcxLink::SendOp> op(static_cast<UcxLink::SendOp*>(argument));
    const std::shared_ptr<UcxLink> link = std::move(op->link);
    auto done = std::move(op->done);
    // The pin goes before anybody is told.
    op.reset();
    if (done) done(ToStatus(status));
    link->OpDone();
  }

  static void Received(void* request, ucs_status_t status, std::size_t length, void* argument) {
    if (request != nullptr) ucp_request_free(request);
    std::unique_ptr<UcxLink::ReceiveOp> op(static_cast<UcxLink::ReceiveOp*>(argument));
    const std::shared_ptr<UcxLink> link = std::move(op->link);
    link->last_heard_ = link->set_->engine_->Now();
    auto done = std::move(op->done);
    Status result = ToStatus(status);
    if (result.ok() && length != op->place.size) {
      result = UnavailableError("a payload of " + std::to_string(length) +
                                " bytes came instead of " + std::to_string(op->place.size));
    }
    op.reset();
    done(std::move(result));
    link->OpDone();
  }

  static void Closed(void* request, ucs_status_t, void* link) {
    ucp_request_free(request);
    static_cast<UcxLink*>(link)->OpDone();
  }

  static void EndpointError(void* argument, ucp_ep_h endpoint, ucs_status_t status) {
    auto* set = static_cast<LinkSet*>(argument);
    const auto it = set->links_.find(endpoint);
    if (it != set->links_.end()) it->second->Break(ToStatus(status));
  }

  // The link that a message came by, if it still counts.
  static std::shared_ptr<UcxLink> Find(LinkSet* set, const ucp_am_recv_param_t* param) {
    if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return nullptr;
    const auto it = set->links_.find(param->reply_ep);
    if (it == set->links_.end() || it->second->broken()) return nullptr;
    it->second->last_heard_ = set->engine_->Now();
    return it->second->shared_from_this();
  }

  static ucs_status_t Frame(void* set, const void* header, std::size_t header_size, void* data,
                            std::size_t size, const ucp_am_recv_param_t* param) {
    const std::shared_ptr<UcxLink> link = Find(static_cast<LinkSet*>(set), param);
    if (link == nullptr) return UCS_OK;
    const std::string_view bytes(static_cast<const char*>(header), header_size);
    if (size == 0) {
      link->Dispatch(bytes, nullptr);
      return UCS_OK;
    }
    using Fate = UcxArrival::Fate;
    Fate fate = Fate::kKept;
    const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
    auto arrival = std::make_unique<UcxArrival>(link, data, size, rendezvous, &fate);
    UcxArrival* const kept = arrival.get();
    link->Dispatch(bytes, std::move(arrival));
    if (fate == Fate::kKept) kept->Keep();
    return fate == Fate::kKept || fate == Fate::kReceiving ? UCS_INPROGRESS : UCS_OK;
  }

  static ucs_status_t Attach(void* set, const void* header, std::size_t header_size, void*,
                             std::size_t, const ucp_am_recv_param_t* param) {
    const std::shared_ptr<UcxLink> link = Find(static_cast<LinkSet*>(set), param);
    if (link != nullptr && link->user_ != nullptr) {
      link->user_->OnAttach(link.get(), {static_cast<const char*>(header), header_size});
    }
    return UCS_OK;
  }
};

void UcxArrival::Release(Fate fate) {
  if (fate_ != nullptr) {
    *fate_ = fate;
    fate_ = nullptr;
  } else {
    ucp_am_data_release(link_->set_->engine_->worker().get(), data_);
  }
  data_ = nullptr;
}

void UcxArrival::Receive(MutableBuffer into, absl::AnyInvocable<void(Status)> received) {
  CAIRN_CHECK(data_ != nullptr, "a payload was received twice");
  CAIRN_CHECK(into.size == size(), "a place of the wrong size for a payload");
  if (!rendezvous_) {
    std::memcpy(into.data, data_, size());
    Release(Fate::kCopied);
    received(Status());
    return;
  }
  if (link_->broken()) {
    Release(Fate::kDropped);
    received(link_->why_);
    return;
  }
  auto op = std::make_unique<UcxLink::ReceiveOp>();
  *op = {link_, std::move(into), std::move(received)};
  ucp_request_param_t param{};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  param.cb.recv_am = LinkSet::Callbacks::Received;
  param.user_data = op.get();
  ++link_->outstanding_;
  link_->set_->engine_->CountUcx(1);
  if (fate_ != nullptr) *fate_ = Fate::kReceiving;
  fate_ = nullptr;
  void* const data = std::exchange(data_, nullptr);
  char* const place = op->place.data;
  UcxLink::ReceiveOp* const raw = op.release();
  const ucs_status_ptr_t request =
      ucp_am_recv_data_nbx(link_->set_->engine_->worker().get(), data, place, size(), &param);
  if (UCS_PTR_IS_ERR(request)) {
    LinkSet::Callbacks::Received(nullptr, UCS_PTR_STATUS(request), 0, raw);
  }
}

UcxLink::~UcxLink() {
  CAIRN_CHECK(broken() && outstanding_ == 0, "a link was dropped while in use");
}

void UcxLink::Send(FrameKind kind, std::uint64_t call_id, std::string_view header, Buffer payload,
                   absl::AnyInvocable<void(Status)> sent) {
  auto op = std::make_unique<SendOp>();
  AppendFrame({kind, call_id, payload.size(), header}, &op->wire);
  op->payload = std::move(payload);
  op->done = std::move(sent);
  SendMessage(kFrameMessage, std::move(op));
}

void UcxLink::SendAttach(std::string_view token) {
  auto op = std::make_unique<SendOp>();
  op->wire = token;
  SendMessage(kAttachMessage, std::move(op));
}

void UcxLink::SendRaw(std::string_view bytes) {
  auto op = std::make_unique<SendOp>();
  op->wire = bytes;
  SendMessage(kFrameMessage, std::move(op));
}

void UcxLink::SendMessage(unsigned id, std::unique_ptr<SendOp> op) {
  op->link = shared_from_this();
  ++outstanding_;
  set_->engine_->CountUcx(1);
  SendOp* const raw = op.release();
  if (broken()) {
    set_->engine_->Post([raw] { LinkSet::Callbacks::Sent(nullptr, UCS_ERR_CANCELED, raw); });
    return;
  }
  ucp_request_param_t param{};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.cb.send = LinkSet::Callbacks::Sent;
  param.user_data = raw;
  const bool eager = raw->payload.size() <= set_->eager_bytes_;
  param.flags = UCP_AM_SEND_FLAG_REPLY | (eager ? UCP_AM_SEND_FLAG_EAGER : UCP_AM_SEND_FLAG_RNDV);
  const ucs_status_ptr_t request =
      ucp_am_send_nbx(endpoint_, id, raw->wire.data(), raw->wire.size(), raw->payload.data(),
                      raw->payload.size(), &param);
  if (UCS_PTR_IS_PTR(request)) return;
  const ucs_status_t status = UCS_PTR_STATUS(request);
  if (status == UCS_OK) {
    LinkSet::Callbacks::Sent(nullptr, status, raw);
    return;
  }
  set_->engine_->Post([raw, status] { LinkSet::Callbacks::Sent(nullptr, status, raw); });
}

void Link::Dispatch(std::string_view bytes, std::unique_ptr<Arrival> arrival) {
  if (user_ == nullptr) return;
  Result<struct Frame> frame = DecodeFrame(bytes);
  const std::uint64_t size = arrival == nullptr ? 0 : arrival->size();
  Status bad;
  if (!frame.ok()) {
    bad = frame.status();
  } else if (frame->payload_size != size) {
    bad = Status(StatusCode::kCorruption, "DRAM frame: a payload of " + std::to_string(size) +
                                              " bytes where " +
                                              std::to_string(frame->payload_size) + " were said");
  } else if (bytes.size() != kFrameFixedBytes + frame->header.size()) {
    bad = Status(StatusCode::kCorruption, "DRAM frame: bytes behind its header");
  }
  if (!bad.ok()) {
    CAIRN_LOG(kWarn, "dram: a peer's connection is closed for a bad frame: {}", bad.message());
    Break(UnavailableError("the peer sent a bad frame: " + bad.message()));
    return;
  }
  user_->OnFrame(*frame, std::move(arrival));
}

void UcxLink::Break(const Status& why) {
  if (broken()) return;
  why_ = why;
  self_ = shared_from_this();
  // For the closing of the endpoint.
  ++outstanding_;
  set_->engine_->CountUcx(1);
  set_->engine_->Post([link = self_] {
    link->CloseEndpoint();
    if (link->user_ != nullptr) link->user_->OnBroken(link->why_);
  });
}

void UcxLink::CloseEndpoint() {
  set_->engine_->Unsettle();
  set_->links_.erase(endpoint_);
  set_->engine_->CountEndpoints(-1);
  ucp_request_param_t param{};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  param.cb.send = LinkSet::Callbacks::Closed;
  param.user_data = this;
  const ucs_status_ptr_t request = ucp_ep_close_nbx(endpoint_, &param);
  if (UCS_PTR_IS_PTR(request)) return;
  if (UCS_PTR_IS_ERR(request)) {
    CAIRN_LOG(kWarn, "dram: closing an endpoint: {}", ucs_status_string(UCS_PTR_STATUS(request)));
  }
  OpDone();
}

// `outstanding_` is never zero while the link is open or closing, but for an idle open one.
void UcxLink::OpDone() {
  set_->engine_->CountUcx(-1);
  if (--outstanding_ != 0 || !broken()) return;
  LinkSet* const set = set_;
  const std::shared_ptr<UcxLink> last = std::move(self_);
  if (--set->undrained_ == 0 && set->drained_) std::exchange(set->drained_, nullptr)();
}

LinkSet::LinkSet(std::unique_ptr<Engine> engine, std::size_t eager_bytes)
    : eager_bytes_(eager_bytes), engine_(std::move(engine)) {
  engine_->RunAndWait([this] {
    const std::pair<unsigned, ucp_am_recv_callback_t> handlers[] = {
        {kFrameMessage, Callbacks::Frame}, {kAttachMessage, Callbacks::Attach}};
    for (const auto& [id, callback] : handlers) {
      ucp_am_handler_param_t param{};
      param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                         UCP_AM_HANDLER_PARAM_FIELD_ARG | UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
      param.id = id;
      param.cb = callback;
      param.arg = this;
      param.flags = UCP_AM_FLAG_WHOLE_MSG | UCP_AM_FLAG_PERSISTENT_DATA;
      CAIRN_CHECK(ucp_worker_set_am_recv_handler(engine_->worker().get(), &param) == UCS_OK);
    }
  });
}

LinkSet::~LinkSet() {
  std::promise<void> drained;
  std::future<void> future = drained.get_future();
  engine_->Post([this, &drained] {
    if (undrained_ == 0) {
      drained.set_value();
    } else {
      drained_ = [&drained] { drained.set_value(); };
    }
  });
  if (future.wait_for(kDrainLimit) != std::future_status::ready) {
    engine_->RunAndWait([this] {
      drained_ = nullptr;
      CAIRN_LOG(kError, "dram: UCX holds the buffers of {} closed connections", undrained_);
    });
  }
  engine_.reset();
}

Result<std::shared_ptr<Link>> LinkSet::Create(void* endpoint_params, LinkUser* user) {
  auto* params = static_cast<ucp_ep_params_t*>(endpoint_params);
  params->field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params->err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params->err_handler.cb = Callbacks::EndpointError;
  params->err_handler.arg = this;
  engine_->Unsettle();
  ucp_ep_h endpoint = nullptr;
  if (ucs_status_t s = ucp_ep_create(engine_->worker().get(), params, &endpoint); s != UCS_OK) {
    return UcsError("UCX can't make an endpoint", s);
  }
  std::shared_ptr<UcxLink> link(new UcxLink(this, user));
  link->endpoint_ = endpoint;
  link->last_heard_ = engine_->Now();
  links_[endpoint] = link.get();
  engine_->CountEndpoints(1);
  ++undrained_;
  return std::shared_ptr<Link>(std::move(link));
}

Result<std::shared_ptr<Link>> LinkSet::Connect(const sockaddr* address, std::size_t address_size,
                                               LinkUser* user) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = address;
  params.sockaddr.addrlen = static_cast<socklen_t>(address_size);
  return Create(&params, user);
}

Result<std::shared_ptr<Link>> LinkSet::Accept(ucp_conn_request* request, LinkUser* user) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
  params.conn_request = request;
  return Create(&params, user);
}

}  // namespace cairn::dram::ucx
