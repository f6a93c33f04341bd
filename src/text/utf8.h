// Whether bytes are text that protobuf's `string` fields may hold.
//
// Thread safety: a pure function.
#ifndef CAIRN_SRC_TEXT_UTF8_H_
#define CAIRN_SRC_TEXT_UTF8_H_

#include <string_view>

namespace cairn::text {

// True if `bytes` are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates,
// nothing above U+10FFFF.
bool IsUtf8(std::string_view bytes);

}  // namespace cairn::text

#endif  // CAIRN_SRC_TEXT_UTF8_H_
