// The spec of a pool, as users write it: any text is taken or refused with a message, and a router
// made of what was taken gives every key one server or a reason.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/dram/routing/router.h"
#include "src/dram/routing/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using cairn::StatusCode;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spec = cairn::dram::ParseSpec(text);
  if (!spec.ok()) {
    CAIRN_CHECK(spec.status().code() == StatusCode::kInvalidArgument);
    CAIRN_CHECK(!spec.status().message().empty());
    return 0;
  }
  CAIRN_CHECK(spec->listen.has_value() || !spec->remotes.empty());
  const auto router = cairn::dram::Router::Make(*spec, spec->listen ? "self:1" : "");
  // Before a server listens, its own address may be another than here.
  const cairn::Status checked = cairn::dram::Router::Check(*spec);
  if (!spec->listen.has_value()) CAIRN_CHECK(checked.ok() == router.ok());
  if (!router.ok()) {
    CAIRN_CHECK(router.status().code() == StatusCode::kInvalidArgument);
    return 0;
  }
  for (const std::string_view key : {text.substr(0, 1), text.substr(size / 2), text}) {
    const auto server = router->ServerOf(key);
    const auto explained = router->Explain(key);
    CAIRN_CHECK(server.ok() == explained.ok());
    if (!server.ok()) {
      CAIRN_CHECK(server.status().code() == StatusCode::kNotFound);
      continue;
    }
    CAIRN_CHECK(*server < router->servers().size() && *server == explained->server);
    CAIRN_CHECK(!explained->reason.empty());
  }
  return 0;
}
