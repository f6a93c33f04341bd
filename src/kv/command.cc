#include "src/kv/command.h"

#include <utility>

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn::kv {
namespace {

constexpr std::uint8_t kCommandFormat = 1;
constexpr std::uint8_t kBatchFormat = 1;

// Numbers of operations in the format. They are given here and not taken from the variant, so that
// reordering the variant can't change the format.
enum class Op : std::uint8_t {
  kSet = 1,
  kDelete = 2,
  kAtomicCommit = 3,
  kSetVersionstampedKey = 4,
  kSetVersionstampedValue = 5,
  kCreateColumnFamily = 6,
  kDropColumnFamily = 7,
  kOpenSession = 8,
  kCloseSession = 9,
  kExpireSessions = 10,
  kAdvanceWatermark = 11,
  kEnableFeatures = 12,
  kSkipVersions = 13,
};

struct OperationWriter {
  Encoder& e;

  void Tag(Op op) const { e.U8(static_cast<std::uint8_t>(op)); }

  // Reads never reach the log.
  template <class Read>
  void operator()(const Read&) const {
    static_assert(OperationTraits<Read>::kType == OperationType::kRead,
                  "a write without an encoding");
    CAIRN_CHECK(false, "a read was given to the command encoder");
  }
  void operator()(const Set& op) const {
    Tag(Op::kSet);
    e.Bytes(op.key);
    e.Bytes(op.value);
    e.Bytes(op.column_family);
  }
  void operator()(const Delete& op) const {
    Tag(Op::kDelete);
    e.Bytes(op.key);
    e.Bytes(op.column_family);
  }
  void operator()(const AtomicCommit& op) const {
    Tag(Op::kAtomicCommit);
    e.Varint(op.read_version.value());
    e.Varint(op.read_conflict_keys.size());
    for (const ConflictKey& key : op.read_conflict_keys) {
      e.Bytes(key.key);
      e.U8(key.column_family ? 1 : 0);
      if (key.column_family) e.Bytes(*key.column_family);
    }
    e.Varint(op.read_conflict_ranges.size());
    for (const ConflictRange& range : op.read_conflict_ranges) {
      e.Bytes(range.begin);
      e.Bytes(range.end);
      e.Bytes(range.column_family);
    }
    e.Varint(op.operations.size());
    for (const Mutation& m : op.operations) {
      e.U8(static_cast<std::uint8_t>(m.type));
      e.Bytes(m.key);
      e.Bytes(m.value);
      e.Bytes(m.column_family);
    }
  }
  void operator()(const SetVersionstampedKey& op) const {
    Tag(Op::kSetVersionstampedKey);
    e.Bytes(op.key_template);
    e.Bytes(op.value);
    e.Bytes(op.column_family);
  }
  void operator()(const SetVersionstampedValue& op) const {
    Tag(Op::kSetVersionstampedValue);
    e.Bytes(op.key);
    e.Bytes(op.value_template);
    e.Bytes(op.column_family);
  }
  void operator()(const CreateColumnFamily& op) const {
    Tag(Op::kCreateColumnFamily);
    e.Bytes(op.name);
  }
  void operator()(const DropColumnFamily& op) const {
    Tag(Op::kDropColumnFamily);
    e.Bytes(op.name);
  }
  void operator()(const OpenSession&) const { Tag(Op::kOpenSession); }
  void operator()(const CloseSession& op) const {
    Tag(Op::kCloseSession);
    e.Varint(op.session.value());
  }
  void operator()(const ExpireSessions& op) const {
    Tag(Op::kExpireSessions);
    e.SignedVarint(op.idle_us);
  }
  void operator()(const AdvanceWatermark& op) const {
    Tag(Op::kAdvanceWatermark);
    e.Varint(op.watermark.value());
  }
  void operator()(const EnableFeatures& op) const {
    Tag(Op::kEnableFeatures);
    e.Varint(op.bits);
  }
  void operator()(const SkipVersions& op) const {
    Tag(Op::kSkipVersions);
    e.Varint(op.to.value());
  }
};

std::string String(Decoder& d) { return std::string(d.Bytes()); }

// A count of things that take at least `min_bytes` each in what is left; else the input is damaged,
// and nothing may be reserved for it.
std::size_t Count(Decoder& d, std::size_t min_bytes) {
  const std::uint64_t count = d.Varint();
  if (count > d.remaining() / min_bytes) {
    d.Fail();
    return 0;
  }
  return count;
}

AtomicCommit ReadCommit(Decoder& d) {
  AtomicCommit op;
  op.read_version = Version(d.Varint());
  op.read_conflict_keys.resize(Count(d, 2));
  for (ConflictKey& key : op.read_conflict_keys) {
    key.key = String(d);
    const std::uint8_t has_family = d.U8();
    if (has_family > 1) d.Fail();
    if (has_family == 1) key.column_family = String(d);
  }
  op.read_conflict_ranges.resize(Count(d, 3));
  for (ConflictRange& range : op.read_conflict_ranges) {
    range.begin = String(d);
    range.end = String(d);
    range.column_family = String(d);
  }
  op.operations.resize(Count(d, 4));
  for (Mutation& m : op.operations) {
    const std::uint8_t type = d.U8();
    if (type < 1 || type > 4) d.Fail();
    m.type = static_cast<MutationType>(type);
    m.key = String(d);
    m.value = String(d);
    m.column_family = String(d);
  }
  return op;
}

// Nothing if the number is not known.
std::optional<KvOperation> ReadOperation(std::uint8_t tag, Decoder& d) {
  // Braced initialisers evaluate left to right: the fields stand in the order of the format.
  switch (static_cast<Op>(tag)) {
    case Op::kSet:
      return Set{String(d), String(d), String(d)};
    case Op::kDelete:
      return Delete{String(d), String(d)};
    case Op::kAtomicCommit:
      return ReadCommit(d);
    case Op::kSetVersionstampedKey:
      return SetVersionstampedKey{String(d), String(d), String(d)};
    case Op::kSetVersionstampedValue:
      return SetVersionstampedValue{String(d), String(d), String(d)};
    case Op::kCreateColumnFamily:
      return CreateColumnFamily{String(d)};
    case Op::kDropColumnFamily:
      return DropColumnFamily{String(d)};
    case Op::kOpenSession:
      return OpenSession{};
    case Op::kCloseSession:
      return CloseSession{SessionId(d.Varint())};
    case Op::kExpireSessions:
      return ExpireSessions{d.SignedVarint()};
    case Op::kAdvanceWatermark:
      return AdvanceWatermark{Version(d.Varint())};
    case Op::kEnableFeatures:
      return EnableFeatures{d.Varint()};
    case Op::kSkipVersions:
      return SkipVersions{Version(d.Varint())};
  }
  return std::nullopt;
}

Status NewerFormat(const char* what, std::uint8_t number) {
  return UnimplementedError(std::string(what) + " " + std::to_string(number) +
                            " is of a later version of Cairn; upgrade this node");
}

}  // namespace

void EncodeCommand(const Command& command, std::string* out) {
  Encoder e(out);
  e.U8(kCommandFormat);
  e.Varint(command.group.value());
  e.Varint(command.session.value());
  if (command.session.value() != 0) {
    e.Varint(command.sequence);
    e.Varint(command.first_outstanding);
  }
  e.SignedVarint(command.proposed_at.us);
  std::visit(OperationWriter{e}, command.operation);
}

Result<Command> DecodeCommand(std::string_view bytes) {
  Decoder d(bytes);
  const std::uint8_t format = d.U8();
  if (d.ok() && format > kCommandFormat) return NewerFormat("command format", format);
  Command command;
  const std::uint64_t group = d.Varint();
  if (group > GroupId::Max().value() || format == 0) d.Fail();
  command.group = GroupId(static_cast<std::uint32_t>(group));
  command.session = SessionId(d.Varint());
  if (command.session.value() != 0) {
    command.sequence = d.Varint();
    command.first_outstanding = d.Varint();
  }
  command.proposed_at = {d.SignedVarint()};
  const std::uint8_t tag = d.U8();
  if (d.ok()) {
    std::optional<KvOperation> operation = ReadOperation(tag, d);
    if (!operation) return NewerFormat("operation", tag);
    command.operation = std::move(*operation);
  }
  if (!d.AtEnd()) {
    return CorruptionError("a command of " + std::to_string(bytes.size()) +
                           " bytes does not decode: " + Printable(bytes, 32));
  }
  return command;
}

void CommandBatchBuilder::Add(std::string_view encoded) {
  Encoder(&body_).Bytes(encoded);
  ++count_;
}

std::string CommandBatchBuilder::Finish() {
  std::string payload;
  payload.reserve(body_.size() + 6);
  Encoder e(&payload);
  e.U8(kBatchFormat);
  e.Varint(count_);
  e.Raw(body_);
  body_.clear();
  count_ = 0;
  return payload;
}

Result<std::vector<std::string_view>> SplitCommandBatch(std::string_view payload) {
  Decoder d(payload);
  const std::uint8_t format = d.U8();
  if (d.ok() && format > kBatchFormat) return NewerFormat("entry format", format);
  if (format == 0) d.Fail();
  std::vector<std::string_view> commands(Count(d, 1));
  for (std::string_view& command : commands) command = d.Bytes();
  if (!d.AtEnd()) {
    return CorruptionError("an entry of " + std::to_string(payload.size()) +
                           " bytes does not decode: " + Printable(payload, 32));
  }
  return commands;
}

}  // namespace cairn::kv
