// docs/formats/dump.md
#include "src/dump/dump_format.h"

#include <xxhash.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/base/check.h"
#include "src/text/bytes_text.h"

namespace cairn::dump {
namespace {

using nlohmann::ordered_json;
using text::TextForm;

constexpr std::int64_t kOneFamily = 1;
constexpr std::int64_t kFamilies = 2;
constexpr std::string_view kTextHeader = "# cairn dump ";
constexpr std::string_view kTextVersion = " version ";
constexpr std::string_view kTextScope = "# of ";
constexpr std::string_view kTextFamily = "# family ";
constexpr std::string_view kTextFooter = "# end count ";
constexpr std::string_view kTextChecksum = " checksum ";

std::string Hex(std::uint64_t number) {
  std::string digits(16, '0');
  for (int i = 15; i >= 0; --i, number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
  return digits;
}

template <class Number>
std::optional<Number> ToNumber(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void PutJson(ordered_json* object, const std::string& name, std::string_view bytes) {
  if (text::IsUtf8(bytes)) {
    (*object)[name] = std::string(bytes);
  } else {
    (*object)[name + "_base64"] = text::ToText(bytes, TextForm::kBase64);
  }
}

Result<std::string> TakeJsonBytes(const ordered_json& object, const std::string& name) {
  const auto plain = object.find(name);
  if (plain != object.end() && plain->is_string()) return plain->get<std::string>();
  const auto coded = object.find(name + "_base64");
  if (coded != object.end() && coded->is_string()) {
    return text::FromText(coded->get<std::string>(), TextForm::kBase64);
  }
  return InvalidArgumentError("expected a text \"" + name + "\" or \"" + name + "_base64\"");
}

// "HEAD number MIDDLE rest" as number and rest.
std::optional<std::pair<std::string_view, std::string_view>> Cut(std::string_view line,
                                                                 std::string_view head,
                                                                 std::string_view middle) {
  if (!line.starts_with(head)) return std::nullopt;
  line.remove_prefix(head.size());
  const std::size_t at = line.find(middle);
  if (at == std::string_view::npos) return std::nullopt;
  return std::pair(line.substr(0, at), line.substr(at + middle.size()));
}

}  // namespace

struct Checksum::State {
  XXH3_state_t* hash = XXH3_createState();
  State() {
    CAIRN_CHECK(hash != nullptr && XXH3_64bits_reset(hash) == XXH_OK, "no memory for a checksum");
  }
  ~State() { XXH3_freeState(hash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {}
Checksum::~Checksum() = default;
void Checksum::Add(std::string_view bytes) {
  XXH3_64bits_update(state_->hash, bytes.data(), bytes.size());
}
std::uint64_t Checksum::value() const { return XXH3_64bits_digest(state_->hash); }

std::string Writer::Keep(std::string line) {
  line += '\n';
  checksum_.Add(line);
  return line;
}

std::string Writer::Family(std::string_view name) {
  if (format_ == Format::kJsonLines) {
    ordered_json object;
    PutJson(&object, "family", name);
    return Keep(object.dump());
  }
  return Keep(std::string(kTextFamily) + text::ToText(name, TextForm::kEscaped));
}

std::string Writer::Header(std::int64_t version, bool families, std::string_view scope) {
  const std::int64_t format = families ? kFamilies : kOneFamily;
  if (format_ == Format::kJsonLines) {
    ordered_json object{{"cairn_dump", format}, {"version", version}};
    if (!scope.empty()) object["of"] = scope;
    return Keep(object.dump());
  }
  std::string header = Keep(std::string(kTextHeader) + std::to_string(format) +
                            std::string(kTextVersion) + std::to_string(version));
  // A comment, so that programs which do not know it load the dump all the same.
  if (!scope.empty()) header += Keep(std::string(kTextScope).append(scope));
  return header;
}

std::string Writer::Line(std::string_view key, std::string_view value) {
  ++count_;
  if (format_ == Format::kJsonLines) {
    ordered_json object;
    PutJson(&object, "key", key);
    PutJson(&object, "value", value);
    return Keep(object.dump());
  }
  std::string line = text::ToText(key, TextForm::kEscaped);
  if (line.starts_with('#')) line = "\\x23" + line.substr(1);  // else it would be a comment
  return Keep(line + "\t" + text::ToText(value, TextForm::kEscaped));
}

std::string Writer::Footer() {
  const std::string checksum = Hex(checksum_.value());
  if (format_ == Format::kJsonLines) {
    return ordered_json{{"end", true}, {"count", count_}, {"checksum", checksum}}.dump() + "\n";
  }
  return std::string(kTextFooter) + std::to_string(count_) + std::string(kTextChecksum) + checksum +
         "\n";
}

void Writer::Adopt(std::string_view line, bool is_pair) {
  checksum_.Add(line);
  checksum_.Add("\n");
  if (is_pair) ++count_;
}

Result<std::optional<Pair>> Reader::Take(std::string_view line) {
  ++lines_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return std::optional<Pair>();
  if (ended_) return InvalidArgumentError("there is more behind the end of the dump");
  if (!format_.has_value()) {
    format_ = line.starts_with('{') ? Format::kJsonLines : Format::kText;
  }
  auto taken = *format_ == Format::kJsonLines ? TakeJson(line) : TakeText(line);
  if (taken.ok() && !ended_) {
    checksum_.Add(line);
    checksum_.Add("\n");
    if (taken->has_value()) ++count_;
  }
  return taken;
}

Result<std::optional<Pair>> Reader::TakeText(std::string_view line) {
  if (line.starts_with('#')) return TakeComment(line);
  CAIRN_RETURN_IF_ERROR(CheckFamily());
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
    return InvalidArgumentError("expected a key, a tab and a value");
  }
  CAIRN_ASSIGN_OR_RETURN(std::string key, text::FromText(line.substr(0, tab), TextForm::kEscaped));
  CAIRN_ASSIGN_OR_RETURN(std::string value,
                         text::FromText(line.substr(tab + 1), TextForm::kEscaped));
  return std::optional(Pair{std::move(key), std::move(value)});
}

Result<std::optional<Pair>> Reader::TakeComment(std::string_view line) {
  if (const auto header = Cut(line, kTextHeader, kTextVersion)) {
    CAIRN_RETURN_IF_ERROR(TakeHeader(ToNumber<std::int64_t>(header->first).value_or(-1),
                                     ToNumber<std::int64_t>(header->second).value_or(-1)));
  } else if (const auto footer = Cut(line, kTextFooter, kTextChecksum)) {
    const auto count = ToNumber<std::uint64_t>(footer->first);
    if (!count.has_value()) return InvalidArgumentError("the footer's count is no number");
    CAIRN_RETURN_IF_ERROR(TakeFooter(*count, footer->second));
  } else if (lines_ == 2 && version_.has_value() && line.starts_with(kTextScope)) {
    scope_ = line.substr(kTextScope.size());
  } else if (of_families_ && line.starts_with(kTextFamily)) {
    CAIRN_ASSIGN_OR_RETURN(family_,
                           text::FromText(line.substr(kTextFamily.size()), TextForm::kEscaped));
  }
  return std::optional<Pair>();
}

Result<std::optional<Pair>> Reader::TakeJson(std::string_view line) {
  const ordered_json object = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return InvalidArgumentError("expected a JSON object");
  const auto integer = [&](const char* name) -> std::optional<std::int64_t> {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<std::int64_t>();
  };
  if (object.contains("cairn_dump")) {
    CAIRN_RETURN_IF_ERROR(
        TakeHeader(integer("cairn_dump").value_or(-1), integer("version").value_or(-1)));
    const auto scope = object.find("of");
    if (scope != object.end() && scope->is_string()) scope_ = scope->get<std::string>();
    return std::optional<Pair>();
  }
  if (object.contains("end")) {
    const auto count = integer("count");
    const auto checksum = object.find("checksum");
    if (!count.has_value() || checksum == object.end() || !checksum->is_string()) {
      return InvalidArgumentError("the footer has no count or no checksum");
    }
    CAIRN_RETURN_IF_ERROR(
        TakeFooter(static_cast<std::uint64_t>(*count), checksum->get<std::string>()));
    return std::optional<Pair>();
  }
  if (of_families_ && (object.contains("family") || object.contains("family_base64")) &&
      !object.contains("key") && !object.contains("key_base64")) {
    CAIRN_ASSIGN_OR_RETURN(family_, TakeJsonBytes(object, "family"));
    return std::optional<Pair>();
  }
  CAIRN_RETURN_IF_ERROR(CheckFamily());
  CAIRN_ASSIGN_OR_RETURN(std::string key, TakeJsonBytes(object, "key"));
  CAIRN_ASSIGN_OR_RETURN(std::string value, TakeJsonBytes(object, "value"));
  return std::optional(Pair{std::move(key), std::move(value)});
}

Status Reader::TakeHeader(std::int64_t format_version, std::int64_t version) {
  if (version_.has_value() || count_ > 0) {
    return InvalidArgumentError("a header in the middle of a dump");
  }
  if (format_version != kOneFamily && format_version != kFamilies) {
    return InvalidArgumentError(
        "a dump in a format that this program does not know; it knows 1 and 2");
  }
  of_families_ = format_version == kFamilies;
  if (version < 0) return InvalidArgumentError("the header names no version");
  version_ = version;
  return Status::Ok();
}

Status Reader::CheckFamily() const {
  if (!of_families_ || family_.has_value()) return Status::Ok();
  return InvalidArgumentError("a pair before the first column family");
}

Status Reader::TakeFooter(std::uint64_t count, std::string_view checksum) {
  if (count != count_) {
    return CorruptionError("the footer counts " + std::to_string(count) + " pairs, there were " +
                           std::to_string(count_));
  }
  if (checksum != Hex(checksum_.value())) {
    return CorruptionError("the checksum is " + Hex(checksum_.value()) + ", the footer says " +
                           std::string(checksum));
  }
  ended_ = true;
  return Status::Ok();
}

Status Reader::Finish() const {
  if (!version_.has_value() || ended_) return Status::Ok();
  return CorruptionError("the dump was cut: it has a header and no footer");
}

}  // namespace cairn::dump
