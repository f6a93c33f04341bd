// TOML text to NodeConfig. All faults of a file are gathered before it is refused; only a syntax
// error ends the reading at once.

// toml++ 3.3.0 asserts that a table header holds a key ("[," ends the process), and reports a header
// that doesn't as an error right behind the assertion. We want the error.
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <utility>

#include "src/base/file.h"
#include "src/config/keys.h"

namespace cairn::config {
namespace {

// The faults of one file, in the order of their lines.
class Faults {
 public:
  explicit Faults(std::string_view source_name) : source_name_(source_name) {}

  void Add(std::uint32_t line, std::string message) {
    faults_.emplace_back(line, std::move(message));
  }
  [[nodiscard]] bool empty() const { return faults_.empty(); }

  [[nodiscard]] Status ToStatus() {
    std::stable_sort(faults_.begin(), faults_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (const auto& [line, message] : faults_) {
      if (!text.empty()) text += '\n';
      text += source_name_ + ':' + std::to_string(line) + ": " + message;
    }
    return InvalidArgumentError(std::move(text));
  }

 private:
  const std::string source_name_;
  std::vector<std::pair<std::uint32_t, std::string>> faults_;
};

// Text of a file in a message: short, and without control characters.
std::string Printable(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string out;
  for (const char c : text.substr(0, kMost)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return text.size() > kMost ? out + "..." : out;
}

// What stands there, for messages that say what was expected instead.
std::string Describe(const toml::node& node) {
  if (const auto* v = node.as_string()) return "\"" + Printable(v->get()) + "\"";
  if (const auto* v = node.as_integer()) return std::to_string(v->get());
  if (const auto* v = node.as_floating_point()) return std::to_string(v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

// Stores the value of `node` in a field; false if it is of another type or out of range.
class Store {
 public:
  Store(const toml::node& node, NodeConfig* config) : node_(node), config_(*config) {}

  bool operator()(const BoolField& field) const {
    const auto* value = node_.as_boolean();
    if (value == nullptr) return false;
    field.access(config_) = value->get();
    return true;
  }
  bool operator()(const IntegerField& field) const {
    const auto value = Integer(field.min, field.max);
    if (value.has_value()) field.access(config_) = *value;
    return value.has_value();
  }
  bool operator()(const PortField& field) const {
    const auto value = Integer(0, 65'535);
    if (value.has_value()) field.access(config_) = value;
    return value.has_value();
  }
  bool operator()(const NumberField& field) const {
    double value = 0;
    if (const auto* number = node_.as_floating_point()) {
      value = number->get();
    } else if (const auto* integer = node_.as_integer()) {
      value = static_cast<double>(integer->get());
    } else {
      return false;
    }
    if (!(value >= field.min && value <= field.max)) return false;  // refuses NaN, too
    field.access(config_) = value;
    return true;
  }
  bool operator()(const TextField& field) const {
    const auto* value = node_.as_string();
    if (value == nullptr || (value->get().empty() && !field.may_be_empty)) return false;
    if (value->get().find('\0') != std::string::npos) return false;
    field.access(config_) = value->get();
    return true;
  }
  bool operator()(const EndpointsField& field) const {
    const auto* list = node_.as_array();
    if (list == nullptr) return false;
    std::vector<std::string> endpoints;
    for (const toml::node& element : *list) {
      const auto* value = element.as_string();
      if (value == nullptr || !ParseEndpoint(value->get()).ok()) return false;
      if (std::find(endpoints.begin(), endpoints.end(), value->get()) != endpoints.end()) {
        return false;
      }
      endpoints.push_back(value->get());
    }
    field.access(config_) = std::move(endpoints);
    return true;
  }
  bool operator()(const ChoiceField& field) const {
    const auto* value = node_.as_string();
    if (value == nullptr) return false;
    const auto name = std::find(field.names.begin(), field.names.end(), value->get());
    if (name == field.names.end()) return false;
    field.set(config_, static_cast<std::size_t>(name - field.names.begin()));
    return true;
  }

 private:
  [[nodiscard]] std::optional<std::uint64_t> Integer(std::uint64_t min, std::uint64_t max) const {
    const auto* value = node_.as_integer();
    if (value == nullptr || value->get() < 0) return std::nullopt;
    const auto number = static_cast<std::uint64_t>(value->get());
    if (number < min || number > max) return std::nullopt;
    return number;
  }

  const toml::node& node_;
  NodeConfig& config_;
};

// The element of a list of endpoints that is at fault, for the message.
std::string BadElement(const toml::node& node) {
  const auto* list = node.as_array();
  if (list == nullptr) return Describe(node);
  std::vector<std::string> seen;
  for (const toml::node& element : *list) {
    const auto* value = element.as_string();
    if (value == nullptr || !ParseEndpoint(value->get()).ok()) return Describe(element);
    if (std::find(seen.begin(), seen.end(), value->get()) != seen.end()) {
      return Describe(element) + " twice";
    }
    seen.push_back(value->get());
  }
  return Describe(node);
}

class Parser {
 public:
  explicit Parser(std::string_view source_name) : faults_(source_name) {}

  Result<NodeConfig> Run(const toml::table& root) {
    for (auto&& [key, node] : root) ReadTop(key, node);
    if (faults_.empty()) {
      for (const Contradiction& found : FindContradictions(config_)) {
        faults_.Add(LineOf(found), Name(found.section, found.key) + ": " + found.message);
      }
    }
    if (!faults_.empty()) return faults_.ToStatus();
    return config_;
  }

 private:
  static std::string Name(std::string_view section, std::string_view key) {
    return "[" + std::string(section) + "] " + std::string(key);
  }

  // Where a contradiction is shown: at its key, else at its section, else at the top.
  [[nodiscard]] std::uint32_t LineOf(const Contradiction& found) const {
    for (const std::string& name :
         {Name(found.section, found.key), Name(found.section, std::string_view())}) {
      const auto line = lines_.find(name);
      if (line != lines_.end()) return line->second;
    }
    return 1;
  }

  void ReadTop(const toml::key& key, const toml::node& node) {
    const std::uint32_t line = key.source().begin.line;
    if (!IsSection(key.str())) {
      faults_.Add(line, UnknownTop(key.str(), node.is_table()));
      return;
    }
    const auto* section = node.as_table();
    if (section == nullptr) {
      faults_.Add(line, "'" + std::string(key.str()) + "' is a section: write [" +
                            std::string(key.str()) + "] once, and its keys below it");
      return;
    }
    lines_[Name(key.str(), std::string_view())] = line;
    for (auto&& [name, value] : *section) ReadKey(key.str(), name, value);
  }

  void ReadKey(std::string_view section, const toml::key& key, const toml::node& node) {
    const std::uint32_t line = key.source().begin.line;
    const KeySpec* spec = FindKey(section, key.str());
    if (spec == nullptr) {
      faults_.Add(line, UnknownKey(section, key.str()));
      return;
    }
    lines_[Name(section, key.str())] = line;
    if (!std::visit(Store(node, &config_), spec->field)) {
      const bool list = std::holds_alternative<EndpointsField>(spec->field);
      faults_.Add(line, Name(section, key.str()) + ": expected " + Expectation(spec->field) +
                            ", found " + (list ? BadElement(node) : Describe(node)));
    }
  }

  static std::string UnknownTop(std::string_view name, bool is_section) {
    if (is_section) {
      std::vector<std::string_view> known;
      for (const SectionSpec& section : Sections()) known.push_back(section.name);
      std::string text = "unknown section [" + Printable(name) + "]";
      const auto nearest = NearestWord(name, known);
      return nearest.has_value() ? text + "; did you mean [" + std::string(*nearest) + "]?" : text;
    }
    std::string text = "unknown key '" + Printable(name) + "' outside of any section";
    const std::string home = SectionsOf(name);
    return home.empty() ? text : text + "; it belongs in " + home;
  }

  static std::string UnknownKey(std::string_view section, std::string_view name) {
    std::string text = "unknown key '" + Printable(name) + "' in [" + std::string(section) + "]";
    const std::string home = SectionsOf(name);
    if (!home.empty()) return text + "; it belongs in " + home;
    std::vector<std::string_view> here;
    std::vector<std::string_view> anywhere;
    for (const KeySpec& key : Keys()) {
      anywhere.push_back(key.name);
      if (key.section == section) here.push_back(key.name);
    }
    if (const auto nearest = NearestWord(name, here)) {
      return text + "; did you mean '" + std::string(*nearest) + "'?";
    }
    if (const auto nearest = NearestWord(name, anywhere)) {
      return text + "; did you mean '" + std::string(*nearest) + "' in " + SectionsOf(*nearest) +
             "?";
    }
    return text;
  }

  // "[a]" or "[a] or [b]": the sections that have a key of this name.
  static std::string SectionsOf(std::string_view name) {
    std::string out;
    for (const KeySpec& key : Keys()) {
      if (key.name != name) continue;
      if (!out.empty()) out += " or ";
      out += "[" + std::string(key.section) + "]";
    }
    return out;
  }

  Faults faults_;
  NodeConfig config_;
  std::map<std::string, std::uint32_t> lines_;  // of what the file gives
};

}  // namespace

Result<NodeConfig> ParseConfig(std::string_view text, std::string_view source_name) {
  try {
    const toml::table root = toml::parse(text, std::string(source_name));
    return Parser(source_name).Run(root);
  } catch (const toml::parse_error& error) {
    Faults faults(source_name);
    faults.Add(error.source().begin.line, "not TOML: " + std::string(error.description()));
    return faults.ToStatus();
  }
}

Result<NodeConfig> LoadConfig(const std::string& path) {
  Result<std::string> text = PosixFileSystem()->ReadFile(path);
  if (!text.ok()) {
    return {Status(text.status().code(),
                   "cannot read configuration '" + path + "': " + text.status().message())};
  }
  return ParseConfig(*text, path);
}

}  // namespace cairn::config
