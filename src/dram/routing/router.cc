#include "src/dram/routing/router.h"

#include <xxhash.h>

#include <algorithm>

#include "src/base/codec.h"

namespace cairn::dram {
namespace {

std::uint64_t Hash(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// The servers that the rules name, in the order in which they are checked.
std::vector<std::string> Named(const Spec& spec) {
  std::vector<std::string> named;
  for (const auto& [key, server] : spec.exact) named.push_back(server);
  for (const auto& [prefix, server] : spec.prefixes) named.push_back(server);
  for (const RangeRule& rule : spec.ranges) named.push_back(rule.server);
  if (spec.fallback != "none" && spec.fallback != "hash") named.push_back(spec.fallback);
  return named;
}

}  // namespace

Result<Router> Router::Make(const Spec& spec, const std::string& self) {
  Router router;
  router.spec_ = spec;
  router.servers_ = spec.remotes;
  if (!self.empty()) router.servers_.push_back(self);
  std::sort(router.servers_.begin(), router.servers_.end());
  router.servers_.erase(std::unique(router.servers_.begin(), router.servers_.end()),
                        router.servers_.end());
  for (const std::string& server : router.servers_) router.seeds_.push_back(Hash(server, 0));
  for (const std::string& server : Named(spec)) {
    CAIRN_RETURN_IF_ERROR(router.IndexOf(server).status());
  }
  if (spec.routing != Routing::kDirect) router.WriteTable();
  return router;
}

Status Router::Check(const Spec& spec) {
  if (!spec.listen.has_value()) return Make(spec, "").status();
  if (spec.listen->port != 0 || !spec.advertise.empty()) {
    CAIRN_ASSIGN_OR_RETURN(const std::string self, AdvertisedAddress(spec, *spec.listen));
    return Make(spec, self).status();
  }
  // The host's part of what it will be, with the colon.
  CAIRN_ASSIGN_OR_RETURN(std::string host, AdvertisedAddress(spec, {spec.listen->host, 1}));
  host.pop_back();
  // It has one port: if the rules name two addresses at its host, the second can't be it.
  for (const std::string& server : Named(spec)) {
    const auto endpoint = ParseEndpoint(server);
    const bool may_be_self = endpoint.ok() && endpoint->ToString() == server &&
                             server.starts_with(host) &&
                             std::count(spec.remotes.begin(), spec.remotes.end(), server) == 0;
    if (may_be_self) return Make(spec, server).status();
  }
  return Make(spec, host + "(a free port)").status();
}

Result<std::size_t> Router::IndexOf(const std::string& server) const {
  const auto it = std::lower_bound(servers_.begin(), servers_.end(), server);
  if (it != servers_.end() && *it == server) return static_cast<std::size_t>(it - servers_.begin());
  std::string known;
  for (const std::string& s : servers_) known += (known.empty() ? "" : ", ") + s;
  return InvalidArgumentError("remote_dram spec: a routing rule names '" + server +
                              "', which is none of the pool (" + known +
                              "): add it to remote_addrs, or correct the rule");
}

void Router::WriteTable() {
  const char* const names[] = {"direct", "hash", "range", "explicit"};
  table_text_ = std::string("routing ") + names[static_cast<int>(spec_.routing)] + "; servers";
  for (const std::string& server : servers_) table_text_ += " " + server;
  for (const auto& [key, server] : spec_.exact) {
    table_text_ += "; key '" + Printable(key, 4096) + "' " + server;
  }
  for (const auto& [prefix, server] : spec_.prefixes) {
    table_text_ += "; prefix '" + Printable(prefix, 4096) + "' " + server;
  }
  for (const RangeRule& rule : spec_.ranges) {
    table_text_ += "; range '" + Printable(rule.range.inclusive_min, 4096) + "' to '" +
                   Printable(rule.range.exclusive_max, 4096) + "' " + rule.server;
  }
  if (spec_.routing != Routing::kHash) table_text_ += "; fallback " + spec_.fallback;
  table_hash_ = std::max<std::uint64_t>(1, Hash(table_text_, 0));
}

std::size_t Router::HashOwner(std::string_view key) const {
  std::size_t best = 0;
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::uint64_t hash = Hash(key, seeds_[i]);
    if (i == 0 || hash > highest) {
      best = i;
      highest = hash;
    }
  }
  return best;
}

Result<std::size_t> Router::ServerOf(std::string_view key) const {
  if (spec_.routing == Routing::kDirect) return std::size_t{0};
  if (spec_.routing == Routing::kHash) return HashOwner(key);
  CAIRN_ASSIGN_OR_RETURN(const Choice choice, Choose(key, false));
  return choice.server;
}

Result<Router::Choice> Router::Explain(std::string_view key) const { return Choose(key, true); }

Result<Router::Choice> Router::Choose(std::string_view key, bool explain) const {
  const auto choice = [&](const std::string& server, const std::string& reason) -> Result<Choice> {
    CAIRN_ASSIGN_OR_RETURN(const std::size_t index, IndexOf(server));
    return Choice{index, explain ? reason : std::string()};
  };
  if (spec_.routing == Routing::kDirect) return Choice{0, "the only server"};
  if (spec_.routing == Routing::kHash) {
    return Choice{HashOwner(key), "the highest hash with the key among " +
                                      std::to_string(servers_.size()) + " servers"};
  }
  if (const auto it = spec_.exact.find(key); it != spec_.exact.end()) {
    return choice(it->second, "key_to_server_mapping names the key");
  }
  // The longest prefix that fits.
  for (std::size_t n = key.size() + 1; n-- > 0 && !spec_.prefixes.empty();) {
    if (const auto it = spec_.prefixes.find(key.substr(0, n)); it != spec_.prefixes.end()) {
      return choice(it->second, "prefix_to_server_mapping names '" + Printable(it->first) + "'");
    }
  }
  for (const RangeRule& rule : spec_.ranges) {
    if (rule.range.Contains(key)) {
      return choice(rule.server, "the range from '" + Printable(rule.range.inclusive_min) +
                                     "' to '" + Printable(rule.range.exclusive_max) + "'");
    }
  }
  if (spec_.fallback == "hash") return Choice{HashOwner(key), "no rule; fallback hash"};
  if (spec_.fallback != "none") return choice(spec_.fallback, "no rule; the fallback server");
  return Status(StatusCode::kNotFound, "no routing rule names a server for the key '" +
                                           Printable(key) +
                                           "': add one, or set fallback to hash or to an address");
}

}  // namespace cairn::dram
