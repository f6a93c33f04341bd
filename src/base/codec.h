// Encoding of bytes: fixed-width little-endian numbers, varints (LEB128), length-prefixed strings.
// Big-endian forms are for keys, whose byte order must be their numeric order.
//
// Decoders never read past their input and never allocate more than the input holds.
#ifndef CAIRN_SRC_BASE_CODEC_H_
#define CAIRN_SRC_BASE_CODEC_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace cairn {

static_assert(std::endian::native == std::endian::little, "formats are little-endian");

// Appends to a string that it does not own.
class Encoder {
 public:
  explicit Encoder(std::string* out) : out_(out) {}

  void U8(std::uint8_t v) { out_->push_back(static_cast<char>(v)); }
  void Fixed32(std::uint32_t v) { out_->append(reinterpret_cast<const char*>(&v), sizeof(v)); }
  void Fixed64(std::uint64_t v) { out_->append(reinterpret_cast<const char*>(&v), sizeof(v)); }
  void Varint(std::uint64_t v) {
    while (v >= 0x80) {
      out_->push_back(static_cast<char>(v | 0x80));
      v >>= 7;
    }
    out_->push_back(static_cast<char>(v));
  }
  // Zig-zag: small negative numbers stay short.
  void SignedVarint(std::int64_t v) {
    Varint((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
  }
  void Bytes(std::string_view v) {
    Varint(v.size());
    out_->append(v);
  }
  void Raw(std::string_view v) { out_->append(v); }
  void BigEndian64(std::uint64_t v) { Fixed64(__builtin_bswap64(v)); }
  void BigEndian32(std::uint32_t v) { Fixed32(__builtin_bswap32(v)); }
  void BigEndian16(std::uint16_t v) {
    out_->push_back(static_cast<char>(v >> 8));
    out_->push_back(static_cast<char>(v & 0xFF));
  }

 private:
  std::string* const out_;
};

// Reads from bytes that it does not own. After the first failure every read fails and returns zero
// or empty: check ok() once at the end.
class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool AtEnd() const { return ok_ && in_.empty(); }
  [[nodiscard]] std::size_t remaining() const { return in_.size(); }
  void Fail() {
    ok_ = false;
    in_ = {};
  }

  std::uint8_t U8() { return Number<std::uint8_t>(); }
  std::uint32_t Fixed32() { return Number<std::uint32_t>(); }
  std::uint64_t Fixed64() { return Number<std::uint64_t>(); }
  std::uint64_t BigEndian64() { return __builtin_bswap64(Fixed64()); }
  std::uint32_t BigEndian32() { return __builtin_bswap32(Fixed32()); }
  std::uint16_t BigEndian16() { return __builtin_bswap16(Number<std::uint16_t>()); }

  std::uint64_t Varint() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (in_.empty()) break;
      const auto byte = static_cast<std::uint8_t>(in_.front());
      in_.remove_prefix(1);
      // The tenth byte holds one bit, and a number has one encoding only: no zero last byte.
      if (shift == 63 && byte > 1) break;
      v |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) {
        if (byte == 0 && shift != 0) break;
        return v;
      }
    }
    Fail();
    return 0;
  }
  std::int64_t SignedVarint() {
    const std::uint64_t v = Varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  // A view into the input.
  std::string_view Bytes() { return Raw(Varint()); }
  std::string_view Raw(std::uint64_t n) {
    if (n > in_.size()) {
      Fail();
      return {};
    }
    const std::string_view v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  // Everything that is left.
  std::string_view Rest() { return Raw(in_.size()); }

 private:
  template <class T>
  T Number() {
    T v = 0;
    if (in_.size() < sizeof(T)) {
      Fail();
      return 0;
    }
    std::memcpy(&v, in_.data(), sizeof(T));
    in_.remove_prefix(sizeof(T));
    return v;
  }

  std::string_view in_;
  bool ok_ = true;
};

// "\x00ab" with non-printing bytes as \xNN, cut after `max` bytes with "...": for messages.
std::string Printable(std::string_view bytes, std::size_t max = 64);

// The smallest key after `key`: key + '\0'.
inline std::string KeyAfter(std::string_view key) {
  std::string next;
  next.reserve(key.size() + 1);
  next.append(key);
  next.push_back('\0');
  return next;
}

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_CODEC_H_
