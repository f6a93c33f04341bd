// Decoder over arbitrary bytes: it never reads past its input, never gets back what it consumed,
// and stays failed once it failed. The input's first half says what to read, the second is read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn {
namespace {

void ReadOne(std::uint8_t what, Decoder* in) {
  switch (what % 9) {
    case 0:
      in->U8();
      return;
    case 1:
      in->Fixed32();
      return;
    case 2:
      in->Fixed64();
      return;
    case 3:
      in->BigEndian16();
      return;
    case 4: {
      const std::size_t before = in->remaining();
      const std::uint64_t value = in->Varint();
      if (!in->ok()) return;
      // A number has one encoding only.
      std::string again;
      Encoder(&again).Varint(value);
      CAIRN_CHECK(again.size() == before - in->remaining());
      return;
    }
    case 5:
      in->SignedVarint();
      return;
    case 6:
      in->Bytes();
      return;
    case 7:
      in->Raw(what);
      return;
    default:
      in->Rest();
      return;
  }
}

void Run(std::string_view input) {
  const std::string_view script = input.substr(0, input.size() / 2);
  Decoder in(input.substr(script.size()));
  for (const char what : script) {
    const std::size_t before = in.remaining();
    const bool was_ok = in.ok();
    ReadOne(static_cast<std::uint8_t>(what), &in);
    CAIRN_CHECK(in.remaining() <= before);
    CAIRN_CHECK(was_ok || !in.ok());
    CAIRN_CHECK(in.ok() || in.remaining() == 0);
  }
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
