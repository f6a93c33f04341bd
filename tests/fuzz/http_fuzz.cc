// Bytes from whoever connects to the HTTP port, cut where a connection would cut them and answered
// as requests: nothing may crash, every answer is one, and none is much larger than its page.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/server/http/http_exchange.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const HttpExchange exchange(Page, 120, 1000);
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (std::size_t length = 0; (length = cairn::server::HttpHeadLength(bytes)) != 0;) {
    CAIRN_CHECK(length <= bytes.size());
    const std::string_view head = bytes.substr(0, length);
    bytes.remove_prefix(length);
    if (length > kHeadBytes) continue;  // The connection refuses it.
    (void)cairn::server::HttpTarget(head);
    const HttpAnswer answer = exchange.Answer(head, false);
    CAIRN_CHECK(answer.bytes.starts_with("HTTP/1.1 "));
    CAIRN_CHECK(answer.bytes.find("\r\n\r\n") != std::string::npos);
    CAIRN_CHECK(answer.bytes.size() < 2 * kPageBytes, answer.bytes);
    CAIRN_CHECK(!answer.bad || answer.close);
  }
  return 0;
}
