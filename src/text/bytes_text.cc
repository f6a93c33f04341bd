#include "src/text/bytes_text.h"

#include <absl/strings/escaping.h>

#include <optional>

namespace cairn::text {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// The byte that two digits at `text` stand for.
std::optional<char> HexByte(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const auto high = HexDigit(text[0]);
  const auto low = HexDigit(text[1]);
  if (!high.has_value() || !low.has_value()) return std::nullopt;
  return static_cast<char>(*high * 16 + *low);
}

Status At(std::size_t offset, std::string_view text, const std::string& what) {
  return InvalidArgumentError("'" + std::string(text) + "', character " +
                              std::to_string(offset + 1) + ": " + what);
}

Result<std::string> FromHex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto byte = HexByte(text.substr(i));
    if (!byte.has_value()) return At(i, text, "expected two hexadecimal digits");
    bytes += *byte;
  }
  return bytes;
}

Result<std::string> FromEscaped(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const char kind = i + 1 < text.size() ? text[i + 1] : '\0';
    const std::string_view plain = "\\ntr0\"";
    const std::string_view meaning("\\\n\t\r\0\"", 6);
    const std::size_t found = kind == '\0' ? std::string_view::npos : plain.find(kind);
    if (found != std::string_view::npos) {
      bytes += meaning[found];
      i += 1;
      continue;
    }
    const auto byte = kind == 'x' ? HexByte(text.substr(i + 2)) : std::nullopt;
    if (!byte.has_value()) {
      return At(i, text, "expected \\\\, \\n, \\t, \\r, \\0, \\\" or \\xNN after a backslash");
    }
    bytes += *byte;
    i += 3;
  }
  return bytes;
}

// How many bytes the UTF-8 character at the front of `s` takes; 0 if there is none.
std::size_t Utf8Length(std::string_view s) {
  const auto at = [&](std::size_t i) {
    return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U;
  };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return at(i) >= low && at(i) <= high;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;   // below: overlong
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;  // above: a surrogate
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::string ToEscaped(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    std::size_t length = Utf8Length(bytes);
    // C1 controls (U+0080 to U+009F) would steer a terminal.
    const bool control = byte < 0x20 || byte == 0x7F ||
                         (byte == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0);
    if (length == 0 || control) {
      text += "\\x";
      text += kHexDigits[byte >> 4];
      text += kHexDigits[byte & 15];
      length = 1;
    } else {
      if (byte == '\\') text += '\\';
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

}  // namespace

Result<std::string> FromText(std::string_view text, TextForm form) {
  switch (form) {
    case TextForm::kEscaped:
      return FromEscaped(text);
    case TextForm::kHex:
      return FromHex(text);
    case TextForm::kBase64: {
      std::string bytes;
      if (!absl::Base64Unescape(Absl(text), &bytes)) {
        return InvalidArgumentError("'" + std::string(text) + "' is not base64");
      }
      return bytes;
    }
  }
  return InvalidArgumentError("unknown form");
}

std::string ToText(std::string_view bytes, TextForm form) {
  switch (form) {
    case TextForm::kEscaped:
      return ToEscaped(bytes);
    case TextForm::kHex:
      return absl::BytesToHexString(Absl(bytes));
    case TextForm::kBase64:
      return absl::Base64Escape(Absl(bytes));
  }
  return {};
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = Utf8Length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace cairn::text
