#include "src/server/http/page_table.h"

#include <algorithm>

namespace cairn::server {

void PageTable::Add(std::string path, std::string doc, bool quick, HttpHandler page) {
  pages_.push_back({std::move(path), std::move(doc), quick, std::move(page)});
}

HttpResponse PageTable::Handle(const HttpRequest& request) const {
  if (request.path == "/") return Index();
  for (const Page& page : pages_) {
    if (page.path == request.path) return page.make(request);
  }
  return TextResponse(404, "there is no such page; / lists those there are");
}

std::vector<std::string> PageTable::QuickPaths() const {
  std::vector<std::string> paths = {"/"};
  for (const Page& page : pages_) {
    if (page.quick) paths.push_back(page.path);
  }
  return paths;
}

HttpResponse PageTable::Index() const {
  std::size_t width = 0;
  for (const Page& page : pages_) width = std::max(width, page.path.size());
  HttpResponse response;
  response.body = title_ + "\n\n";
  for (const Page& page : pages_) {
    response.body += page.path + std::string(width + 2 - page.path.size(), ' ') + page.doc + "\n";
  }
  return response;
}

HttpResponse PrometheusResponse(std::string text) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = std::move(text);
  return response;
}

}  // namespace cairn::server
