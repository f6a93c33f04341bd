// The HTTP port of a server of the memory plane that is no cairnd: metrics, health and diagnosis,
// on the server of src/server/http and with its limits. All of it only tells.
//
//   /               what there is
//   /metrics        for Prometheus: the memory plane, the port and the process
//   /healthz        200 while the process serves
//   /readyz         the same, with a line for each other node of the pool: is it connected? The
//                   server serves its own keys without them, so that is not what 200 means
//   /debug/status   the server and its pool, as JSON
//   /debug/threads  the threads of the process, as JSON
//
// Thread safety: Start and the destructor belong to one thread; pages are made on threads of the
// port's own.
#ifndef CAIRN_SRC_SERVER_DRAM_DRAM_HTTP_H_
#define CAIRN_SRC_SERVER_DRAM_DRAM_HTTP_H_

#include <memory>
#include <string>

#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/server/http/http_server.h"
#include "src/server/http/page_table.h"

namespace cairn::server {

struct DramHttpOptions {
  Endpoint address;  // port 0: any free one
  std::string software_version;
  std::string tensorstore_address;  // where the pool is served to TensorStore; empty: it is not
};

class DramHttp {
 public:
  // Serves pages about `store`, which outlives it, as does `clock`. kIoError if the address can't
  // be listened on.
  static Result<std::unique_ptr<DramHttp>> Start(const DramHttpOptions& options,
                                                 const RemoteDram* store, const Clock* clock);
  // Once a page that is being made is made.
  ~DramHttp();

  // "127.0.0.1:8090".
  [[nodiscard]] std::string address() const;

  // The answer to a request, as the port gives it. Any thread.
  [[nodiscard]] HttpResponse Handle(const HttpRequest& request) const {
    return pages_.Handle(request);
  }

 private:
  DramHttp(const DramHttpOptions& options, const RemoteDram* store);
  [[nodiscard]] HttpResponse Metrics() const;
  [[nodiscard]] HttpResponse Ready() const;
  [[nodiscard]] HttpResponse DebugStatus() const;

  const DramHttpOptions options_;
  const RemoteDram* const store_;
  PageTable pages_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_DRAM_DRAM_HTTP_H_
