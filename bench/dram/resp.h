// Redis's protocol, RESP, as far as the loader speaks it: commands of several words, and answers of
// one line or one value.
//
// Thread safety: pure functions.
#ifndef CAIRN_BENCH_DRAM_RESP_H_
#define CAIRN_BENCH_DRAM_RESP_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::bench {

struct RespReply {
  enum class Kind : std::uint8_t { kLine, kError, kValue, kNoValue };
  Kind kind = Kind::kLine;
  std::string_view text;  // within the bytes that it was read from
};

void AppendCommand(std::initializer_list<std::string_view> words, std::string* out);

// Reads the reply at the begin of `bytes`: how many of them it takes; 0 if more are to come.
// kCorruption if they are no such reply.
Result<std::size_t> ReadReply(std::string_view bytes, RespReply* reply);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_DRAM_RESP_H_
