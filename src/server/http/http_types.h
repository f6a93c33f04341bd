// A request and its answer, as the pages of the HTTP port see them.
//
// Thread safety: plain values.
#ifndef CAIRN_SRC_SERVER_HTTP_HTTP_TYPES_H_
#define CAIRN_SRC_SERVER_HTTP_HTTP_TYPES_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace cairn::server {

struct HttpRequest {
  std::string method;  // "GET": HEAD is answered by the library from the answer to GET
  std::string path;    // decoded, without the query
  std::multimap<std::string, std::string> query;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // beside length and type
};

// A text and a line's end.
inline HttpResponse TextResponse(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(text);
  response.body += '\n';
  return response;
}

// A document of JSON.
inline HttpResponse JsonResponse(std::string json) {
  HttpResponse response;
  response.content_type = "application/json";
  response.body = std::move(json);
  return response;
}

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_HTTP_TYPES_H_
