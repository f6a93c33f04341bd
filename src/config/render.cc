// Values, documents and messages made from the table of keys.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/config/keys.h"

namespace cairn::config {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// A TOML basic string. Bytes above 0x7F pass: the parser has taken the text as UTF-8.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

// Shortest text that reads back as the same number, always with a point or an exponent.
std::string RenderNumber(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string Join(std::span<const std::string_view> words, bool quoted) {
  std::string out;
  for (const std::string_view word : words) {
    if (!out.empty()) out += ", ";
    out += quoted ? Quote(word) : std::string(word);
  }
  return out;
}

// Optimal string alignment distance: insertions, deletions, changes and swaps of neighbours.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> previous(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

// Wraps text at 96 columns, each line after "# ".
std::string Comment(std::string_view text) {
  constexpr std::size_t kWidth = 96;
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (column == 0 || column + 1 + word.size() > kWidth) {
      out += column == 0 ? "# " : "\n# ";
      column = 2;
    } else {
      out += ' ';
      column += 1;
    }
    out += word;
    column += word.size();
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out + "\n";
}

void RenderKey(const KeySpec& key, const NodeConfig& config, bool documented, std::string* out) {
  const std::string value = RenderValue(key.field, config);
  if (documented) {
    *out += Comment(std::string(key.doc) + " (" + Expectation(key.field) + ")");
  }
  if (!value.empty()) {
    *out += fmt::format("{} = {}\n", key.name, value);
  } else if (documented) {
    *out += fmt::format("#{} =\n", key.name);
  }
  if (documented) *out += '\n';
}

// Whether a text of this name is one that nobody should see.
bool MayBeSecret(std::string_view name) {
  for (const std::string_view word : {"password", "passphrase", "secret", "token", "credential"}) {
    if (name.find(word) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::string Expectation(const Field& field) {
  return std::visit(
      Overloaded{
          [](const BoolField&) -> std::string { return "true or false"; },
          [](const IntegerField& f) {
            return fmt::format("an integer from {} to {}", f.min, f.max);
          },
          [](const PortField&) -> std::string { return "an integer from 0 to 65535"; },
          [](const NumberField& f) { return fmt::format("a number from {} to {}", f.min, f.max); },
          [](const TextField& f) -> std::string {
            return f.may_be_empty ? "text in quotes" : "text in quotes, not empty";
          },
          [](const EndpointsField&) -> std::string { return "a list of \"host:port\", each once"; },
          [](const TextsField&) -> std::string { return "a list of texts in quotes"; },
          [](const ChoiceField& f) { return "one of " + Join(f.names, true); },
      },
      field);
}

std::string RenderValue(const Field& field, const NodeConfig& config) {
  // Accessors give a mutable field; nothing is changed through them here.
  auto& c = const_cast<NodeConfig&>(config);
  return std::visit(
      Overloaded{
          [&](const BoolField& f) -> std::string { return f.access(c) ? "true" : "false"; },
          [&](const IntegerField& f) { return std::to_string(f.access(c)); },
          [&](const PortField& f) {
            const std::optional<std::uint64_t>& port = f.access(c);
            return port.has_value() ? std::to_string(*port) : std::string();
          },
          [&](const NumberField& f) { return RenderNumber(f.access(c)); },
          [&](const TextField& f) { return Quote(f.access(c)); },
          [&](const EndpointsField& f) {
            std::vector<std::string_view> endpoints(f.access(c).begin(), f.access(c).end());
            return "[" + Join(endpoints, true) + "]";
          },
          [&](const TextsField& f) {
            std::vector<std::string_view> texts(f.access(c).begin(), f.access(c).end());
            return "[" + Join(texts, true) + "]";
          },
          [&](const ChoiceField& f) { return Quote(f.names[f.get(config)]); },
      },
      field);
}

std::optional<std::string_view> NearestWord(std::string_view word,
                                            std::span<const std::string_view> known) {
  if (word.size() > 100) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_distance = 0;
  for (const std::string_view candidate : known) {
    const std::size_t distance = EditDistance(word, candidate);
    if (!best.has_value() || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  // Up to a third of the letters may differ; beyond that it is another word.
  if (!best.has_value() || best_distance > std::max<std::size_t>(1, word.size() / 3)) {
    return std::nullopt;
  }
  return best;
}

std::string RenderToml(const NodeConfig& config, bool documented) {
  std::string out;
  for (const SectionSpec& section : Sections()) {
    if (documented) out += Comment(section.doc);
    out += fmt::format("[{}]\n", section.name);
    if (documented) out += '\n';
    for (const KeySpec& key : Keys()) {
      if (key.section == section.name) RenderKey(key, config, documented, &out);
    }
    if (!documented) out += '\n';
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

NodeConfig Effective(const NodeConfig& config) {
  NodeConfig effective = config;
  effective.server.thrift_port = ThriftPort(config);
  effective.server.grpc_port = GrpcPort(config);
  effective.server.http_port = HttpPort(config);
  for (const KeySpec& key : Keys()) {
    const auto* text = std::get_if<TextField>(&key.field);
    if (text == nullptr) continue;
    std::string& value = text->access(effective);
    // A spec of the memory plane is a text with keys of its own.
    const bool inside = key.section == "dram" && key.name == "spec" && MayBeSecret(value);
    if (!value.empty() && (MayBeSecret(key.name) || inside)) value = "(hidden)";
  }
  return effective;
}

std::string RenderJson(const NodeConfig& config) {
  std::string out = "{";
  for (const SectionSpec& section : Sections()) {
    out += fmt::format("{}\n  {}: {{", out.size() == 1 ? "" : ",", Quote(section.name));
    const std::size_t begin = out.size();
    for (const KeySpec& key : Keys()) {
      // What TOML writes of booleans, numbers, texts and lists of texts is JSON, too.
      const std::string value = RenderValue(key.field, config);
      if (key.section != section.name || value.empty()) continue;
      out += fmt::format("{}\n    {}: {}", out.size() == begin ? "" : ",", Quote(key.name), value);
    }
    out += "\n  }";
  }
  return out + "\n}\n";
}

std::string RenderMarkdown() {
  const NodeConfig defaults;
  std::string out;
  for (const SectionSpec& section : Sections()) {
    out += fmt::format("### [{}]\n\n{}\n\n| key | default | value | meaning |\n|---|---|---|---|\n",
                       section.name, section.doc);
    for (const KeySpec& key : Keys()) {
      if (key.section != section.name) continue;
      const std::string value = RenderValue(key.field, defaults);
      out += fmt::format("| `{}` | {} | {} | {} |\n", key.name,
                         value.empty() ? "by rule" : "`" + value + "`", Expectation(key.field),
                         key.doc);
    }
    out += '\n';
  }
  return out;
}

}  // namespace cairn::config
