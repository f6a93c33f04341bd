#include "src/dram/routing/spec.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

namespace cairn::dram {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxTimeoutMs = 86'400'000;
// A page, and as many pages as the store can number (src/dram/memory/block_allocator.h).
constexpr std::uint64_t kMinCapacityBytes = 4096;
constexpr std::uint64_t kCapacityLimitBytes = UINT32_MAX * std::uint64_t{4096};

Status Bad(const std::string& field, const std::string& what) {
  return InvalidArgumentError("remote_dram spec: " + field + ": " + what);
}

const std::set<std::string, std::less<>> kFields = {"driver",
                                                    "listen_addr",
                                                    "remote_addr",
                                                    "remote_addrs",
                                                    "advertise_addr",
                                                    "enable_server_to_server",
                                                    "key_routing",
                                                    "key_routing_strategy",
                                                    "key_to_server_mapping",
                                                    "prefix_to_server_mapping",
                                                    "range_to_server_mapping",
                                                    "fallback",
                                                    "replication_factor",
                                                    "capacity_bytes",
                                                    "eviction",
                                                    "transport",
                                                    "busy_poll",
                                                    "shared_memory",
                                                    "timeout_ms",
                                                    "cluster"};

class Reader {
 public:
  Reader(const json& object, Spec* spec) : object_(object), spec_(spec) {}

  Status Run() {
    for (const auto& [name, value] : object_.items()) {
      if (kFields.find(name) == kFields.end()) return Bad(name, "is no field of a spec");
    }
    CAIRN_RETURN_IF_ERROR(Addresses());
    CAIRN_RETURN_IF_ERROR(RoutingFields());
    CAIRN_RETURN_IF_ERROR(Numbers());
    return Combination();
  }

 private:
  Status Text(const std::string& name, std::string* out) {
    if (!object_.contains(name)) return {};
    if (!object_[name].is_string()) return Bad(name, "expected a string");
    *out = object_[name].get<std::string>();
    return {};
  }
  Status Flag(const std::string& name, std::optional<bool>* out) {
    if (!object_.contains(name)) return {};
    if (!object_[name].is_boolean()) return Bad(name, "expected true or false");
    *out = object_[name].get<bool>();
    return {};
  }
  Status Mapping(const std::string& name, std::map<std::string, std::string, std::less<>>* out) {
    if (!object_.contains(name)) return {};
    if (!object_[name].is_object()) return Bad(name, "expected an object of key to host:port");
    for (const auto& [key, server] : object_[name].items()) {
      if (!server.is_string()) return Bad(name, "'" + key + "' must name a host:port");
      (*out)[key] = server.get<std::string>();
    }
    return {};
  }

  Status Addresses() {
    std::string driver = "remote_dram";
    CAIRN_RETURN_IF_ERROR(Text("driver", &driver));
    if (driver != "remote_dram") return Bad("driver", "is '" + driver + "', not remote_dram");
    std::string listen;
    CAIRN_RETURN_IF_ERROR(Text("listen_addr", &listen));
    if (!listen.empty()) {
      const auto endpoint = ParseListenAddress(listen);
      if (!endpoint.ok()) return Bad("listen_addr", endpoint.status().message());
      spec_->listen = *endpoint;
    }
    CAIRN_RETURN_IF_ERROR(Text("advertise_addr", &spec_->advertise));
    std::string remote;
    CAIRN_RETURN_IF_ERROR(Text("remote_addr", &remote));
    if (!remote.empty()) spec_->remotes.push_back(remote);
    if (object_.contains("remote_addrs")) {
      if (!remote.empty()) return Bad("remote_addrs", "give remote_addr or remote_addrs, not both");
      if (!object_["remote_addrs"].is_array()) return Bad("remote_addrs", "expected an array");
      for (const auto& address : object_["remote_addrs"]) {
        if (!address.is_string()) return Bad("remote_addrs", "expected strings, host:port");
        spec_->remotes.push_back(address.get<std::string>());
      }
    }
    for (const std::string& address : spec_->remotes) {
      const auto endpoint = ParseEndpoint(address);
      if (!endpoint.ok()) return Bad("remote_addrs", endpoint.status().message());
    }
    if (!spec_->advertise.empty() && !ParseEndpoint(spec_->advertise).ok()) {
      return Bad("advertise_addr", ParseEndpoint(spec_->advertise).status().message());
    }
    return {};
  }

  Status RoutingFields() {
    std::string routing;
    std::string alias;
    CAIRN_RETURN_IF_ERROR(Text("key_routing", &routing));
    CAIRN_RETURN_IF_ERROR(Text("key_routing_strategy", &alias));
    if (!routing.empty() && !alias.empty() && routing != alias) {
      return Bad("key_routing", "differs from key_routing_strategy, which means the same");
    }
    if (routing.empty()) routing = alias;
    CAIRN_RETURN_IF_ERROR(Mapping("key_to_server_mapping", &spec_->exact));
    CAIRN_RETURN_IF_ERROR(Mapping("prefix_to_server_mapping", &spec_->prefixes));
    CAIRN_RETURN_IF_ERROR(Ranges());
    CAIRN_RETURN_IF_ERROR(Text("fallback", &spec_->fallback));
    const bool mapped = !spec_->exact.empty() || !spec_->prefixes.empty();
    if (routing == "hash") {
      spec_->routing = Routing::kHash;
    } else if (routing == "range") {
      spec_->routing = Routing::kRange;
      if (spec_->ranges.empty()) return Bad("key_routing", "range needs range_to_server_mapping");
    } else if (routing == "explicit") {
      spec_->routing = Routing::kExplicit;
      if (!mapped) {
        return Bad("key_routing",
                   "explicit needs key_to_server_mapping or prefix_to_server_mapping");
      }
    } else if (!routing.empty()) {
      return Bad("key_routing", "is '" + routing + "': hash, range or explicit");
    } else if (spec_->remotes.size() > 1 || (spec_->listen && !spec_->remotes.empty())) {
      spec_->routing = Routing::kHash;
    }
    if (mapped && spec_->routing != Routing::kExplicit) {
      return Bad("key_to_server_mapping", "is for key_routing = explicit; set that or drop it");
    }
    if (!spec_->ranges.empty() && spec_->routing != Routing::kRange) {
      return Bad("range_to_server_mapping", "is for key_routing = range; set that or drop it");
    }
    return {};
  }

  Status Ranges() {
    if (!object_.contains("range_to_server_mapping")) return {};
    const json& rules = object_["range_to_server_mapping"];
    if (!rules.is_array()) return Bad("range_to_server_mapping", "expected an array");
    for (const json& rule : rules) {
      const bool shaped = rule.is_object() && rule.contains("server") && rule["server"].is_string();
      if (!shaped) return Bad("range_to_server_mapping", "each rule needs a server");
      RangeRule parsed;
      for (const auto& [name, value] : rule.items()) {
        if (!value.is_string()) return Bad("range_to_server_mapping", name + " must be a string");
        if (name == "inclusive_min") {
          parsed.range.inclusive_min = value.get<std::string>();
        } else if (name == "exclusive_max") {
          parsed.range.exclusive_max = value.get<std::string>();
        } else if (name == "server") {
          parsed.server = value.get<std::string>();
        } else {
          return Bad("range_to_server_mapping",
                     name + " is none of inclusive_min, exclusive_max, server");
        }
      }
      spec_->ranges.push_back(std::move(parsed));
    }
    std::sort(spec_->ranges.begin(), spec_->ranges.end(), [](const auto& a, const auto& b) {
      return a.range.inclusive_min < b.range.inclusive_min;
    });
    for (std::size_t i = 0; i < spec_->ranges.size(); ++i) {
      const KeyRange& range = spec_->ranges[i].range;
      const bool last = i + 1 == spec_->ranges.size();
      if (!range.exclusive_max.empty() && range.exclusive_max <= range.inclusive_min) {
        return Bad("range_to_server_mapping", "the range from '" + range.inclusive_min + "' to '" +
                                                  range.exclusive_max + "' is empty");
      }
      if (!last && (range.exclusive_max.empty() ||
                    range.exclusive_max > spec_->ranges[i + 1].range.inclusive_min)) {
        return Bad("range_to_server_mapping", "the range from '" + range.inclusive_min +
                                                  "' overlaps the one from '" +
                                                  spec_->ranges[i + 1].range.inclusive_min + "'");
      }
    }
    return {};
  }

  Status Numbers() {
    if (object_.contains("replication_factor") && object_["replication_factor"] != 1) {
      return Bad("replication_factor",
                 "copies of values are not kept yet: set it to 1 or leave it out");
    }
    if (object_.contains("cluster")) {
      return Bad("cluster",
                 "membership from a cluster is not there yet: list the servers in remote_addrs");
    }
    if (object_.contains("capacity_bytes")) {
      const json& value = object_["capacity_bytes"];
      const auto bytes =
          value.is_number_unsigned()
              ? std::optional<std::uint64_t>(value.get<std::uint64_t>())
              : (value.is_string() ? ParseBytes(value.get<std::string>()) : std::nullopt);
      if (!bytes.has_value()) return Bad("capacity_bytes", "expected a number, or \"8GiB\"");
      if (!spec_->listen) return Bad("capacity_bytes", "is for servers: give listen_addr too");
      if (*bytes < kMinCapacityBytes || *bytes >= kCapacityLimitBytes) {
        return Bad("capacity_bytes",
                   "is " + std::to_string(*bytes) + ": give 4096 or more, below 16 TiB");
      }
      spec_->capacity_bytes = *bytes;
    }
    std::string eviction = "none";
    CAIRN_RETURN_IF_ERROR(Text("eviction", &eviction));
    if (eviction != "none" && eviction != "lru") {
      return Bad("eviction", "is '" + eviction + "': none or lru");
    }
    spec_->evict_lru = eviction == "lru";
    CAIRN_RETURN_IF_ERROR(Text("transport", &spec_->transport));
    const std::string& way = spec_->transport;
    if (way != "auto" && way != "tcp" && way != "ucx" && way != "loopback") {
      return Bad("transport", "is '" + way + "': auto, tcp, ucx or loopback");
    }
    if (object_.contains("timeout_ms")) {
      const json& value = object_["timeout_ms"];
      if (!value.is_number_unsigned() || value == 0 || value > kMaxTimeoutMs) {
        return Bad("timeout_ms", "expected a number of milliseconds, 1 to 86400000 (a day)");
      }
      spec_->timeout_ms = value.get<std::uint64_t>();
    }
    std::optional<bool> busy;
    CAIRN_RETURN_IF_ERROR(Flag("busy_poll", &busy));
    spec_->busy_poll = busy.value_or(false);
    std::optional<bool> shared;
    CAIRN_RETURN_IF_ERROR(Flag("shared_memory", &shared));
    spec_->shared_memory = shared.value_or(true);
    return {};
  }

  Status Combination() {
    std::optional<bool> both;
    CAIRN_RETURN_IF_ERROR(Flag("enable_server_to_server", &both));
    if (!spec_->listen && spec_->remotes.empty()) {
      return Bad("listen_addr", "give listen_addr to serve, remote_addr to use a server, or both");
    }
    if (both.has_value() && *both && (!spec_->listen || spec_->remotes.empty())) {
      return Bad("enable_server_to_server", "needs both listen_addr and remote_addrs");
    }
    if (both.has_value() && !*both && spec_->listen && !spec_->remotes.empty()) {
      return Bad("enable_server_to_server",
                 "is false, yet listen_addr and remote_addrs are given: drop one of the three");
    }
    if (!spec_->advertise.empty() && !spec_->listen) {
      return Bad("advertise_addr", "is for servers: give listen_addr too");
    }
    return {};
  }

  const json& object_;
  Spec* const spec_;
};

}  // namespace

Result<Endpoint> ParseListenAddress(const std::string& text) {
  if (text.size() > 2 && text.substr(text.size() - 2) == ":0") {
    CAIRN_ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(text.substr(0, text.size() - 1) + "1"));
    endpoint.port = 0;
    return endpoint;
  }
  return ParseEndpoint(text);
}

std::optional<std::uint64_t> ParseBytes(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  int shift = -1;
  if (unit.empty() || unit == "B") shift = 0;
  if (unit == "KiB") shift = 10;
  if (unit == "MiB") shift = 20;
  if (unit == "GiB") shift = 30;
  if (unit == "TiB") shift = 40;
  if (shift < 0 || number > (UINT64_MAX >> shift)) return std::nullopt;
  return number << shift;
}

Result<std::string> AdvertisedAddress(const Spec& spec, const Endpoint& listening) {
  if (!spec.advertise.empty()) return spec.advertise;
  if (listening.host != "0.0.0.0" && listening.host != "::") return listening.ToString();
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    return IoError("the host has no name: set advertise_addr in the spec");
  }
  return Endpoint{name.data(), listening.port}.ToString();
}

Result<std::string> ClientSpecOf(std::string_view text) {
  CAIRN_ASSIGN_OR_RETURN(const Spec spec, ParseSpec(text));
  if (!spec.listen.has_value()) return std::string(text);
  if (spec.listen->port == 0 && spec.advertise.empty()) {
    return Bad("listen_addr", "has port 0, so clients can't know where it serves: name the port");
  }
  CAIRN_ASSIGN_OR_RETURN(const std::string self, AdvertisedAddress(spec, *spec.listen));
  json object = json::parse(text);
  for (const char* name : {"listen_addr", "advertise_addr", "capacity_bytes", "eviction",
                           "remote_addr", "enable_server_to_server"}) {
    object.erase(name);
  }
  std::set<std::string> servers(spec.remotes.begin(), spec.remotes.end());
  servers.insert(self);
  object["remote_addrs"] = servers;
  return object.dump();
}

Result<Spec> ParseSpec(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Bad("the whole", "is no JSON object");
  Spec spec;
  CAIRN_RETURN_IF_ERROR(Reader(object, &spec).Run());
  return spec;
}

}  // namespace cairn::dram
