// What the memory plane's requests and answers say: the headers that the transport carries, and the
// payloads that are no values. docs/formats/dram_wire.md is the specification.
//
// Views in decoded messages point into what was decoded.
//
// Thread safety: values and pure functions.
#ifndef CAIRN_SRC_DRAM_MESSAGES_H_
#define CAIRN_SRC_DRAM_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cairn/remote_dram.h"
#include "cairn/status.h"

namespace cairn::dram {

// The first byte of a request's header.
enum class Op : std::uint8_t {
  kHello = 1,
  kRead = 2,
  kWrite = 3,
  kDelete = 4,
  kDeleteRange = 5,
  kList = 6,
  kStat = 7,
};

// The first request of every connection; others are refused before it. Payload: the client's
// routing table as text, empty if it has none.
struct HelloRequest {
  // Hash of the client's routing table; 0 if it has none.
  std::uint64_t table_hash = 0;
  // The address by which the client's table knows this server; empty if it does not matter.
  std::string_view address;
};
struct ReadRequest {
  std::string_view key;
  ByteRange range;
  Generation if_equal;
  Generation if_not_equal;
};
// Payload: the value.
struct WriteRequest {
  std::string_view key;
  Generation if_equal;
};
struct DeleteRequest {
  std::string_view key;
  Generation if_equal;
};
// Payload: the range (EncodeRange).
struct DeleteRangeRequest {
  // At most this many keys in one go.
  std::uint64_t limit = 0;
};
// Payload: the range (EncodeRange).
struct ListRequest {
  std::uint64_t limit = 0;
  std::uint64_t strip_prefix_bytes = 0;
};
struct StatRequest {};

using Request = std::variant<HelloRequest, ReadRequest, WriteRequest, DeleteRequest,
                             DeleteRangeRequest, ListRequest, StatRequest>;

// The header of a request.
std::string Encode(const Request& request);
// kCorruption that names the field. Keys are 1 to kMaxKeyBytes long.
Result<Request> DecodeRequest(std::string_view header);

// The payload of requests about a range, and back.
std::string EncodeRange(const KeyRange& range);
Result<KeyRange> DecodeRange(std::string_view payload);

// The answers. Each header begins with the status; the rest follows only if that is OK.

// Payload: the server's routing table as text.
struct HelloAnswer {
  std::uint64_t boot_id = 0;
  std::uint64_t table_hash = 0;
  // What the server calls itself.
  std::string_view address;
};
enum class ReadState : std::uint8_t {
  // A condition did not hold: nothing but the generation is known.
  kUnspecified = 0,
  kMissing = 1,
  kValue = 2,
};
// Payload: the bytes asked for.
struct ReadAnswer {
  ReadState state = ReadState::kUnspecified;
  Generation generation;
  // Of the whole value.
  std::uint64_t value_bytes = 0;
};
// Of writes and deletes. The generation is unknown if the condition did not hold.
struct WriteAnswer {
  Generation generation;
};
struct DeleteRangeAnswer {
  std::uint64_t deleted = 0;
  // Where to go on; empty at the end.
  std::string_view next;
};
// Payload: the entries (EncodeListEntries).
struct ListAnswer {
  std::uint64_t count = 0;
  // Where to go on; empty at the end.
  std::string_view next;
};
// Payload: the figures (EncodeFigures).
struct StatAnswer {
  std::uint64_t boot_id = 0;
};

using AnswerBody =
    std::variant<HelloAnswer, ReadAnswer, WriteAnswer, DeleteRangeAnswer, ListAnswer, StatAnswer>;

// The header of an answer that says OK, and of one that does not. A long message is cut.
std::string EncodeAnswer(const AnswerBody& answer);
std::string EncodeFailure(const Status& status);

// Reads the header of an answer to a request of kind `T`'s. The server's status if that is not OK,
// kCorruption if the bytes are not such an answer.
template <class T>
Result<T> DecodeAnswer(std::string_view header);

// A key that a List found, without the stripped prefix, and the size of its value.
struct ListedKey {
  std::string key;
  std::uint64_t value_bytes = 0;
  friend bool operator==(const ListedKey&, const ListedKey&) = default;
};
void AppendListedKey(std::string_view key, std::uint64_t value_bytes, std::string* payload);
// `count` entries and nothing else.
Result<std::vector<ListedKey>> DecodeListedKeys(std::uint64_t count, std::string_view payload);

// Named numbers of a server. Names that a reader does not know are kept.
using Figures = std::vector<std::pair<std::string, std::uint64_t>>;
std::string EncodeFigures(const Figures& figures);
Result<Figures> DecodeFigures(std::string_view payload);

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_MESSAGES_H_
