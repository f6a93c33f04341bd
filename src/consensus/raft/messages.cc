#include "src/consensus/raft/messages.h"

#include <memory>
#include <utility>

#include "src/base/codec.h"

namespace cairn::consensus::raft {
namespace {

constexpr std::uint8_t kFormat = 1;

enum class Tag : std::uint8_t {
  kVoteRequest = 1,
  kVoteResponse = 2,
  kAppendRequest = 3,
  kAppendResponse = 4,
  kTimeoutNow = 5,
  kBarrierRequest = 6,
  kBarrierResponse = 7,
};

struct Writer {
  Encoder& e;
  const Framed& framed;

  void Head(Tag tag, Epoch epoch) const {
    e.U8(kFormat);
    e.U8(static_cast<std::uint8_t>(tag));
    e.Fixed64(framed.from.value());
    e.Fixed64(framed.to.value());
    e.Varint(epoch.value());
  }
  void operator()(const VoteRequest& m) const {
    Head(Tag::kVoteRequest, m.epoch);
    e.Varint(m.last_slot.value());
    e.Varint(m.last_epoch.value());
    e.U8(m.pre ? 1 : 0);
    e.U8(m.transfer ? 1 : 0);
  }
  void operator()(const VoteResponse& m) const {
    Head(Tag::kVoteResponse, m.epoch);
    e.U8(m.pre ? 1 : 0);
    e.U8(m.granted ? 1 : 0);
    e.U8(m.removed ? 1 : 0);
  }
  void operator()(const AppendRequest& m) const {
    Head(Tag::kAppendRequest, m.epoch);
    e.Varint(m.prev_slot.value());
    e.Varint(m.prev_epoch.value());
    e.Varint(m.committed.value());
    e.Varint(m.round);
    e.Varint(m.entries.size());
    for (const Entry& entry : m.entries) {  // Slots follow prev_slot without holes.
      e.Varint(entry.epoch.value());
      e.U8(static_cast<std::uint8_t>(entry.kind));
      e.Bytes(entry.payload ? std::string_view(*entry.payload) : std::string_view());
    }
  }
  void operator()(const AppendResponse& m) const {
    Head(Tag::kAppendResponse, m.epoch);
    e.U8(m.ok ? 1 : 0);
    e.Varint(m.slot.value());
    // Leaders of versions before promises read no hint in an answer that is ok.
    e.Varint(m.ok ? m.promise_us : m.hint_slot.value());
    e.Varint(m.ok ? 0 : m.hint_epoch.value());
    e.Varint(m.round);
  }
  void operator()(const TimeoutNow& m) const { Head(Tag::kTimeoutNow, m.epoch); }
  void operator()(const BarrierRequest& m) const {
    Head(Tag::kBarrierRequest, m.epoch);
    e.Fixed64(m.run);
    e.Varint(m.id);
  }
  void operator()(const BarrierResponse& m) const {
    Head(Tag::kBarrierResponse, m.epoch);
    e.Fixed64(m.run);
    e.Varint(m.id);
    e.Varint(m.slot.value());
  }
};

bool Flag(Decoder& d) {
  const std::uint8_t v = d.U8();
  if (v > 1) d.Fail();
  return v == 1;
}

AppendRequest ReadAppend(Epoch epoch, Decoder& d) {
  AppendRequest m;
  m.epoch = epoch;
  m.prev_slot = Slot(d.Varint());
  m.prev_epoch = Epoch(d.Varint());
  m.committed = Slot(d.Varint());
  m.round = d.Varint();
  const std::uint64_t count = d.Varint();
  // An entry takes three bytes at least, and slots must not run over.
  if (count > d.remaining() / 3 || m.prev_slot.value() > Slot::Max().value() - count) d.Fail();
  Slot slot = m.prev_slot;
  for (std::uint64_t i = 0; d.ok() && i < count; ++i) {
    Entry entry;
    slot = slot.Next();
    entry.slot = slot;
    entry.epoch = Epoch(d.Varint());
    const std::uint8_t kind = d.U8();
    // Epochs never fall along the log, and none is above that of the leader who sends it.
    const Epoch before = m.entries.empty() ? m.prev_epoch : m.entries.back().epoch;
    if (kind < 1 || kind > 3 || entry.epoch < before || entry.epoch > epoch) d.Fail();
    entry.kind = static_cast<EntryKind>(kind);
    entry.payload = std::make_shared<const std::string>(d.Bytes());
    m.entries.push_back(std::move(entry));
  }
  return m;
}

AppendResponse ReadAppendResponse(Epoch epoch, Decoder& d) {
  AppendResponse m;
  m.epoch = epoch;
  m.ok = Flag(d);
  m.slot = Slot(d.Varint());
  const std::uint64_t promise_or_hint = d.Varint();
  const Epoch hint_epoch(d.Varint());
  if (m.ok) {
    m.promise_us = promise_or_hint;
    if (hint_epoch != Epoch()) d.Fail();
  } else {
    m.hint_slot = Slot(promise_or_hint);
    m.hint_epoch = hint_epoch;
  }
  m.round = d.Varint();
  return m;
}

RaftMessage ReadMessage(Tag tag, Epoch epoch, Decoder& d) {
  switch (tag) {
    case Tag::kVoteRequest:
      return VoteRequest{epoch, Slot(d.Varint()), Epoch(d.Varint()), Flag(d), Flag(d)};
    case Tag::kVoteResponse:
      return VoteResponse{epoch, Flag(d), Flag(d), Flag(d)};
    case Tag::kAppendRequest:
      return ReadAppend(epoch, d);
    case Tag::kAppendResponse:
      return ReadAppendResponse(epoch, d);
    case Tag::kTimeoutNow:
      return TimeoutNow{epoch};
    case Tag::kBarrierRequest:
      return BarrierRequest{epoch, d.Fixed64(), d.Varint()};
    case Tag::kBarrierResponse:
      return BarrierResponse{epoch, d.Fixed64(), d.Varint(), Slot(d.Varint())};
  }
  d.Fail();
  return TimeoutNow{epoch};
}

struct EpochReader {
  template <class M>
  Epoch operator()(const M& m) const {
    return m.epoch;
  }
};

std::string Text(Slot slot, Epoch epoch) { return ToString(slot) + "/" + ToString(epoch); }

struct Describer {
  std::string operator()(const VoteRequest& m) const {
    return std::string(m.pre ? "PreVote" : "Vote") + " e" + ToString(m.epoch) + " last " +
           Text(m.last_slot, m.last_epoch) + (m.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteResponse& m) const {
    return std::string(m.pre ? "PreVoteAnswer" : "VoteAnswer") + " e" + ToString(m.epoch) +
           (m.granted ? " granted" : " refused") + (m.removed ? " removed" : "");
  }
  std::string operator()(const AppendRequest& m) const {
    std::string text = "Append e" + ToString(m.epoch) + " prev " + Text(m.prev_slot, m.prev_epoch) +
                       " commit " + ToString(m.committed) + " round " + std::to_string(m.round) +
                       " [";
    for (const Entry& entry : m.entries) {
      if (text.back() != '[') text += ' ';
      text += Text(entry.slot, entry.epoch);
    }
    return text + "]";
  }
  std::string operator()(const AppendResponse& m) const {
    std::string text =
        "AppendAnswer e" + ToString(m.epoch) + (m.ok ? " ok " : " no ") + ToString(m.slot);
    if (!m.ok) text += " hint " + Text(m.hint_slot, m.hint_epoch);
    text += " round " + std::to_string(m.round);
    return m.promise_us == 0 ? text : text + " promise " + std::to_string(m.promise_us) + "us";
  }
  std::string operator()(const TimeoutNow& m) const { return "TimeoutNow e" + ToString(m.epoch); }
  std::string operator()(const BarrierRequest& m) const {
    return "Barrier e" + ToString(m.epoch) + " id " + std::to_string(m.id);
  }
  std::string operator()(const BarrierResponse& m) const {
    return "BarrierAnswer e" + ToString(m.epoch) + " id " + std::to_string(m.id) + " at " +
           ToString(m.slot);
  }
};

}  // namespace

std::string Encode(const Framed& framed) {
  std::string out;
  Encoder e(&out);
  std::visit(Writer{e, framed}, framed.message);
  return out;
}

Result<Framed> Decode(std::string_view bytes) {
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  const std::uint8_t tag = d.U8();
  if (d.ok() && (format > kFormat || tag > static_cast<std::uint8_t>(Tag::kBarrierResponse))) {
    return UnimplementedError("a peer speaks a later version of Cairn; upgrade this node");
  }
  if (format == 0) d.Fail();
  Framed framed;
  framed.from = IncarnationId(d.Fixed64());
  framed.to = IncarnationId(d.Fixed64());
  const Epoch epoch(d.Varint());
  framed.message = ReadMessage(static_cast<Tag>(tag), epoch, d);
  if (!d.AtEnd()) {
    return CorruptionError("a message of " + std::to_string(bytes.size()) +
                           " bytes does not decode: " + Printable(bytes, 32));
  }
  return framed;
}

Epoch EpochOf(const RaftMessage& message) { return std::visit(EpochReader{}, message); }

std::string Describe(const RaftMessage& message) { return std::visit(Describer{}, message); }

}  // namespace cairn::consensus::raft
