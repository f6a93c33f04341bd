#include "bench/load/scan.h"

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <chrono>
#include <exception>
#include <memory>

#include "api/TransactionalKV.h"

namespace cairn::bench {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TBufferedTransport;
using apache::thrift::transport::TSocket;

constexpr std::int32_t kNoLimit = 0;  // the server's byte limit ends a page

ScanReport Scan(thrift_api::TransactionalKVClient& client) {
  ScanReport report;
  thrift_api::GetRangeRequest request;
  request.__set_limit(kNoLimit);
  for (bool more = true; more;) {
    thrift_api::GetRangeResponse response;
    client.getRange(response, request);
    if (!response.success) throw std::runtime_error(response.error);
    for (const auto& pair : response.key_values) {
      report.bytes += pair.key.size() + pair.value.size();
    }
    report.keys += response.key_values.size();
    ++report.pages;
    more = response.has_more;
    if (more && response.key_values.empty()) throw std::runtime_error("an empty page has_more");
    if (more) {
      request.__set_begin_key(response.key_values.back().key);
      request.__set_begin_or_equal(false);
    }
  }
  return report;
}

}  // namespace

Result<ScanReport> ScanAll(const std::string& host, std::uint16_t port) {
  try {
    auto transport = std::make_shared<TBufferedTransport>(std::make_shared<TSocket>(host, port));
    transport->open();
    thrift_api::TransactionalKVClient client(std::make_shared<TBinaryProtocol>(transport));
    const auto start = std::chrono::steady_clock::now();
    ScanReport report = Scan(client);
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  } catch (const std::exception& error) {
    return UnavailableError(std::string("scan: ") + error.what());
  }
}

}  // namespace cairn::bench
