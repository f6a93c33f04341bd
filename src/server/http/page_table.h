// The pages of an HTTP port, by path, and the index of them at "/".
//
// Thread safety: Add belongs to the thread that makes the table, before it is served; then all
// methods from any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_PAGE_TABLE_H_
#define CAIRN_SRC_SERVER_HTTP_PAGE_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "src/server/http/http_types.h"

namespace cairn::server {

class PageTable {
 public:
  // `title`: the first line of the index.
  explicit PageTable(std::string title) : title_(std::move(title)) {}

  // `quick`: the page waits for nothing (HttpServerOptions::quick).
  void Add(std::string path, std::string doc, bool quick, HttpHandler page);

  [[nodiscard]] HttpResponse Handle(const HttpRequest& request) const;
  [[nodiscard]] std::vector<std::string> QuickPaths() const;

 private:
  struct Page {
    std::string path;
    std::string doc;
    bool quick = false;
    HttpHandler make;
  };
  [[nodiscard]] HttpResponse Index() const;

  const std::string title_;
  std::vector<Page> pages_;
};

// As Prometheus asks for it: version 0.0.4 of its text format.
HttpResponse PrometheusResponse(std::string text);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_PAGE_TABLE_H_
