#include "bench/dram/resp.h"

#include <charconv>

namespace cairn::bench {
namespace {

constexpr std::string_view kEnd = "\r\n";
// No line that the loader is answered is longer.
constexpr std::size_t kLongestLine = 16384;

Status Unexpected(std::string_view line) {
  return CorruptionError("redis answered: " + std::string(line));
}

}  // namespace

void AppendCommand(std::initializer_list<std::string_view> words, std::string* out) {
  out->append("*").append(std::to_string(words.size())).append(kEnd);
  for (const std::string_view word : words) {
    out->append("$").append(std::to_string(word.size())).append(kEnd).append(word).append(kEnd);
  }
}

Result<std::size_t> ReadReply(std::string_view bytes, RespReply* reply) {
  const std::size_t end = bytes.find(kEnd);
  if (end == bytes.npos) {
    if (bytes.size() > kLongestLine) return Unexpected(bytes.substr(0, 80));
    return std::size_t{0};
  }
  const std::string_view line = bytes.substr(0, end);
  const std::size_t head = end + kEnd.size();
  if (line.empty()) return Unexpected(line);
  reply->text = line.substr(1);
  if (line.front() == '+' || line.front() == '-') {
    reply->kind = line.front() == '+' ? RespReply::Kind::kLine : RespReply::Kind::kError;
    return head;
  }
  if (line == "$-1") {
    reply->kind = RespReply::Kind::kNoValue;
    return head;
  }
  std::size_t size = 0;
  const std::string_view digits = reply->text;
  const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (line.front() != '$' || error != std::errc() || last != digits.data() + digits.size() ||
      size > (std::size_t{1} << 29)) {  // Redis's own limit: 512 MB
    return Unexpected(line);
  }
  if (bytes.size() < head + size + kEnd.size()) return std::size_t{0};
  if (bytes.substr(head + size, kEnd.size()) != kEnd) return Unexpected(line);
  reply->kind = RespReply::Kind::kValue;
  reply->text = bytes.substr(head, size);
  return head + size + kEnd.size();
}

}  // namespace cairn::bench
