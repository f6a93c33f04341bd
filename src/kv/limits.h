// The table of limits. They are enforced when a request is taken in, never when a command is
// applied: what is in the log is applied by every replica alike, whatever its configuration.
// Beyond one of them a request gets kInvalidArgument with a message that names the limit.
//
// Thread safety: constants and plain values.
#ifndef CAIRN_SRC_KV_LIMITS_H_
#define CAIRN_SRC_KV_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace cairn::kv {

struct Limits {
  std::size_t key_bytes = 10 << 10;
  std::size_t value_bytes = 8 << 20;
  // Keys, values and conflict keys and ranges of one transaction together.
  std::size_t transaction_bytes = 16 << 20;
  // Operations of one transaction. The order in a versionstamp is 16 bits wide, so this one can't
  // be raised.
  std::size_t transaction_operations = 65'535;
  std::size_t conflict_keys = 65'535;
  std::size_t conflict_ranges = 65'535;
  // Keys and values of one range answer. An answer holds at least one pair, so it may exceed this
  // by one pair. has_more tells that there is more.
  std::size_t range_answer_bytes = 16 << 20;
  // The same for the old wire, whose clients ask for "everything" with a limit of 0.
  std::size_t legacy_range_answer_bytes = 8 << 20;
  // One Thrift or gRPC message.
  std::size_t message_bytes = 64 << 20;
  // Answers of a wire (Thrift, gRPC) that clients have not taken yet, together. Beyond it calls get
  // kResourceExhausted.
  std::size_t answer_bytes = 256 << 20;
  // Column families, and the length of a name.
  std::size_t column_families = 1000;
  std::size_t column_family_name_bytes = 255;
  // How far the sequence numbers of a session may run ahead of its lowest outstanding one.
  std::uint64_t session_window = 1024;
  // Commands of one log entry together; one command may exceed it alone.
  std::size_t entry_bytes = 4 << 20;
};

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_LIMITS_H_
