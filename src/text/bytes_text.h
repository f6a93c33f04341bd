// Keys and values are arbitrary bytes; a terminal shows text. Three ways between them:
//
//   escaped  text as it is; \\ is a backslash, \n \t \r \0 as in C, \xNN any byte. What is not
//            printable UTF-8 is shown as \xNN, so what is shown can be given back.
//   hex      two digits a byte
//   base64   RFC 4648, with padding
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_TEXT_BYTES_TEXT_H_
#define CAIRN_SRC_TEXT_BYTES_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cairn/status.h"

namespace cairn::text {

enum class TextForm : std::uint8_t { kEscaped, kHex, kBase64 };

// kInvalidArgument that names the offset of what is wrong.
Result<std::string> FromText(std::string_view text, TextForm form);
std::string ToText(std::string_view bytes, TextForm form);

// Well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF)?
bool IsUtf8(std::string_view bytes);

}  // namespace cairn::text

#endif  // CAIRN_SRC_TEXT_BYTES_TEXT_H_
