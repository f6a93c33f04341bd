#include "bench/load/scan.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "api/cairn.grpc.pb.h"
#include "bench/load/grpc_connection.h"
#include "src/client/thrift/node_connection.h"

namespace cairn::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};
constexpr std::int32_t kNoLimit = 0;  // the server's byte limit ends a page

}  // namespace

Result<ScanReport> ScanAll(const std::string& host, std::uint16_t port) {
  CAIRN_ASSIGN_OR_RETURN(auto node, client::NodeConnection::Connect({host, port}, kTimeout));
  const auto start = std::chrono::steady_clock::now();
  ScanReport report;
  thrift_api::GetRangeRequest request;
  request.__set_limit(kNoLimit);
  for (bool more = true; more;) {
    thrift_api::GetRangeResponse page;
    CAIRN_RETURN_IF_ERROR(
        node->Call([&](client::ThriftClient& thrift) { thrift.getRange(page, request); }));
    if (!page.success) return UnavailableError("scan: " + page.error);
    for (const auto& pair : page.key_values) report.bytes += pair.key.size() + pair.value.size();
    report.keys += page.key_values.size();
    ++report.pages;
    more = page.has_more;
    if (more && page.key_values.empty())
      return UnavailableError("an empty page has more behind it");
    if (more) {
      request.__set_begin_key(page.key_values.back().key);
      request.__set_begin_or_equal(false);
    }
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

Result<ScanReport> ScanAllOverGrpc(const std::string& host, std::uint16_t port) {
  GrpcChannels channels({{host, port}}, 1);
  CAIRN_ASSIGN_OR_RETURN(auto channel, channels.Next());
  const auto stub = v1::KV::NewStub(channel);
  const auto start = std::chrono::steady_clock::now();
  ScanReport report;
  grpc::ClientContext context;
  const auto stream = stub->Scan(&context, v1::ScanRequest());
  v1::ScanResponse batch;
  bool last = false;
  while (stream->Read(&batch)) {
    for (const auto& pair : batch.pairs()) report.bytes += pair.key().size() + pair.value().size();
    report.keys += static_cast<std::uint64_t>(batch.pairs_size());
    ++report.pages;
    last = batch.last();
  }
  CAIRN_RETURN_IF_ERROR(FromGrpc(stream->Finish()));
  if (!last) return UnavailableError("the stream ended without a last batch");
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace cairn::bench
