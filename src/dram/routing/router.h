// Which server holds a key. Every process that is given the same servers and rules computes the
// same answer, whatever order they are written in: table_text() tells two tables apart, and
// table_hash() is what peers compare when they connect.
//
// Hash routing is rendezvous hashing (Thaler and Ravishankar 1998): the server whose hash with the
// key is highest holds it, so that one that comes or goes moves its own share of keys and no other.
//
// Thread safety: const objects.
#ifndef CAIRN_SRC_DRAM_ROUTING_ROUTER_H_
#define CAIRN_SRC_DRAM_ROUTING_ROUTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/dram/routing/spec.h"

namespace cairn::dram {

class Router {
 public:
  // `self` is this server's advertised address, empty for a client. kInvalidArgument if a rule
  // names a server that is none of the pool.
  static Result<Router> Make(const Spec& spec, const std::string& self);
  // What Make will say once the process serves, as far as that can be told before: a server that
  // takes a free port may turn out to be one that the rules name at its host. On this machine,
  // whose name stands in for a wildcard.
  static Status Check(const Spec& spec);

  struct Choice {
    std::size_t server = 0;  // index into servers()
    std::string reason;      // filled in by Explain
  };
  // kNotFound if no rule names a server for the key.
  [[nodiscard]] Result<std::size_t> ServerOf(std::string_view key) const;
  // The same, with the reason in words.
  [[nodiscard]] Result<Choice> Explain(std::string_view key) const;

  // All servers of the pool, sorted.
  [[nodiscard]] const std::vector<std::string>& servers() const { return servers_; }
  [[nodiscard]] const std::string& table_text() const { return table_text_; }
  // 0 if there is no table: one server, asked directly.
  [[nodiscard]] std::uint64_t table_hash() const { return table_hash_; }

 private:
  [[nodiscard]] std::size_t HashOwner(std::string_view key) const;
  Result<std::size_t> IndexOf(const std::string& server) const;
  [[nodiscard]] Result<Choice> Choose(std::string_view key, bool explain) const;
  void WriteTable();

  Spec spec_;
  std::vector<std::string> servers_;
  std::vector<std::uint64_t> seeds_;
  std::string table_text_;
  std::uint64_t table_hash_ = 0;
};

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_ROUTING_ROUTER_H_
