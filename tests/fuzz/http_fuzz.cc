// Bytes from whoever connects to the HTTP port, cut where a connection would cut them and answered
// as requests, by a page of this file and by those of a node: nothing may crash, every answer is
// one, and none is much larger than its page. Then the same bytes as the end of a target that a
// node has pages for, so that not every run has to find one.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/server/http/http_exchange.h"
#include "src/server/http/node_pages.h"

namespace {

using cairn::server::HttpAnswer;
using cairn::server::HttpExchange;
using cairn::server::HttpRequest;
using cairn::server::HttpResponse;

constexpr std::size_t kPageBytes = 1000;
constexpr std::size_t kHeadBytes = 8 << 10;

HttpResponse Page(const HttpRequest& request) {
  CAIRN_CHECK(request.method == "GET");
  return cairn::server::TextResponse(request.path == "/a" ? 200 : 404,
                                     std::string(kPageBytes, 'x'));
}

// The pages that a node has: their paths and queries come from strangers. It has not begun to
// serve, so that there is nothing to tell of; what there is to tell takes no part in the request.
const cairn::server::NodePages& Pages() {
  static auto* const pages = [] {
    cairn::server::NodePagesOptions options;
    options.config_toml = "[deployment]\n";
    options.config_json = "{}\n";
    return new cairn::server::NodePages(options);
  }();
  return *pages;
}

// The node's answer to a GET, or what is cut from it: /metrics and /debug/threads read /proc, which
// would be all that a run does.
HttpResponse NodePage(const HttpRequest& request) {
  CAIRN_CHECK(request.method == "GET");
  if (request.path == "/metrics" || request.path == "/debug/threads") {
    return cairn::server::TextResponse(200, "");
  }
  HttpResponse response = Pages().Handle(request);
  CAIRN_CHECK(response.status == 200 || response.status == 400 || response.status == 404 ||
              response.status == 503);
  CAIRN_CHECK(response.body.size() < kPageBytes, response.body);
  return response;
}

void CheckAnswer(const HttpExchange& pages, std::string_view head) {
  const HttpAnswer answer = pages.Answer(head, false);
  CAIRN_CHECK(answer.bytes.starts_with("HTTP/1.1 "));
  CAIRN_CHECK(answer.bytes.find("\r\n\r\n") != std::string::npos);
  CAIRN_CHECK(answer.bytes.size() < 2 * kPageBytes, answer.bytes);
  CAIRN_CHECK(!answer.bad || answer.close);
}

constexpr std::string_view kTargets[] = {"/", "/config?", "/config?format=", "/debug/", "/readyz"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const HttpExchange exchange(Page, 120, 1000);
  static const HttpExchange node(NodePage, 120, 1000);
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  std::string_view bytes = all;
  for (std::size_t length = 0; (length = cairn::server::HttpHeadLength(bytes)) != 0;) {
    CAIRN_CHECK(length <= bytes.size());
    const std::string_view head = bytes.substr(0, length);
    bytes.remove_prefix(length);
    if (length > kHeadBytes) continue;  // The connection refuses it.
    (void)cairn::server::HttpTarget(head);
    CheckAnswer(exchange, head);
    CheckAnswer(node, head);
  }
  if (all.empty() || size > kHeadBytes / 2) return 0;
  const std::string_view target = kTargets[data[0] % std::size(kTargets)];
  const std::string_view rest = all.substr(1, all.substr(1).find_first_of("\r\n"));
  CheckAnswer(node, "GET " + std::string(target) + std::string(rest) + " HTTP/1.1\r\n\r\n");
  return 0;
}
