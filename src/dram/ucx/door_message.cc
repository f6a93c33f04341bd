#include "src/dram/ucx/door_message.h"

#include "src/base/check.h"
#include "src/base/codec.h"

namespace cairn::dram::ucx {
namespace {

constexpr std::uint32_t kMagic = 0x524F4443;  // "CDOR"
constexpr std::size_t kFixedBytes = 8;        // magic, version, a zero, size of the body
constexpr std::size_t kMaxTextBytes = 2048;

Status Bad(const std::string& what) { return {StatusCode::kCorruption, "door message: " + what}; }

std::string Frame(const std::string& body) {
  CAIRN_CHECK(kFixedBytes + body.size() <= kMaxDoorMessageBytes, "a door message is too long");
  std::string message;
  Encoder encoder(&message);
  encoder.Fixed32(kMagic);
  encoder.U8(kDoorVersion);
  encoder.U8(0);
  encoder.U8(static_cast<std::uint8_t>(body.size()));
  encoder.U8(static_cast<std::uint8_t>(body.size() >> 8));
  encoder.Raw(body);
  return message;
}

// The body of a whole message.
Result<std::string_view> Body(std::string_view message) {
  CAIRN_ASSIGN_OR_RETURN(const std::optional<std::size_t> size, DoorMessageSize(message));
  if (!size.has_value() || *size != message.size()) return Bad("its length is wrong");
  return message.substr(kFixedBytes);
}

}  // namespace

std::string EncodeDoorMessage(const DoorHello& hello) {
  std::string body;
  Encoder(&body).Bytes(hello.token);
  return Frame(body);
}

std::string EncodeDoorMessage(const DoorWelcome& welcome) {
  std::string body;
  Encoder encoder(&body);
  encoder.U8(static_cast<std::uint8_t>(welcome.status.code()));
  encoder.Bytes(welcome.status.message().substr(0, kMaxTextBytes));
  encoder.Varint(welcome.ucx_port);
  encoder.U8(welcome.tcp ? 1 : 0);
  encoder.Bytes(welcome.token);
  encoder.Bytes(welcome.host);
  encoder.Bytes(welcome.local_name);
  return Frame(body);
}

Result<std::optional<std::size_t>> DoorMessageSize(std::string_view bytes) {
  Decoder decoder(bytes);
  std::string expected;
  Encoder(&expected).Fixed32(kMagic);
  if (bytes.substr(0, 4) != expected.substr(0, bytes.size())) {
    return Bad("it begins with \"" + Printable(bytes.substr(0, 4)) + "\"");
  }
  if (bytes.size() < kFixedBytes) return std::optional<std::size_t>();
  decoder.Fixed32();
  const std::uint8_t version = decoder.U8();
  const std::uint8_t zero = decoder.U8();
  if (version != kDoorVersion || zero != 0) {
    return Bad("version " + std::to_string(version) + ", this process speaks version " +
               std::to_string(kDoorVersion));
  }
  std::size_t size = decoder.U8();
  size |= static_cast<std::size_t>(decoder.U8()) << 8;
  if (size + kFixedBytes > kMaxDoorMessageBytes)
    return Bad("it is " + std::to_string(size) + " long");
  return std::optional<std::size_t>(size + kFixedBytes);
}

Result<DoorHello> DecodeDoorHello(std::string_view message) {
  CAIRN_ASSIGN_OR_RETURN(const std::string_view body, Body(message));
  Decoder decoder(body);
  DoorHello hello;
  hello.token = decoder.Bytes();
  if (!decoder.AtEnd()) return Bad("a hello is cut short or too long");
  if (!hello.token.empty() && hello.token.size() != kTokenBytes) {
    return Bad("a hello's token is no token");
  }
  return hello;
}

Result<DoorWelcome> DecodeDoorWelcome(std::string_view message) {
  CAIRN_ASSIGN_OR_RETURN(const std::string_view body, Body(message));
  Decoder decoder(body);
  DoorWelcome welcome;
  const auto code = static_cast<StatusCode>(decoder.U8());
  std::string text(decoder.Bytes());
  const std::uint64_t port = decoder.Varint();
  welcome.tcp = decoder.U8() != 0;
  welcome.token = decoder.Bytes();
  welcome.host = decoder.Bytes();
  welcome.local_name = decoder.Bytes();
  if (!decoder.AtEnd() || text.size() > kMaxTextBytes) {
    return Bad("a welcome is cut short or too long");
  }
  if (code != StatusCode::kOk) {
    welcome.status = StatusCodeName(code) == "UNKNOWN" ? UnavailableError(std::move(text))
                                                       : Status(code, std::move(text));
    return welcome;
  }
  if (port > 65535) return Bad("a welcome names port " + std::to_string(port));
  if (welcome.token.size() != kTokenBytes) return Bad("a welcome's token is no token");
  if (welcome.host.size() > kMaxLocalBytes || welcome.local_name.size() > kMaxLocalBytes) {
    return Bad("a welcome's local name is too long");
  }
  welcome.ucx_port = static_cast<std::uint16_t>(port);
  return welcome;
}

}  // namespace cairn::dram::ucx
