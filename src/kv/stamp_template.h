// The template of a versionstamped write by itself, outside a transaction: in Cairn's own
// interfaces it must show where the stamp goes. (The old Thrift wire stores any other template as
// it is.)
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_KV_STAMP_TEMPLATE_H_
#define CAIRN_SRC_KV_STAMP_TEMPLATE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::kv {

inline constexpr std::size_t kStampBytes = 10;

// kInvalidArgument unless the last kStampBytes of `text`, the value of `field`, are zero.
inline Status CheckStampTemplate(std::string_view field, std::string_view text) {
  if (text.size() >= kStampBytes &&
      text.find_first_not_of('\0', text.size() - kStampBytes) == std::string_view::npos) {
    return Status::Ok();
  }
  return InvalidArgumentError(
      std::string(field) + " must end in 10 zero bytes, which become the versionstamp; " +
      (text.size() < kStampBytes ? "it has " + std::to_string(text.size()) + " bytes"
                                 : std::string("its last 10 bytes are others")) +
      ". To store it as it is, use Set");
}

}  // namespace cairn::kv

#endif  // CAIRN_SRC_KV_STAMP_TEMPLATE_H_
