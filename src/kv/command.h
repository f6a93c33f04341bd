// Commands: write operations as they stand in the log. Format: docs/formats/command.md.
//
// A log entry of kind kCommands carries a batch of commands. Every decoder here faces bytes from
// disk and from peers: it checks lengths before use and never allocates more than its input holds.
//
// Thread safety: plain values and pure functions.
#ifndef CAIRN_SRC_KV_COMMAND_H_
#define CAIRN_SRC_KV_COMMAND_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/kv/operation.h"

namespace cairn::kv {

// A write on its way to the state machine.
struct Command {
  GroupId group;
  // 0: no session; the command is applied as often as it is in the log.
  SessionId session;
  // Of the session, from 1 on. Applied at most once.
  std::uint64_t sequence = 0;
  // The client has the answers to all sequences below this one.
  std::uint64_t first_outstanding = 0;
  // The proposer's clock; the only time that apply knows.
  WallTime proposed_at;
  KvOperation operation;
  friend bool operator==(const Command&, const Command&) = default;
};

// Appends the encoding of `command` to `out`. The operation must be a write.
void EncodeCommand(const Command& command, std::string* out);
// kCorruption for bytes that are no command; kUnimplemented for a format or an operation of a later
// version of Cairn, whose message says to upgrade this node.
Result<Command> DecodeCommand(std::string_view bytes);

// Collects encoded commands into the payload of one log entry.
class CommandBatchBuilder {
 public:
  // `encoded` as made by EncodeCommand.
  void Add(std::string_view encoded);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return body_.size(); }
  // The payload; the builder is empty afterwards.
  [[nodiscard]] std::string Finish();

 private:
  std::string body_;
  std::uint32_t count_ = 0;
};

// The encoded commands of a payload, in order; views into `payload`. kCorruption, kUnimplemented.
Result<std::vector<std::string_view>> SplitCommandBatch(std::string_view payload);

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_COMMAND_H_
