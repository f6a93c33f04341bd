// Bytes from the network, taken for frames and messages of the memory plane: nothing may crash, and
// what decodes must encode to the same bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/dram/frame.h"
#include "src/dram/messages.h"

namespace {

using namespace cairn::dram;

template <class T>
void TryAnswer(std::string_view bytes) {
  if (const auto answer = DecodeAnswer<T>(bytes); answer.ok()) {
    CAIRN_CHECK(EncodeAnswer(AnswerBody(*answer)) == bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto frame = DecodeFrame(bytes); frame.ok()) {
    std::string again;
    AppendFrame(*frame, &again);
    CAIRN_CHECK(bytes.substr(0, again.size()) == again);
  }
  if (const std::size_t head_bytes = FrameHeadBytes(bytes); head_bytes != 0) {
    CAIRN_CHECK(head_bytes <= bytes.size());
    CAIRN_CHECK(DecodeFrame(bytes.substr(0, head_bytes)).ok() == DecodeFrame(bytes).ok());
  }
  if (const auto request = DecodeRequest(bytes); request.ok()) {
    CAIRN_CHECK(Encode(*request) == bytes);
  }
  if (const auto range = DecodeRange(bytes); range.ok()) {
    CAIRN_CHECK(EncodeRange(*range) == bytes);
  }
  TryAnswer<HelloAnswer>(bytes);
  TryAnswer<ReadAnswer>(bytes);
  TryAnswer<WriteAnswer>(bytes);
  TryAnswer<DeleteRangeAnswer>(bytes);
  TryAnswer<ListAnswer>(bytes);
  TryAnswer<StatAnswer>(bytes);
  if (const auto figures = DecodeFigures(bytes); figures.ok()) {
    CAIRN_CHECK(EncodeFigures(*figures) == bytes);
  }
  if (!bytes.empty()) {
    const auto count = static_cast<std::uint8_t>(bytes[0]);
    if (const auto keys = DecodeListedKeys(count, bytes.substr(1)); keys.ok()) {
      std::string again;
      for (const auto& key : *keys) AppendListedKey(key.key, key.value_bytes, &again);
      CAIRN_CHECK(again == bytes.substr(1));
    }
  }
  return 0;
}
