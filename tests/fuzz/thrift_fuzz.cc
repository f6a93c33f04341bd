// Feeds arbitrary bytes to a Thrift connection: detection of the format, both protocols, the
// generated readers of every request, and the answers to what can't be served. The first byte
// chooses how many bytes arrive at a time, so that messages are cut anywhere; the second a head of
// a call that is put in front, so that not every run has to find one.
#include <atomic>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "src/base/check.h"
#include "src/server/thrift/call_loop.h"
#include "src/server/thrift/memory_stream.h"
#include "src/server/thrift/wire_testing.h"

namespace {

using namespace std::string_literals;  // NOLINT: for strings with NULs

constexpr std::size_t kMessageBytes = 1 << 16;

// Up to the first field of the request.
const std::string kHeads[] = {
    ""s,
    "\x80\x01\x00\x01\x00\x00\x00\x03get\x00\x00\x00\x07\x0c\x00\x01"s,
    "\x80\x01\x00\x01\x00\x00\x00\x0c"s + "atomicCommit\x00\x00\x00\x07\x0c\x00\x01"s,
    "\x80\x01\x00\x01\x00\x00\x00\x10snapshotGetRange\x00\x00\x00\x07\x0c\x00\x01"s,
    "\x82\x21\x07\x03get\x1c"s,
    "\x82\x21\x07\x0c"s + "atomicCommit\x1c"s,
    "\x00\x00\x01\x00\x80\x01\x00\x01\x00\x00\x00\x0c"s + "atomicCommit\x00\x00\x00\x07"s,
    "\x00\x00\x01\x00\x82\x21\x07\x08getRange\x1c"s,
};

// What Detect and the protocols would have to do wrong to answer more than they were asked.
void Check(const cairn::server::MemoryStream& stream, std::uint64_t calls) {
  // The shortest call is an empty one of a method with a name of no byte: 5 bytes.
  CAIRN_CHECK(calls <= stream.consumed() / 5);
  // Every answer is a call's, or the one that ends the connection.
  CAIRN_CHECK(stream.output().empty() || calls > 0 || stream.writes() <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const auto* const processor =
      new std::shared_ptr<apache::thrift::TProcessor>(cairn::server::testing::MakeEchoProcessor());
  const std::size_t piece = data[0] == 0 ? SIZE_MAX : data[0];
  std::string input = kHeads[data[1] % std::size(kHeads)];
  input.append(reinterpret_cast<const char*>(data) + 2, size - 2);
  cairn::server::MemoryStream stream(std::move(input), piece);
  cairn::server::MessageLimits limits;
  limits.message_bytes = kMessageBytes;
  const std::atomic<bool> stopping{false};
  cairn::server::CallLoopCounters counters;
  cairn::server::CallLoop loop(&stream, limits, &stopping, &counters);
  loop.Run(*processor);
  Check(stream, counters.calls.load());
  return 0;
}
