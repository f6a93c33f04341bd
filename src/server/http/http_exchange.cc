#include "src/server/http/http_exchange.h"

#include <httplib.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <exception>
#include <utility>

#include "src/base/log.h"

namespace cairn::server {
namespace {

std::string_view ReasonOf(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 408:
      return "Request Timeout";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

// The head without its lines named `name`. Lines and names are cut as the library cuts them.
std::string WithoutField(std::string_view head, std::string_view name) {
  std::string kept;
  kept.reserve(head.size());
  while (!head.empty()) {
    const std::size_t end = std::min(head.find('\n'), head.size() - 1) + 1;
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && EqualsIgnoringCase(line.substr(0, colon), name)) {
      continue;
    }
    kept += line;
  }
  return kept;
}

// Gives the library a head that is there already and takes the answer.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view in) : in_(in) {}

  [[nodiscard]] bool is_readable() const override { return !in_.empty(); }
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = std::min(size, in_.size());
    std::memcpy(to, in_.data(), count);
    in_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    out.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  [[nodiscard]] socket_t socket() const override { return INVALID_SOCKET; }

  std::string out;

 private:
  std::string_view in_;
};

// What is to be known of a request before it is routed; true if the connection must be closed.
bool Prepare(httplib::Request* request, bool last) {
  const bool body = request->has_header("Content-Length") ||
                    request->has_header("Transfer-Encoding") || request->has_header("Expect") ||
                    (request->method != "GET" && request->method != "HEAD");
  request->headers.erase("Expect");
  const bool gzip = request->get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  request->headers.erase("Accept-Encoding");
  if (gzip) request->set_header("Accept-Encoding", "gzip");
  const bool close = last || body || request->version == "HTTP/1.0" ||
                     EqualsIgnoringCase(request->get_header_value("Connection"), "close");
  if (close) {
    request->headers.erase("Connection");
    request->set_header("Connection", "close");  // So the answer says it, too.
  }
  return close;
}

}  // namespace

std::size_t HttpHeadLength(std::string_view bytes) {
  constexpr std::string_view kEnd = "\n\r\n";
  const std::size_t at = bytes.find(kEnd);
  return at == std::string_view::npos ? 0 : at + kEnd.size();
}

std::string_view HttpTarget(std::string_view head) {
  std::string_view line = head.substr(0, head.find('\n'));
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  line.remove_prefix(space + 1);
  return line.substr(0, line.find_first_of(" ?#\r"));
}

std::string ClosingAnswer(int status, std::string_view reason) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " ";
  answer += ReasonOf(status);
  answer += "\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ";
  answer += std::to_string(reason.size() + 1);
  answer += "\r\n\r\n";
  answer += reason;
  answer += '\n';
  return answer;
}

class HttpExchange::Impl final : public httplib::Server {
 public:
  Impl(HttpHandler handler, int keep_alive_s, std::size_t max_requests) {
    set_keep_alive_timeout(keep_alive_s);
    set_keep_alive_max_count(max_requests);
    set_default_headers({{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}});
    set_pre_routing_handler([handler = std::move(handler)](const httplib::Request& request,
                                                           httplib::Response& response) {
      Route(handler, request, &response);
      return HandlerResponse::Handled;
    });
  }

  HttpAnswer Answer(std::string_view head, bool last) {
    HttpAnswer answer;
    const std::string kept = WithoutField(head, "Range");
    MemoryStream stream(kept);
    bool understood = false;
    bool closed = false;
    process_request(stream, last, closed, [&](httplib::Request& request) {
      understood = true;
      answer.close = Prepare(&request, last);
    });
    if (!understood) {
      // Where the next request would begin is not known.
      return {ClosingAnswer(400, "the request was not understood"), true, true};
    }
    answer.bytes = std::move(stream.out);
    answer.close = answer.close || closed;
    return answer;
  }

 private:
  static void Route(const HttpHandler& handler, const httplib::Request& request,
                    httplib::Response* response) {
    HttpResponse page;
    if (request.method == "GET" || request.method == "HEAD") {
      HttpRequest asked;
      asked.method = "GET";
      asked.path = request.path;
      asked.query.insert(request.params.begin(), request.params.end());
      try {
        page = handler(asked);
      } catch (const std::exception& e) {
        CAIRN_LOG(kError, "http: a page failed: {}", e.what());
        page = TextResponse(500, "the page failed; the node's log says why");
      }
    } else {
      page = TextResponse(405, "this port answers GET and HEAD alone");
      page.headers.emplace_back("Allow", "GET, HEAD");
    }
    response->status = page.status;
    for (const auto& [name, value] : page.headers) response->set_header(name, value);
    response->set_content(page.body, page.content_type);
  }
};

HttpExchange::HttpExchange(HttpHandler handler, int keep_alive_s, std::size_t max_requests)
    : impl_(std::make_unique<Impl>(std::move(handler), keep_alive_s, max_requests)) {}
HttpExchange::~HttpExchange() = default;

HttpAnswer HttpExchange::Answer(std::string_view head, bool last) const {
  try {
    return impl_->Answer(head, last);
  } catch (const std::exception& e) {
    CAIRN_LOG(kError, "http: a request failed: {}", e.what());
    return {ClosingAnswer(500, "the request failed; the node's log says why"), true, false};
  }
}

}  // namespace cairn::server
