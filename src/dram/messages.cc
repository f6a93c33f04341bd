#include "src/dram/messages.h"

#include <type_traits>

#include "src/base/codec.h"
#include "src/dram/transport.h"

namespace cairn::dram {
namespace {

// So that a failure fits into a header beside its other fields.
constexpr std::size_t kMaxMessageBytes = 4096;
// The end of a range may be the key after the longest key.
constexpr std::size_t kMaxBoundBytes = kMaxKeyBytes + 1;

Status Bad(std::string_view what) {
  return {StatusCode::kCorruption, "DRAM message: bad " + std::string(what)};
}

void Put(Generation generation, Encoder* encoder) {
  encoder->Fixed64(generation.boot_id);
  encoder->Fixed64(generation.counter);
}

Generation GetGeneration(Decoder* decoder) {
  Generation generation;
  generation.boot_id = decoder->Fixed64();
  generation.counter = decoder->Fixed64();
  return generation;
}

std::string_view GetKey(Decoder* decoder) {
  const std::string_view key = decoder->Bytes();
  if (key.empty() || key.size() > kMaxKeyBytes) decoder->Fail();
  return key;
}

std::string_view GetBound(Decoder* decoder) {
  const std::string_view key = decoder->Bytes();
  if (key.size() > kMaxBoundBytes) decoder->Fail();
  return key;
}

struct RequestEncoder {
  Encoder* to;
  void Begin(Op op) const { to->U8(static_cast<std::uint8_t>(op)); }
  void operator()(const HelloRequest& r) const {
    Begin(Op::kHello);
    to->Fixed64(r.table_hash);
    to->Bytes(r.address);
  }
  void operator()(const ReadRequest& r) const {
    Begin(Op::kRead);
    to->Bytes(r.key);
    to->SignedVarint(r.range.inclusive_min);
    to->SignedVarint(r.range.exclusive_max);
    Put(r.if_equal, to);
    Put(r.if_not_equal, to);
  }
  void operator()(const WriteRequest& r) const {
    Begin(Op::kWrite);
    to->Bytes(r.key);
    Put(r.if_equal, to);
  }
  void operator()(const DeleteRequest& r) const {
    Begin(Op::kDelete);
    to->Bytes(r.key);
    Put(r.if_equal, to);
  }
  void operator()(const DeleteRangeRequest& r) const {
    Begin(Op::kDeleteRange);
    to->Varint(r.limit);
  }
  void operator()(const ListRequest& r) const {
    Begin(Op::kList);
    to->Varint(r.limit);
    to->Varint(r.strip_prefix_bytes);
  }
  void operator()(const StatRequest&) const { Begin(Op::kStat); }
};

// The fields behind the first byte.
Result<Request> DecodeBody(Op op, Decoder* from) {
  switch (op) {
    case Op::kHello: {
      HelloRequest r;
      r.table_hash = from->Fixed64();
      r.address = from->Bytes();
      return Request(r);
    }
    case Op::kRead: {
      ReadRequest r;
      r.key = GetKey(from);
      r.range.inclusive_min = from->SignedVarint();
      r.range.exclusive_max = from->SignedVarint();
      r.if_equal = GetGeneration(from);
      r.if_not_equal = GetGeneration(from);
      return Request(r);
    }
    case Op::kWrite: {
      WriteRequest r;
      r.key = GetKey(from);
      r.if_equal = GetGeneration(from);
      return Request(r);
    }
    case Op::kDelete: {
      DeleteRequest r;
      r.key = GetKey(from);
      r.if_equal = GetGeneration(from);
      return Request(r);
    }
    case Op::kDeleteRange: {
      DeleteRangeRequest r;
      r.limit = from->Varint();
      return Request(r);
    }
    case Op::kList: {
      ListRequest r;
      r.limit = from->Varint();
      r.strip_prefix_bytes = from->Varint();
      return Request(r);
    }
    case Op::kStat:
      return Request(StatRequest{});
  }
  return Bad("operation " + std::to_string(static_cast<int>(op)));
}

struct AnswerEncoder {
  Encoder* to;
  void operator()(const HelloAnswer& a) const {
    to->Fixed64(a.boot_id);
    to->Fixed64(a.table_hash);
    to->Bytes(a.address);
  }
  void operator()(const ReadAnswer& a) const {
    to->U8(static_cast<std::uint8_t>(a.state));
    Put(a.generation, to);
    to->Varint(a.value_bytes);
  }
  void operator()(const WriteAnswer& a) const { Put(a.generation, to); }
  void operator()(const DeleteRangeAnswer& a) const {
    to->Varint(a.deleted);
    to->Bytes(a.next);
  }
  void operator()(const ListAnswer& a) const {
    to->Varint(a.count);
    to->Bytes(a.next);
  }
  void operator()(const StatAnswer& a) const { to->Fixed64(a.boot_id); }
};

void Get(Decoder* from, HelloAnswer* a) {
  a->boot_id = from->Fixed64();
  a->table_hash = from->Fixed64();
  a->address = from->Bytes();
}
void Get(Decoder* from, ReadAnswer* a) {
  const std::uint8_t state = from->U8();
  if (state > static_cast<std::uint8_t>(ReadState::kValue)) from->Fail();
  a->state = static_cast<ReadState>(state);
  a->generation = GetGeneration(from);
  a->value_bytes = from->Varint();
}
void Get(Decoder* from, WriteAnswer* a) { a->generation = GetGeneration(from); }
void Get(Decoder* from, DeleteRangeAnswer* a) {
  a->deleted = from->Varint();
  a->next = GetBound(from);
}
void Get(Decoder* from, ListAnswer* a) {
  a->count = from->Varint();
  a->next = GetBound(from);
}
void Get(Decoder* from, StatAnswer* a) { a->boot_id = from->Fixed64(); }

// The status that an answer begins with.
Status GetStatus(Decoder* from) {
  const std::uint8_t code = from->U8();
  if (!from->ok()) return Bad("status of an answer");
  if (code == 0) return {};
  const std::uint8_t flags = from->U8();
  const std::string_view message = from->Bytes();
  if (!from->AtEnd() || flags > 1) return Bad("status of an answer");
  Status status(static_cast<StatusCode>(code), std::string(message));
  // A reason of a later version: the number is all that can be said of it.
  if (StatusCodeName(status.code()) == "UNKNOWN") {
    status = Status(StatusCode::kIoError,
                    "reason " + std::to_string(code) + ": " + std::string(message));
  }
  if (flags == 1) return std::move(status).WithMaybeApplied();
  return status;
}

}  // namespace

std::string Encode(const Request& request) {
  std::string header;
  Encoder encoder(&header);
  std::visit(RequestEncoder{&encoder}, request);
  return header;
}

Result<Request> DecodeRequest(std::string_view header) {
  Decoder decoder(header);
  const auto op = static_cast<Op>(decoder.U8());
  Result<Request> request = DecodeBody(op, &decoder);
  if (request.ok() && !decoder.AtEnd()) {
    return Bad("request of operation " + std::to_string(static_cast<int>(op)));
  }
  return request;
}

std::string EncodeRange(const KeyRange& range) {
  std::string payload;
  Encoder encoder(&payload);
  encoder.Bytes(range.inclusive_min);
  encoder.Bytes(range.exclusive_max);
  return payload;
}

Result<KeyRange> DecodeRange(std::string_view payload) {
  Decoder decoder(payload);
  const std::string_view min = GetBound(&decoder);
  const std::string_view max = GetBound(&decoder);
  if (!decoder.AtEnd()) return Bad("range of keys");
  return KeyRange{std::string(min), std::string(max)};
}

std::string EncodeAnswer(const AnswerBody& answer) {
  std::string header;
  Encoder encoder(&header);
  encoder.U8(0);
  std::visit(AnswerEncoder{&encoder}, answer);
  return header;
}

std::string EncodeFailure(const Status& status) {
  std::string header;
  Encoder encoder(&header);
  encoder.U8(static_cast<std::uint8_t>(status.code()));
  encoder.U8(status.maybe_applied() ? 1 : 0);
  encoder.Bytes(std::string_view(status.message()).substr(0, kMaxMessageBytes));
  return header;
}

template <class T>
Result<T> DecodeAnswer(std::string_view header) {
  Decoder decoder(header);
  if (Status status = GetStatus(&decoder); !status.ok()) return status;
  T answer;
  Get(&decoder, &answer);
  if (!decoder.AtEnd()) return Bad("answer");
  return answer;
}

template Result<HelloAnswer> DecodeAnswer<HelloAnswer>(std::string_view);
template Result<ReadAnswer> DecodeAnswer<ReadAnswer>(std::string_view);
template Result<WriteAnswer> DecodeAnswer<WriteAnswer>(std::string_view);
template Result<DeleteRangeAnswer> DecodeAnswer<DeleteRangeAnswer>(std::string_view);
template Result<ListAnswer> DecodeAnswer<ListAnswer>(std::string_view);
template Result<StatAnswer> DecodeAnswer<StatAnswer>(std::string_view);

void AppendListedKey(std::string_view key, std::uint64_t value_bytes, std::string* payload) {
  Encoder encoder(payload);
  encoder.Bytes(key);
  encoder.Varint(value_bytes);
}

Result<std::vector<ListedKey>> DecodeListedKeys(std::uint64_t count, std::string_view payload) {
  // Two bytes at least each: a count that lies reserves nothing.
  if (count > payload.size() / 2) return Bad("count of listed keys");
  Decoder decoder(payload);
  std::vector<ListedKey> keys;
  keys.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view key = decoder.Bytes();
    const std::uint64_t value_bytes = decoder.Varint();
    if (!decoder.ok()) return Bad("listed key");
    keys.push_back({std::string(key), value_bytes});
  }
  if (!decoder.AtEnd()) return Bad("end of listed keys");
  return keys;
}

std::string EncodeFigures(const Figures& figures) {
  std::string payload;
  Encoder encoder(&payload);
  for (const auto& [name, value] : figures) {
    encoder.Bytes(name);
    encoder.Varint(value);
  }
  return payload;
}

Result<Figures> DecodeFigures(std::string_view payload) {
  Decoder decoder(payload);
  Figures figures;
  while (decoder.remaining() > 0) {
    const std::string_view name = decoder.Bytes();
    const std::uint64_t value = decoder.Varint();
    if (!decoder.ok()) return Bad("figure");
    figures.emplace_back(name, value);
  }
  if (!decoder.ok()) return Bad("figure");
  return figures;
}

}  // namespace cairn::dram
