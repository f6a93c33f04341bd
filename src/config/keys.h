// The one table of configuration keys: name, type, range, place in NodeConfig, documentation. The
// parser, the documented example file, the reference page and the tests are all made from it.
//
// Thread safety: constants.
#ifndef CAIRN_SRC_CONFIG_KEYS_H_
#define CAIRN_SRC_CONFIG_KEYS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/config/node_config.h"

namespace cairn::config {

// How a key's value is checked and where it goes. An accessor gives the field of a configuration.
struct BoolField {
  bool& (*access)(NodeConfig&);
};
struct IntegerField {
  std::uint64_t& (*access)(NodeConfig&);
  std::uint64_t min;
  std::uint64_t max;
};
// 0 to 65535, or absent: a rule decides.
struct PortField {
  std::optional<std::uint64_t>& (*access)(NodeConfig&);
};
struct NumberField {
  double& (*access)(NodeConfig&);
  double min;
  double max;
};
struct TextField {
  std::string& (*access)(NodeConfig&);
  bool may_be_empty;
};
struct EndpointsField {
  std::vector<std::string>& (*access)(NodeConfig&);
};
struct TextsField {
  std::vector<std::string>& (*access)(NodeConfig&);
};
// One of a list of names; the index of a name is the enumerator.
struct ChoiceField {
  std::span<const std::string_view> names;
  std::size_t (*get)(const NodeConfig&);
  void (*set)(NodeConfig&, std::size_t);
};

using Field = std::variant<BoolField, IntegerField, PortField, NumberField, TextField,
                           EndpointsField, TextsField, ChoiceField>;

struct KeySpec {
  std::string_view section;
  std::string_view name;
  Field field;
  std::string_view doc;  // one or two sentences: what it does, what to mind
};

struct SectionSpec {
  std::string_view name;
  std::string_view doc;
};

// All sections and keys, in the order in which documents show them.
std::span<const SectionSpec> Sections();
std::span<const KeySpec> Keys();

// The entry of a key; null if there is none.
const KeySpec* FindKey(std::string_view section, std::string_view name);
bool IsSection(std::string_view name);

// "an integer from 1 to 65536", "one of \"raft\", \"paxos\"": what a message or page shows.
std::string Expectation(const Field& field);

// The value of the key in `config` as TOML; empty for an absent port.
std::string RenderValue(const Field& field, const NodeConfig& config);

// The word of `known` that `word` was probably meant to be; nothing if none is close.
std::optional<std::string_view> NearestWord(std::string_view word,
                                            std::span<const std::string_view> known);

// A broken rule between keys, reported at `section`.`key`.
struct Contradiction {
  std::string_view section;
  std::string_view key;
  std::string message;
};
std::vector<Contradiction> FindContradictions(const NodeConfig& config);

}  // namespace cairn::config

#endif  // CAIRN_SRC_CONFIG_KEYS_H_
